//! Lines over TCP. A full queue is answered by not reading on: the sender's own buffers fill, and nothing is lost.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::logs::events;
use crate::logs::framing::Framer;
use crate::logs::intake::{Intake, now};
use crate::logs::record::{Batch, Source};
use crate::receive::body::{Budget, Held};
use crate::receive::events as door;
use crate::receive::listen::{self, Door, stopped};
use crate::receive::stream::Stream;

const READ: usize = 256 * 1024;

thread_local! {
    /// All connections of a thread read into one buffer: an idle connection holds no memory.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]);
}

/// Serves connections until `stop` turns true. `own_host` is the name for senders on this machine.
pub fn serve(door: Door, intake: Intake, own_host: String, stop: watch::Receiver<bool>) -> JoinHandle<()> {
    let receiver = door.receiver;
    let own_host: std::sync::Arc<str> = own_host.into();
    let (budget, patience) = (Budget::new(door.limits.in_flight.0), door.limits.body.0);
    listen::serve(door, stop, move |stream, peer, stop| {
        let sender = Sender { receiver, peer, host: sender(peer, &own_host) };
        let unfinished = Unfinished { held: budget.share(), patience, lines: 0, since: None };
        connection(sender, stream, unfinished, intake.clone(), stop)
    })
}

/// Who is at the other end.
struct Sender {
    receiver: &'static str,
    peer: SocketAddr,
    host: String,
}

/// The line of a connection whose end has not come: its share of the memory that all of them may hold, and its age.
struct Unfinished {
    held: Held,
    patience: Duration,
    lines: u64,
    since: Option<Instant>,
}

impl Unfinished {
    /// Looks at the line after each read. False if it has taken too long.
    fn in_time(&mut self, framer: &mut Framer) -> bool {
        if self.held.set(framer.held()).is_err() {
            framer.abandon();
            // Holding less is never refused.
            let _ = self.held.set(0);
            events::rejected("unfinished_lines", 1);
        }
        let finished = std::mem::replace(&mut self.lines, framer.lines()) != framer.lines();
        if framer.held() == 0 {
            self.since = None;
        } else if finished || self.since.is_none() {
            self.since = Some(Instant::now());
        }
        self.since.is_none_or(|since| since.elapsed() < self.patience)
    }
}

/// What to call a sender that does not name its host: this machine by its name, others by their address.
pub(crate) fn sender(peer: SocketAddr, own_host: &str) -> String {
    match peer.ip().to_canonical() {
        ip if ip.is_loopback() => own_host.to_owned(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => ip.to_string(),
    }
}

async fn connection(
    sender: Sender,
    mut stream: Stream,
    mut unfinished: Unfinished,
    intake: Intake,
    mut stop: watch::Receiver<bool>,
) {
    let Sender { receiver, peer, host } = sender;
    let mut framer = Framer::default();
    loop {
        let step = tokio::select! {
            biased;
            step = read(&mut stream, &mut framer, &intake, &host) => step,
            () = stopped(&mut stop) => {
                drain(&mut stream, &mut framer, &intake, &host).await;
                return farewell(&mut stream).await;
            }
        };
        events::rejected("line_too_long", framer.take_oversized());
        let ended = match step {
            Ok(Step::More) if unfinished.in_time(&mut framer) => continue,
            Ok(Step::More) => {
                door::closed(receiver, "slow_line", peer);
                let _ = finish(&mut framer, &intake, &host);
                return farewell(&mut stream).await;
            }
            Ok(Step::Full(batch, ended)) => {
                if !settle(receiver, &intake, &batch, &mut stop).await {
                    return;
                }
                ended
            }
            Ok(Step::End) => true,
            Err(error) => {
                if error.kind() == io::ErrorKind::TimedOut {
                    door::closed(receiver, "idle", peer);
                } else {
                    tracing::debug!(receiver, %peer, %error, "connection ended");
                }
                let _ = finish(&mut framer, &intake, &host);
                return;
            }
        };
        if ended {
            return farewell(&mut stream).await;
        }
    }
}

/// Ends the connection in order: a TLS peer that waits for the last word would take silence for an attack.
async fn farewell(stream: &mut Stream) {
    // Whoever does not take it has gone.
    let _ = tokio::time::timeout(Duration::from_secs(1), stream.shutdown()).await;
}

enum Step {
    More,
    End,
    /// The batch that found no room, and whether the stream had ended.
    Full(Box<Batch>, bool),
}

/// Reads what is there, at most one buffer, and enqueues its lines.
async fn read(stream: &mut Stream, framer: &mut Framer, intake: &Intake, host: &str) -> io::Result<Step> {
    std::future::poll_fn(|cx| {
        BUFFER.with_borrow_mut(|buffer| {
            let mut space = ReadBuf::new(buffer);
            match Pin::new(&mut *stream).poll_read(cx, &mut space) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) if space.filled().is_empty() => {
                    Poll::Ready(Ok(finish(framer, intake, host)))
                }
                Poll::Ready(Ok(())) => Poll::Ready(Ok(feed(framer, intake, host, space.filled()))),
            }
        })
    })
    .await
}

fn feed(framer: &mut Framer, intake: &Intake, host: &str, bytes: &[u8]) -> Step {
    let source = Source { host: Some(host), service: None };
    let taken = intake.collect(|policy, scratch, batch| {
        let now = now();
        framer.feed(bytes, intake.max_line(), &mut |line| policy.line(line, source, now, scratch, batch));
    });
    taken.map_or_else(|batch| Step::Full(batch, false), |_| Step::More)
}

fn finish(framer: &mut Framer, intake: &Intake, host: &str) -> Step {
    let source = Source { host: Some(host), service: None };
    let taken = intake.collect(|policy, scratch, batch| {
        let now = now();
        framer.finish(intake.max_line(), &mut |line| policy.line(line, source, now, scratch, batch));
    });
    events::rejected("line_too_long", framer.take_oversized());
    taken.map_or_else(|batch| Step::Full(batch, true), |_| Step::End)
}

/// Waits for room and enqueues. False if the agent stopped before there was any.
async fn settle(
    receiver: &'static str,
    intake: &Intake,
    batch: &Batch,
    stop: &mut watch::Receiver<bool>,
) -> bool {
    events::waiting(receiver);
    loop {
        if intake.enqueue(batch).is_ok() {
            return true;
        }
        tokio::select! {
            // The second arm covers room that came between the failed attempt and the wait.
            () = intake.wait_room() => {}
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
            () = stopped(stop) => {
                if intake.enqueue(batch).is_ok() {
                    return true;
                }
                events::dropped("shutdown", batch.payloads.len() as u64);
                tracing::error!(receiver, records = batch.payloads.len(), "records lost, the queue was full at shutdown");
                return false;
            }
        }
    }
}

/// Takes what the kernel holds already when the agent stops, then the line that has no newline yet.
async fn drain(stream: &mut Stream, framer: &mut Framer, intake: &Intake, host: &str) {
    let budget = Duration::from_millis(200);
    let mut last = Step::More;
    while let Step::More = last {
        match tokio::time::timeout(budget, read(stream, framer, intake, host)).await {
            Ok(Ok(step)) => last = step,
            _ => last = finish(framer, intake, host),
        }
    }
    if let Step::Full(batch, _) = last {
        events::dropped("shutdown", batch.payloads.len() as u64);
    }
}
