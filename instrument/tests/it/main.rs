//! What a service's requests emit, seen from outside of the crate.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed"
)]

mod conventions;
mod downstream;
mod examples;
mod goldens;
mod grpc;
mod panics;
mod requests;
