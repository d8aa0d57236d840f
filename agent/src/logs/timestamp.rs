//! Times in the forms that loggers write, brought to RFC 3339 in UTC.

mod worded;

/// Nanoseconds since the epoch.
pub type Nanos = i64;

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400;
/// 1971 to 2200: beyond it a time is a mistake of its sender, and some stores refuse it.
const SANE: std::ops::Range<i64> = 365 * DAY * SECOND..7_258_118_400 * SECOND;

/// Whether `text` is already what `@timestamp` should be: `2026-11-24T01:02:03.456Z`, in a sane year.
pub fn is_canonical(text: &[u8]) -> bool {
    let n = text.len();
    (20..=30).contains(&n)
        && text[n - 1] == b'Z'
        && text[10] == b'T'
        && (n == 20 || (n > 21 && text[19] == b'.'))
        && text.get(20..n - 1).is_none_or(|fraction| fraction.iter().all(u8::is_ascii_digit))
        && matches!(calendar(text), Some((y, _, _, _, _, _)) if (1971..2200).contains(&y))
}

/// Reads a time written as text: RFC 3339 and its looser relatives (blank for `T`, comma for the dot, no seconds, no
/// separators, no zone = UTC), the access log's `10/Oct/2000:13:55:36 -0700`, a month as a word (see [`worded`]; syslog
/// leaves the year out, then it is the one that comes nearest to `now`), or a number of the epoch in digits.
pub fn parse(text: &[u8], now: Nanos) -> Option<Nanos> {
    let text = text.trim_ascii();
    let nanos = match text {
        [b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b'-' | b'/', ..] => iso(text),
        [b'0'..=b'9', b'0'..=b'9', b'/', ..] => access_log(text),
        [b'A'..=b'Z' | b'a'..=b'z', ..] => worded::parse(text, now),
        [b'0'..=b'9', rest @ ..] if rest.iter().take(3).any(|b| matches!(b, b' ' | b'-')) => {
            worded::parse(text, now)
        }
        [b'0'..=b'9', ..] if text.get(8) == Some(&b'T') => compact(text),
        [b'0'..=b'9', ..] => return number(text),
        _ => None,
    }?;
    SANE.contains(&nanos).then_some(nanos)
}

/// Reads a number of the epoch; its size tells seconds, milli-, micro- or nanoseconds.
pub fn number(text: &[u8]) -> Option<Nanos> {
    let point = text.iter().position(|&b| b == b'.').unwrap_or(text.len());
    if text.iter().any(|b| matches!(b, b'e' | b'E')) {
        // Rust writes floats without an exponent, in the fewest digits that are exact.
        let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
        return (value.abs() < 1e19).then(|| number(value.to_string().as_bytes()))?;
    }
    let whole = decimal(&text[..point])?;
    let unit = unit(whole)?;
    let mut nanos = whole.checked_mul(unit)?;
    let mut place = unit;
    for &digit in text.get(point + 1..).unwrap_or_default() {
        place /= 10;
        nanos += i64::from(digit.is_ascii_digit().then(|| digit - b'0')?) * place;
    }
    SANE.contains(&nanos).then_some(nanos)
}

/// Appends `nanos` as RFC 3339 in UTC with milliseconds, or more digits where they say something.
pub fn write(out: &mut Vec<u8>, nanos: Nanos) {
    let (seconds, fraction) = (nanos.div_euclid(SECOND), nanos.rem_euclid(SECOND));
    let (days, rest) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    let mut text = *b"0000-00-00T00:00:00.000000000";
    put(&mut text[0..4], year as u32);
    put(&mut text[5..7], month);
    put(&mut text[8..10], day);
    put(&mut text[11..13], (rest / 3600) as u32);
    put(&mut text[14..16], (rest / 60 % 60) as u32);
    put(&mut text[17..19], (rest % 60) as u32);
    put(&mut text[20..29], fraction as u32);
    let length = match fraction {
        f if f % 1_000_000 == 0 => 23,
        f if f % 1000 == 0 => 26,
        _ => 29,
    };
    out.extend_from_slice(&text[..length]);
    out.push(b'Z');
}

fn put(digits: &mut [u8], mut value: u32) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Nanoseconds in one unit of an epoch number of this size.
fn unit(whole: i64) -> Option<i64> {
    Some(match whole {
        0..100_000_000_000 => SECOND,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        100_000_000_000_000_000.. => 1,
        _ => return None,
    })
}

fn decimal(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > 19 {
        return None;
    }
    text.iter().try_fold(0i64, |value, &b| {
        b.is_ascii_digit().then_some(())?;
        value.checked_mul(10)?.checked_add(i64::from(b - b'0'))
    })
}

