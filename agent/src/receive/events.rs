//! What happens at a receiver's door, as counters and log lines.

use std::io;
use std::net::SocketAddr;

use crate::ledger;

/// A connection was taken.
pub fn connected(receiver: &'static str) {
    metrics::counter!("sightline_connections_total", "receiver" => receiver).increment(1);
    metrics::gauge!("sightline_connections_open", "receiver" => receiver).increment(1.0);
}

/// A connection has ended.
pub fn disconnected(receiver: &'static str) {
    metrics::gauge!("sightline_connections_open", "receiver" => receiver).decrement(1.0);
}

/// A connection was closed before anything was read from it.
pub fn refused(receiver: &'static str, reason: &'static str, peer: SocketAddr) {
    metrics::counter!("sightline_connections_refused_total", "receiver" => receiver, "reason" => reason)
        .increment(1);
    tracing::debug!(receiver, reason, %peer, "connection refused");
}

/// A TLS handshake went wrong.
pub fn handshake_failed(receiver: &'static str, peer: SocketAddr, error: &io::Error) {
    metrics::counter!("sightline_connections_refused_total", "receiver" => receiver, "reason" => "handshake")
        .increment(1);
    tracing::debug!(receiver, %peer, %error, "handshake failed");
}

/// A connection was closed because its peer was too slow: `idle`, `slow_header`, `slow_line`.
pub fn closed(receiver: &'static str, reason: &'static str, peer: SocketAddr) {
    metrics::counter!("sightline_connections_closed_total", "receiver" => receiver, "reason" => reason)
        .increment(1);
    tracing::debug!(receiver, reason, %peer, "connection closed, the peer was too slow");
}

/// The system gave no connection.
pub fn accept_failed(receiver: &'static str, error: &io::Error) {
    metrics::counter!("sightline_connections_refused_total", "receiver" => receiver, "reason" => "accept")
        .increment(1);
    tracing::warn!(receiver, %error, "cannot accept connections, is the limit of open files reached?");
}

/// A request was answered.
pub fn answered(receiver: &'static str, status: u16) {
    let class = match status {
        200..=299 => "2xx",
        429 => "429",
        400..=499 => "4xx",
        _ => "5xx",
    };
    metrics::counter!("sightline_requests_total", "receiver" => receiver, "status" => class).increment(1);
}

/// Input was refused before it was a record.
pub fn rejected(lane: &'static str, reason: &'static str, count: u64) {
    metrics::counter!("sightline_rejected_total", "lane" => lane, "reason" => reason).increment(count);
}

/// The word under which a text body that cannot be read is counted.
pub fn unreadable(body: &[u8]) -> &'static str {
    if std::str::from_utf8(body).is_err() { "invalid_utf8" } else { "malformed" }
}

/// Records were taken into a lane.
pub fn received(lane: &'static str, count: u64) {
    ledger::lane(lane).received(count);
}

/// Records were taken and then lost.
pub fn dropped(lane: &'static str, reason: &'static str, count: u64) {
    ledger::lane(lane).dropped(reason, count);
}
