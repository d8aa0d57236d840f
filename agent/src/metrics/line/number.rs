//! Numbers as StatsD clients write them: the short decimal ones fast and exact, the rest by the standard library.

/// Powers of ten that a double holds exactly.
const EXACT: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// Reads a number; `None` if it is none. May return NaN and infinities, which only the caller can judge.
///
/// A sign, digits, a fraction, an exponent, `NaN` and `Inf` are read as Go's `ParseFloat` does, and `1_000` too.
pub fn parse(text: &[u8]) -> Option<f64> {
    // At most 15 digits fit a double exactly, and one division by an exact power of ten rounds correctly:
    // the result is the same that a full parser gives.
    if text.len() <= 16 {
        let (digits, negative) = match text.first()? {
            b'-' => (&text[1..], true),
            b'+' => (&text[1..], false),
            _ => (text, false),
        };
        let (mut mantissa, mut count, mut fraction, mut point) = (0u64, 0usize, 0usize, false);
        for &b in digits {
            let digit = b.wrapping_sub(b'0');
            if digit < 10 {
                mantissa = mantissa * 10 + u64::from(digit);
                count += 1;
                fraction += usize::from(point);
            } else if b == b'.' && !point {
                point = true;
            } else {
                return slow(text);
            }
        }
        if count > 0 && count <= 15 {
            let value = mantissa as f64;
            let value = if fraction > 0 { value / EXACT[fraction] } else { value };
            return Some(if negative { -value } else { value });
        }
    }
    slow(text)
}

/// The plain decimal number that a text begins with, and where it ends: digits, perhaps with a fraction, that a double
/// holds exactly. `None` if it begins with anything else, or with more digits.
#[inline(always)]
pub fn leading(text: &[u8]) -> Option<(f64, usize)> {
    let (mut mantissa, mut at, mut point) = (0u64, 0usize, None);
    // With its point, so that there are 15 digits at most.
    while at <= 15 {
        let b = *text.get(at)?;
        let digit = b.wrapping_sub(b'0');
        if digit < 10 {
            mantissa = mantissa * 10 + u64::from(digit);
        } else if b == b'.' && point.is_none() {
            point = Some(at);
        } else {
            break;
        }
        at += 1;
    }
    match point {
        None if (1..=15).contains(&at) => Some((mantissa as f64, at)),
        Some(point) if (2..=15).contains(&at) => Some((mantissa as f64 / EXACT[at - point - 1], at)),
        _ => None,
    }
}

#[cold]
fn slow(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    if let Ok(value) = text.parse() {
        return Some(value);
    }
    let separated = text.contains('_')
        && text.bytes().all(|b| b.is_ascii_digit() || b"+-._eE".contains(&b))
        && text.bytes().next().is_some_and(|b| b != b'_')
        && !text.contains("__")
        && !text.ends_with('_');
    separated.then(|| text.replace('_', "").parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_go_reads() {
        let cases: [(&str, f64); 10] = [
            ("0", 0.0),
            ("1_000", 1000.0),
            ("1e3", 1000.0),
            ("+3", 3.0),
            ("-0", 0.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("123456789012345678", 123_456_789_012_345_678.0),
            ("0.1", 0.1),
            ("-273.15", -273.15),
        ];
        for (text, value) in cases {
            assert_eq!(parse(text.as_bytes()), Some(value), "{text}");
        }
        for text in ["", "-", ".", "0x10", " 1", "1 ", "abc", "1_", "_1", "1__0", "1.2.3", "\u{661}"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        assert!(parse(b"NaN").is_some_and(f64::is_nan));
        assert_eq!(parse(b"+Inf"), Some(f64::INFINITY));
    }

    proptest! {
        #[test]
        fn agrees_with_the_standard_library(text in "[+-]?[0-9]{0,17}(\\.[0-9]{0,17})?") {
            prop_assert_eq!(parse(text.as_bytes()), text.parse().ok());
        }
    }
}
