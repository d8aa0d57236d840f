//! Finds the rule for a name among regular expressions, which come after the globs, in order and unanchored.
//!
//! Mapping files are written in Go's dialect (RE2); `translate` says the same thing in that of the `regex` crate.

use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use super::Slot;

/// Compiled programs of all rules together stay under this; a file that needs more is matched rule by rule.
const SET_LIMIT: usize = 32 << 20;

/// The rules of one file that match by regular expression.
#[derive(Debug, Clone, Default)]
pub(super) struct Regexes {
    rules: Vec<One>,
    /// All at once: most names match none, and one pass says so.
    set: Option<RegexSet>,
}

#[derive(Debug, Clone)]
struct One {
    regex: Regex,
    slots: Vec<Slot>,
    rule: u32,
}

impl Regexes {
    /// Adds `pattern`, in Go's dialect, as rule number `rule`. The error is the reason alone.
    pub(super) fn add(&mut self, pattern: &str, slots: &[Slot], rule: u32) -> Result<(), String> {
        let regex = RegexBuilder::new(&translate(pattern)).octal(true).build().map_err(|e| reason(&e))?;
        self.rules.push(One { regex, slots: slots.to_vec(), rule });
        Ok(())
    }

    /// Compiles what was added into one pass.
    pub(super) fn seal(&mut self) {
        self.set = RegexSetBuilder::new(self.rules.iter().map(|one| one.regex.as_str()))
            .octal(true)
            .size_limit(SET_LIMIT)
            .build()
            .ok();
    }

    /// The number of the rule that takes `name`, and what it captured.
    pub(super) fn find<'n>(&self, name: &'n str, slot: Slot) -> Option<(u32, regex::Captures<'n>)> {
        let captured = |one: &One| {
            one.slots.contains(&slot).then(|| one.regex.captures(name).map(|found| (one.rule, found)))?
        };
        match &self.set {
            Some(set) => set.matches(name).into_iter().find_map(|index| captured(&self.rules[index])),
            None => self.rules.iter().find_map(captured),
        }
    }
}

/// The last line of the engine's message says what is wrong; those above draw the pattern.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// Go's dialect in ours: `\d`, `\w`, `\s` and `\b` mean ASCII, `{` may be itself, and inside a class `[`, `&`
/// and `~` have no meaning of their own.
fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    let mut class = false;
    let mut class_start = false;
    while let Some(c) = rest.chars().next() {
        let first = std::mem::replace(&mut class_start, false);
        let used = match c {
            '\\' => escape(rest, class, &mut out),
            '[' if !class => {
                class = true;
                class_start = true;
                let used = if rest[1..].starts_with('^') { 2 } else { 1 };
                out.push_str(&rest[..used]);
                used
            }
            '[' if rest.starts_with("[:") && rest.contains(":]") => {
                let used = rest.find(":]").map_or(1, |at| at + 2);
                out.push_str(&rest[..used]);
                used
            }
            '[' | '&' | '~' if class => {
                out.push('\\');
                out.push(c);
                1
            }
            ']' if class && !first => {
                class = false;
                out.push(c);
                1
            }
            ']' if class => {
                out.push_str("\\]");
                1
            }
            '{' if !class && !is_repetition(rest) => {
                out.push_str("\\{");
                1
            }
            _ => {
                out.push(c);
                c.len_utf8()
            }
        };
        rest = &rest[used..];
    }
    out
}

/// Writes the escape that `rest` begins with, and says how long it was.
fn escape(rest: &str, class: bool, out: &mut String) -> usize {
    let Some(c) = rest[1..].chars().next() else {
        out.push('\\');
        return 1;
    };
    match c {
        'd' => out.push_str("[0-9]"),
        'D' => out.push_str("[^0-9]"),
        'w' => out.push_str("[0-9A-Za-z_]"),
        'W' => out.push_str("[^0-9A-Za-z_]"),
        's' => out.push_str("[\\t\\n\\f\\r ]"),
        'S' => out.push_str("[^\\t\\n\\f\\r ]"),
        'b' if !class => out.push_str("(?-u:\\b)"),
        'Q' if !class => {
            let quoted = &rest[2..];
            let end = quoted.find("\\E");
            out.push_str(&regex::escape(&quoted[..end.unwrap_or(quoted.len())]));
            return end.map_or(rest.len(), |end| end + 4);
        }
        // Braces after these belong to them.
        'p' | 'P' | 'x' if rest[2..].starts_with('{') => {
            let used = rest.find('}').map_or(rest.len(), |at| at + 1);
            out.push_str(&rest[..used]);
            return used;
        }
        _ => {
            out.push('\\');
            out.push(c);
        }
    }
    1 + c.len_utf8()
}