/// Year, month, day, hour, minute, second of `2026-11-24T01:02:03…`, checked.
fn calendar(text: &[u8]) -> Option<(i64, i64, i64, i64, i64, i64)> {
    let year = decimal(text.get(0..4)?)?;
    let (month, day) = (decimal(text.get(5..7)?)?, decimal(text.get(8..10)?)?);
    let (hour, minute, second) =
        (decimal(text.get(11..13)?)?, decimal(text.get(14..16)?)?, decimal(text.get(17..19)?)?);
    let ok = (1..=12).contains(&month)
        && (1..=month_days(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60
        && text[4] == text[7]
        && matches!(text[4], b'-' | b'/')
        && text[13] == b':'
        && text[16] == b':';
    ok.then_some((year, month, day, hour, minute, second))
}

fn iso(text: &[u8]) -> Option<Nanos> {
    // `2026-11-24T01:02Z`: the seconds may be missing.
    if text.get(13) == Some(&b':') && text.get(16) != Some(&b':') {
        return iso(&[text.get(..16)?, b":00", &text[16..]].concat());
    }
    let (year, month, day, hour, minute, second) = calendar(text)?;
    matches!(text[10], b'T' | b't' | b' ').then_some(())?;
    let rest = &text[19..];
    let (digits, zone) = match rest {
        [b'.' | b',', digits @ ..] => {
            digits.split_at(digits.iter().take_while(|b| b.is_ascii_digit()).count())
        }
        _ => (&rest[..0], rest),
    };
    // Go writes a zone's name, and a clock reading, behind its number.
    let zone = zone.trim_ascii().split(|&b| b == b' ').next().unwrap_or_default();
    let seconds = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset(zone)?;
    seconds.checked_mul(SECOND)?.checked_add(fraction(digits))
}

/// `20261124T010203Z`, with a fraction perhaps.
fn compact(text: &[u8]) -> Option<Nanos> {
    let (date, time) = (text.get(..8)?, text.get(9..15)?);
    date.iter().chain(time).all(u8::is_ascii_digit).then_some(())?;
    iso(&[
        &date[..4],
        b"-",
        &date[4..6],
        b"-",
        &date[6..],
        b"T",
        &time[..2],
        b":",
        &time[2..4],
        b":",
        &text[13..],
    ]
    .concat())
}

/// Nanoseconds of the digits behind a point.
fn fraction(digits: &[u8]) -> i64 {
    let (nanos, _) = digits.iter().take(9).fold((0, SECOND), |(nanos, place), &digit| {
        (nanos + i64::from(digit - b'0') * (place / 10), place / 10)
    });
    nanos
}

/// Seconds east of UTC: `Z`, nothing, `UTC`, `+02:00`, `-0700`, `+02`.
fn offset(zone: &[u8]) -> Option<i64> {
    let (sign, digits) = match zone {
        [] | b"Z" | b"z" | b"UTC" | b"GMT" => return Some(0),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits {
        [_, _] => (decimal(digits)?, 0),
        [_, _, b':', _, _] => (decimal(&digits[..2])?, decimal(&digits[3..])?),
        [_, _, _, _] => (decimal(&digits[..2])?, decimal(&digits[2..])?),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// `10/Oct/2000:13:55:36 -0700`
fn access_log(text: &[u8]) -> Option<Nanos> {
    let (day, year) = (decimal(text.get(0..2)?)?, decimal(text.get(7..11)?)?);
    let month = worded::month(text.get(3..6)?)?;
    let time = clock(text.get(12..20)?)?;
    (1..=month_days(year, month)).contains(&day).then_some(())?;
    let seconds = days(year, month, day) * DAY + time - offset(text.get(20..)?.trim_ascii())?;
    seconds.checked_mul(SECOND)
}

fn clock(text: &[u8]) -> Option<i64> {
    let (hour, minute, second) = (decimal(&text[0..2])?, decimal(&text[3..5])?, decimal(&text[6..8])?);
    (hour < 24 && minute < 60 && second <= 60 && text[2] == b':' && text[5] == b':')
        .then_some(hour * 3600 + minute * 60 + second)
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date of the Gregorian calendar, counted in eras of 400 years that begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month > 2 { year } else { year - 1 };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The reverse of [`days`].
fn civil(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month as u32, day as u32)
}

#[cfg(test)]
mod tests {
    use super::{is_canonical, number, parse, write};
    use proptest::prelude::*;

    fn shown(nanos: Option<i64>) -> Option<String> {
        nanos.map(|n| {
            let mut out = Vec::new();
            write(&mut out, n);
            String::from_utf8(out).unwrap()
        })
    }

    const NEW_YEAR: i64 = 1_767_225_600_000_000_000; // 2026-01-01T00:00:00Z

    #[test]
    fn reads_what_loggers_write() {
        for (text, time) in [
            ("2026-11-24T01:02:03.456Z", "2026-11-24T01:02:03.456Z"),
            ("2026-11-24T01:02:03+02:00", "2026-11-23T23:02:03.000Z"),
            ("2026-11-24T01:02:03.123456-0730", "2026-11-24T08:32:03.123456Z"),
            ("2026-11-24 01:02:03,456", "2026-11-24T01:02:03.456Z"),
            ("2026-11-24 01:02:03.5 UTC", "2026-11-24T01:02:03.500Z"),
            ("2026/11/24 01:02:03", "2026-11-24T01:02:03.000Z"),
            ("2024-02-29T23:59:60Z", "2024-03-01T00:00:00.000Z"),
            ("10/Oct/2000:13:55:36 -0700", "2000-10-10T20:55:36.000Z"),
            ("Dec 31 23:59:58", "2025-12-31T23:59:58.000Z"),
            ("Jan  1 00:00:09", "2026-01-01T00:00:09.000Z"),
            ("Oct 11 22:14:15.003", "2025-10-11T22:14:15.003Z"),
            ("2026-11-24T01:02Z", "2026-11-24T01:02:00.000Z"),
            ("2026-11-24 01:02", "2026-11-24T01:02:00.000Z"),
            ("20261124T010203Z", "2026-11-24T01:02:03.000Z"),
            ("20261124T010203.456+0100", "2026-11-24T00:02:03.456Z"),
            ("2026-11-24 01:02:03.5 +0100 CET m=+0.1", "2026-11-24T00:02:03.500Z"),
            ("Tue, 24 Nov 2026 01:02:03 GMT", "2026-11-24T01:02:03.000Z"),
            ("Tue, 24 Nov 2026 01:02:03 -0500 (EST)", "2026-11-24T06:02:03.000Z"),
            ("24 Nov 2026 01:02:03,456", "2026-11-24T01:02:03.456Z"),
            ("24-Nov-2026 01:02:03.456", "2026-11-24T01:02:03.456Z"),
            ("Tue Nov 24 01:02:03 2026", "2026-11-24T01:02:03.000Z"),
            ("Tue Nov 24 01:02:03 UTC 2026", "2026-11-24T01:02:03.000Z"),
            ("Nov 24, 2026 1:02:03 AM", "2026-11-24T01:02:03.000Z"),
            ("November 24, 2026 12:02:03 PM", "2026-11-24T12:02:03.000Z"),
            ("Nov 24, 2026 12:02:03 am", "2026-11-24T00:02:03.000Z"),
            ("1700000000", "2023-11-14T22:13:20.000Z"),
            ("1700000000.25", "2023-11-14T22:13:20.250Z"),
            ("1700000000123", "2023-11-14T22:13:20.123Z"),
            ("1700000000123.5", "2023-11-14T22:13:20.123500Z"),
            ("1700000000123456", "2023-11-14T22:13:20.123456Z"),
            ("1700000000123456789", "2023-11-14T22:13:20.123456789Z"),
            ("1.70000000025e9", "2023-11-14T22:13:20.250Z"),
        ] {
            assert_eq!(shown(parse(text.as_bytes(), NEW_YEAR)).as_deref(), Some(time), "{text}");
        }
        for text in [
            "",
            "yesterday",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "0001-01-01T00:00:00Z",
            "12",
            "-5",
            "9999-01-01T00:00:00Z",
            "2026-11-24T25:00:00Z",
            "2026-11-24",
            "99999999999999999999",
            "1e300",
            "Oct",
            "Nov 24 2026",
            "Tue Nov 24 01:02:03 CET 2026",
            "Nov 31 2026 01:02:03",
            "Nov 24, 2026 13:02:03 PM",
            "24-Nov-2026",
            "24-11-2026 01:02:03",
            "20261324T010203Z",
            "20261124T0102",
            "May I be excused at 10:00:00",
        ] {
            assert_eq!(parse(text.as_bytes(), NEW_YEAR), None, "{text}");
        }
    }

    #[test]
    fn knows_the_form_that_needs_no_work() {
        for text in ["2026-11-24T01:02:03Z", "2026-11-24T01:02:03.4Z", "2026-11-24T01:02:03.123456789Z"] {
            assert!(is_canonical(text.as_bytes()), "{text}");
        }
        for text in [
            "2026-11-24T01:02:03+00:00",
            "2026-11-24 01:02:03Z",
            "2026-11-24T01:02:03.Z",
            "2026-02-30T01:02:03Z",
            "0001-01-01T00:00:00Z",
            "2026-11-24T01:02:03",
            "2026-11-24T01:02:03xZ",
            "2026-11-24T01:02:03.4x6Z",
        ] {
            assert!(!is_canonical(text.as_bytes()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_it_writes_it_reads_back(nanos in 40_000_000_000_000_000i64..7_000_000_000_000_000_000) {
            let text = shown(Some(nanos)).unwrap();
            prop_assert!(is_canonical(text.as_bytes()), "{}", text);
            prop_assert_eq!(parse(text.as_bytes(), 0), Some(nanos));
            prop_assert_eq!(number(nanos.to_string().as_bytes()).is_some(), nanos >= 100_000_000_000_000_000);
        }

        #[test]
        fn no_text_breaks_it(text in "\\PC{0,40}") {
            parse(text.as_bytes(), NEW_YEAR);
            number(text.as_bytes());
            is_canonical(text.as_bytes());
        }
    }
}
