//! Numbers as expositions write them.

/// Appends a number: whole ones without a fraction, others with the fewest digits that read back the same.
pub fn write_number(out: &mut Vec<u8>, value: f64) {
    // Below 2^53 each whole number is exact.
    if value.trunc() == value && value.abs() < 9e15 {
        if value == 0.0 && value.is_sign_negative() {
            out.push(b'-');
        }
        out.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
    } else if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    }
}

/// Appends a bound or a quantile as OpenMetrics wants it: whole numbers with `.0`.
pub(super) fn write_float(out: &mut Vec<u8>, value: f64) {
    write_number(out, value);
    if value.trunc() == value && value.abs() < 9e15 {
        out.extend_from_slice(b".0");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (12.0, "12"),
            (0.001, "0.001"),
            (1e21, "1e21"),
            (f64::INFINITY, "+Inf"),
        ];
        for (value, text) in cases {
            let mut out = Vec::new();
            write_number(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    proptest! {
        #[test]
        fn numbers_read_back(value in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
            let mut out = Vec::new();
            write_number(&mut out, value);
            prop_assert_eq!(String::from_utf8(out).unwrap().parse::<f64>().unwrap(), value);
        }
    }
}
