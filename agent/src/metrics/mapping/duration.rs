//! Durations as Go writes them: `300ms`, `1h30m`, `1.5h`.

use std::time::Duration;

const UNITS: [(&str, f64); 8] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("h", 3.6e12), ("m", 6e10), ("s", 1e9)];

/// Reads a duration. `None` for what is not one, and for a negative one.
pub fn parse(text: &str) -> Option<Duration> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut nanos = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let (unit, factor) = UNITS.iter().find(|(unit, _)| {
            rest.strip_prefix(unit).is_some_and(|after| !after.starts_with(|c: char| c.is_alphabetic()))
        })?;
        nanos += number * factor;
        rest = &rest[unit.len()..];
    }
    (!text.is_empty() && nanos < 9.2e18).then(|| Duration::from_nanos(nanos as u64))
}

#[cfg(test)]
mod tests {
    use super::parse;
    use std::time::Duration;

    #[test]
    fn reads_what_go_reads() {
        for (text, millis) in [
            ("0", 0),
            ("300ms", 300),
            ("1h30m", 5_400_000),
            ("1.5h", 5_400_000),
            ("2m3.5s", 123_500),
            ("+1s", 1000),
            ("1000us", 1),
            ("1000µs", 1),
            (".5s", 500),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "1", "1d", "s", "-1s", "1 s", "1sec", "1..5s", "999999999h"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
