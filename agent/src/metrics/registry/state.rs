//! Values over a restart, so that rates do not jump: one JSON object a line, a head for each metric, then its series.
//!
//! A line that cannot be read costs only itself. What a summary or a set saw within its window is not kept.

use std::io::{self, BufRead, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Registry;
use super::create::Wanted;
use super::family::Shape;
use super::series::{Series, Value, read_labels, unescape};
use crate::metrics::histogram::Native;
use crate::metrics::naming::{HistogramOptions, Observer, SummaryOptions};
use crate::metrics::sparse::Sparse;
use crate::metrics::tally::Batch;

/// Longer lines are no work of ours.
const LINE: usize = 1 << 20;

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Head {
        metric: String,
        shape: KeptShape,
        #[serde(skip_serializing_if = "Option::is_none")]
        help: Option<String>,
    },
    Series {
        labels: String,
        ttl: u32,
        touched: u32,
        value: Kept,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KeptShape {
    Counter,
    Gauge,
    Summary { quantiles: Vec<(f64, f64)>, max_age: u64, age_buckets: u32 },
    Histogram { buckets: Vec<f64>, native_factor: f64, native_max_buckets: u32 },
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Kept {
    Number(f64),
    Totals {
        count: f64,
        sum: f64,
    },
    Buckets {
        classic: Vec<f64>,
        sum: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        native: Option<KeptNative>,
    },
}

#[derive(Serialize, Deserialize)]
struct KeptNative {
    schema: i8,
    zero: f64,
    positive: Vec<(i32, f64)>,
    negative: Vec<(i32, f64)>,
}

/// What became of a state file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Loaded {
    /// Series taken over.
    pub series: u64,
    /// Lines that could not be read, or for whose series there was no room.
    pub skipped: u64,
}

impl Registry {
    /// Writes the state. The file is replaced as a whole, after it has reached the disk.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let beside = path.with_extension("new");
        if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
        let mut out = io::BufWriter::with_capacity(1 << 16, std::fs::File::create(&beside)?);
        self.write_state(&mut out)?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        std::fs::rename(&beside, path)
    }

    /// Takes over what [`Registry::save`] wrote; no file is an empty one. `now` is in seconds since the epoch.
    pub fn load(&self, path: &Path, now: u64) -> io::Result<Loaded> {
        match std::fs::File::open(path) {
            Ok(file) => self.read_state(io::BufReader::new(file), now),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Loaded::default()),
            Err(error) => Err(error),
        }
    }

    fn write_state(&self, out: &mut impl Write) -> io::Result<()> {
        let mut page = Vec::new();
        for family in self.all_families() {
            let Some(shape) = KeptShape::of(&family.shape) else { continue };
            let help = family.help.as_deref().map(str::to_owned);
            write_line(out, &Line::Head { metric: family.name.to_string(), shape, help })?;
            let mut after: Option<Arc<Series>> = None;
            loop {
                family.page(after.as_ref().map(|s| &*s.labels), super::walk::PAGE, &mut page);
                for series in &page {
                    if let Some(value) = Kept::of(&series.value) {
                        let (ttl, touched) = (series.ttl(), series.touched.load(Relaxed));
                        write_line(
                            out,
                            &Line::Series { labels: series.labels.to_string(), ttl, touched, value },
                        )?;
                    }
                }
                if page.len() < super::walk::PAGE {
                    break;
                }
                after = page.pop();
            }
        }
        Ok(())
    }

    fn read_state(&self, mut input: impl BufRead, now: u64) -> io::Result<Loaded> {
        let mut loaded = Loaded::default();
        let mut family: Option<(String, Shape, Option<String>)> = None;
        let mut line = Vec::new();
        let mut batch = Batch::default();
        loop {
            line.clear();
            if io::Read::take(&mut input, LINE as u64).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            match (serde_json::from_slice::<Line>(&line), &family) {
                (Ok(Line::Head { metric, shape, help }), _) => family = Some((metric, shape.into(), help)),
                (Ok(Line::Series { labels, ttl, touched, value }), Some((metric, shape, help))) => {
                    let wanted = Wanted {
                        family: metric.clone(),
                        shape: shape.clone(),
                        labels: read_labels(&labels)
                            .map(|(k, v)| (k.to_owned(), unescape(v).into_owned()))
                            .collect(),
                        help: help.clone(),
                        ttl,
                        source: 0,
                    };
                    match self.series(wanted, now, &mut batch) {
                        Ok((series, false)) if value.put(&series.value) => {
                            series.touched.store(touched, Relaxed);
                            loaded.series += 1;
                        }
                        _ => loaded.skipped += 1,
                    }
                }
                _ => {
                    // Series of a head that is lost are not taken for those of another metric.
                    if line.starts_with(b"{\"metric\"") {
                        family = None;
                    }
                    loaded.skipped += 1;
                }
            }
        }
        for family in self.all_families() {
            family.restored.store(true, Relaxed);
        }
        Ok(loaded)
    }
}

fn write_line(out: &mut impl Write, line: &Line) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

