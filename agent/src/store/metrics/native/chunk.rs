//! Histograms of one series packed by what changed: the layout of the buckets only where it differs from the sample
//! before, of each count by how much it rose more or less than of late, a bit where it did as expected.
//!
//! Within a chunk the layout's kind (schema, zero bucket, custom bounds, counter or gauge) is one, and a counter never
//! falls: what does not fit opens the next chunk. So a reader need not look for resets inside.

use super::super::bits::{Bits, Reader};
use super::super::chunk::SAMPLES;
use crate::store::promql::histogram::{Buckets, CUSTOM, Hint, Histogram};
use crate::store::promql::histogram_align::same_bounds;

/// The zero bucket's width as clients have it.
const USUAL_THRESHOLD: f64 = 2.938_735_877_055_719e-39;
/// Beyond it a float does not hold every whole number.
const MOST_WHOLE: f64 = (1u64 << 53) as f64;
/// More buckets than this are damage.
const MOST_BUCKETS: u64 = 1 << 16;

/// Only grows; samples are in time order.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    bits: Bits,
    count: u32,
    pub(crate) first: i64,
    pub(crate) last: i64,
    delta: i64,
    whole: bool,
    before: Histogram,
    paces: [Paces; 2],
}

/// A chunk that is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packed {
    pub(crate) count: u32,
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) bytes: Box<[u8]>,
}

impl Chunk {
    pub(crate) fn new(time: i64, h: &Histogram) -> Chunk {
        let mut bits = Bits::default();
        let whole = is_whole(h);
        bits.write_signed(i64::from(h.schema));
        bits.write(h.hint.number(), 2);
        bits.write(u64::from(whole), 1);
        if h.schema == CUSTOM {
            bits.write_number(h.custom.len() as u64);
            h.custom.iter().for_each(|bound| bits.write(bound.to_bits(), 64));
        } else {
            let usual = h.zero_threshold.to_bits() == USUAL_THRESHOLD.to_bits();
            bits.write(u64::from(usual), 1);
            if !usual {
                bits.write(h.zero_threshold.to_bits(), 64);
            }
        }
        let before = Histogram { sum: 0.0, count: 0.0, zero_count: 0.0, ..h.clone() };
        let before = Histogram { positive: Vec::new(), negative: Vec::new(), ..before };
        let paces = Default::default();
        let mut chunk = Chunk { bits, count: 0, first: time, last: time, delta: 0, whole, before, paces };
        chunk.write(h);
        chunk
    }

    /// Adds a later sample; false if it does not fit and has to open a chunk of its own.
    pub(crate) fn push(&mut self, time: i64, h: &Histogram) -> bool {
        if !self.fits(h) {
            return false;
        }
        let delta = time - self.last;
        self.bits.write_step(delta - self.delta);
        (self.delta, self.last) = (delta, time);
        self.write(h);
        true
    }

    fn fits(&self, h: &Histogram) -> bool {
        let b = &self.before;
        let gauge = h.hint == Hint::Gauge;
        if self.count as usize >= SAMPLES
            || h.schema != b.schema
            || h.zero_threshold.to_bits() != b.zero_threshold.to_bits()
            || !same_bounds(&h.custom, &b.custom)
            || gauge != (b.hint == Hint::Gauge)
            || (self.whole && !is_whole(h))
        {
            return false;
        }
        match h.hint {
            Hint::Gauge | Hint::NotReset => true,
            Hint::Reset => false,
            Hint::Unknown => !h.resets_after(b),
        }
    }

