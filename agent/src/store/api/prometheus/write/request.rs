//! The requests of remote write 1.0 and 2.0, series by series. A series that cannot be taken is told and left out; only a
//! message that is cut costs what stands behind the cut.

use std::sync::Arc;

use super::native::{self, Sent};
use super::wire::{Field, Fields, Malformed};
use crate::store::metrics::labels::{Labels, NAME};
use crate::store::metrics::{Exemplar, WrittenSeries};
use crate::store::promql::stale;

/// Which message a body holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

/// Labels of one series, and their bytes.
const MOST_LABELS: usize = 128;
const MOST_LABEL_BYTES: usize = 4096;
/// Texts of a 2.0 request.
const MOST_SYMBOLS: usize = 100_000;
/// An exemplar is a trace id, not a story.
const MOST_EXEMPLAR_BYTES: usize = 512;
/// Samples of one series in one request.
const MOST_SAMPLES: usize = 50_000;

/// What a request says, one at a time.
pub(super) enum Item<'a> {
    Series {
        series: WrittenSeries<'a>,
        exemplars: Vec<Exemplar>,
    },
    Described {
        name: &'a str,
        kind: &'static str,
        help: &'a str,
    },
    /// Samples that cannot be taken, and why.
    Invalid {
        samples: u64,
        why: String,
    },
}

/// Gives each item of a request in its order.
pub(super) fn read<'a>(
    version: Version,
    body: &'a [u8],
    most_buckets: usize,
    each: &mut dyn FnMut(Item<'a>) -> std::io::Result<()>,
) -> std::io::Result<Result<(), Malformed>> {
    let symbols = match version {
        Version::One => Vec::new(),
        Version::Two => match symbols(body) {
            Ok(symbols) => symbols,
            Err(malformed) => return Ok(Err(malformed)),
        },
    };
    let reader = Reader { version, symbols, most_buckets };
    let series_tag = if version == Version::One { 1 } else { 5 };
    for field in Fields(body) {
        let done = match field {
            Ok((tag, field)) if tag == series_tag => {
                field.bytes().map(|message| reader.series(message, each))
            }
            Ok((3, field)) if version == Version::One => {
                field.bytes().map(|message| match described(message) {
                    Some(item) => each(item),
                    None => Ok(()),
                })
            }
            Ok(_) => continue,
            Err(malformed) => Err(malformed),
        };
        match done {
            Ok(written) => written?,
            Err(malformed) => return Ok(Err(malformed)),
        }
    }
    Ok(Ok(()))
}

fn symbols(body: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let mut out = Vec::new();
    for field in Fields(body) {
        if let (4, field) = field? {
            if out.len() >= MOST_SYMBOLS {
                return Err(Malformed);
            }
            out.push(field.bytes()?);
        }
    }
    Ok(out)
}

/// 1.0 tells types and help beside the series.
fn described(message: &[u8]) -> Option<Item<'_>> {
    let (mut kind, mut name, mut help) = (0, "", "");
    for field in Fields(message) {
        match field.ok()? {
            (1, field) => kind = field.number().ok()?,
            (2, field) => name = std::str::from_utf8(field.bytes().ok()?).ok()?,
            (4, field) => help = std::str::from_utf8(field.bytes().ok()?).ok()?,
            _ => {}
        }
    }
    Some(Item::Described { name, kind: kind_word(kind)?, help })
}

fn kind_word(kind: u64) -> Option<&'static str> {
    Some(match kind {
        1 => "counter",
        2 => "gauge",
        3 => "histogram",
        4 => "gaugehistogram",
        5 => "summary",
        6 => "info",
        7 => "stateset",
        _ => return None,
    })
}

struct Reader<'a> {
    version: Version,
    symbols: Vec<&'a [u8]>,
    most_buckets: usize,
}

