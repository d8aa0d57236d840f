//! One round of sampling as a frame of the log beside the head: the time, and of each series what changed in its bits.
use super::codec::{Take, put};
use super::table::Id;

/// Remembers the last bits of each series since the log began, on both sides alike.
#[derive(Default)]
pub(crate) struct Rounds {
    before: Vec<u64>,
}

impl Rounds {
    fn slot(&mut self, id: Id) -> &mut u64 {
        let at = id as usize;
        if self.before.len() <= at {
            self.before.resize(at + 1, 0);
        }
        &mut self.before[at]
    }

    /// `samples` have to be sorted by id.
    pub(crate) fn encode(&mut self, time: i64, samples: &[(Id, f64)], out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&time.to_le_bytes());
        put(out, samples.len() as u64);
        let mut last = 0;
        for (id, value) in samples {
            put(out, u64::from(id.wrapping_sub(last)));
            last = *id;
            let slot = self.slot(*id);
            // Numbers of people differ in their upper bits; turned round, these make a small number.
            put(out, (value.to_bits() ^ *slot).reverse_bits());
            *slot = value.to_bits();
        }
    }

    /// False if the frame is not one of ours.
    pub(crate) fn decode(&mut self, frame: &[u8], mut f: impl FnMut(Id, i64, f64)) -> bool {
        self.try_decode(frame, &mut f).is_some()
    }

    fn try_decode(&mut self, frame: &[u8], f: &mut dyn FnMut(Id, i64, f64)) -> Option<()> {
        let mut take = Take(frame);
        let time = take.i64()?;
        let mut id: Id = 0;
        for _ in 0..take.number()? {
            id = id.wrapping_add(take.number()? as Id);
            if id >= 1 << 28 {
                return None;
            }
            let change = take.number()?.reverse_bits();
            let slot = self.slot(id);
            *slot ^= change;
            f(id, time, f64::from_bits(*slot));
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_changed() {
        let (mut writer, mut reader) = (Rounds::default(), Rounds::default());
        let mut frame = Vec::new();
        for round in 0..3 {
            let samples = vec![(1, round as f64), (4, f64::NAN), (9, 0.1)];
            writer.encode(round, &samples, &mut frame);
            let mut got = Vec::new();
            assert!(reader.decode(&frame, |id, t, v| got.push((id, t, v.to_bits()))));
            assert_eq!(got, samples.iter().map(|(id, v)| (*id, round, v.to_bits())).collect::<Vec<_>>());
        }
        assert!(!reader.decode(&frame[..frame.len() - 1], |_, _, _| {}));
    }

    #[test]
    fn an_unchanged_series_takes_two_bytes() {
        let (mut writer, mut frame) = (Rounds::default(), Vec::new());
        let samples: Vec<(Id, f64)> = (0..100).map(|i| (i, 0.1)).collect();
        writer.encode(0, &samples, &mut frame);
        writer.encode(1, &samples, &mut frame);
        assert!(frame.len() <= 8 + 2 + 200, "{} bytes", frame.len());
    }
}
