//! The bounded buffer between those who emit StatsD lines and the thread that sends them: our `MetricSink`
//! under cadence.

use super::render::DATAGRAM;
use crate::drops::{Drops, Lane, Reason};
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;

/// Lines that wait, at most.
const LIMIT: usize = 256 << 10;

/// Takes lines without ever blocking; what does not fit is counted and gone.
#[derive(Debug, Clone)]
pub(crate) struct Sink {
    lines: Arc<Mutex<String>>,
    drops: Arc<Drops>,
}

impl Sink {
    pub(crate) fn new(drops: Arc<Drops>) -> Self {
        Sink { lines: Arc::default(), drops }
    }

    pub(crate) fn push(&self, line: &str) -> bool {
        if line.len() > DATAGRAM {
            self.drops.add(Lane::Metrics, Reason::TooLarge, 1);
            return false;
        }
        let mut lines = self.lines.lock();
        if lines.len() + line.len() + 1 > LIMIT {
            drop(lines);
            self.drops.add(Lane::Metrics, Reason::BufferFull, 1);
            return false;
        }
        lines.push_str(line);
        lines.push('\n');
        true
    }

    /// Takes all that waits.
    pub(crate) fn take(&self, into: &mut String) {
        into.clear();
        std::mem::swap(&mut *self.lines.lock(), into);
    }
}

// A panic cannot leave the lines half changed: nothing in the lock's short time can panic.
impl std::panic::RefUnwindSafe for Sink {}

impl cadence::MetricSink for Sink {
    fn emit(&self, line: &str) -> io::Result<usize> {
        if self.push(line) {
            Ok(line.len())
        } else {
            Err(io::Error::new(io::ErrorKind::WouldBlock, "the buffer of metrics is full"))
        }
    }
}

/// The longest run of whole lines that fits a datagram, without its last newline; and what comes after.
pub(crate) fn datagram(lines: &str) -> (&str, &str) {
    let mut end = 0;
    for (i, _) in lines.match_indices('\n') {
        if i > DATAGRAM && end > 0 {
            break;
        }
        end = i + 1;
    }
    if end == 0 {
        return (lines, "");
    }
    (&lines[..end - 1], &lines[end..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use cadence::{MetricSink, prelude::*};

    #[test]
    fn lines_are_packed_whole() {
        let line = "x".repeat(400);
        let text = format!("{line}\n{line}\n{line}\n{line}\n");
        let (first, rest) = datagram(&text);
        assert_eq!(first.len(), 1_202);
        assert_eq!(datagram(rest), (line.as_str(), ""));
        assert_eq!(datagram(""), ("", ""));
    }

    #[test]
    fn a_full_buffer_refuses_counts_and_recovers() {
        let drops = Arc::new(Drops::default());
        let sink = Sink::new(drops.clone());
        let line = "x".repeat(1_023);
        for _ in 0..257 {
            let _ = sink.emit(&line);
        }
        assert_eq!(drops.all().collect::<Vec<_>>(), [("metrics", "buffer_full", 1)]);
        sink.take(&mut String::new());
        assert!(sink.emit(&line).is_ok());
        assert!(sink.emit(&"y".repeat(2_000)).is_err(), "larger than a datagram");
    }

    #[test]
    fn cadence_speaks_through_it() {
        let sink = Sink::new(Arc::default());
        let client = cadence::StatsdClient::builder("svc", sink.clone()).with_tag("host", "a").build();
        client.count("jobs.sync.done", 2).unwrap();
        let mut lines = String::new();
        sink.take(&mut lines);
        assert_eq!(lines, "svc.jobs.sync.done:2|c|#host:a\n");
    }
}
