//! What a service's requests emit, seen from outside of the crate.

mod downstream;
mod goldens;
mod panics;
mod requests;
