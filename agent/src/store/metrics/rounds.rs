//! One round of sampling as a frame of the log beside the head: the time, and of each series what changed in its bits.
//!
//! Now and then a round is written in full, so that a lost frame costs no more than the rounds up to the next of these.
use super::codec::{Take, put};
use super::table::Id;

/// Rounds from one that is written in full to the next: five minutes at ten seconds each.
const FULL_EVERY: u32 = 30;
/// In the place of the time of a round that is written in full; the time follows.
const FULL: i64 = i64::MIN;

/// Remembers the last bits of each series since the last full round, on both sides alike.
#[derive(Default)]
pub(crate) struct Rounds {
    before: Vec<u64>,
    since_full: u32,
    broken: bool,
}

/// What a frame was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    Round,
    /// It builds on one that is lost.
    Skipped,
    /// Not one of ours.
    Foreign,
}

impl Rounds {
    fn slot(&mut self, id: Id) -> &mut u64 {
        let at = id as usize;
        if self.before.len() <= at {
            self.before.resize(at + 1, 0);
        }
        &mut self.before[at]
    }

    /// A frame is lost: what follows builds on it, up to the next full round.
    pub(crate) fn lost(&mut self) {
        self.broken = true;
    }

    /// `samples` have to be sorted by id.
    pub(crate) fn encode(&mut self, time: i64, samples: &[(Id, f64)], out: &mut Vec<u8>) {
        out.clear();
        self.since_full += 1;
        if self.broken || self.since_full >= FULL_EVERY {
            self.begin();
            out.extend_from_slice(&FULL.to_le_bytes());
        }
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

    fn begin(&mut self) {
        self.before.clear();
        self.since_full = 0;
        self.broken = false;
    }

    pub(crate) fn decode(&mut self, frame: &[u8], mut f: impl FnMut(Id, i64, f64)) -> Decoded {
        self.try_decode(frame, &mut f).unwrap_or(Decoded::Foreign)
    }

    fn try_decode(&mut self, frame: &[u8], f: &mut dyn FnMut(Id, i64, f64)) -> Option<Decoded> {
        let mut take = Take(frame);
        let mut time = take.i64()?;
        self.since_full += 1;
        if time == FULL {
            self.begin();
            time = take.i64()?;
        }
        if self.broken {
            return Some(Decoded::Skipped);
        }
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
        Some(Decoded::Round)
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
            assert_eq!(reader.decode(&frame, |id, t, v| got.push((id, t, v.to_bits()))), Decoded::Round);
            assert_eq!(got, samples.iter().map(|(id, v)| (*id, round, v.to_bits())).collect::<Vec<_>>());
        }
        assert_eq!(reader.decode(&frame[..frame.len() - 1], |_, _, _| {}), Decoded::Foreign);
    }

    #[test]
    fn a_lost_round_costs_those_up_to_the_next_full_one() {
        let (mut writer, mut reader) = (Rounds::default(), Rounds::default());
        let mut frame = Vec::new();
        let mut read = Vec::new();
        for round in 0..100 {
            writer.encode(round, &[(1, round as f64), (2, 0.5)], &mut frame);
            if round == 40 {
                reader.lost();
                continue;
            }
            let mut got = Vec::new();
            if reader.decode(&frame, |id, t, v| got.push((id, t, v))) == Decoded::Round {
                assert_eq!(got, [(1, round, round as f64), (2, round, 0.5)]);
                read.push(round);
            }
        }
        let gone: Vec<i64> = (0..100).filter(|round| !read.contains(round)).collect();
        assert!(gone[0] == 40 && gone.len() <= FULL_EVERY as usize && *gone.last().unwrap() < 70, "{gone:?}");
        // Whoever writes on where frames are lost begins with a full round.
        reader.lost();
        reader.encode(200, &[(1, 7.0)], &mut frame);
        let mut fresh = Rounds::default();
        fresh.lost();
        assert_eq!(fresh.decode(&frame, |_, _, v| assert_eq!(v, 7.0)), Decoded::Round);
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
