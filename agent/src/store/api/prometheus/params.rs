//! Parameters of a request, from its query string and its form, and the forms that times and durations take.
use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::envelope::Failure;

/// Names and values in order; a name may repeat.
#[derive(Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    pub(super) fn read(query: Option<&str>, headers: &HeaderMap, body: &Bytes) -> Params {
        let mut out = Params::default();
        let form = headers
            .get(header::CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
            .is_some_and(|v| v.starts_with("application/x-www-form-urlencoded"));
        if form {
            out.add(body);
        }
        out.add(query.unwrap_or("").as_bytes());
        out
    }

    fn add(&mut self, encoded: &[u8]) {
        for pair in encoded.split(|b| *b == b'&').filter(|p| !p.is_empty()) {
            let at = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
            let value = pair.get(at + 1..).unwrap_or(&[]);
            self.0.push((decoded(&pair[..at]), decoded(value)));
        }
    }

    pub(super) fn set(&mut self, name: &str, value: String) {
        self.0.insert(0, (name.to_owned(), value));
    }

    /// The first value that is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub(super) fn time(&self, name: &str) -> Result<Option<i64>, Failure> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let ms = time_ms(text)
            .ok_or_else(|| Failure::parameter(name, format!("cannot parse {text:?} to a valid timestamp")))?;
        Ok(Some(ms))
    }

    pub(super) fn duration(&self, name: &str) -> Result<Option<i64>, Failure> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let ms = duration_ms(text)
            .ok_or_else(|| Failure::parameter(name, format!("cannot parse {text:?} to a valid duration")))?;
        Ok(Some(ms))
    }

    /// How many at most; 0 or nothing is no limit.
    pub(super) fn limit(&self, name: &str) -> Result<usize, Failure> {
        let Some(text) = self.get(name) else { return Ok(usize::MAX) };
        match text.parse::<i64>() {
            Ok(0) => Ok(usize::MAX),
            Ok(n) if n > 0 => Ok(usize::try_from(n).unwrap_or(usize::MAX)),
            Ok(_) => Err(Failure::parameter(name, "limit must be non-negative")),
            Err(_) => Err(Failure::parameter(name, format!("cannot parse {text:?} to a number"))),
        }
    }
}

fn decoded(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut i = 0;
    while i < text.len() {
        let hex = |b: Option<&u8>| b.and_then(|b| (*b as char).to_digit(16));
        match (text[i], hex(text.get(i + 1)), hex(text.get(i + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                i += 3;
                continue;
            }
            (b'+', _, _) => out.push(b' '),
            (b, _, _) => out.push(b),
        }
        i += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The times that a store can hold: a hundred thousand years either way.
const FAR: f64 = 3.2e15;

/// Seconds with a fraction, or RFC 3339; in milliseconds.
pub(super) fn time_ms(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = (seconds * 1000.0).round();
        return (ms.abs() <= FAR).then_some(ms as i64);
    }
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

/// Seconds with a fraction, or `1h30m`; in milliseconds.
fn duration_ms(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = seconds * 1000.0;
        return (ms.abs() <= FAR).then_some(ms as i64);
    }
    crate::store::promql::duration_ms(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms_of_time() {
        assert_eq!(time_ms("1700000000.5"), Some(1_700_000_000_500));
        assert_eq!(time_ms("2023-11-14T22:13:20.25Z"), Some(1_700_000_000_250));
        assert_eq!(time_ms("2023-11-14T23:13:20+01:00"), Some(1_700_000_000_000));
        assert_eq!(time_ms("yesterday"), None);
        assert_eq!(time_ms("1e300"), None);
        assert_eq!(duration_ms("15"), Some(15_000));
        assert_eq!(duration_ms("1h30m"), Some(5_400_000));
        assert_eq!(duration_ms("x"), None);
    }

    #[test]
    fn decodes_and_keeps_repeated_names() {
        let mut p = Params::default();
        p.add(b"match[]=up&match%5B%5D=%7Ba%3D%22b+c%22%7D&x=%zz&y");
        assert_eq!(p.all("match[]").collect::<Vec<_>>(), ["up", "{a=\"b c\"}"]);
        assert_eq!(p.get("x"), Some("%zz"));
        assert_eq!(p.get("y"), None);
    }
}
