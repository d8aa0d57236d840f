//! What the queues say of themselves: metrics by lane, and the log lines that go with them.

use metrics::{Counter, Gauge, counter, gauge};

pub(super) struct Events {
    lane: &'static str,
    pub(super) bytes: Gauge,
    pub(super) oldest_seconds: Gauge,
    corrupt: Counter,
    fsyncs: Counter,
    written_bytes: Counter,
    write_errors: Counter,
}

impl Events {
    pub(super) fn new(lane: &'static str) -> Self {
        Events {
            lane,
            bytes: gauge!("sightline_queue_bytes", "lane" => lane),
            oldest_seconds: gauge!("sightline_queue_oldest_seconds", "lane" => lane),
            corrupt: counter!("sightline_queue_corrupt_records_total", "lane" => lane),
            fsyncs: counter!("sightline_queue_fsyncs_total", "lane" => lane),
            written_bytes: counter!("sightline_queue_written_bytes_total", "lane" => lane),
            write_errors: counter!("sightline_queue_write_errors_total", "lane" => lane),
        }
    }

    pub(super) fn opened(&self, records: u64, bytes: u64) {
        if records > 0 {
            tracing::info!(lane = self.lane, records, bytes, "found records that wait from before");
        }
    }

    /// Records that were kept and can no longer be read.
    pub(super) fn lost(&self, segment: &str, records: u64) {
        self.corrupt.increment(records);
        tracing::error!(lane = self.lane, segment, records, "damaged records in the queue are lost");
    }

    pub(super) fn torn(&self, segment: &str, bytes: u64) {
        tracing::warn!(
            lane = self.lane,
            segment,
            bytes,
            "cut an unfinished write from the queue's end; it was never acknowledged"
        );
    }

    pub(super) fn cursor_unreadable(&self) {
        tracing::warn!(
            lane = self.lane,
            "the queue's cursor cannot be read: everything that is still there is sent again"
        );
    }

    pub(super) fn committed(&self, bytes: usize, fsync: bool) {
        self.written_bytes.increment(bytes as u64);
        self.fsyncs.increment(u64::from(fsync));
    }

    pub(super) fn blocked(&self, why: &str) {
        self.write_errors.increment(1);
        tracing::warn!(lane = self.lane, why, "the queue cannot write and takes nothing more until it can");
    }

    pub(super) fn unblocked(&self) {
        tracing::info!(lane = self.lane, "the queue can write again");
    }

    pub(super) fn unreadable(&self, segment: &str, error: &std::io::Error) {
        tracing::warn!(lane = self.lane, segment, %error, "cannot read a segment of the queue");
    }

    pub(super) fn housekeeping_failed(&self, what: &str, error: &std::io::Error) {
        tracing::warn!(lane = self.lane, what, %error, "the queue's housekeeping failed and will be tried again");
    }
}
