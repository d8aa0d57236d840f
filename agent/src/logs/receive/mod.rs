//! The sockets of the logs lane.

pub mod tcp;
pub mod udp;

#[cfg(test)]
mod tests;
