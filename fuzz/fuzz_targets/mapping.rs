//! Mapping files, and names through the rules in them.

#![no_main]

#[path = "../src/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::mapping(data));
