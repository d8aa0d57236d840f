//! The logs lane: JSON lines and their relatives in, Elastic Common Schema records out to the queue.

pub mod envelope;
