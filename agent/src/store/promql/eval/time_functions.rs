//! The calendar (UTC) of a value that is seconds since 1970.

pub(super) fn named(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "minute" => |v| seconds(v, |s| s.div_euclid(60).rem_euclid(60)),
        "hour" => |v| seconds(v, |s| s.div_euclid(3600).rem_euclid(24)),
        "day_of_week" => |v| seconds(v, |s| (s.div_euclid(86_400) + 4).rem_euclid(7)),
        "day_of_month" => |v| seconds(v, |s| date(s).2),
        "day_of_year" => |v| seconds(v, |s| s.div_euclid(86_400) - days(date(s).0, 1, 1) + 1),
        "days_in_month" => |v| {
            seconds(v, |s| {
                let (year, month, _) = date(s);
                let next = if month == 12 { days(year + 1, 1, 1) } else { days(year, month + 1, 1) };
                next - days(year, month, 1)
            })
        },
        "month" => |v| seconds(v, |s| date(s).1),
        "year" => |v| seconds(v, |s| date(s).0),
        _ => return None,
    })
}

fn seconds(v: f64, f: impl Fn(i64) -> i64) -> f64 {
    if !v.is_finite() {
        return f64::NAN;
    }
    // Past this the calendar arithmetic would overflow; no such year is meant.
    f(v.clamp(-9e15, 9e15).trunc() as i64) as f64
}

/// Year, month, day of the proleptic Gregorian calendar.
fn date(seconds: i64) -> (i64, i64, i64) {
    // Years begin in March here, so that the leap day is the last.
    let z = seconds.div_euclid(86_400) + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Days from 1970 to a date.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_leap_days() {
        let leap = 1_709_164_800.0; // 2024-02-29
        let call = |name: &str, v: f64| named(name).unwrap()(v);
        assert_eq!(call("day_of_month", leap), 29.0);
        assert_eq!(call("days_in_month", leap), 29.0);
        assert_eq!(call("day_of_year", leap), 60.0);
        assert_eq!(call("day_of_week", leap), 4.0);
        assert_eq!(call("year", -1.0), 1970.0 - 0.0 - if (-1.0f64).trunc() < 0.0 { 1.0 } else { 0.0 });
        assert_eq!(call("hour", 7200.0), 2.0);
    }
}
