//! Back ends that are strict about what they get and misbehave as they are told.

pub(crate) mod bulk;
pub(crate) mod server;
pub(crate) mod spans;
