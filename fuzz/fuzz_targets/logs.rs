//! Byte streams cut into lines, and lines into records.

#![no_main]

#[path = "../src/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::logs(data));
