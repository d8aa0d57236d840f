//! What stands in `{{ }}` of an alert's texts: `$labels.NAME`, `$value`, and a few functions behind `|`. Pure.
//!
//! The template language of Go is larger; what is not understood is refused when the file is read, not shown raw later.

use crate::store::metrics::labels::Labels;

/// # Errors
/// What is not understood.
pub(super) fn check(text: &str) -> Result<(), String> {
    fill(text, &Labels::default(), 0.0).map(drop)
}

/// The text with everything filled in.
///
/// # Errors
/// What is not understood; never if [`check`] had nothing to say.
pub(super) fn fill(text: &str, labels: &Labels, value: f64) -> Result<String, String> {
    let mut out = String::with_capacity(text.len() + 32);
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once("{{") {
        out.push_str(before);
        let (inside, after) = inside.split_once("}}").ok_or("'{{' is never closed")?;
        out.push_str(&one(inside.trim(), labels, value)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn one(expression: &str, labels: &Labels, value: f64) -> Result<String, String> {
    let mut steps = expression.split('|').map(str::trim);
    let start = steps.next().unwrap_or_default();
    let mut text = match start.strip_prefix("$labels.") {
        Some(name) => labels.get(name).unwrap_or_default().to_owned(),
        None if start == "$value" => value.to_string(),
        None => {
            return Err(format!("'{{{{ {expression} }}}}' is not understood: write $labels.NAME or $value"));
        }
    };
    for step in steps {
        let number = || text.parse::<f64>().unwrap_or(value);
        text = match step {
            "humanize" => humanize(number()),
            "humanizePercentage" => format!("{}%", short(number() * 100.0)),
            "humanizeDuration" => duration(number()),
            "urlquery" => encode(&text),
            "toUpper" => text.to_uppercase(),
            "toLower" => text.to_lowercase(),
            _ => match printf(step) {
                Some(digits) => format!("{:.digits$}", number()),
                None => {
                    return Err(format!("the function '{step}' in '{{{{ {expression} }}}}' is not known"));
                }
            },
        };
    }
    Ok(text)
}

/// Digits of `printf "%.2f"`.
fn printf(step: &str) -> Option<usize> {
    let format = step.strip_prefix("printf")?.trim().strip_prefix('"')?.strip_suffix('"')?;
    let digits = format.strip_prefix('%')?.strip_suffix('f')?;
    if digits.is_empty() { Some(6) } else { digits.strip_prefix('.')?.parse().ok().filter(|n| *n <= 20) }
}

/// Four significant digits.
fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let digits = (3 - value.abs().log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn humanize(value: f64) -> String {
    let (mut value, mut unit) = (value, "");
    for next in ["k", "M", "G", "T"] {
        if value.abs() < 1000.0 {
            break;
        }
        (value, unit) = (value / 1000.0, next);
    }
    format!("{}{unit}", short(value))
}

fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return seconds.to_string();
    }
    if seconds.abs() < 1.0 {
        return format!("{}ms", short(seconds * 1000.0));
    }
    if seconds.abs() < 60.0 {
        return format!("{}s", short(seconds));
    }
    let (sign, whole) = (if seconds < 0.0 { "-" } else { "" }, seconds.abs() as u64);
    let (days, hours, minutes, rest) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
    match (days, hours) {
        (0, 0) => format!("{sign}{minutes}m {rest}s"),
        (0, _) => format!("{sign}{hours}h {minutes}m {rest}s"),
        _ => format!("{sign}{days}d {hours}h {minutes}m {rest}s"),
    }
}

fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{check, fill};
    use crate::store::metrics::labels::Labels;

    #[test]
    fn fills_labels_values_and_functions() {
        let labels = Labels::new([("service", "a b/c")]);
        for (text, value, expected) in [
            ("plain", 0.0, "plain"),
            ("{{ $labels.service }} {{$labels.none}}!", 0.0, "a b/c !"),
            ("{{ $labels.service | urlquery }}", 0.0, "a+b%2Fc"),
            ("{{ $value }}", 1.5, "1.5"),
            ("{{ $value | humanize }}", 1_234_567.0, "1.235M"),
            ("{{ $value | humanizePercentage }}", 0.123_456, "12.35%"),
            ("{{ $value | humanizePercentage }}", 1.0, "100%"),
            ("{{ $value | humanizeDuration }}", 0.25, "250ms"),
            ("{{ $value | humanizeDuration }}", 3.5, "3.5s"),
            ("{{ $value | humanizeDuration }}", 3725.0, "1h 2m 5s"),
            ("{{ $value | printf \"%.1f\" }}", 2.0, "2.0"),
        ] {
            assert_eq!(fill(text, &labels, value).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in [
            "{{ $value",
            "{{ query \"up\" }}",
            "{{ $value | shout }}",
            "{{ $value | printf \"%s\" }}",
            "{{ }}",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }
}
