//! Times as people write them in queries: RFC 3339, a day, an hour, `now-15m`, `now/d`, seconds or milliseconds.

use time::macros::format_description;
use time::{Date, OffsetDateTime, PrimitiveDateTime};

use crate::store::events::record::parse_rfc3339;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The milliseconds that `text` stands for, as first and first-after: a day is 24 hours, an instant one millisecond.
pub(crate) fn interval(text: &str, now_ms: i64) -> Option<(i64, i64)> {
    if let Some(rest) = text.strip_prefix("now") {
        return math(rest, now_ms);
    }
    if let Some((anchor, rest)) = text.split_once("||") {
        return math(rest, interval(anchor, now_ms)?.0);
    }
    if let Ok(number) = text.parse::<i64>() {
        // Ten digits are seconds until the year 2286.
        return Some(if number.abs() < 100_000_000_000 && text.len() >= 9 && text.len() <= 11 {
            (number * SECOND, (number + 1) * SECOND)
        } else {
            (number, number.checked_add(1)?)
        });
    }
    if let Some(ms) = parse_rfc3339(text) {
        return Some((ms, ms + 1));
    }
    if let Ok(day) = Date::parse(text, format_description!("[year]-[month]-[day]")) {
        let from = OffsetDateTime::new_utc(day, time::Time::MIDNIGHT).unix_timestamp() * SECOND;
        return Some((from, from + DAY));
    }
    let text = text.trim_end_matches('Z');
    let local = |format| {
        PrimitiveDateTime::parse(text, format).ok().map(|t| t.assume_utc().unix_timestamp() * SECOND)
    };
    if let Some(from) = local(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]")) {
        return Some((from, from + SECOND));
    }
    if let Some(from) = local(format_description!("[year]-[month]-[day]T[hour]:[minute]")) {
        return Some((from, from + MINUTE));
    }
    let whole = format!("{text}Z");
    parse_rfc3339(&whole).map(|ms| (ms, ms + 1))
}

/// `-15m`, `+1h/d`, applied to `at`.
fn math(mut rest: &str, mut at: i64) -> Option<(i64, i64)> {
    let mut length = 1;
    while let Some(sign) = rest.chars().next() {
        rest = rest.strip_prefix(sign)?;
        if sign == '/' {
            let unit = unit(rest.chars().next()?)?;
            rest = &rest[1..];
            at = at.div_euclid(unit) * unit;
            length = unit;
            continue;
        }
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: i64 = if digits == 0 { 1 } else { rest[..digits].parse().ok()? };
        let step = count.checked_mul(unit(rest[digits..].chars().next()?)?)?;
        rest = &rest[digits + 1..];
        at = match sign {
            '-' => at.checked_sub(step)?,
            '+' => at.checked_add(step)?,
            _ => return None,
        };
    }
    Some((at, at.checked_add(length)?))
}

fn unit(c: char) -> Option<i64> {
    Some(match c {
        's' => SECOND,
        'm' => MINUTE,
        'h' | 'H' => HOUR,
        'd' => DAY,
        'w' => 7 * DAY,
        'M' => 30 * DAY,
        'y' => 365 * DAY,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{DAY, HOUR, interval};

    #[test]
    fn reads_what_people_write() {
        let now = 1_763_942_400_123; // 2025-11-24T00:00:00.123Z
        let day = 1_763_942_400_000;
        assert_eq!(interval("now", now), Some((now, now + 1)));
        assert_eq!(interval("now-1h", now), Some((now - HOUR, now - HOUR + 1)));
        assert_eq!(interval("now-1h/d", now), Some((day - DAY, day)));
        assert_eq!(interval("2025-11-24", now), Some((day, day + DAY)));
        assert_eq!(interval("2025-11-24||+1d", now), Some((day + DAY, day + DAY + 1)));
        assert_eq!(interval("2025-11-24T00:00", now), Some((day, day + 60_000)));
        assert_eq!(interval("2025-11-24T00:00:00.123Z", now), Some((now, now + 1)));
        assert_eq!(interval("2025-11-24T01:00:00+01:00", now), Some((day, day + 1)));
        assert_eq!(interval("2025-11-24T00:00:00.123", now), Some((now, now + 1)));
        assert_eq!(interval("1763942400", now), Some((day, day + 1000)));
        assert_eq!(interval("1763942400123", now), Some((now, now + 1)));
        for wrong in [
            "",
            "yesterday",
            "now-",
            "now-5",
            "now-5x",
            "now*5m",
            "2025-13-01",
            "now-99999999999999999y",
            "nöw-1h",
            "now-1ö",
        ] {
            assert_eq!(interval(wrong, now), None, "{wrong}");
        }
    }
}
