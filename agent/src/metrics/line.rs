//! The language of StatsD: one line in, borrowed samples out, without allocation.
//!
//! It knows the dialects of DogStatsD 1.0 to 1.6 and of statsd_exporter. A field that it does not know is ignored
//! and counted, never a reason to lose the sample. Tags are handed on raw: they are read once for each new series.

pub mod event;
pub mod number;
pub mod tags;

use memchr::{memchr, memmem};

pub use event::{Check, Event};

/// What a sample is, by the type after its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// `c`
    Counter,
    /// `g`
    Gauge,
    /// `ms`: milliseconds, kept as seconds.
    Timer,
    /// `h`
    Histogram,
    /// `d`
    Distribution,
    /// `s`
    Set,
}

impl Kind {
    fn of(text: &[u8]) -> Option<Kind> {
        Some(match text {
            b"c" => Kind::Counter,
            b"ms" => Kind::Timer,
            b"g" => Kind::Gauge,
            b"s" => Kind::Set,
            b"h" => Kind::Histogram,
            b"d" => Kind::Distribution,
            _ => return None,
        })
    }

    /// Timers, histograms and distributions.
    pub fn is_observation(self) -> bool {
        matches!(self, Kind::Timer | Kind::Histogram | Kind::Distribution)
    }
}

/// Which spellings are read. Each can be switched off for names that would be misread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dialect {
    /// `name:1|c|#key:value`
    pub dogstatsd: bool,
    /// `name,key=value:1|c`
    pub influxdb: bool,
    /// `name#key=value:1|c`
    pub librato: bool,
    /// `name[key=value]:1|c`
    pub signalfx: bool,
    /// Read sets; off refuses them as statsd_exporter does.
    pub sets: bool,
    /// A sampled observation counts a whole number of times, 1/rate rounded down, as statsd_exporter has it.
    pub whole_weights: bool,
}

impl Default for Dialect {
    fn default() -> Self {
        Dialect {
            dogstatsd: true,
            influxdb: true,
            librato: true,
            signalfx: true,
            sets: true,
            whole_weights: false,
        }
    }
}

/// Why a line, or one sample of it, was refused. A small set, so that it can be a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Refusal {
    /// No name, no `:`, or not UTF-8.
    MalformedLine,
    /// Too few parts between `|`, or an empty one.
    MalformedComponent,
    /// The value is no number.
    MalformedValue,
    /// The type is none that exists.
    UnknownType,
    /// The value is NaN or infinite: it would poison a sum for ever.
    NotFinite,
    /// A counter went down.
    NegativeCounter,
    /// Tags in the name and behind `|#` at once.
    MixedTags,
    /// The line is longer than the limit.
    TooLong,
    /// An event or service check that does not follow its form.
    MalformedEvent,
    /// The unparsable `@rate` of a sample, which is kept with rate 1.
    InvalidRate,
}

impl Refusal {
    /// How many there are.
    pub const COUNT: usize = 10;

    /// All, in the order of their numbers.
    pub const ALL: [Refusal; Self::COUNT] = [
        Refusal::MalformedLine,
        Refusal::MalformedComponent,
        Refusal::MalformedValue,
        Refusal::UnknownType,
        Refusal::NotFinite,
        Refusal::NegativeCounter,
        Refusal::MixedTags,
        Refusal::TooLong,
        Refusal::MalformedEvent,
        Refusal::InvalidRate,
    ];

    /// The value of the label `reason`.
    pub fn label(self) -> &'static str {
        match self {
            Refusal::MalformedLine => "malformed_line",
            Refusal::MalformedComponent => "malformed_component",
            Refusal::MalformedValue => "malformed_value",
            Refusal::UnknownType => "unknown_type",
            Refusal::NotFinite => "not_finite",
            Refusal::NegativeCounter => "negative_counter",
            Refusal::MixedTags => "mixed_tags",
            Refusal::TooLong => "too_long",
            Refusal::MalformedEvent => "malformed_event",
            Refusal::InvalidRate => "invalid_rate",
        }
    }
}

