//! Lines over TCP. A full queue is answered by not reading on: the sender's own buffers fill, and nothing is lost.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::logs::events;
use crate::logs::framing::Framer;
use crate::logs::intake::{Intake, now};
use crate::logs::record::{Batch, Source};
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
    listen::serve(door, stop, move |stream, peer, stop| {
        let host = sender(peer, &own_host);
        connection(receiver, stream, host, intake.clone(), stop)
    })
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
    receiver: &'static str,
    mut stream: Stream,
    host: String,
    intake: Intake,
    mut stop: watch::Receiver<bool>,
) {
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
            Ok(Step::More) => continue,
            Ok(Step::Full(batch, ended)) => {
                if !settle(receiver, &intake, &batch, &mut stop).await {
                    return;
                }
                ended
            }
            Ok(Step::End) => true,
            Err(error) => {
                tracing::debug!(receiver, %error, "connection ended");
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
