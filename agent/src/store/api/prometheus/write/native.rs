//! A native histogram of remote write 1.0 or 2.0, checked: counts have to fit their buckets, and places be those of
//! numbers. What is wrong is said; nothing is repaired.

use super::wire::{Field, Fields, Malformed, unzigzag};
use crate::store::promql::histogram::{Buckets, CUSTOM, Hint, Histogram};
use crate::store::promql::is_stale;

/// What was sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Sent {
    Histogram(Histogram),
    /// The series has ended.
    Stale,
}

/// Why a histogram is not taken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum Invalid {
    #[error("it is cut or no histogram")]
    Malformed,
    #[error("schema {0} is not known; -4 to 8 are, and -53 for custom buckets")]
    Schema(i64),
    #[error(
        "it has more than {0} buckets; raise store.metrics.native_buckets or lower the sender's resolution"
    )]
    TooMany(usize),
    #[error("spans have {0} buckets, but there are {1} counts")]
    Counts(usize, usize),
    #[error("a span but the first has the offset {0}, which goes back")]
    Offset(i64),
    #[error("bucket {0} of schema {1} is beyond any number")]
    Beyond(i64, i32),
    #[error("a count is negative: {0}")]
    Negative(f64),
    #[error("a count is no number")]
    NotANumber,
    #[error("buckets hold {0} observations, but the count is {1}")]
    Sum(f64, f64),
    #[error("the zero bucket's width is {0}")]
    Threshold(f64),
    #[error("custom bounds do not ascend, or are no numbers")]
    Bounds,
    #[error("custom buckets have a zero bucket or negative ones")]
    CustomSides,
}

impl From<Malformed> for Invalid {
    fn from(_: Malformed) -> Self {
        Invalid::Malformed
    }
}

/// Both whole and fractional counts are sent; the fields that are there decide.
#[derive(Default)]
struct Side {
    spans: Vec<(i64, u64)>,
    deltas: Vec<u64>,
    counts: Vec<f64>,
}

/// Time in milliseconds, and the histogram.
pub(super) fn read(message: &[u8], most: usize) -> Result<(i64, Sent), Invalid> {
    let mut h = Histogram::default();
    let (mut positive, mut negative) = (Side::default(), Side::default());
    let (mut time, mut schema, mut custom, mut real) = (0, 0, Vec::new(), false);
    for field in Fields(message) {
        let (tag, field) = field?;
        match tag {
            1 => h.count = field.number()? as f64,
            2 => (h.count, real) = (field.real()?, true),
            3 => h.sum = field.real()?,
            4 => schema = field.signed()?,
            5 => h.zero_threshold = field.real()?,
            6 => h.zero_count = field.number()? as f64,
            7 => h.zero_count = field.real()?,
            8 => negative.span(field, most)?,
            9 => field.numbers(most, &mut negative.deltas)?,
            10 => field.reals(most, &mut negative.counts)?,
            11 => positive.span(field, most)?,
            12 => field.numbers(most, &mut positive.deltas)?,
            13 => field.reals(most, &mut positive.counts)?,
            14 => h.hint = Hint::of(field.number()?),
            15 => time = field.whole()?,
            16 => field.reals(most, &mut custom)?,
            _ => {}
        }
    }
    if is_stale(h.sum) {
        return Ok((time, Sent::Stale));
    }
    h.schema = i32::try_from(schema)
        .ok()
        .filter(|s| (-4..=8).contains(s) || *s == CUSTOM)
        .ok_or(Invalid::Schema(schema))?;
    if custom.len() > most {
        return Err(Invalid::TooMany(most));
    }
    h.custom = custom.into();
    let places = places(&h)?;
    h.positive = positive.buckets(h.schema, places, most, real)?;
    h.negative = negative.buckets(h.schema, places, most, real)?;
    if h.positive.len() + h.negative.len() > most {
        return Err(Invalid::TooMany(most));
    }
    if h.is_custom() && (h.zero_count != 0.0 || !h.negative.is_empty()) {
        return Err(Invalid::CustomSides);
    }
    add_up(&h, real)?;
    Ok((time, Sent::Histogram(h)))
}

