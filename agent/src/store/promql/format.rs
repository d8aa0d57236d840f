//! Numbers as Prometheus writes and reads them.

/// A float in the form of Go's `%g` with the least digits that read back.
pub fn short(v: f64) -> String {
    if v == 0.0 || !v.is_finite() {
        return special(v);
    }
    let exponent = exponent_of(v);
    if (-4..21).contains(&exponent) { plain(v) } else { scientific(v) }
}

/// A float without an exponent, as in a label's value.
pub fn plain(v: f64) -> String {
    if v.is_finite() { format!("{v}") } else { special(v) }
}

/// A sample's value in the JSON of the HTTP API.
pub fn json(v: f64) -> String {
    let size = v.abs();
    if v.is_finite() && size != 0.0 && !(1e-6..1e21).contains(&size) { scientific(v) } else { plain(v) }
}

/// As OpenMetrics writes a bound: never without a decimal point.
pub fn open_metrics(v: f64) -> String {
    let text = short(v);
    let whole = v.is_finite() && !text.contains(['.', 'e']);
    if whole { format!("{text}.0") } else { text }
}

fn special(v: f64) -> String {
    if v.is_nan() {
        "NaN".into()
    } else if v == f64::INFINITY {
        "+Inf".into()
    } else if v == f64::NEG_INFINITY {
        "-Inf".into()
    } else if v.is_sign_negative() {
        "-0".into()
    } else {
        "0".into()
    }
}

fn exponent_of(v: f64) -> i32 {
    let text = format!("{v:e}");
    text.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0)
}

/// Go writes at least two digits of exponent, and its sign.
fn scientific(v: f64) -> String {
    let text = format!("{v:e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let n: i32 = exponent.parse().unwrap_or(0);
            format!("{digits}e{}{:02}", if n < 0 { '-' } else { '+' }, n.abs())
        }
        None => text,
    }
}

/// Reads a float as Go does, infinities and NaN in any case.
pub fn parse_float(text: &str) -> Option<f64> {
    if text.is_empty() { None } else { text.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_as_go_does() {
        assert_eq!(short(1e-7), "1e-07");
        assert_eq!(short(1.1), "1.1");
        assert_eq!(json(1e21), "1e+21");
        assert_eq!(json(123456789.5), "123456789.5");
        assert_eq!(json(f64::NEG_INFINITY), "-Inf");
        assert_eq!(open_metrics(1.0), "1.0");
        assert_eq!(open_metrics(0.5), "0.5");
        assert_eq!(parse_float("+Inf"), Some(f64::INFINITY));
        assert_eq!(parse_float("x"), None);
    }
}