impl<'a> Reader<'a> {
    fn series(
        &self,
        message: &'a [u8],
        each: &mut dyn FnMut(Item<'a>) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        let mut samples = 0;
        match self.try_series(message, &mut samples) {
            Ok(Parts { series, exemplars, described, invalid }) => {
                if let Some((samples, why)) = invalid {
                    each(Item::Invalid { samples, why })?;
                }
                if let Some((kind, help)) = described {
                    each(Item::Described { name: series.name, kind, help })?;
                }
                each(Item::Series { series, exemplars })
            }
            Err(why) => each(Item::Invalid { samples: samples.max(1), why }),
        }
    }

    /// `samples` counts what it has met.
    fn try_series(&self, message: &'a [u8], samples: &mut u64) -> Result<Parts<'a>, String> {
        let cut = |_: Malformed| "a series is cut or no series".to_owned();
        let tags = match self.version {
            Version::One => Tags { samples: 2, exemplars: 3, histograms: 4 },
            Version::Two => Tags { samples: 2, exemplars: 4, histograms: 3 },
        };
        let mut labels = Vec::new();
        let mut parts = Parts::default();
        let mut bad = Vec::new();
        for field in Fields(message) {
            let (tag, field) = field.map_err(cut)?;
            if tag == 1 {
                self.labels(field, &mut labels)?;
            } else if tag == tags.samples {
                *samples += 1;
                parts.series.floats.push(sample(field.bytes().map_err(cut)?).map_err(cut)?);
            } else if tag == tags.histograms {
                *samples += 1;
                match native::read(field.bytes().map_err(cut)?, self.most_buckets) {
                    Ok((time, Sent::Histogram(h))) => parts.series.histograms.push((time, Arc::new(h))),
                    Ok((time, Sent::Stale)) => parts.series.floats.push((time, stale())),
                    Err(invalid) => bad.push(invalid),
                }
            } else if tag == tags.exemplars {
                parts.exemplars.extend(self.exemplar(field.bytes().map_err(cut)?));
            } else if tag == 5 && self.version == Version::Two {
                parts.described = self.metadata(field.bytes().map_err(cut)?);
            }
            if parts.series.floats.len() + parts.series.histograms.len() > MOST_SAMPLES {
                return Err(format!("a series has more than {MOST_SAMPLES} samples in one request"));
            }
        }
        labels.sort_unstable();
        if labels.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(format!("a label is given twice: {}", shown(&labels)));
        }
        let name = labels.iter().position(|(k, _)| *k == NAME).map(|at| labels.remove(at).1);
        parts.series.name =
            name.filter(|n| !n.is_empty()).ok_or_else(|| "a series has no name".to_owned())?;
        labels.retain(|(_, value)| !value.is_empty());
        parts.series.labels = labels;
        if let Some(first) = bad.first() {
            let why = format!("a histogram of {} is wrong: {first}", shown_series(&parts.series));
            parts.invalid = Some((bad.len() as u64, why));
        }
        Ok(parts)
    }

    /// A label of 1.0, or all of 2.0.
    fn labels(&self, field: Field<'a>, into: &mut Vec<(&'a str, &'a str)>) -> Result<(), String> {
        let cut = |_: Malformed| "a label is cut or no label".to_owned();
        match self.version {
            Version::One => into.push(pair(field.bytes().map_err(cut)?)?),
            Version::Two => {
                let mut places = Vec::new();
                field.numbers(2 * MOST_LABELS, &mut places).map_err(cut)?;
                for place in places.chunks(2) {
                    let [key, value] = place else { return Err("a label has no value".to_owned()) };
                    into.push((self.symbol(*key)?, self.symbol(*value)?));
                }
            }
        }
        let bytes: usize = into.iter().map(|(k, v)| k.len() + v.len()).sum();
        if into.len() > MOST_LABELS || bytes > MOST_LABEL_BYTES {
            return Err(format!(
                "a series has more than {MOST_LABELS} labels, or more than {MOST_LABEL_BYTES} bytes of them"
            ));
        }
        Ok(())
    }

    fn symbol(&self, at: u64) -> Result<&'a str, String> {
        let symbol = usize::try_from(at).ok().and_then(|at| self.symbols.get(at));
        text(symbol.ok_or_else(|| format!("symbol {at} is not in the request"))?)
    }

    fn exemplar(&self, message: &'a [u8]) -> Option<Exemplar> {
        let (mut labels, mut value, mut time) = (Vec::new(), 0.0, 0);
        for field in Fields(message) {
            match field.ok()? {
                (1, field) => self.labels(field, &mut labels).ok()?,
                (2, field) => value = field.real().ok()?,
                (3, field) => time = field.whole().ok()?,
                _ => {}
            }
        }
        let bytes: usize = labels.iter().map(|(k, v)| k.len() + v.len()).sum();
        (bytes <= MOST_EXEMPLAR_BYTES).then(|| Exemplar { labels: Labels::new(labels), value, time })
    }

    fn metadata(&self, message: &'a [u8]) -> Option<(&'static str, &'a str)> {
        let (mut kind, mut help) = (0, "");
        for field in Fields(message) {
            match field.ok()? {
                (1, field) => kind = field.number().ok()?,
                (3, field) => help = self.symbol(field.number().ok()?).ok()?,
                _ => {}
            }
        }
        Some((kind_word(kind)?, help))
    }
}

#[derive(Default)]
struct Parts<'a> {
    series: WrittenSeries<'a>,
    exemplars: Vec<Exemplar>,
    described: Option<(&'static str, &'a str)>,
    /// Of its samples those that are wrong, and how.
    invalid: Option<(u64, String)>,
}

struct Tags {
    samples: u64,
    exemplars: u64,
    histograms: u64,
}

fn pair(message: &[u8]) -> Result<(&str, &str), String> {
    let (mut key, mut value) = ("", "");
    for field in Fields(message) {
        match field.map_err(|_| "a label is cut or no label".to_owned())? {
            (1, Field::Bytes(bytes)) => key = text(bytes)?,
            (2, Field::Bytes(bytes)) => value = text(bytes)?,
            _ => {}
        }
    }
    if key.is_empty() {
        return Err("a label has no name".to_owned());
    }
    Ok((key, value))
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| "a label is not UTF-8".to_owned())
}

/// Value and time, the same in both versions.
fn sample(message: &[u8]) -> Result<(i64, f64), Malformed> {
    let (mut value, mut time) = (0.0, 0);
    for field in Fields(message) {
        match field? {
            (1, field) => value = field.real()?,
            (2, field) => time = field.whole()?,
            _ => {}
        }
    }
    Ok((time, value))
}

fn shown(labels: &[(&str, &str)]) -> String {
    Labels::new(labels.iter().copied()).to_string()
}

fn shown_series(series: &WrittenSeries<'_>) -> String {
    Labels::new(series.labels.iter().copied().chain([(NAME, series.name)])).to_string()
}