/// The least and the greatest bucket that can hold a number.
fn places(h: &Histogram) -> Result<(i64, i64), Invalid> {
    if h.is_custom() {
        let ascend = h.custom.windows(2).all(|b| b[0] < b[1]);
        if !ascend || h.custom.iter().any(|b| b.is_nan()) {
            return Err(Invalid::Bounds);
        }
        return Ok((0, h.custom.len() as i64));
    }
    if h.zero_threshold.is_nan() || h.zero_threshold.is_infinite() || h.zero_threshold < 0.0 {
        return Err(Invalid::Threshold(h.zero_threshold));
    }
    // Numbers lie between 2^-1074 and 2^1024; a bucket more on each side holds what is rounded, and infinity.
    let scaled = |power: i64| match h.schema {
        s @ 0.. => power << s,
        s => power >> -s,
    };
    Ok((scaled(-1074) - 1, scaled(1024) + 1))
}

fn add_up(h: &Histogram, real: bool) -> Result<(), Invalid> {
    let buckets = h.positive.iter().chain(&h.negative).map(|b| b.1);
    let all = buckets.sum::<f64>() + h.zero_count;
    for count in [h.count, h.zero_count] {
        if !count.is_finite() {
            return Err(Invalid::NotANumber);
        }
        if count < 0.0 {
            return Err(Invalid::Negative(count));
        }
    }
    // What was observed and is no number is counted, but in no bucket. Fractions add up only nearly: not asked for.
    let fits = real || if h.sum.is_nan() { all <= h.count } else { all == h.count };
    if fits { Ok(()) } else { Err(Invalid::Sum(all, h.count)) }
}

impl Side {
    fn span(&mut self, field: Field<'_>, most: usize) -> Result<(), Invalid> {
        // A span may be empty, but more of them than buckets make no sense.
        if self.spans.len() > most {
            return Err(Invalid::TooMany(most));
        }
        let (mut offset, mut length) = (0, 0);
        for field in Fields(field.bytes()?) {
            match field? {
                (1, field) => offset = field.signed()?,
                (2, field) => length = field.number()?,
                _ => {}
            }
        }
        self.spans.push((offset, length));
        Ok(())
    }

    fn buckets(&self, schema: i32, places: (i64, i64), most: usize, real: bool) -> Result<Buckets, Invalid> {
        let counts: Vec<f64> = if real {
            self.counts.clone()
        } else {
            let mut count = 0i64;
            let step = |delta: &u64| {
                count = count.saturating_add(unzigzag(*delta));
                count as f64
            };
            self.deltas.iter().map(step).collect()
        };
        let told = self.spans.iter().fold(0u64, |sum, span| sum.saturating_add(span.1));
        let told = usize::try_from(told).unwrap_or(usize::MAX);
        if told > most || counts.len() > most {
            return Err(Invalid::TooMany(most));
        }
        if told != counts.len() {
            return Err(Invalid::Counts(told, counts.len()));
        }
        let mut out = Buckets::with_capacity(counts.len());
        let (mut counts, mut at) = (counts.into_iter(), 0i64);
        for (i, (offset, length)) in self.spans.iter().enumerate() {
            if i > 0 && *offset < 0 {
                return Err(Invalid::Offset(*offset));
            }
            at = at.saturating_add(*offset);
            for count in counts.by_ref().take(*length as usize) {
                if at < places.0 || at > places.1 {
                    return Err(Invalid::Beyond(at, schema));
                }
                if !count.is_finite() {
                    return Err(Invalid::NotANumber);
                }
                if count < 0.0 {
                    return Err(Invalid::Negative(count));
                }
                if count != 0.0 {
                    out.push((at as i32, count));
                }
                at += 1;
            }
        }
        Ok(out)
    }
}