/// One sample, borrowed from its line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample<'a> {
    /// All that stands before the `:`, with the tags of the styles that write them there.
    pub name: &'a [u8],
    /// What stands behind `|#`, undivided.
    pub tags: &'a [u8],
    /// What stands behind `|c:`.
    pub container: &'a [u8],
    /// Its type.
    pub kind: Kind,
    /// Its value as written (timers in milliseconds); counters are already divided by their rate.
    pub value: f64,
    /// The member, for sets.
    pub member: &'a [u8],
    /// How many observations it stands for.
    pub weight: f64,
    /// A gauge with a sign: the value is added.
    pub relative: bool,
}

/// Who takes what a line holds.
pub trait Sink {
    /// A sample.
    fn sample(&mut self, sample: &Sample<'_>);
    /// A line or sample that was refused.
    fn refuse(&mut self, reason: Refusal);
    /// A field that was skipped: unknown, or known and without meaning for a scrape.
    fn ignore_field(&mut self) {}
    /// A DogStatsD event.
    fn event(&mut self, _event: &Event<'_>) {}
    /// A DogStatsD service check.
    fn check(&mut self, _check: &Check<'_>) {}
}

/// Reads one line without its newline. A trailing carriage return is tolerated; an empty line is nothing.
pub fn parse(line: &[u8], dialect: Dialect, sink: &mut impl Sink) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let Some(&first) = line.first() else { return };
    if first == b'_' && event::parse(line, sink) {
        return;
    }
    let Some(colon) = memchr(b':', line).filter(|&at| at > 0) else {
        return sink.refuse(Refusal::MalformedLine);
    };
    match plain(&line[..colon], &line[colon + 1..], dialect) {
        Some(sample) => sink.sample(&sample),
        None => elaborate(line, colon, dialect, sink),
    }
}

/// What nearly all lines are: one short decimal number, a type, and at most tags. `None` for everything else, which
/// [`elaborate`] reads; what both can read they read alike.
#[inline(always)]
fn plain<'a>(name: &'a [u8], rest: &'a [u8], dialect: Dialect) -> Option<Sample<'a>> {
    let (value, end) = number::leading(rest)?;
    if *rest.get(end)? != b'|' {
        return None;
    }
    let (kind, tail) = match rest.get(end + 1..)? {
        [b'c', tail @ ..] => (Kind::Counter, tail),
        [b'm', b's', tail @ ..] => (Kind::Timer, tail),
        [b'g', tail @ ..] => (Kind::Gauge, tail),
        [b'h', tail @ ..] => (Kind::Histogram, tail),
        [b'd', tail @ ..] => (Kind::Distribution, tail),
        _ => return None,
    };
    let tags: &[u8] = match tail {
        [] => &[],
        [b'|', b'#', tags @ ..] if dialect.dogstatsd && memchr(b'|', tags).is_none() => tags,
        _ => return None,
    };
    Some(Sample { name, tags, container: &[], kind, value, member: &[], weight: 1.0, relative: false })
}

/// Reads every line that has a name, which ends at `colon`.
#[inline(never)]
fn elaborate(line: &[u8], colon: usize, dialect: Dialect, sink: &mut impl Sink) {
    let (name, mut rest) = (&line[..colon], &line[colon + 1..]);
    // As in statsd_exporter a line with tags holds one sample (or one pack): elsewhere `:` starts the next one.
    let mut splits = None;
    loop {
        let mut fields = Fields { text: rest, at: 0 };
        let values = fields.until_bar();
        let next = samples(name, values, fields, dialect, sink, &mut || {
            *splits.get_or_insert_with(|| memmem::find(line, b"|#").is_none())
        });
        match next {
            Some(at) => rest = &rest[at..],
            None => return,
        }
    }
}

/// Walks the parts between `|`.
struct Fields<'a> {
    text: &'a [u8],
    /// Where the next part starts; past the end when there is none.
    at: usize,
}

impl<'a> Fields<'a> {
    fn until_bar(&mut self) -> &'a [u8] {
        let rest = &self.text[self.at..];
        let len = rest.iter().position(|&b| b == b'|').unwrap_or(rest.len());
        self.at += len + 1;
        &rest[..len]
    }

