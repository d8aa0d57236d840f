//! What is sent: lines of a fixed mix, and datagrams of them.

/// A datagram with the number of its lines and what its counters add up to.
pub(crate) struct Datagram {
    pub(crate) bytes: Vec<u8>,
    pub(crate) lines: usize,
    pub(crate) counted: u64,
}

/// A line and what it adds to a counter.
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) counted: u64,
}

/// `count` lines over `series` series: of twenty, ten are counters, seven timers, two gauges and one a set.
pub(crate) fn mix(series: usize, count: usize) -> Vec<Line> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut order: Vec<usize> = (0..series).collect();
    let mut lines = Vec::with_capacity(count);
    while lines.len() < count {
        random.shuffle(&mut order);
        for &at in order.iter().take(count - lines.len()) {
            let (text, counted) = match at % 20 {
                0..10 => (format!("bench.app.counter.n{at}:1|c"), 1),
                10..17 => (format!("bench.app.timer.n{at}:{}|ms", random.u32(1..1000)), 0),
                17..19 => (format!("bench.app.gauge.n{at}:{}|g", random.u32(0..100_000)), 0),
                _ => (format!("bench.app.set.n{at}:u{}|s", random.u32(0..1000)), 0),
            };
            lines.push(Line { text, counted });
        }
    }
    lines
}

/// Packs lines into datagrams of at most `size` bytes, at least one line each.
pub(crate) fn datagrams(lines: &[Line], size: usize) -> Vec<Datagram> {
    let mut out: Vec<Datagram> = Vec::new();
    for line in lines {
        match out.last_mut() {
            Some(last) if last.bytes.len() + 1 + line.text.len() <= size => {
                last.bytes.push(b'\n');
                last.bytes.extend_from_slice(line.text.as_bytes());
                last.lines += 1;
                last.counted += line.counted;
            }
            _ => {
                out.push(Datagram { bytes: line.text.clone().into_bytes(), lines: 1, counted: line.counted })
            }
        }
    }
    out
}
