//! What is left of histograms when they are old: the last of each five minutes, and what a counter had reached before
//! it began anew, so that rates stay what they were.

use super::{Chunk, Packed, Point};
use crate::store::metrics::rollup::ROW;
use crate::store::promql::histogram::{Hint, Histogram};
use std::borrow::Cow;

/// Chunks of what is kept of samples in time order.
pub(crate) fn thinned(points: &[Point]) -> Vec<Packed> {
    let mut out = Vec::new();
    let mut open: Option<Chunk> = None;
    // Whether the counter began anew since the sample that was kept last.
    let mut anew = false;
    for (i, (time, h)) in points.iter().enumerate() {
        anew |= i > 0 && falls(h, &points[i - 1].1);
        let kept = points
            .get(i + 1)
            .is_none_or(|(next, after)| next.div_euclid(ROW) != time.div_euclid(ROW) || falls(after, h));
        if !kept {
            continue;
        }
        // What it says of resets is about a sample that may be gone.
        let h = if std::mem::take(&mut anew) {
            Cow::Owned(Histogram { hint: Hint::Reset, ..(**h).clone() })
        } else {
            Cow::Borrowed(&**h)
        };
        if !open.as_mut().is_some_and(|chunk| chunk.push(*time, &h)) {
            out.extend(open.replace(Chunk::new(*time, &h)).map(Chunk::close));
        }
    }
    out.extend(open.map(Chunk::close));
    out
}

fn falls(now: &Histogram, before: &Histogram) -> bool {
    now.hint != Hint::Gauge && now.resets_after(before)
}
