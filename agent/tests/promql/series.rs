//! The notation of series in test files: `name{a="b"} 1 2+3x4 _ stale {{schema:0 …}}x5`.
use super::histogram;
use sightline_agent::store::metrics::labels::{Labels, NAME};
use sightline_agent::store::promql::{Sample, stale};

pub(crate) fn number(text: &str) -> Option<f64> {
    let (sign, body) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    let value = match body.to_ascii_lowercase().as_str() {
        "inf" => f64::INFINITY,
        "nan" => f64::NAN,
        hex if hex.starts_with("0x") => i64::from_str_radix(&hex[2..], 16).ok()? as f64,
        plain => {
            if !plain.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
                return None;
            }
            plain.parse().ok()?
        }
    };
    Some(sign * value)
}

pub(crate) fn parse(text: &str) -> (Labels, Vec<Sample>) {
    let (labels, rest) = labels(text);
    (labels, values(rest))
}

fn labels(text: &str) -> (Labels, &str) {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let end = text.find(|c: char| c == '{' || c.is_whitespace()).unwrap_or(text.len());
    if end > 0 {
        pairs.push((NAME.into(), text[..end].into()));
    }
    let rest = text[end..].trim_start();
    let Some(mut rest) = rest.strip_prefix('{').filter(|r| !r.starts_with('{')) else {
        return (Labels::new(pairs), rest);
    };
    loop {
        rest = rest.trim_start().trim_start_matches(',').trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return (Labels::new(pairs), after.trim_start());
        }
        let name;
        if rest.starts_with(['"', '\'']) {
            (name, rest) = quoted(rest);
            if !rest.trim_start().starts_with('=') {
                pairs.push((NAME.into(), name));
                continue;
            }
        } else {
            let end = rest.find('=').unwrap_or_else(|| panic!("no '=' in {text:?}"));
            name = rest[..end].trim().to_owned();
            rest = &rest[end..];
        }
        rest = rest.trim_start()[1..].trim_start();
        let value;
        (value, rest) = quoted(rest);
        pairs.push((name, value));
    }
}

fn quoted(text: &str) -> (String, &str) {
    let quote = text.chars().next().unwrap();
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((i, c)) = chars.next() {
        if c == quote {
            return (out, &text[i + 1..]);
        }
        if c == '\\' && quote != '`' {
            match chars.next().unwrap().1 {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                other => out.push(other),
            }
            continue;
        }
        out.push(c);
    }
    panic!("unterminated string in {text:?}")
}

fn values(text: &str) -> Vec<Sample> {
    let mut out = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        if rest.starts_with("{{") {
            rest = histogram::values(rest, &mut out).trim_start();
            continue;
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        // A start time beside a sample is not kept.
        if !rest.starts_with('@') {
            floats(&rest[..end], &mut out);
        }
        rest = rest[end..].trim_start();
    }
    out
}

fn floats(word: &str, out: &mut Vec<Sample>) {
    let (body, times) = match word.rsplit_once('x') {
        Some((body, times))
            if times.bytes().all(|b| b.is_ascii_digit()) && !times.is_empty() && !body.ends_with('0') =>
        {
            (body, Some(times.parse::<usize>().unwrap()))
        }
        Some((body, times))
            if times.bytes().all(|b| b.is_ascii_digit())
                && !times.is_empty()
                && body != "0"
                && body != "-0" =>
        {
            (body, Some(times.parse::<usize>().unwrap()))
        }
        Some(("0" | "-0", times)) => (word.split('x').next().unwrap(), times.parse::<usize>().ok()),
        _ => (word, None),
    };
    match body {
        "_" => out.extend((0..times.unwrap_or(1)).map(|_| Sample::Absent)),
        "stale" => out.extend((0..=times.unwrap_or(0)).map(|_| Sample::Float(stale()))),
        _ => {
            let (first, step) = first_and_step(body);
            out.extend((0..=times.unwrap_or(0)).scan(first, |value, _| {
                let now = *value;
                *value += step;
                Some(Sample::Float(now))
            }));
        }
    }
}

fn first_and_step(body: &str) -> (f64, f64) {
    if let Some(v) = number(body) {
        return (v, 0.0);
    }
    // The sign between the two; an exponent's sign is not it.
    let bytes = body.as_bytes();
    for i in (1..bytes.len()).rev() {
        if matches!(bytes[i], b'+' | b'-')
            && !matches!(bytes[i - 1], b'e' | b'E')
            && let (Some(a), Some(b)) = (number(&body[..i]), number(&body[i..]))
        {
            return (a, b);
        }
    }
    panic!("not a value: {body:?}")
}
