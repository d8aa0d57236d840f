//! What others write, and histograms, as frames of a log beside the head. Each frame stands for itself: of a lost one
//! nothing else depends.
//!
//! `[origin u8][entries]`, then of each entry its series and time as steps from the one before, and the bits of a number
//! or the length and bytes of a histogram, packed as a chunk of one. Entries of a series are in their order.

use super::codec::{Take, put};
use super::native::{Chunk, read_one};
use super::table::Id;
use crate::store::promql::histogram::Histogram;
use std::sync::Arc;

/// Whose samples a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A round of our own: a series that does not come back has ended.
    Round,
    /// A sender, who says itself when a series ends.
    Sender,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Float(f64),
    Native(Arc<Histogram>),
}

pub(crate) type Entry = (Id, i64, Value);

pub(crate) fn encode(origin: Origin, entries: &[Entry], out: &mut Vec<u8>) {
    out.clear();
    out.push(u8::from(origin == Origin::Sender));
    put(out, entries.len() as u64);
    let mut place = Place::default();
    for (id, time, value) in entries {
        place.put(*id, *time, matches!(value, Value::Native(_)), out);
        match value {
            // Numbers of people differ in their upper bits; turned round, these make a small number.
            Value::Float(v) => put(out, v.to_bits().reverse_bits()),
            Value::Native(h) => {
                let packed = Chunk::new(*time, h).close();
                put(out, packed.bytes.len() as u64);
                out.extend_from_slice(&packed.bytes);
            }
        }
    }
}

/// Gives each sample of a frame in order; nothing if it is not one of ours.
pub(crate) fn decode(frame: &[u8], mut each: impl FnMut(Origin, Id, i64, Value)) -> Option<()> {
    let mut take = Take(frame);
    let origin = match take.bytes(1)?[0] {
        0 => Origin::Round,
        1 => Origin::Sender,
        _ => return None,
    };
    let mut place = Place::default();
    for _ in 0..take.number()? {
        let (id, time, native) = place.take(&mut take)?;
        let value = if native {
            let length = usize::try_from(take.number()?).ok()?;
            Value::Native(Arc::new(read_one(take.bytes(length)?, time)?))
        } else {
            Value::Float(f64::from_bits(take.number()?.reverse_bits()))
        };
        each(origin, id, time, value);
    }
    Some(())
}

/// Series and time, as differences from the entry before, and which kind of value follows.
#[derive(Default)]
struct Place {
    id: Id,
    time: i64,
}

impl Place {
    fn put(&mut self, id: Id, time: i64, native: bool, out: &mut Vec<u8>) {
        put(out, u64::from(id.wrapping_sub(self.id)) << 1 | u64::from(native));
        let step = time.wrapping_sub(self.time);
        put(out, ((step << 1) ^ (step >> 63)) as u64);
        *self = Place { id, time };
    }

    fn take(&mut self, take: &mut Take<'_>) -> Option<(Id, i64, bool)> {
        let head = take.number()?;
        let id = self.id.wrapping_add((head >> 1) as Id);
        let step = take.number()?;
        let time = self.time.wrapping_add((step >> 1) as i64 ^ -((step & 1) as i64));
        *self = Place { id, time };
        (id < 1 << 28).then_some((id, time, head & 1 == 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_numbers_and_histograms_and_refuses_what_is_cut() {
        let h = Histogram {
            schema: 3,
            count: 3.0,
            sum: 0.25,
            zero_threshold: 1e-9,
            positive: vec![(-4, 1.0), (9, 2.0)],
            ..Histogram::default()
        };
        let entries = vec![
            (7, 1000, Value::Float(-0.5)),
            (3, 990, Value::Float(1e300)),
            (3, 1001, Value::Native(Arc::new(h))),
            (3, 1002, Value::Float(0.0)),
        ];
        let mut frame = Vec::new();
        encode(Origin::Sender, &entries, &mut frame);
        let mut got = Vec::new();
        decode(&frame, |origin, id, time, value| {
            assert_eq!(origin, Origin::Sender);
            got.push((id, time, value));
        })
        .unwrap();
        assert_eq!(got, entries);
        for cut in 0..frame.len() {
            assert_eq!(decode(&frame[..cut], |_, _, _, _| {}), None, "cut at {cut}");
        }
    }
}
