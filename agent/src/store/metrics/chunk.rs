//! Samples of one series packed by Gorilla's method: differences of differences of times, and what changed in the
//! bits of values. Small enough to hold two hours of every series in memory.

use super::bits::{Bits, Reader};

/// A chunk is closed at this many samples, so that a read need not unpack more than it wants.
pub(crate) const SAMPLES: usize = 120;

/// Only grows; samples are in time order.
#[derive(Debug, Default, Clone)]
pub(crate) struct Chunk {
    bits: Bits,
    count: usize,
    pub(crate) first: i64,
    pub(crate) last: i64,
    delta: i64,
    value: u64,
    leading: u8,
    trailing: u8,
}

impl Chunk {
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bits.held() + size_of::<Chunk>()
    }

    pub(crate) fn push(&mut self, time: i64, value: f64) {
        let bits = value.to_bits();
        if self.count == 0 {
            self.first = time;
            self.bits.write(bits, 64);
            // No window of changed bits yet.
            self.leading = u8::MAX;
        } else {
            let delta = time - self.last;
            self.bits.write_step(delta - self.delta);
            self.push_value(bits ^ self.value);
            self.delta = delta;
        }
        self.last = time;
        self.value = bits;
        self.count += 1;
    }

    /// Releases what was reserved for growth.
    pub(crate) fn close(&mut self) {
        self.bits.shrink();
    }

    fn push_value(&mut self, change: u64) {
        if change == 0 {
            self.bits.write(0, 1);
            return;
        }
        // Five bits hold the count of leading zeros.
        let leading = change.leading_zeros().min(31) as u8;
        let trailing = change.trailing_zeros() as u8;
        if self.leading != u8::MAX && leading >= self.leading && trailing >= self.trailing {
            let width = 64 - self.leading - self.trailing;
            self.bits.write(0b10, 2);
            self.bits.write(change >> self.trailing, width);
            return;
        }
        (self.leading, self.trailing) = (leading, trailing);
        let width = 64 - leading - trailing;
        self.bits.write(0b11, 2);
        self.bits.write(u64::from(leading), 5);
        self.bits.write(u64::from(width - 1), 6);
        self.bits.write(change >> trailing, width);
    }

    /// Calls `f` with each sample, oldest first.
    pub(crate) fn each(&self, mut f: impl FnMut(i64, f64)) {
        let mut reader = Reader::new(self.bits.bytes());
        let (mut time, mut delta, mut value) = (self.first, 0i64, 0u64);
        let (mut leading, mut width) = (0u8, 0u8);
        for i in 0..self.count {
            if i == 0 {
                value = reader.read(64);
            } else {
                delta = delta.wrapping_add(reader.step());
                time = time.wrapping_add(delta);
                match reader.ones(2) {
                    0 => {}
                    kind => {
                        if kind == 2 {
                            leading = reader.read(5) as u8;
                            width = reader.read(6) as u8 + 1;
                        }
                        value ^= reader.read(width) << (64 - leading - width);
                    }
                }
            }
            f(time, f64::from_bits(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unpacked(chunk: &Chunk) -> Vec<(i64, u64)> {
        let mut out = Vec::new();
        chunk.each(|t, v| out.push((t, v.to_bits())));
        out
    }

    proptest! {
        #[test]
        fn gives_back_what_it_took(steps in prop::collection::vec((1i64..1 << 40, any::<u64>()), 1..300), start in 0i64..1 << 42) {
            let (mut chunk, mut time, mut wanted) = (Chunk::default(), start, Vec::new());
            for (delta, bits) in steps {
                time = time.wrapping_add(delta);
                chunk.push(time, f64::from_bits(bits));
                wanted.push((time, bits));
            }
            prop_assert_eq!(unpacked(&chunk), wanted);
        }
    }

    #[test]
    fn regular_samples_of_a_constant_take_two_bits() {
        let mut chunk = Chunk::default();
        (0..SAMPLES as i64).for_each(|i| chunk.push(i * 10_000, 1.0));
        assert!(chunk.bits.bytes().len() < 8 + 4 + SAMPLES / 4, "{} bytes", chunk.bits.bytes().len());
    }
}
