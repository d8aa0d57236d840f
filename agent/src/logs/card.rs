//! Card numbers in a text: their length, the ranges of their issuers, their check digit.

/// Where a card number stands: 13 to 19 digits of a known issuer that pass their check, in one piece or in groups.
pub(super) fn find(text: &[u8]) -> Option<(usize, usize)> {
    let part = |b: &u8| b.is_ascii_digit() || matches!(b, b' ' | b'-');
    // Thirteen digits cannot hide between two looks that are thirteen bytes apart.
    let mut look = 12;
    while look < text.len() {
        if !part(&text[look]) {
            look += 13;
            continue;
        }
        let from = text[..look].iter().rposition(|b| !part(b)).map_or(0, |at| at + 1);
        let to = text[look..].iter().position(|b| !part(b)).map_or(text.len(), |at| look + at);
        if let Some(found) = within(text, from, to) {
            return Some(found);
        }
        look = to + 12;
    }
    None
}

fn within(text: &[u8], from: usize, to: usize) -> Option<(usize, usize)> {
    let run = &text[from..to];
    let first = run.iter().position(u8::is_ascii_digit)?;
    let last = run.iter().rposition(u8::is_ascii_digit)?;
    let run = &run[first..=last];
    let digits: Vec<u8> = run.iter().filter(|b| b.is_ascii_digit()).map(|b| b - b'0').collect();
    // Part of a longer word or number (a decimal, a hash) is no card.
    let beside = |at: Option<usize>| {
        at.and_then(|at| text.get(at)).is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_'))
    };
    let lone = !beside((from + first).checked_sub(1)) && !beside(Some(from + last + 1));
    (lone && grouped(run) && issued(&digits) && luhn(&digits)).then_some((from + first, from + last + 1))
}

/// One piece, or 4-4-4-4, or 4-6-5.
fn grouped(run: &[u8]) -> bool {
    let groups: Vec<usize> = run.split(|b| !b.is_ascii_digit()).map(<[u8]>::len).collect();
    matches!(&groups[..], [_] | [4, 4, 4, 4] | [4, 6, 5] | [4, 6, 4])
}

fn issued(digits: &[u8]) -> bool {
    let prefix = |n: usize| digits.iter().take(n).fold(0u32, |all, &d| all * 10 + u32::from(d));
    match digits.len() {
        13 | 19 => prefix(1) == 4 || (digits.len() == 19 && prefix(2) == 62),
        14 => matches!(prefix(3), 300..=305) || matches!(prefix(2), 36 | 38),
        15 => matches!(prefix(2), 34 | 37),
        16 => {
            prefix(1) == 4
                || matches!(prefix(2), 51..=55 | 62 | 65)
                || matches!(prefix(4), 2221..=2720 | 3528..=3589 | 6011)
                || matches!(prefix(3), 644..=649)
        }
        _ => false,
    }
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| match (place % 2, u32::from(digit) * 2) {
            (0, twice) => twice / 2,
            (_, twice) if twice > 9 => twice - 9,
            (_, twice) => twice,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn what_only_looks_like_a_card_stays() {
        for text in [
            "4111111111111112",
            "1795482123456",
            "trace 4bf92f3577b34da6a3ce929d0e0e4736",
            "4111111111111111000",
            "x4111111111111111",
            "0.4111111111111111",
            "2026-11-24 01:02:03 5 6",
            "41111111-1111-1111",
        ] {
            assert_eq!(find(text.as_bytes()), None, "{text}");
        }
        assert_eq!(find(b"\"a\":\"5555-5555-5555-4444\""), Some((5, 24)));
    }
}
