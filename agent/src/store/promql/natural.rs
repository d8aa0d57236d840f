//! The order in which people count: digits within text compare as numbers.
use std::cmp::Ordering;

pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        match (a.first(), b.first()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let (x, y) = (digits(a), digits(b));
                let (xs, ys) = (trimmed(&a[..x]), trimmed(&b[..y]));
                let order = xs.len().cmp(&ys.len()).then_with(|| xs.cmp(ys)).then_with(|| x.cmp(&y));
                if order != Ordering::Equal {
                    return order;
                }
                (a, b) = (&a[x..], &b[y..]);
            }
            (Some(x), Some(y)) => {
                if x != y {
                    return x.cmp(y);
                }
                (a, b) = (&a[1..], &b[1..]);
            }
        }
    }
}

fn digits(s: &[u8]) -> usize {
    s.iter().take_while(|b| b.is_ascii_digit()).count()
}

fn trimmed(s: &[u8]) -> &[u8] {
    &s[s.iter().take_while(|b| **b == b'0').count()..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_compare_as_numbers() {
        assert_eq!(compare("cpu2", "cpu10"), Ordering::Less);
        assert_eq!(compare("a", "b"), Ordering::Less);
        assert_eq!(compare("1.9", "1.10"), Ordering::Less);
        assert_eq!(compare("x", "x"), Ordering::Equal);
    }
}
