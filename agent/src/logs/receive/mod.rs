//! The sockets of the logs lane.

pub mod bulk;
pub mod handshake;
pub mod http;
pub mod tcp;
pub mod udp;

#[cfg(test)]
mod tests;
