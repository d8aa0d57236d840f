//! Sizes and durations as people write them in a configuration: `64MiB`, `30s`, `1m30s`, or plain numbers.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A number of bytes: `512`, `64KiB`, `20MB`, `1.5GiB`. Powers of 1024 with the `i`, of 1000 without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, schemars::JsonSchema)]
#[schemars(with = "NumberOrText")]
pub struct Bytes(pub u64);

/// A duration: seconds as a number, or parts with units: `250ms`, `30s`, `1h30m`, `30d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, schemars::JsonSchema)]
#[schemars(with = "NumberOrText")]
pub struct Span(pub Duration);

/// What both may be written as, for the schema of the configuration.
#[derive(schemars::JsonSchema)]
#[schemars(untagged, inline)]
#[allow(dead_code, reason = "only its shape is used")]
enum NumberOrText {
    Number(f64),
    Text(String),
}

const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("KB", 1_000),
];

const TIMES: [(&str, f64); 7] =
    [("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0)];

impl Bytes {
    /// As a length in memory.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// Reads `64MiB`; the error says what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let wrong = || format!("'{text}' is not a size: write a number of bytes, or one with KiB, MiB, GiB");
        let (number, factor) = SIZES
            .iter()
            .find_map(|(unit, factor)| text.strip_suffix(unit).map(|n| (n, *factor)))
            .or_else(|| text.strip_suffix('B').map(|n| (n, 1)))
            .unwrap_or((text, 1));
        let number: f64 = number.trim().parse().map_err(|_| wrong())?;
        let bytes = number * factor as f64;
        if !(0.0..9e18).contains(&bytes) {
            return Err(wrong());
        }
        Ok(Bytes(bytes as u64))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SIZES[..4].iter().find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor)) {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Span {
    /// `Span::secs(30)` in defaults.
    pub const fn secs(seconds: u64) -> Self {
        Span(Duration::from_secs(seconds))
    }

    /// Reads `1m30s`; the error says what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let wrong = || format!("'{text}' is not a duration: write seconds, or numbers with ms, s, m, h, d");
        if let Ok(seconds) = text.parse::<f64>() {
            return Duration::try_from_secs_f64(seconds).map(Span).map_err(|_| wrong());
        }
        let (mut rest, mut total) = (text, 0.0);
        while !rest.is_empty() {
            let digits =
                rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|&n| n > 0).ok_or_else(wrong)?;
            let unit_end =
                rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |n| digits + n);
            let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
            let unit = &rest[digits..unit_end];
            let factor = TIMES.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?.1;
            total += number * factor;
            rest = &rest[unit_end..];
        }
        if text.is_empty() {
            return Err(wrong());
        }
        Duration::try_from_secs_f64(total).map(Span).map_err(|_| wrong())
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        if !self.0.subsec_nanos().is_multiple_of(1_000_000) {
            write!(f, "{}ns", self.0.as_nanos())
        } else if !ms.is_multiple_of(1000) {
            write!(f, "{ms}ms")
        } else {
            let s = ms / 1000;
            match () {
                () if s > 0 && s.is_multiple_of(86_400) => write!(f, "{}d", s / 86_400),
                () if s > 0 && s.is_multiple_of(3600) => write!(f, "{}h", s / 3600),
                () if s > 0 && s.is_multiple_of(60) => write!(f, "{}m", s / 60),
                () => write!(f, "{s}s"),
            }
        }
    }
}

struct Text<T>(fn(&str) -> Result<T, String>, fn(f64) -> Result<T, String>, &'static str);

impl<T> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.2)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, n: u64) -> Result<T, E> {
        (self.1)(n as f64).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, n: i64) -> Result<T, E> {
        (self.1)(n as f64).map_err(E::custom)
    }

    fn visit_f64<E: de::Error>(self, n: f64) -> Result<T, E> {
        (self.1)(n).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        de.deserialize_any(Text(Bytes::parse, |n| Bytes::parse(&n.to_string()), "a size such as 64MiB"))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        de.deserialize_any(Text(Span::parse, |n| Span::parse(&n.to_string()), "a duration such as 30s"))
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, Span};
    use std::time::Duration;

    #[test]
    fn reads_sizes() {
        for (text, bytes) in
            [("512", 512), ("64MiB", 64 << 20), ("1.5GiB", 3 << 29), ("20MB", 20_000_000), ("7B", 7)]
        {
            assert_eq!(Bytes::parse(text), Ok(Bytes(bytes)), "{text}");
        }
        for text in ["", "x", "-1", "1XiB", "NaN"] {
            assert!(Bytes::parse(text).unwrap_err().contains("is not a size"), "{text}");
        }
        assert_eq!(serde_json::from_str::<Bytes>("1024").unwrap().to_string(), "1KiB");
    }

    #[test]
    fn reads_durations() {
        for (text, ms) in
            [("2", 2000), ("0.5", 500), ("250ms", 250), ("1m30s", 90_000), ("30d", 2_592_000_000), ("0s", 0)]
        {
            assert_eq!(Span::parse(text), Ok(Span(Duration::from_millis(ms))), "{text}");
        }
        for text in ["", "s", "5 parsecs", "-3s", "1h-2m"] {
            assert!(Span::parse(text).unwrap_err().contains("is not a duration"), "{text}");
        }
        for text in ["250ms", "30s", "90s", "2h", "30d", "10m"] {
            assert_eq!(Span::parse(&Span::parse(text).unwrap().to_string()), Span::parse(text));
        }
    }
}
