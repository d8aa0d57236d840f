//! Query text to tokens with their places. Pure; an error is a token that cannot end.

use super::QueryError;

/// What the parser sees.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A bare word with its escapes kept, and whether it holds an unescaped `*` or `?`.
    Word {
        raw: String,
        wild: bool,
    },
    /// `"…"`, unescaped, with the number after `~`.
    Phrase {
        text: String,
        slop: u32,
    },
    /// `/…/`
    Regex(String),
    /// A word directly followed by `:`
    Field(String),
    Open,
    Close,
    /// `[` (true) or `{`
    RangeOpen(bool),
    /// `]` (true) or `}`
    RangeClose(bool),
    /// `>`, `>=`, `<`, `<=` directly before a value.
    Compare(&'static str),
    And,
    Or,
    Not,
    Plus,
    Minus,
}

/// A token and the number of characters before it.
pub(super) type Placed = (Token, usize);

/// Splits `text` into tokens.
pub(super) fn lex(text: &str) -> Result<Vec<Placed>, QueryError> {
    Lexer { chars: text.chars().collect(), at: 0, in_range: false, out: Vec::new() }.run()
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    in_range: bool,
    out: Vec<Placed>,
}

impl Lexer {
    fn run(mut self) -> Result<Vec<Placed>, QueryError> {
        while let Some(&c) = self.chars.get(self.at) {
            let start = self.at;
            match c {
                c if c.is_whitespace() => self.at += 1,
                '(' => self.single(Token::Open),
                ')' => self.single(Token::Close),
                '[' | '{' => {
                    self.in_range = true;
                    self.single(Token::RangeOpen(c == '['));
                }
                ']' | '}' if self.in_range => {
                    self.in_range = false;
                    self.single(Token::RangeClose(c == ']'));
                }
                '"' => self.phrase()?,
                '/' if !self.in_range && self.regex_end().is_some() => self.regex(),
                '+' => self.single(Token::Plus),
                '-' if !self.in_range => self.single(Token::Minus),
                '!' if self.peek(1) != Some('=') => self.single(Token::Not),
                '>' | '<' => {
                    let or_equal = self.peek(1) == Some('=');
                    let token = match (c, or_equal) {
                        ('>', false) => ">",
                        ('>', true) => ">=",
                        ('<', false) => "<",
                        _ => "<=",
                    };
                    self.at += 1 + usize::from(or_equal);
                    self.out.push((Token::Compare(token), start));
                }
                '&' if self.peek(1) == Some('&') => self.double(Token::And),
                '|' if self.peek(1) == Some('|') => self.double(Token::Or),
                '^' => self.boost()?,
                _ => self.word()?,
            }
        }
        Ok(self.out)
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn single(&mut self, token: Token) {
        self.out.push((token, self.at));
        self.at += 1;
    }

    fn double(&mut self, token: Token) {
        self.out.push((token, self.at));
        self.at += 2;
    }

    /// `^2` raises a score in Lucene. Results here are ordered by time, so it is read and has no effect.
    fn boost(&mut self) -> Result<(), QueryError> {
        let start = self.at;
        self.at += 1;
        let digits = self.digits();
        if digits.is_empty() {
            return Err(QueryError::new(
                start,
                "expected a number after `^`; write `\\^` for the character itself",
            ));
        }
        Ok(())
    }

    fn digits(&mut self) -> String {
        let mut digits = String::new();
        while let Some(c) = self.peek(0).filter(|c| c.is_ascii_digit() || *c == '.') {
            digits.push(c);
            self.at += 1;
        }
        digits
    }

    fn phrase(&mut self) -> Result<(), QueryError> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.peek(0) {
                None => return Err(QueryError::new(start, "this quotation mark is never closed")),
                Some('"') => break,
                Some('\\') if self.peek(1).is_some() => {
                    text.extend(self.peek(1));
                    self.at += 2;
                }
                Some(c) => {
                    text.push(c);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        let mut slop = 0;
        if self.peek(0) == Some('~') {
            self.at += 1;
            let place = self.at;
            slop = self.digits().parse().map_err(|_| {
                QueryError::new(place, "expected a whole number of moves after `~`, as in \"a b\"~3")
            })?;
        }
        if self.peek(0) == Some(':') {
            self.at += 1;
            self.out.push((Token::Field(text), start));
        } else {
            self.out.push((Token::Phrase { text, slop }, start));
        }
        Ok(())
    }

    /// Where the regular expression that begins here ends. A slash only begins one if a second slash ends the word,
    /// so that `url.path:/api/v1` stays a path.
    fn regex_end(&self) -> Option<usize> {
        let mut at = self.at + 1;
        while let Some(&c) = self.chars.get(at) {
            match c {
                '\\' => at += 1,
                '/' => match self.chars.get(at + 1) {
                    None | Some(')') => return Some(at),
                    Some(next) if next.is_whitespace() => return Some(at),
                    Some(_) => {}
                },
                _ => {}
            }
            at += 1;
        }
        None
    }

    fn regex(&mut self) {
        let start = self.at;
        let Some(end) = self.regex_end() else { return };
        let mut pattern = String::new();
        let mut inner = self.chars[start + 1..end].iter().peekable();
        while let Some(&c) = inner.next() {
            // `\/` only protects the slash from ending the expression.
            if c == '\\' && inner.peek() == Some(&&'/') {
                continue;
            }
            pattern.push(c);
        }
        self.out.push((Token::Regex(pattern), start));
        self.at = end + 1;
    }

    fn word(&mut self) -> Result<(), QueryError> {
        let start = self.at;
        let mut raw = String::new();
        let mut wild = false;
        let after_field = matches!(self.out.last(), Some((Token::Field(_), _)));
        while let Some(c) = self.peek(0) {
            match c {
                '\\' => {
                    let Some(next) = self.peek(1) else {
                        return Err(QueryError::new(self.at, "expected a character after `\\`"));
                    };
                    raw.push('\\');
                    raw.push(next);
                    self.at += 2;
                    continue;
                }
                c if c.is_whitespace() => break,
                '(' | ')' | '"' => break,
                ']' | '}' if self.in_range => break,
                '^' => break,
                '~' => {
                    return Err(QueryError::new(
                        self.at,
                        "fuzzy search (`word~`) is not supported; use a wildcard (`wor*`) or escape it (`\\~`)",
                    ));
                }
                ':' if !self.in_range && !after_field && self.starts_value(self.at + 1) => {
                    self.at += 1;
                    self.out.push((Token::Field(unescape(&raw)), start));
                    return Ok(());
                }
                '*' | '?' => wild = true,
                _ => {}
            }
            raw.push(c);
            self.at += 1;
        }
        let token = match raw.as_str() {
            "AND" => Token::And,
            "OR" => Token::Or,
            "NOT" => Token::Not,
            _ => Token::Word { raw, wild },
        };
        self.out.push((token, start));
        Ok(())
    }

    /// `http://…` is a word; `field:` before anything else is a field.
    fn starts_value(&self, at: usize) -> bool {
        !(self.chars.get(at) == Some(&'/') && self.chars.get(at + 1) == Some(&'/'))
    }
}

/// Removes the backslashes that protect characters.
pub(super) fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}
