//! Times with the month as a word: mail and HTTP (`Tue, 24 Nov 2026 01:02:03 GMT`), C (`Tue Nov 24 01:02:03 2026`), Java
//! (`Nov 24, 2026 1:02:03 AM`), Tomcat (`24-Nov-2026 01:02:03.456`), syslog (`Nov 24 01:02:03`).

use super::{DAY, Nanos, SECOND, civil, days, decimal, fraction, month_days, offset};

const MONTHS: [&[u8]; 12] = [
    b"january",
    b"february",
    b"march",
    b"april",
    b"may",
    b"june",
    b"july",
    b"august",
    b"september",
    b"october",
    b"november",
    b"december",
];
const WEEKDAYS: [&[u8]; 7] =
    [b"monday", b"tuesday", b"wednesday", b"thursday", b"friday", b"saturday", b"sunday"];

/// The parts, in whatever order they came.
#[derive(Default)]
struct Parts {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    /// Nanoseconds since midnight.
    clock: Option<i64>,
    afternoon: Option<bool>,
    /// Seconds east of UTC.
    zone: Option<i64>,
}

/// Reads such a time; without a year it is the one that comes nearest to `now`, without a zone UTC. A zone that is only
/// a name is not guessed at, unless a number stands before it.
pub(super) fn parse(text: &[u8], now: Nanos) -> Option<Nanos> {
    let mut parts = Parts::default();
    for word in text.split(|b| b.is_ascii_whitespace()).filter(|word| !word.is_empty()) {
        parts.take(word.strip_suffix(b",").unwrap_or(word))?;
    }
    parts.nanos(now)
}

/// 1 to 12 for the name of a month or its first three letters.
pub(super) fn month(word: &[u8]) -> Option<i64> {
    MONTHS.iter().position(|name| is(word, name)).map(|at| at as i64 + 1)
}

fn is(word: &[u8], name: &[u8]) -> bool {
    (word.len() == 3 || word.len() == name.len()) && word.eq_ignore_ascii_case(&name[..word.len()])
}

impl Parts {
    fn take(&mut self, word: &[u8]) -> Option<()> {
        let dashes = word.iter().filter(|&&b| b == b'-').count();
        match word {
            _ if self.month.is_none() && month(word).is_some() => self.month = month(word),
            _ if self.clock.is_none() && word.contains(&b':') => self.clock = Some(clock(word)?),
            [b'0'..=b'9', ..] if dashes == 2 => word.split(|&b| b == b'-').try_for_each(|p| self.take(p))?,
            [b'0'..=b'9', ..] if word.len() <= 2 && self.day.is_none() => self.day = Some(decimal(word)?),
            [b'0'..=b'9', ..] if word.len() == 4 && self.year.is_none() => self.year = Some(decimal(word)?),
            [a, m] if m.eq_ignore_ascii_case(&b'm') && self.afternoon.is_none() => {
                self.afternoon = Some(match a.to_ascii_lowercase() {
                    b'a' => false,
                    b'p' => true,
                    _ => return None,
                });
            }
            _ if WEEKDAYS.iter().any(|day| is(word, day)) => {}
            _ if self.zone.is_none() && self.clock.is_some() => self.zone = Some(offset(word)?),
            // `+0100 CET`: the name adds nothing to the number.
            [b'A'..=b'Z' | b'(', ..] if self.zone.is_some() => {}
            _ => return None,
        }
        Some(())
    }

    fn nanos(&self, now: Nanos) -> Option<Nanos> {
        let (month, day, mut clock) = (self.month?, self.day?, self.clock?);
        if let Some(afternoon) = self.afternoon {
            let hour = clock / (3600 * SECOND);
            (1..=12).contains(&hour).then_some(())?;
            clock += (i64::from(afternoon) * 12 - if hour == 12 { 12 } else { 0 }) * 3600 * SECOND;
        }
        let clock = clock - self.zone.unwrap_or(0) * SECOND;
        let at = |year| days(year, month, day).checked_mul(DAY * SECOND)?.checked_add(clock);
        let exists = |&year: &i64| (1..=month_days(year, month)).contains(&day);
        if let Some(year) = self.year {
            return Some(year).filter(exists).and_then(at);
        }
        // A line of December read in January is of last year, one that is a little ahead at New Year of the next.
        let (this, _, _) = civil(now.div_euclid(SECOND * DAY));
        [this - 1, this, this + 1]
            .iter()
            .filter(|y| exists(y))
            .filter_map(|&y| at(y))
            .min_by_key(|n| (n - now).abs())
    }
}

/// `1:02:03`, `01:02:03.456` or `01:02:03,456` in nanoseconds.
fn clock(text: &[u8]) -> Option<i64> {
    let mut parts = text.splitn(3, |&b| b == b':');
    let (hour, minute, rest) = (decimal(parts.next()?)?, decimal(parts.next()?)?, parts.next()?);
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let second = decimal(&rest[..digits])?;
    let nanos = match &rest[digits..] {
        [] => 0,
        [b'.' | b',', more @ ..] if !more.is_empty() && more.iter().all(u8::is_ascii_digit) => fraction(more),
        _ => return None,
    };
    (hour < 24 && minute < 60 && second <= 60)
        .then_some((hour * 3600 + minute * 60 + second) * SECOND + nanos)
}
