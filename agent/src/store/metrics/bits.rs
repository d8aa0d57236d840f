//! A stream of bits, for what packs numbers into fewer than eight of them. Reading past the end gives zeros.

#[derive(Debug, Default, Clone)]
pub(crate) struct Bits {
    bytes: Vec<u8>,
    /// Bits used of the last byte, 0 if it is full.
    used: u8,
}

impl Bits {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of memory.
    pub(crate) fn held(&self) -> usize {
        self.bytes.capacity()
    }

    /// Releases what was reserved for growth.
    pub(crate) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// A change of the distance between two times: mostly none.
    pub(crate) fn write_step(&mut self, change: i64) {
        match zigzag(change) {
            0 => self.write(0, 1),
            z if z < 1 << 7 => self.write(0b10 << 7 | z, 9),
            z if z < 1 << 12 => self.write(0b110 << 12 | z, 15),
            z if z < 1 << 20 => self.write(0b1110 << 20 | z, 24),
            z => {
                self.write(0b1111, 4);
                self.write(z, 64);
            }
        }
    }

    /// A change of a count: mostly none, often small.
    pub(crate) fn write_change(&mut self, change: i64) {
        // What one class holds, the next one need not.
        match zigzag(change) {
            0 => self.write(0, 1),
            z if z <= 2 => self.write(0b10 << 1 | (z - 1), 3),
            z if z <= 10 => self.write(0b110 << 3 | (z - 3), 6),
            z if z <= 74 => self.write(0b1110 << 6 | (z - 11), 10),
            z if z <= 1098 => self.write(0b1_1110 << 10 | (z - 75), 15),
            z => {
                self.write(0b1_1111, 5);
                self.write(z, 64);
            }
        }
    }

    /// A number of any size, small ones in a byte.
    pub(crate) fn write_number(&mut self, mut v: u64) {
        while v >= 0x80 {
            self.write(v & 0x7f | 0x80, 8);
            v >>= 7;
        }
        self.write(v, 8);
    }

    pub(crate) fn write_signed(&mut self, v: i64) {
        self.write_number(zigzag(v));
    }

    /// What changed in the bits of a real number.
    pub(crate) fn write_real(&mut self, before: f64, now: f64) {
        let change = before.to_bits() ^ now.to_bits();
        if change == 0 {
            self.write(0, 1);
            return;
        }
        let (leading, trailing) = (change.leading_zeros() as u8, change.trailing_zeros() as u8);
        let width = 64 - leading - trailing;
        self.write(1, 1);
        self.write(u64::from(leading), 6);
        self.write(u64::from(width - 1), 6);
        self.write(change >> trailing, width);
    }

    pub(crate) fn write(&mut self, value: u64, width: u8) {
        let mut left = width;
        while left > 0 {
            if self.used == 0 {
                self.bytes.push(0);
            }
            let room = 8 - self.used;
            let take = room.min(left);
            let part = (value >> (left - take)) & ((1 << take) - 1);
            if let Some(last) = self.bytes.last_mut() {
                *last |= (part as u8) << (room - take);
            }
            self.used = (self.used + take) % 8;
            left -= take;
        }
    }
}

pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0 }
    }

    /// Bits that are left.
    pub(crate) fn left(&self) -> usize {
        (self.bytes.len() * 8).saturating_sub(self.at)
    }

    pub(crate) fn step(&mut self) -> i64 {
        unzigzag(match self.ones(4) {
            0 => 0,
            1 => self.read(7),
            2 => self.read(12),
            3 => self.read(20),
            _ => self.read(64),
        })
    }

    pub(crate) fn change(&mut self) -> i64 {
        unzigzag(match self.ones(5) {
            0 => 0,
            1 => self.read(1) + 1,
            2 => self.read(3) + 3,
            3 => self.read(6) + 11,
            4 => self.read(10) + 75,
            _ => self.read(64),
        })
    }

    pub(crate) fn number(&mut self) -> u64 {
        let mut out = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.read(8);
            out |= (byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        out
    }

    pub(crate) fn signed(&mut self) -> i64 {
        unzigzag(self.number())
    }

    pub(crate) fn real(&mut self, before: f64) -> f64 {
        if self.read(1) == 0 {
            return before;
        }
        let leading = self.read(6) as u8;
        let width = self.read(6) as u8 + 1;
        // Damage may claim more than 64 bits; it then means nothing, and must not stop anything.
        let shift = 64u8.saturating_sub(leading).saturating_sub(width);
        f64::from_bits(before.to_bits() ^ self.read(width).wrapping_shl(u32::from(shift)))
    }

    pub(crate) fn read(&mut self, width: u8) -> u64 {
        let mut out = 0u64;
        let mut left = width;
        while left > 0 {
            let byte = self.bytes.get(self.at / 8).copied().unwrap_or(0);
            let room = 8 - (self.at % 8) as u8;
            let take = room.min(left);
            let part = (byte >> (room - take)) & (((1u16 << take) - 1) as u8);
            out = if take == 64 { u64::from(part) } else { out << take | u64::from(part) };
            self.at += usize::from(take);
            left -= take;
        }
        out
    }

    /// Ones before the next zero, at most `most`; the zero is taken, too.
    pub(crate) fn ones(&mut self, most: u8) -> u8 {
        for n in 0..most {
            if self.read(1) == 0 {
                return n;
            }
        }
        most
    }
}

fn zigzag(v: i64) -> u64 {
    ((v << 1) ^ (v >> 63)) as u64
}

fn unzigzag(z: u64) -> i64 {
    (z >> 1) as i64 ^ -((z & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn gives_back_what_it_took(list in prop::collection::vec((any::<i64>(), any::<u64>(), 0u8..60), 1..50)) {
            let mut bits = Bits::default();
            let mut before = 0.0;
            for (signed, any, shift) in &list {
                bits.write_step(signed >> shift);
                bits.write_change(signed >> shift);
                bits.write_number(any >> shift);
                bits.write_signed(*signed);
                let real = f64::from_bits(*any);
                bits.write_real(before, real);
                before = real;
            }
            let mut reader = Reader::new(bits.bytes());
            let mut before = 0.0;
            for (signed, any, shift) in &list {
                prop_assert_eq!(reader.step(), signed >> shift);
                prop_assert_eq!(reader.change(), signed >> shift);
                prop_assert_eq!(reader.number(), any >> shift);
                prop_assert_eq!(reader.signed(), *signed);
                before = reader.real(before);
                prop_assert_eq!(before.to_bits(), *any);
            }
            prop_assert!(reader.left() < 8);
        }
    }
}
