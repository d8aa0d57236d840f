//! Series to StatsD lines: `name:1|c|#tags`, values of a timer packed as `name:1:2:3|ms|@0.5|#tags`.

use super::registry::{Cell, Registry, Series};
use super::series::Samples;
use std::sync::atomic::Ordering;

/// Largest datagram: fits an Ethernet frame over IPv6 with room for a tunnel's header.
pub(crate) const DATAGRAM: usize = 1_400;

/// Writes a line for each series that changed since the last call or has to be announced.
pub(crate) fn flush(registry: &Registry, spare: &mut Samples, line: &mut String, mut emit: impl FnMut(&str)) {
    registry.settle();
    for series in registry.all() {
        let first = !series.announced.swap(true, Ordering::Relaxed);
        match &series.cell {
            Cell::Counter(cell) => {
                let n = cell.take();
                if n > 0 || first {
                    one(line, &series, itoa::Buffer::new().format(n), "c", &mut emit);
                }
            }
            Cell::Gauge(cell) => {
                let change = cell.changes.load(Ordering::Acquire);
                let sent = series.sent_change.swap(change, Ordering::Relaxed);
                if change != sent || (first && change > 0) {
                    gauge(line, &series, cell.value(), &mut emit);
                }
            }
            Cell::Samples(cell, letter) => {
                cell.take(spare);
                samples(line, &series, letter, spare, &mut emit);
            }
        }
    }
}

fn one(line: &mut String, series: &Series, value: &str, letter: &str, emit: &mut impl FnMut(&str)) {
    line.clear();
    line.push_str(&series.name);
    line.push(':');
    line.push_str(value);
    end(line, series, letter, None);
    emit(line);
}

fn end(line: &mut String, series: &Series, letter: &str, rate: Option<f64>) {
    line.push('|');
    line.push_str(letter);
    if let Some(rate) = rate {
        line.push_str("|@");
        line.push_str(ryu::Buffer::new().format_finite(rate));
    }
    if !series.tags.is_empty() {
        line.push_str("|#");
        line.push_str(&series.tags);
    }
}

fn gauge(line: &mut String, series: &Series, value: f64, emit: &mut impl FnMut(&str)) {
    if !value.is_finite() {
        return;
    }
    // A sign makes a StatsD gauge relative: a negative value is set by way of zero.
    if value < 0.0 {
        one(line, series, "0", "g", emit);
    }
    let mut text = String::with_capacity(24);
    number(&mut text, value);
    one(line, series, &text, "g", emit);
}

fn samples(line: &mut String, series: &Series, letter: &str, taken: &Samples, emit: &mut impl FnMut(&str)) {
    let kept = taken.values.len();
    if kept == 0 {
        return;
    }
    let rate = (taken.seen > kept as u64).then(|| kept as f64 / taken.seen as f64);
    let packed = !series.tags.is_empty();
    let tail = 16 + 24 + series.tags.len();
    let mut values = taken.values.iter().peekable();
    while values.peek().is_some() {
        line.clear();
        line.push_str(&series.name);
        for value in values.by_ref() {
            line.push(':');
            number(line, *value);
            if !packed || line.len() + tail > DATAGRAM {
                break;
            }
        }
        end(line, series, letter, rate);
        emit(line);
    }
}

/// A number without exponent or trailing zeros, to six decimals (a nanosecond, in milliseconds); above a
/// thousand, to three.
pub(crate) fn number(out: &mut String, value: f64) {
    use std::fmt::Write;
    if value.abs() < 1e9 || (value.fract() == 0.0 && value.abs() < 1e15) {
        let mut digits = [0; 40];
        out.push_str(plain(&mut digits, value));
        return;
    }
    let _ = write!(out, "{value}");
}

