//! What can be set about the disk queues.

use serde::{Deserialize, Serialize};

use crate::units::{Bytes, Span};

/// The same for the queue of each lane.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The most that one lane's queue may take on disk. At the bound, TCP is no longer read and HTTP and gRPC
    /// are told to come back later; nothing that was taken is deleted.
    pub max_bytes: Bytes,
    /// A lane stops taking records while its file system has less than this left.
    pub min_free: Bytes,
    /// A segment that has grown past this is closed and a new one begun.
    pub segment_bytes: Bytes,
    /// The longest that a record waits for others to share its fsync. Records whose sender waits for the answer
    /// (HTTP, gRPC) do not wait; they share it with what came while the disk was busy.
    pub commit_interval: Span,
    /// A group this large is written at once.
    pub commit_bytes: Bytes,
    /// Whether a group is forced to disk before it counts as kept. Without it a power cut can lose what was
    /// acknowledged; a crash of the agent alone cannot.
    pub fsync: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            max_bytes: Bytes(4 << 30),
            min_free: Bytes(1 << 30),
            segment_bytes: Bytes(32 << 20),
            commit_interval: Span(std::time::Duration::from_millis(10)),
            commit_bytes: Bytes(512 << 10),
            fsync: true,
        }
    }
}