impl KeptShape {
    /// A set holds nothing beyond its window.
    fn of(shape: &Shape) -> Option<Self> {
        Some(match shape {
            Shape::Counter => KeptShape::Counter,
            Shape::Gauge => KeptShape::Gauge,
            Shape::Set => return None,
            Shape::Observer(Observer::Summary(o)) => KeptShape::Summary {
                quantiles: o.quantiles.clone(),
                max_age: o.max_age.as_secs(),
                age_buckets: o.age_buckets,
            },
            Shape::Observer(Observer::Histogram(o)) => KeptShape::Histogram {
                buckets: o.buckets.clone(),
                native_factor: o.native_factor,
                native_max_buckets: o.native_max_buckets,
            },
        })
    }
}

impl From<KeptShape> for Shape {
    fn from(kept: KeptShape) -> Self {
        match kept {
            KeptShape::Counter => Shape::Counter,
            KeptShape::Gauge => Shape::Gauge,
            KeptShape::Summary { quantiles, max_age, age_buckets } => {
                let max_age = Duration::from_secs(max_age);
                let options = SummaryOptions { quantiles, max_age, age_buckets };
                Shape::Observer(Observer::Summary(Arc::new(options)))
            }
            KeptShape::Histogram { buckets, native_factor, native_max_buckets } => {
                let options = HistogramOptions { buckets, native_factor, native_max_buckets };
                Shape::Observer(Observer::Histogram(Arc::new(options)))
            }
        }
    }
}

impl Kept {
    fn of(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Counter(number) | Value::Gauge(number) => Kept::Number(number.get()),
            Value::Summary(summary) => {
                let (count, sum) = summary.lock().totals();
                Kept::Totals { count, sum }
            }
            Value::Histogram(histogram) => {
                let histogram = histogram.lock();
                let native = histogram.native().map(|native| KeptNative {
                    schema: native.positive.schema,
                    zero: native.zero,
                    positive: native.positive.iter().collect(),
                    negative: native.negative.iter().collect(),
                });
                Kept::Buckets { classic: histogram.classic().to_vec(), sum: histogram.sum(), native }
            }
            Value::Set(_) => return None,
        })
    }

    /// False if it is of another type.
    fn put(self, value: &Value) -> bool {
        match (self, value) {
            (Kept::Number(kept), Value::Counter(number) | Value::Gauge(number)) => number.set(kept),
            (Kept::Totals { count, sum }, Value::Summary(summary)) => summary.lock().add_totals(count, sum),
            (Kept::Buckets { classic, sum, native }, Value::Histogram(histogram)) => {
                let sparse = |schema, buckets: Vec<(i32, f64)>| {
                    let mut sparse = Sparse::new(schema);
                    for (key, weight) in buckets {
                        sparse.add_to(key, weight);
                    }
                    sparse
                };
                let native = native.map(|kept| Native {
                    positive: sparse(kept.schema, kept.positive),
                    negative: sparse(kept.schema, kept.negative),
                    zero: kept.zero,
                });
                return histogram.lock().merge(&classic, sum, native.as_ref());
            }
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{naming::Rules, settings::Settings};

    fn registry() -> Registry {
        Registry::new(&Settings::default(), Rules::default(), &[])
    }

    fn shown(registry: &Registry) -> Vec<String> {
        let mut out = Vec::new();
        registry.samples(50, &mut |name, labels, value| {
            // What is in a window is not kept.
            if !labels.iter().any(|(k, _)| *k == "quantile") {
                out.push(format!("{name}{labels:?} {value}"));
            }
        });
        out
    }

    const LINES: &str = "c:3|c|#a:x\"\\y\ng:1.5|g\nt:7|ms\ndev.h.s.http.x.timing:250|ms|@0.3\n";

    #[test]
    fn values_survive_a_restart_and_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/state");
        let before = registry();
        before.ingest(LINES.as_bytes(), 50, &mut Batch::default());
        before.save(&path).unwrap();
        let after = registry();
        assert_eq!(after.load(&path, 60).unwrap().skipped, 0);
        assert_eq!(shown(&after), shown(&before));
        before.ingest(LINES.as_bytes(), 50, &mut Batch::default());
        after.ingest(LINES.as_bytes(), 50, &mut Batch::default());
        assert_eq!(shown(&after), shown(&before));
    }

    #[test]
    fn a_broken_line_costs_only_itself() {
        let before = registry();
        before.ingest(b"a:1|c\nb:2|c\nd:4|c", 50, &mut Batch::default());
        let mut text = Vec::new();
        before.write_state(&mut text).unwrap();
        let broken = String::from_utf8(text).unwrap().replace("{\"metric\":\"b\"", "{\"metric\"~\"b\"");
        let after = registry();
        let loaded = after.read_state(broken.as_bytes(), 60).unwrap();
        assert_eq!(loaded, Loaded { series: 2, skipped: 2 });
        assert_eq!(shown(&after), ["a[] 1", "d[] 4"]);
    }

    #[test]
    fn no_file_is_an_empty_one() {
        assert_eq!(registry().load(Path::new("/nonexistent/state"), 1).unwrap(), Loaded::default());
    }

    #[test]
    fn a_name_may_change_its_type_over_a_restart() {
        let before = registry();
        before.ingest(b"a:1|c", 50, &mut Batch::default());
        let mut text = Vec::new();
        before.write_state(&mut text).unwrap();
        let after = registry();
        after.read_state(&text[..], 60).unwrap();
        after.ingest(b"a:5|g", 61, &mut Batch::default());
        assert_eq!(shown(&after), ["a[] 5"]);
    }
}
