//! As much of protobuf as spans need: their fields written into a buffer, and read back for `testing`.

/// Wire types.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// A text, bytes or a message within the message.
#[inline]
pub(crate) fn bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    varint(out, field << 3 | BYTES);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Bytes of a length that is known when this is compiled, and a field below 16: it comes down to a few moves.
#[inline(always)]
pub(crate) fn array<const N: usize>(out: &mut Vec<u8>, field: u8, bytes: &[u8; N]) {
    const { assert!(N < 128) };
    out.extend_from_slice(&[field << 3 | BYTES as u8, N as u8]);
    out.extend_from_slice(bytes);
}

#[inline]
pub(crate) fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3 | VARINT);
    varint(out, value);
}

#[inline]
pub(crate) fn fixed64(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3 | FIXED64);
    out.extend_from_slice(&value.to_le_bytes());
}

#[inline]
pub(crate) fn fixed32(out: &mut Vec<u8>, field: u64, value: u32) {
    varint(out, field << 3 | FIXED32);
    out.extend_from_slice(&value.to_le_bytes());
}

/// OpenTelemetry's `KeyValue` with a text (of UTF-8), as a field below 16.
#[inline(always)]
pub(crate) fn text(out: &mut Vec<u8>, field: u8, key: &str, value: &[u8]) {
    let (k, v) = (key.len(), value.len());
    // Nearly all are short: each length is one byte then.
    if k + v < 120 {
        let head = [field << 3 | BYTES as u8, (k + v + 6) as u8, 1 << 3 | BYTES as u8, k as u8];
        out.extend_from_slice(&head);
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(&[2 << 3 | BYTES as u8, v as u8 + 2, 1 << 3 | BYTES as u8, v as u8]);
        out.extend_from_slice(value);
    } else {
        long_text(out, field, key, value);
    }
}

#[cold]
fn long_text(out: &mut Vec<u8>, field: u8, key: &str, value: &[u8]) {
    let any = 1 + varint_len(value.len() as u64) + value.len();
    pair_head(out, field, key, any);
    bytes(out, 1, value);
}

/// `KeyValue` with a whole number.
#[inline(always)]
pub(crate) fn int(out: &mut Vec<u8>, field: u8, key: &str, value: i64) {
    let (k, v) = (key.len(), value as u64);
    if k < 100 && v < 1 << 14 {
        let long = usize::from(v > 127);
        let head = [field << 3 | BYTES as u8, (k + 6 + long) as u8, 1 << 3 | BYTES as u8, k as u8];
        out.extend_from_slice(&head);
        out.extend_from_slice(key.as_bytes());
        let value = [2 << 3 | BYTES as u8, 2 + long as u8, 3 << 3, v as u8 & 127, (v >> 7) as u8];
        if long == 0 {
            out.extend_from_slice(&value[..4]);
        } else {
            out.extend_from_slice(&[value[0], value[1], value[2], value[3] | 128, value[4]]);
        }
    } else {
        any_int(out, field, key, value);
    }
}

#[cold]
fn any_int(out: &mut Vec<u8>, field: u8, key: &str, value: i64) {
    pair_head(out, field, key, 1 + varint_len(value as u64));
    number(out, 3, value as u64);
}

/// A `KeyValue` up to its value's `AnyValue`, which takes `any` bytes.
#[inline]
fn pair_head(out: &mut Vec<u8>, field: u8, key: &str, any: usize) {
    let within = 1 + varint_len(key.len() as u64) + key.len() + 1 + varint_len(any as u64) + any;
    varint(out, u64::from(field) << 3 | BYTES);
    varint(out, within as u64);
    bytes(out, 1, key.as_bytes());
    varint(out, 2 << 3 | BYTES);
    varint(out, any as u64);
}

#[inline]
pub(crate) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 127 {
        out.push(value as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}

#[inline]
pub(crate) fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// A field as it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Reads a varint off the front.
pub(crate) fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 127) << shift;
        if byte & 128 == 0 {
            return Some(value);
        }
    }
    None
}

/// The fields of a message in their order; it ends where the message is damaged.
pub(crate) fn fields(mut rest: &[u8]) -> impl Iterator<Item = (u64, Value<'_>)> {
    std::iter::from_fn(move || {
        let tag = read_varint(&mut rest)?;
        let fixed = |rest: &mut &[u8], n: usize| {
            let (bytes, after) = rest.split_at_checked(n)?;
            *rest = after;
            let mut value = [0; 8];
            value[..n].copy_from_slice(bytes);
            Some(Value::Number(u64::from_le_bytes(value)))
        };
        let value = match tag & 7 {
            VARINT => Value::Number(read_varint(&mut rest)?),
            FIXED64 => fixed(&mut rest, 8)?,
            FIXED32 => fixed(&mut rest, 4)?,
            BYTES => {
                let length = usize::try_from(read_varint(&mut rest)?).ok()?;
                let (bytes, after) = rest.split_at_checked(length)?;
                rest = after;
                Value::Bytes(bytes)
            }
            _ => return None,
        };
        Some((tag >> 3, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_are_those_of_what_is_written() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::MAX] {
            let mut out = Vec::new();
            varint(&mut out, value);
            assert_eq!(out.len(), varint_len(value), "{value}");
            assert_eq!(read_varint(&mut &*out), Some(value));
        }
    }

    proptest! {
        #[test]
        fn pairs_of_any_length_are_read_as_they_were_written(key in "[a-z.]{1,200}", value in ".{0,200}", int in prop_oneof![any::<i64>(), 0i64..20_000]) {
            let mut out = Vec::new();
            text(&mut out, 9, &key, value.as_bytes());
            super::int(&mut out, 9, &key, int);
            let all: Vec<_> = fields(&out).collect();
            let pair = |at: usize| match all[at] {
                (9, Value::Bytes(pair)) => fields(pair).map(|f| f.1).collect::<Vec<_>>(),
                other => panic!("{other:?}"),
            };
            let [Value::Bytes(k), Value::Bytes(v)] = pair(0)[..] else { panic!("a pair") };
            prop_assert_eq!(k, key.as_bytes());
            prop_assert_eq!(fields(v).collect::<Vec<_>>(), [(1, Value::Bytes(value.as_bytes()))]);
            let [_, Value::Bytes(v)] = pair(1)[..] else { panic!("a pair") };
            prop_assert_eq!(fields(v).collect::<Vec<_>>(), [(3, Value::Number(int as u64))]);
        }

        #[test]
        fn nothing_that_is_read_panics(garbage in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = fields(&garbage).count();
        }
    }
}
