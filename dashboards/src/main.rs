//! dashboards.
fn main() {}
