//! Fields of protobuf messages, read where they lie. Messages of a stranger become no larger in memory than they came:
//! text is borrowed, and a list is built only of what has been looked at.

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Field<'a> {
    Number(u64),
    Fixed(u64),
    Short(u32),
    Bytes(&'a [u8]),
}

/// The bytes are no protobuf message, or not the one that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// The fields of a message in their order: tag and value.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Field<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.take();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or(Malformed))
    }
}

impl<'a> Fields<'a> {
    fn take(&mut self) -> Option<(u64, Field<'a>)> {
        let key = number(&mut self.0)?;
        let field = match key & 7 {
            0 => Field::Number(number(&mut self.0)?),
            1 => Field::Fixed(fixed(&mut self.0)?),
            2 => {
                let length = usize::try_from(number(&mut self.0)?).ok()?;
                let (bytes, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                Field::Bytes(bytes)
            }
            5 => {
                let (bytes, rest) = self.0.split_first_chunk()?;
                self.0 = rest;
                Field::Short(u32::from_le_bytes(*bytes))
            }
            _ => return None,
        };
        Some((key >> 3, field))
    }
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut out = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        out |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(out);
        }
    }
    None
}

fn fixed(bytes: &mut &[u8]) -> Option<u64> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u64::from_le_bytes(*taken))
}

impl<'a> Field<'a> {
    pub(super) fn bytes(self) -> Result<&'a [u8], Malformed> {
        if let Field::Bytes(bytes) = self { Ok(bytes) } else { Err(Malformed) }
    }

    pub(super) fn number(self) -> Result<u64, Malformed> {
        if let Field::Number(n) = self { Ok(n) } else { Err(Malformed) }
    }

    /// Of the type `int64`.
    pub(super) fn whole(self) -> Result<i64, Malformed> {
        self.number().map(|n| n as i64)
    }

    /// Of the type `sint32` or `sint64`.
    pub(super) fn signed(self) -> Result<i64, Malformed> {
        self.number().map(unzigzag)
    }

    pub(super) fn real(self) -> Result<f64, Malformed> {
        if let Field::Fixed(bits) = self { Ok(f64::from_bits(bits)) } else { Err(Malformed) }
    }

    /// A repeated number, packed or one by one; at most `most` in all.
    pub(super) fn numbers(self, most: usize, into: &mut Vec<u64>) -> Result<(), Malformed> {
        match self {
            Field::Number(n) => into.push(n),
            Field::Bytes(mut bytes) => {
                while !bytes.is_empty() && into.len() <= most {
                    into.push(number(&mut bytes).ok_or(Malformed)?);
                }
            }
            _ => return Err(Malformed),
        }
        Ok(())
    }

    /// A repeated `double`, packed or one by one; at most `most` in all.
    pub(super) fn reals(self, most: usize, into: &mut Vec<f64>) -> Result<(), Malformed> {
        match self {
            Field::Fixed(bits) => into.push(f64::from_bits(bits)),
            Field::Bytes(mut bytes) => {
                while !bytes.is_empty() && into.len() <= most {
                    into.push(f64::from_bits(fixed(&mut bytes).ok_or(Malformed)?));
                }
            }
            _ => return Err(Malformed),
        }
        Ok(())
    }
}

pub(super) fn unzigzag(z: u64) -> i64 {
    (z >> 1) as i64 ^ -((z & 1) as i64)
}
