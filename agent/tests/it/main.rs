//! Everything that needs the real binary or a real server, in one test binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed"
)]

mod bad_input;
mod budget;
mod command_line;
mod delivery;
mod documents;
mod fakes;
mod faults;
mod first_light;
mod fuzz_smoke;
mod grpc_pressure;
mod hostile;
mod outage;
mod real_faults;
mod remote_write;
mod resent;
mod scrape;
mod statsd_corpus;
mod statsd_program;
mod store_crash;
mod store_full;
mod store_user;
mod support;
mod tap;