    fn more(&self) -> bool {
        self.at <= self.text.len()
    }

    /// Ends the current part at its first `:` and tells where the next sample starts.
    fn cut<'b>(&self, part: &'b [u8]) -> Option<(&'b [u8], usize)> {
        let colon = part.iter().position(|&b| b == b':')?;
        Some((&part[..colon], self.at - 1 - part.len() + colon + 1))
    }
}

/// One value, or a pack of values, with its type and fields. Returns where the next sample of the line starts.
fn samples<'a>(
    name: &'a [u8],
    values: &'a [u8],
    mut fields: Fields<'a>,
    dialect: Dialect,
    sink: &mut impl Sink,
    splits: &mut dyn FnMut() -> bool,
) -> Option<usize> {
    if !fields.more() {
        sink.refuse(Refusal::MalformedComponent);
        return None;
    }
    let mut next = None;
    let mut kind = fields.until_bar();
    if kind.len() > 1
        && let Some((head, at)) = fields.cut(kind)
        && splits()
    {
        kind = head;
        next = Some(at);
    }
    let mut sample = Sample {
        name,
        tags: &[],
        container: &[],
        kind: Kind::Counter,
        value: 0.0,
        member: &[],
        weight: 1.0,
        relative: false,
    };
    let mut rate = 1.0;
    while next.is_none() && fields.more() {
        let mut field = fields.until_bar();
        if field.is_empty() {
            sink.refuse(Refusal::MalformedComponent);
            return None;
        }
        match field[0] {
            b'#' if dialect.dogstatsd => sample.tags = &field[1..],
            b'@' => {
                if let Some((head, at)) = fields.cut(field)
                    && splits()
                {
                    field = head;
                    next = Some(at);
                }
                match number::parse(&field[1..]) {
                    Some(given) if given > 0.0 && given.is_finite() => rate *= given,
                    Some(0.0) => {}
                    _ => sink.refuse(Refusal::InvalidRate),
                }
            }
            b'c' if field.get(1) == Some(&b':') && field.len() > 2 && dialect.dogstatsd => {
                sample.container = &field[2..];
            }
            _ => sink.ignore_field(),
        }
    }
    match Kind::of(kind) {
        Some(Kind::Set) if !dialect.sets => sink.refuse(Refusal::UnknownType),
        Some(kind) => {
            sample.kind = kind;
            emit(sample, values, rate, dialect, sink);
        }
        None if kind.is_empty() => sink.refuse(Refusal::MalformedComponent),
        None => sink.refuse(Refusal::UnknownType),
    }
    next
}

/// Hands on one sample for each value of a pack; a bad value costs only itself.
fn emit<'a>(mut sample: Sample<'a>, values: &'a [u8], rate: f64, dialect: Dialect, sink: &mut impl Sink) {
    if sample.kind == Kind::Set {
        // A member may hold colons (addresses do), so sets are never packed.
        if values.is_empty() {
            return sink.refuse(Refusal::MalformedValue);
        }
        sample.member = values;
        return sink.sample(&sample);
    }
    if sample.kind.is_observation() && rate != 1.0 {
        sample.weight = if dialect.whole_weights { (1.0 / rate).trunc() } else { 1.0 / rate };
    }
    for value in values.split(|&b| b == b':') {
        let Some(mut number) = number::parse(value) else {
            sink.refuse(Refusal::MalformedValue);
            continue;
        };
        match sample.kind {
            Kind::Counter => {
                number /= rate;
                if number < 0.0 {
                    sink.refuse(Refusal::NegativeCounter);
                    continue;
                }
            }
            Kind::Gauge => sample.relative = matches!(value.first(), Some(b'+' | b'-')),
            _ => {}
        }
        if !number.is_finite() || !sample.weight.is_finite() {
            sink.refuse(Refusal::NotFinite);
            continue;
        }
        if sample.weight > 0.0 {
            sample.value = number;
            sink.sample(&sample);
        }
    }
}

#[cfg(test)]
mod tests;