/// Whether `rest` begins with `{2}`, `{2,}` or `{2,5}`.
fn is_repetition(rest: &str) -> bool {
    let Some(body) = rest[1..].split('}').next().filter(|body| rest.len() > body.len() + 1) else {
        return false;
    };
    let (low, high) = body.split_once(',').unwrap_or((body, ""));
    !low.is_empty() && low.bytes().chain(high.bytes()).all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::{Regexes, translate};
    use crate::metrics::mapping::Slot;
    use regex::Regex;

    #[test]
    fn the_first_in_order_wins_unanchored() {
        let mut r = Regexes::default();
        r.add(r"foo\.(\w+)", &Slot::ALL, 3).unwrap();
        r.add(r"o\.(.*)", &Slot::ALL, 5).unwrap();
        r.add(r"^b", &[Slot::Gauge], 7).unwrap();
        for sealed in [false, true] {
            if sealed {
                r.seal();
            }
            let (rule, found) = r.find("a.foo.bar.x", Slot::Counter).unwrap();
            assert_eq!((rule, &found[0], &found[1]), (3, "foo.bar", "bar"));
            assert_eq!(r.find("hello.x", Slot::Counter).unwrap().0, 5);
            assert!(r.find("bar", Slot::Counter).is_none());
            assert_eq!(r.find("bar", Slot::Gauge).unwrap().0, 7);
        }
    }

    #[test]
    fn says_what_is_wrong_in_one_line() {
        let error = Regexes::default().add("a(b", &Slot::ALL, 0).unwrap_err();
        assert_eq!(error, "unclosed group");
    }

    #[test]
    fn speaks_the_dialect_of_go() {
        let cases = [
            (r"^\w+$", "ab_9", true),
            (r"^\w+$", "é", false),
            (r"^\d$", "٣", false),
            (r"^[\w.-]+$", "a.b-c", true),
            (r"^[\w-.]+$", "a.b-c", true),
            (r"^[[]x$", "[x", true),
            (r"^[a&&b]+$", "&a&b", true),
            (r"^[]a]+$", "]a", true),
            (r"^[^]a]$", "b", true),
            (r"^[[:alpha:]_]+$", "ab_", true),
            (r"^a{$", "a{", true),
            (r"^a{,2}$", "a{,2}", true),
            (r"^a{2}$", "aa", true),
            (r"^a{1,2}b{2,}$", "aabb", true),
            (r"^\Qa.b\E.c$", "a.bxc", true),
            (r"^\x{41}\pL$", "Ab", true),
            (r"^\p{Greek}$", "α", true),
            (r"^\101$", "A", true),
            (r"\bfoo\b", "a.foo.b", true),
            (r"\bfoo\b", "éfoo", true),
            (r"^(?P<job>x)(?i)A$", "xa", true),
        ];
        for (pattern, text, matches) in cases {
            let translated = translate(pattern);
            let regex = regex::RegexBuilder::new(&translated).octal(true).build();
            let regex: Regex = regex.unwrap_or_else(|e| panic!("{pattern} -> {translated}: {e}"));
            assert_eq!(regex.is_match(text), matches, "{pattern} -> {translated} on {text}");
        }
    }

    #[test]
    fn no_pattern_breaks_the_translation() {
        for pattern in ["\\", "[", "[^", "[\\", "{", "\\Q", "\\p{", "[[:", "é[é\\é", "\\é", "{1", "{é}"]
        {
            let _ = Regexes::default().add(pattern, &Slot::ALL, 0);
        }
    }
}
