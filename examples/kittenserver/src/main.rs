//! kittenserver.
fn main() {}