    fn write(&mut self, h: &Histogram) {
        let (bits, before) = (&mut self.bits, &mut self.before);
        let same = same_places(&h.positive, &before.positive) && same_places(&h.negative, &before.negative);
        bits.write(u64::from(!same), 1);
        let [above, below] = &mut self.paces;
        if !same {
            write_places(bits, &h.positive);
            write_places(bits, &h.negative);
            let places = |buckets: &Buckets| buckets.iter().map(|b| b.0).collect::<Vec<_>>();
            moved(&mut before.positive, above, &places(&h.positive));
            moved(&mut before.negative, below, &places(&h.negative));
        }
        bits.write_real(before.sum, h.sum);
        if self.whole {
            bits.write_change(h.zero_count as i64 - before.zero_count as i64);
            let in_buckets = in_buckets(h);
            bits.write(u64::from(h.count != in_buckets), 1);
            if h.count != in_buckets {
                bits.write_signed(h.count as i64 - in_buckets as i64);
            }
        } else {
            bits.write_real(before.zero_count, h.zero_count);
            bits.write_real(before.count, h.count);
        }
        let first = self.count == 0;
        for (now, before, paces) in
            [(&h.positive, &before.positive, above), (&h.negative, &before.negative, below)]
        {
            for ((now, before), pace) in now.iter().zip(before).zip(paces) {
                if self.whole {
                    let change = now.1 as i64 - before.1 as i64;
                    bits.write_change(change - pace.expected());
                    // What the first sample has did not come since a sample before.
                    if !first {
                        pace.learn(change);
                    }
                } else {
                    bits.write_real(before.1, now.1);
                }
            }
        }
        self.before.clone_from(h);
        self.count += 1;
    }

    pub(crate) fn close(mut self) -> Packed {
        self.bits.shrink();
        Packed { count: self.count, first: self.first, last: self.last, bytes: self.bits.bytes().into() }
    }

    /// Bytes of memory.
    pub(crate) fn held(&self) -> usize {
        let buckets = self.before.positive.capacity() + self.before.negative.capacity();
        let paces = self.paces[0].capacity() + self.paces[1].capacity();
        size_of::<Chunk>() + self.bits.held() + buckets * size_of::<(i32, f64)>() + paces * size_of::<Pace>()
    }

    pub(crate) fn len(&self) -> usize {
        self.count as usize
    }

    pub(crate) fn newest(&self) -> &Histogram {
        &self.before
    }

    pub(crate) fn each(&self, f: impl FnMut(i64, Histogram)) {
        // What this program packed it can unpack.
        let _ = each(self.bits.bytes(), self.count, self.first, f);
    }
}

impl Packed {
    pub(crate) fn held(&self) -> usize {
        size_of::<Packed>() + self.bytes.len()
    }

    pub(crate) fn each(&self, f: impl FnMut(i64, Histogram)) {
        let _ = each(&self.bytes, self.count, self.first, f);
    }
}

/// Calls `f` with each sample of a chunk, oldest first. Nothing when the bytes are no chunk; what was read till then has
/// been given.
pub(super) fn each(bytes: &[u8], count: u32, first: i64, mut f: impl FnMut(i64, Histogram)) -> Option<()> {
    let mut r = Reader::new(bytes);
    let mut h = Histogram { schema: i32::try_from(r.signed()).ok()?, ..Histogram::default() };
    h.hint = Hint::of(r.read(2));
    let whole = r.read(1) == 1;
    if h.schema == CUSTOM {
        let n = r.number();
        if n > MOST_BUCKETS {
            return None;
        }
        h.custom = (0..n).map(|_| f64::from_bits(r.read(64))).collect();
    } else {
        h.zero_threshold = if r.read(1) == 1 { USUAL_THRESHOLD } else { f64::from_bits(r.read(64)) };
    }
    let (mut time, mut delta) = (first, 0i64);
    let [mut above, mut below] = <[Paces; 2]>::default();
    for i in 0..count {
        if i > 0 {
            delta = delta.wrapping_add(r.step());
            time = time.wrapping_add(delta);
            if h.hint != Hint::Gauge {
                h.hint = Hint::NotReset;
            }
        }
        if r.left() == 0 {
            return None;
        }
        if r.read(1) == 1 {
            let (positive, negative) = (read_places(&mut r)?, read_places(&mut r)?);
            moved(&mut h.positive, &mut above, &positive);
            moved(&mut h.negative, &mut below, &negative);
        }
        h.sum = r.real(h.sum);
        if whole {
            h.zero_count += r.change() as f64;
            let beyond = if r.read(1) == 1 { r.signed() } else { 0 };
            for (buckets, paces) in [(&mut h.positive, &mut above), (&mut h.negative, &mut below)] {
                for ((_, count), pace) in buckets.iter_mut().zip(paces) {
                    let change = r.change().wrapping_add(pace.expected());
                    *count += change as f64;
                    if i > 0 {
                        pace.learn(change);
                    }
                }
            }
            h.count = in_buckets(&h) + beyond as f64;
        } else {
            h.zero_count = r.real(h.zero_count);
            h.count = r.real(h.count);
            for (_, count) in h.positive.iter_mut().chain(&mut h.negative) {
                *count = r.real(*count);
            }
        }
        f(time, h.clone());
    }
    Some(())
}

