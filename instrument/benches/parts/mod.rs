//! What the bench of cost is made of.

pub(crate) mod allocations;
pub(crate) mod cpu;
pub(crate) mod service;
pub(crate) mod stock;

/// Inputs are made and buffers emptied after this many: fewer than any buffer holds.
const ROUND: u64 = 256;

/// CPU time of `n` times `work`, which gets what `make` made. `make` and `after` are not counted.
pub(crate) fn rounds<T>(
    n: u64,
    mut make: impl FnMut() -> T,
    mut work: impl FnMut(T),
    mut after: impl FnMut(),
) -> std::time::Duration {
    let mut total = std::time::Duration::ZERO;
    let mut left = n;
    let mut inputs = Vec::with_capacity(ROUND as usize);
    while left > 0 {
        let round = left.min(ROUND);
        inputs.extend((0..round).map(|_| make()));
        let before = cpu::now();
        for input in inputs.drain(..) {
            work(input);
        }
        total += cpu::now() - before;
        after();
        left -= round;
    }
    total
}
