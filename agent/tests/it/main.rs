//! Everything that needs the real binary or a real server, in one test binary.

mod command_line;
mod delivery;
mod fakes;
mod fuzz_smoke;
mod remote_write;
mod statsd_corpus;
mod support;
