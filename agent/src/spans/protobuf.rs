//! Reads protobuf without copying: fields one after the other, borrowed from the message.

/// The bytes are not the message they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid protobuf message")]
pub struct Malformed;

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// `int32`, `int64`, `uint32`, `uint64`, `bool`, enums.
    Varint(u64),
    /// `fixed64`, `double`.
    Fixed64(u64),
    /// `fixed32`, `float`.
    Fixed32(u32),
    /// `string`, `bytes`, messages.
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// A message, a string or bytes.
    pub fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed),
        }
    }

    /// A whole number of 64 bits, however it is written.
    pub fn number(self) -> Result<u64, Malformed> {
        match self {
            Value::Varint(n) | Value::Fixed64(n) => Ok(n),
            Value::Fixed32(n) => Ok(u64::from(n)),
            Value::Bytes(_) => Err(Malformed),
        }
    }
}

/// The fields of a message; ends after the first error.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

/// The fields of `message`.
pub fn fields(message: &[u8]) -> Fields<'_> {
    Fields { rest: message }
}

impl<'a> Fields<'a> {
    #[inline]
    fn field(&mut self) -> Result<(u32, Value<'a>), Malformed> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).map_err(|_| Malformed)?;
        if number == 0 {
            return Err(Malformed);
        }
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.take()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
                self.rest = rest;
                Value::Bytes(bytes)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.take()?)),
            // Groups were never part of the messages read here.
            _ => return Err(Malformed),
        };
        Ok((number, value))
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, Malformed> {
        if let [byte @ 0..=0x7f, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
        let mut value = 0u64;
        for (i, &byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                if i == 9 && byte > 1 {
                    return Err(Malformed);
                }
                self.rest = &self.rest[i + 1..];
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    #[inline]
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*bytes)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::{Malformed, Value, fields};
    use opentelemetry_proto::tonic::common::v1::KeyValue;
    use opentelemetry_proto::tonic::trace::v1::Span;
    use proptest::prelude::*;
    use prost::Message;

    proptest! {
        #[test]
        fn reads_what_prost_writes(name in ".*", start: u64, kind: i32, id: [u8; 16], key in ".*") {
            let span = Span {
                trace_id: id.to_vec(),
                name: name.clone(),
                kind,
                start_time_unix_nano: start,
                attributes: vec![KeyValue { key, ..KeyValue::default() }],
                ..Span::default()
            };
            let bytes = span.encode_to_vec();
            for field in fields(&bytes) {
                match field.unwrap() {
                    (1, value) => prop_assert_eq!(value, Value::Bytes(&id)),
                    (5, value) => prop_assert_eq!(value, Value::Bytes(name.as_bytes())),
                    (6, value) => prop_assert_eq!(value, Value::Varint(i64::from(kind) as u64)),
                    (7, value) => prop_assert_eq!(value, Value::Fixed64(start)),
                    (9, value) => prop_assert!(value.bytes().is_ok()),
                    other => prop_assert!(false, "{:?}", other),
                }
            }
        }

        #[test]
        fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            prop_assert!(fields(&bytes).count() <= 60);
        }
    }

    #[test]
    fn errors_end_the_message() {
        for bytes in [
            &[0x0a, 5, 1][..],
            &[0x0b],
            &[0x80],
            &[0x08],
            &[0x00, 1],
            &[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2],
        ] {
            assert_eq!(fields(bytes).last(), Some(Err(Malformed)), "{bytes:?}");
        }
    }
}
