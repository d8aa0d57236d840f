//! Logs: flat ECS JSON lines, buffered in memory and sent by a thread; never written to the service's disk.

pub(crate) mod layer;
pub(crate) mod record;
pub(crate) mod ship;
