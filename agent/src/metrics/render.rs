//! The registry as an exposition, in the format that the scraper prefers, a piece at a time.
//!
//! A scrape copies pages of pointers and renders them; it never holds the whole text, and updates go on meanwhile.

mod number;
pub mod own;
mod protobuf;
mod text;

use std::sync::Arc;

use super::registry::Registry;
use super::registry::family::Family;
use super::registry::series::Series;

pub use number::write_number;

/// A piece is at least this long, unless it is the last.
pub(super) const PIECE: usize = 64 << 10;
/// Series and metrics copied under one lock.
const PAGE: usize = 256;

/// A format of exposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4.
    Text,
    /// OpenMetrics 1.0, with exemplars.
    OpenMetrics,
    /// Prometheus' protobuf, with exemplars and native histograms.
    Protobuf,
}

impl Format {
    /// The format that an `Accept` header prefers; text if it says nothing that is known.
    pub fn negotiate(accept: &str) -> Format {
        let mut best = (Format::Text, 0.0);
        for offer in accept.split(',') {
            let mut parts = offer.split(';').map(str::trim);
            let kind = parts.next().unwrap_or("");
            let (mut quality, mut version, mut proto, mut encoding) = (1.0, "", "", "");
            for part in parts {
                match part.split_once('=') {
                    Some(("q", q)) => quality = q.parse().unwrap_or(0.0),
                    Some(("version", v)) => version = v,
                    Some(("proto", p)) => proto = p,
                    Some(("encoding", e)) => encoding = e,
                    _ => {}
                }
            }
            let format = match kind {
                "application/vnd.google.protobuf"
                    if proto == "io.prometheus.client.MetricFamily" && encoding == "delimited" =>
                {
                    Format::Protobuf
                }
                "application/openmetrics-text" if matches!(version, "" | "0.0.1" | "1.0.0") => {
                    Format::OpenMetrics
                }
                "text/plain" | "text/*" | "*/*" if matches!(version, "" | "0.0.4") => Format::Text,
                _ => continue,
            };
            if quality > best.1 {
                best = (format, quality);
            }
        }
        best.0
    }

    /// The value of `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
            Format::Text => "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
            Format::OpenMetrics => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
            }
        }
    }
}

/// Renders a registry piece by piece.
pub struct Renderer {
    registry: Arc<Registry>,
    format: Format,
    now: u64,
    families: Vec<Arc<Family>>,
    /// The next of `families`.
    at: usize,
    /// The last series of the current family that was rendered, if the family goes on.
    after: Option<Arc<Series>>,
    page: Vec<Arc<Series>>,
    scratch: Scratch,
    done: bool,
}

/// Buffers used again from series to series.
#[derive(Default)]
struct Scratch {
    values: Vec<(f64, f64)>,
}

impl Renderer {
    /// Renders what `registry` holds; `now` is in seconds since the epoch.
    pub fn new(registry: Arc<Registry>, format: Format, now: u64) -> Self {
        Renderer {
            registry,
            format,
            now,
            families: Vec::with_capacity(PAGE),
            at: 0,
            after: None,
            page: Vec::with_capacity(PAGE),
            scratch: Scratch::default(),
            done: false,
        }
    }

    /// Appends the next piece. False when there is no more; then nothing was appended.
    pub fn next_piece(&mut self, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        while out.len() - start < PIECE {
            if self.done || !self.step(out) {
                self.done = true;
                break;
            }
        }
        out.len() > start
    }

    /// Renders one page of one family. False at the end.
    fn step(&mut self, out: &mut Vec<u8>) -> bool {
        if self.at == self.families.len() {
            let last = self.families.pop();
            self.registry.family_page(last.as_ref().map(|f| &*f.name), PAGE, &mut self.families);
            self.at = 0;
        }
        let Some(family) = self.families.get(self.at) else { return false };
        family.page(self.after.as_ref().map(|s| &*s.labels), PAGE, &mut self.page);
        let first = self.after.is_none();
        let scratch = &mut self.scratch.values;
        if self.format == Format::Protobuf {
            protobuf::family(out, family, &self.page, self.now, scratch);
        } else {
            text::family(out, self.format, family, &self.page, first, self.now, scratch);
        }
        if self.page.len() == PAGE {
            self.after = self.page.pop();
        } else {
            self.after = None;
            self.at += 1;
        }
        true
    }
}

/// The whole exposition at once, without the agent's own metrics.
pub fn to_string(registry: &Arc<Registry>, format: Format, now: u64) -> String {
    let mut out = Vec::new();
    let mut renderer = Renderer::new(Arc::clone(registry), format, now);
    while renderer.next_piece(&mut out) {}
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests;
