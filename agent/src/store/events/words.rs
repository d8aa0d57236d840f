//! Running text into the words that are indexed, and what an expression needs to know beside them.
//!
//! A word is a run of letters and digits, in lower case. Text that expressions look at gets two more kinds of term, each
//! beginning with a sign that no word has: a word that is not in lower case is kept as it is written too, and a text of
//! which not all words are indexed says so. With them the dictionary alone can answer what would otherwise be read.

use tantivy::Index;
use tantivy::tokenizer::{TextAnalyzer, Token, TokenStream, Tokenizer};

/// Name of the tokenizer for text that is found by word only.
pub(crate) const WORDS: &str = "words";
/// Name of the tokenizer for text that expressions look at.
pub(crate) const WRITTEN: &str = "written";
/// What a term begins with that is not a word in lower case: a word as it was written, or, alone, the note that words
/// of this text are missing.
pub(crate) const MARK: char = '\u{1}';
/// Words longer than this are left out: they are data, not words.
const LONGEST_WORD: usize = 200;
/// Bytes of a text that are indexed.
const LONGEST_TEXT: usize = 256 * 1024;

/// Registers the tokenizers that the schema names.
pub(crate) fn register(index: &Index) {
    index.tokenizers().register(WORDS, TextAnalyzer::from(Words { written: false, token: Token::default() }));
    index
        .tokenizers()
        .register(WRITTEN, TextAnalyzer::from(Words { written: true, token: Token::default() }));
}

/// The words of `text` as they are indexed.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut tokenizer = Words { written: false, token: Token::default() };
    let mut stream = tokenizer.token_stream(text);
    let mut words = Vec::new();
    while stream.advance() {
        words.push(stream.token().text.clone());
    }
    words
}

/// `text` in lower case, letter by letter.
pub(crate) fn lower(text: &str) -> String {
    if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        text.chars().flat_map(char::to_lowercase).collect()
    }
}

#[derive(Clone)]
struct Words {
    written: bool,
    token: Token,
}

impl Tokenizer for Words {
    type TokenStream<'a> = Stream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Stream<'a> {
        self.token.reset();
        let shown = cut(text, LONGEST_TEXT);
        Stream {
            text: shown,
            at: 0,
            written: self.written,
            again: false,
            missing: shown.len() < text.len(),
            token: &mut self.token,
        }
    }
}

struct Stream<'a> {
    text: &'a str,
    at: usize,
    written: bool,
    /// The word of the last token comes again as it is written.
    again: bool,
    /// Something was left out and it has not been said yet.
    missing: bool,
    token: &'a mut Token,
}

impl Stream<'_> {
    /// The next run of letters and digits, if it is no longer than a word may be.
    fn next_word(&mut self) -> Option<(usize, usize)> {
        loop {
            let rest = &self.text[self.at..];
            let start = self.at + rest.find(char::is_alphanumeric)?;
            let run = &self.text[start..];
            let end = run.find(|c: char| !c.is_alphanumeric()).map_or(self.text.len(), |n| start + n);
            self.at = end;
            if end - start < LONGEST_WORD {
                return Some((start, end));
            }
            self.missing = true;
            self.token.position = self.token.position.wrapping_add(1);
        }
    }
}

impl TokenStream for Stream<'_> {
    fn advance(&mut self) -> bool {
        self.token.text.clear();
        if std::mem::take(&mut self.again) {
            self.token.text.push(MARK);
            self.token.text.push_str(&self.text[self.token.offset_from..self.token.offset_to]);
            return true;
        }
        if let Some((start, end)) = self.next_word() {
            let word = &self.text[start..end];
            self.token.position = self.token.position.wrapping_add(1);
            (self.token.offset_from, self.token.offset_to) = (start, end);
            if word.is_ascii() {
                self.token.text.push_str(word);
                self.token.text.make_ascii_lowercase();
            } else {
                self.token.text.extend(word.chars().flat_map(char::to_lowercase));
            }
            self.again = self.written && self.token.text != word;
            return true;
        }
        if self.written && std::mem::take(&mut self.missing) {
            self.token.position = self.token.position.wrapping_add(1);
            self.token.text.push(MARK);
            return true;
        }
        false
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

    use super::{LONGEST_TEXT, LONGEST_WORD, Words, words};

    fn written(text: &str) -> Vec<(String, usize)> {
        let mut tokenizer = Words { written: true, token: Token::default() };
        let mut stream = tokenizer.token_stream(text);
        let mut all = Vec::new();
        while stream.advance() {
            all.push((stream.token().text.clone(), stream.token().position));
        }
        all
    }

    #[test]
    fn words_are_runs_of_letters_and_digits_in_lower_case() {
        assert_eq!(
            words("Connection REFUSED by db-1: İx, ΟΔΟΣ!"),
            ["connection", "refused", "by", "db", "1", "i\u{307}x", "οδοσ"]
        );
        assert_eq!(words("-- \u{1} --"), Vec::<String>::new());
    }

    #[test]
    fn what_is_written_otherwise_and_what_is_missing_is_said() {
        let of = |list: &[(&str, usize)]| -> Vec<(String, usize)> {
            list.iter().map(|(text, at)| ((*text).to_owned(), *at)).collect()
        };
        assert_eq!(written("Get it"), of(&[("get", 0), ("\u{1}Get", 0), ("it", 1)]));
        let long = "x".repeat(LONGEST_WORD);
        assert_eq!(written(&format!("a {long} b")), of(&[("a", 0), ("b", 2), ("\u{1}", 3)]));
        let mut text = "y ".repeat(LONGEST_TEXT / 2);
        assert_eq!(written(&text).len(), LONGEST_TEXT / 2);
        text.push('z');
        assert_eq!(written(&text).last(), of(&[("\u{1}", LONGEST_TEXT / 2)]).last());
    }
}