/// [`number`] for magnitudes below a billion and for whole numbers, without memory of its own.
pub(crate) fn plain(digits: &mut [u8; 40], value: f64) -> &str {
    let mut end = 0;
    let mut put = |bytes: &[u8]| {
        digits[end..end + bytes.len()].copy_from_slice(bytes);
        end += bytes.len();
    };
    let mut whole = itoa::Buffer::new();
    if value.fract() == 0.0 {
        put(whole.format(value as i64).as_bytes());
    } else {
        let magnitude = value.abs();
        let decimals: u64 = if magnitude < 1e3 { 1_000_000 } else { 1_000 };
        let scaled = (magnitude * decimals as f64).round() as u64;
        if value < 0.0 && scaled > 0 {
            put(b"-");
        }
        put(whole.format(scaled / decimals).as_bytes());
        let mut fraction = scaled % decimals;
        let mut place = decimals / 10;
        if fraction > 0 {
            put(b".");
        }
        while fraction > 0 {
            put(&[b'0' + (fraction / place) as u8]);
            fraction %= place;
            place /= 10;
        }
    }
    // Nothing but digits, a point and a sign was put.
    std::str::from_utf8(&digits[..end]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drops::Drops;
    use crate::identity::Identity;
    use crate::metrics::registry::Kind;
    use crate::settings::{Settings, StatsdStyle};
    use proptest::prelude::*;
    use std::sync::Arc;
    use std::time::Duration;

    fn registry(change: impl FnOnce(&mut Settings)) -> Registry {
        let mut settings = Settings::new("kittenserver");
        settings.host = "web.1".into();
        change(&mut settings);
        Registry::new(&settings, &Identity::new(&settings), Arc::new(Drops::default()))
    }

    fn lines(registry: &Registry) -> Vec<String> {
        let mut lines = Vec::new();
        flush(registry, &mut Samples::default(), &mut String::new(), |l| lines.push(l.to_owned()));
        lines
    }

    #[test]
    fn lines_are_dot_named_tagged_and_packed() {
        let registry = registry(|_| {});
        let list = registry.operation("handlers", "list");
        list.called.increment(2);
        for us in [750, 1_000, 12_345] {
            list.timing.record(Duration::from_micros(us));
        }
        registry.gauge_of(&["queue", "orders", "depth"]).set(-1.5);
        expect_test::expect![[r##"
            kittenserver.handlers.list.called:2|c|#environment:dev,host:web_1
            kittenserver.handlers.list.success:0|c|#environment:dev,host:web_1
            kittenserver.handlers.list.failed:0|c|#environment:dev,host:web_1
            kittenserver.handlers.list.panic:0|c|#environment:dev,host:web_1
            kittenserver.handlers.list.timing:0.75:1:12.345|ms|#environment:dev,host:web_1
            kittenserver.queue.orders.depth:0|g|#environment:dev,host:web_1
            kittenserver.queue.orders.depth:-1.5|g|#environment:dev,host:web_1"##]]
        .assert_eq(&lines(&registry).join("\n"));
        assert_eq!(lines(&registry), Vec::<String>::new(), "nothing changed");
        registry.announce_again();
        assert_eq!(lines(&registry).len(), 6, "counters as 0 and the gauge's two lines");
    }

    #[test]
    fn the_long_style_has_one_value_a_line_and_no_tags() {
        let registry = registry(|s| s.statsd_style = StatsdStyle::Long);
        let timer = registry.timer_of(&["http", "upstream", "timing"]);
        timer.record(Duration::from_millis(3));
        timer.record(Duration::from_millis(4));
        assert_eq!(
            lines(&registry),
            [
                "dev.web_1.kittenserver.http.upstream.timing:3|ms",
                "dev.web_1.kittenserver.http.upstream.timing:4|ms"
            ]
        );
    }

    #[test]
    fn sampled_timers_carry_their_rate() {
        let registry = registry(|s| s.timer_samples = 2);
        let timer = registry.timer_of(&["a", "b", "timing"]);
        for _ in 0..8 {
            timer.record(Duration::from_millis(5));
        }
        assert_eq!(lines(&registry), ["kittenserver.a.b.timing:5:5|ms|@0.25|#environment:dev,host:web_1"]);
    }

    #[test]
    fn many_samples_are_split_into_lines_that_fit_a_datagram() {
        let registry = registry(|_| {});
        let Cell::Samples(cell, _) = registry.cell(Kind::Histogram, "a.b.size", &[]) else {
            panic!("samples")
        };
        for i in 0..1_000 {
            cell.push(f64::from(i) + 0.123_456);
        }
        let lines = lines(&registry);
        assert!(lines.iter().all(|l| l.len() <= DATAGRAM), "{:?}", lines.iter().map(String::len).max());
        let values: usize = lines.iter().map(|l| l.split('|').next().unwrap().split(':').count() - 1).sum();
        assert_eq!(values, 1_000);
    }

    proptest! {
        #[test]
        fn numbers_read_back_to_a_nanosecond(value in -1e6f64..1e6) {
            let mut text = String::new();
            number(&mut text, value);
            let back: f64 = text.parse().unwrap();
            let tolerance = if value.abs() < 1e3 { 1e-6 } else { 1e-3 };
            prop_assert!((back - value).abs() <= tolerance, "{} became {}", value, text);
            prop_assert!(!text.contains('e'));
        }
    }
}