/// Whether every count is a whole number that differences keep exact.
fn is_whole(h: &Histogram) -> bool {
    let counts = [h.count, h.zero_count].into_iter();
    let mut counts = counts.chain(h.positive.iter().chain(&h.negative).map(|b| b.1));
    counts.all(|v| v.abs() <= MOST_WHOLE && v.fract() == 0.0) && in_buckets(h).abs() <= MOST_WHOLE
}

fn in_buckets(h: &Histogram) -> f64 {
    h.zero_count + h.positive.iter().chain(&h.negative).map(|b| b.1).sum::<f64>()
}

fn same_places(a: &Buckets, b: &Buckets) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0)
}

fn write_places(bits: &mut Bits, buckets: &Buckets) {
    bits.write_number(buckets.len() as u64);
    let mut next = 0i64;
    for (i, (at, _)) in buckets.iter().enumerate() {
        let gap = i64::from(*at) - next;
        // Behind the first, gaps are not negative, and mostly there is none.
        if i == 0 {
            bits.write_signed(gap)
        } else {
            bits.write_change(gap)
        }
        next = i64::from(*at) + 1;
    }
}

fn read_places(r: &mut Reader<'_>) -> Option<Vec<i32>> {
    let n = r.number();
    if n > MOST_BUCKETS || n as usize > r.left() {
        return None;
    }
    let mut out = Vec::with_capacity(n as usize);
    let mut next = 0i64;
    for i in 0..n {
        let gap = if i == 0 { r.signed() } else { r.change() };
        let at = i32::try_from(next.checked_add(gap)?).ok()?;
        next = i64::from(at) + 1;
        out.push(at);
    }
    Some(out)
}

/// Gives buckets new places: what was there before keeps its count, what is new has none yet.
fn moved(buckets: &mut Buckets, paces: &mut Paces, places: &[i32]) {
    let mut old = std::mem::take(buckets).into_iter().zip(std::mem::take(paces)).peekable();
    for at in places {
        while old.next_if(|(b, _)| b.0 < *at).is_some() {}
        let (bucket, pace) = old.next_if(|(b, _)| b.0 == *at).unwrap_or(((*at, 0.0), Pace::default()));
        buckets.push(bucket);
        paces.push(pace);
    }
}

/// By how much a bucket has risen from sample to sample of late, in sixteenths: its rise lies around it.
#[derive(Debug, Default, Clone, Copy)]
struct Pace(i64);

/// Beside the buckets of one side.
type Paces = Vec<Pace>;

impl Pace {
    fn expected(self) -> i64 {
        self.0.wrapping_add(8) >> 4
    }

    /// Both sides learn the same, whatever damage they read.
    fn learn(&mut self, change: i64) {
        self.0 = self.0.wrapping_add(change.wrapping_mul(16).wrapping_sub(self.0) / 4);
    }
}
