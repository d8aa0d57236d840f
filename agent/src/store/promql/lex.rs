//! PromQL text to tokens. Knows no grammar beyond the brackets, in which `:` separates instead of naming.
use super::error::ParseError;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tok {
    Number(f64),
    /// Milliseconds of a literal such as `1h30m`.
    Duration(i64),
    Str(String),
    Ident(String),
    /// Punctuation and operators: `( ) { } [ ] , : @ + - * / % ^ = == != =~ !~ < <= > >= </ >/`
    Op(&'static str),
    End,
}

#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) tok: Tok,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

const OPS: [&str; 26] = [
    "==", "!=", "=~", "!~", "<=", ">=", "</", ">/", "(", ")", "{", "}", "[", "]", ",", ":", "@", "+", "-",
    "*", "/", "%", "^", "=", "<", ">",
];

pub(crate) fn lex(text: &str) -> Result<Vec<Token>, ParseError> {
    let mut out = Vec::new();
    let (mut at, mut brackets) = (0usize, 0usize);
    while at < text.len() {
        let rest = &text[at..];
        let first = rest.chars().next().unwrap_or(' ');
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        if first == '#' {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        let (tok, len) = if first.is_ascii_digit()
            || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit()))
        {
            number(rest).map_err(|m| ParseError::at(text, at, m))?
        } else if matches!(first, '"' | '\'' | '`') {
            string(rest).map_err(|m| ParseError::at(text, at, m))?
        } else if first.is_ascii_alphabetic() || first == '_' || (first == ':' && brackets == 0) {
            let colon = brackets == 0;
            let len = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || (c == ':' && colon)))
                .unwrap_or(rest.len());
            (word(&rest[..len]), len)
        } else if let Some(op) = OPS.iter().find(|op| rest.starts_with(**op)) {
            match *op {
                "[" => brackets += 1,
                "]" => brackets = brackets.saturating_sub(1),
                _ => {}
            }
            (Tok::Op(op), op.len())
        } else if first == '!' {
            let next: String = rest.chars().skip(1).take(1).collect();
            return Err(ParseError::at(text, at, format!("unexpected character after '!': {next:?}")));
        } else {
            return Err(ParseError::at(text, at, format!("unexpected character: {first:?}")));
        };
        out.push(Token { tok, start: at, end: at + len });
        at += len;
    }
    out.push(Token { tok: Tok::End, start: text.len(), end: text.len() });
    Ok(out)
}

fn word(word: &str) -> Tok {
    if word.eq_ignore_ascii_case("inf") {
        Tok::Number(f64::INFINITY)
    } else if word.eq_ignore_ascii_case("nan") {
        Tok::Number(f64::NAN)
    } else {
        Tok::Ident(word.to_owned())
    }
}

fn number(text: &str) -> Result<(Tok, usize), String> {
    let run = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_')).unwrap_or(text.len());
    let mut body = &text[..run];
    if let Some(ms) = duration_ms(body) {
        return ms.map(|ms| (Tok::Duration(ms), run));
    }
    let mut len = run;
    // An exponent's sign is not part of the run.
    if !is_hex(body) && body.ends_with(['e', 'E']) && text[run..].starts_with(['+', '-']) {
        let digits =
            text[run + 1..].find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len() - run - 1);
        if digits > 0 {
            len = run + 1 + digits;
            body = &text[..len];
        }
    }
    parse_number(body)
        .map(|v| (Tok::Number(v), len))
        .ok_or_else(|| format!("bad number or duration syntax: {body:?}"))
}

fn is_hex(body: &str) -> bool {
    body.starts_with("0x") || body.starts_with("0X")
}

/// A number as Go's parser takes it: decimal, `0x` hexadecimal, leading-zero octal, `_` between digits.
pub(crate) fn parse_number(body: &str) -> Option<f64> {
    let plain: String = body.chars().filter(|c| *c != '_').collect();
    if is_hex(&plain) {
        return u64::from_str_radix(&plain[2..], 16).ok().map(|v| v as f64);
    }
    if plain.len() > 1 && plain.starts_with('0') && plain.bytes().all(|b| b.is_ascii_digit()) {
        return u64::from_str_radix(&plain, 8).ok().map(|v| v as f64).or_else(|| plain.parse().ok());
    }
    if !plain.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-')) {
        return None;
    }
    plain.parse().ok()
}

/// `1h30m` and the like in milliseconds; `None` if the text is no duration, an error if it is a bad one.
pub(crate) fn duration_ms(text: &str) -> Option<Result<i64, String>> {
    const UNITS: [(&str, i64); 7] = [
        ("y", 365 * 86_400_000),
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    let (mut rest, mut total, mut next_unit) = (text, 0i64, 0usize);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|n| *n > 0)?;
        let count: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = UNITS.iter().position(|(u, _)| *u == &rest[..letters])?;
        if unit < next_unit {
            return Some(Err(format!("bad number or duration syntax: {text:?}")));
        }
        next_unit = unit + 1;
        total = match count.checked_mul(UNITS[unit].1).and_then(|ms| total.checked_add(ms)) {
            Some(total) => total,
            None => return Some(Err("duration out of range".into())),
        };
        rest = &rest[letters..];
    }
    Some(Ok(total))
}

fn string(text: &str) -> Result<(Tok, usize), String> {
    let mut chars = text.char_indices();
    let Some((_, quote)) = chars.next() else { return Err("unterminated quoted string".into()) };
    let mut bytes: Vec<u8> = Vec::new();
    while let Some((i, c)) = chars.next() {
        if c == quote {
            let value = String::from_utf8(bytes).map_err(|_| "string is not valid UTF-8".to_owned())?;
            return Ok((Tok::Str(value), i + c.len_utf8()));
        }
        if quote == '`' || c != '\\' {
            if c == '\n' && quote != '`' {
                return Err("unterminated quoted string".into());
            }
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let Some((j, esc)) = chars.next() else { break };
        let simple = match esc {
            'a' => Some(7),
            'b' => Some(8),
            'f' => Some(12),
            'n' => Some(b'\n'),
            'r' => Some(b'\r'),
            't' => Some(b'\t'),
            'v' => Some(11),
            '\\' => Some(b'\\'),
            '\'' | '"' if esc == quote => Some(esc as u8),
            _ => None,
        };
        if let Some(b) = simple {
            bytes.push(b);
            continue;
        }
        let (from, digits, radix) = match esc {
            'x' => (j + 1, 2, 16),
            'u' => (j + 1, 4, 16),
            'U' => (j + 1, 8, 16),
            '0'..='7' => (j, 3, 8),
            _ => return Err(format!("unknown escape sequence {:?}", format!("\\{esc}"))),
        };
        let code = text
            .get(from..from + digits)
            .and_then(|h| u32::from_str_radix(h, radix).ok())
            .ok_or_else(|| "bad escape sequence in string".to_owned())?;
        if matches!(esc, 'u' | 'U') {
            let c = char::from_u32(code).ok_or("escape sequence is an invalid Unicode code point")?;
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            bytes.push(u8::try_from(code).map_err(|_| "octal escape value > 255".to_owned())?);
        }
        while chars.clone().next().is_some_and(|(k, _)| k < from + digits) {
            chars.next();
        }
    }
    Err("unterminated quoted string".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Tok {
        lex(text).unwrap()[0].tok.clone()
    }

    #[test]
    fn numbers_and_durations() {
        assert_eq!(one("1e-3"), Tok::Number(1e-3));
        assert_eq!(one(".5"), Tok::Number(0.5));
        assert_eq!(one("0x1F"), Tok::Number(31.0));
        assert_eq!(one("010"), Tok::Number(8.0));
        assert_eq!(one("1_000"), Tok::Number(1000.0));
        assert_eq!(one("1h30m"), Tok::Duration(5_400_000));
        assert_eq!(one("5ms"), Tok::Duration(5));
        assert!(lex("1m1h").is_err());
        assert!(lex("5mm").is_err());
    }

    #[test]
    fn strings_with_escapes() {
        assert_eq!(one(r#""a\n\x41\u00e9\101""#), Tok::Str("a\nAéA".into()));
        assert_eq!(one(r"`\n`"), Tok::Str(r"\n".into()));
        assert!(lex("\"abc").is_err());
        assert!(lex(r#""\q""#).is_err());
    }

    #[test]
    fn colon_names_outside_brackets_and_separates_inside() {
        assert_eq!(one("a:b"), Tok::Ident("a:b".into()));
        let inside = lex("[5m:1m]").unwrap();
        assert_eq!(inside[2].tok, Tok::Op(":"));
    }
}
