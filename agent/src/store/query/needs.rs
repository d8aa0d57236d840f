//! What a regular expression over running text demands of the words in it. Pure.
//!
//! Two things are worth knowing before a text is read. Some expressions can match only inside one word
//! (`.*timeout.*`): the dictionary of words answers those. Of the others it is known which pieces of words each match
//! contains: only texts with such words have to be read.

use regex_syntax::hir::{Class, Hir, HirKind};

use crate::store::events::words::lower;

/// Shorter pieces are in nearly every text: looking for them costs more than it spares.
const SHORTEST: usize = 2;
/// Letters that are looked at one by one to see whether a class holds nothing else.
const MOST_LETTERS: u32 = 50_000;

/// How an expression is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Plan {
    /// A text matches exactly if one of its words, as it is written, contains a match of this expression.
    Word(String),
    /// A text can match only if its words meet this; none if nothing is known.
    Read(Option<Need>),
}

/// Of the words of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Need {
    /// All of these.
    All(Vec<Need>),
    /// One of these.
    Any(Vec<Need>),
    /// A word in lower case that contains this text; that begins or ends with it, if so it says.
    Piece { text: String, begins: bool, ends: bool },
}

/// Plans for an expression that has to match a whole text.
pub(super) fn plan(pattern: &str) -> Plan {
    let parsed = regex_syntax::ParserBuilder::new().dot_matches_new_line(true).build().parse(pattern);
    // Whoever compiles the pattern says what is wrong with it.
    let Ok(hir) = parsed else { return Plan::Read(None) };
    if let Some(inside) = inside_a_word(&hir) {
        return Plan::Word(inside.to_string());
    }
    // The expression is held to both ends of the text, where words begin and end.
    let mut items = vec![Item::Other];
    walk(&hir, &mut items);
    items.push(Item::Other);
    Plan::Read(needs(&items))
}

/// An expression that finds something in just those texts that `pattern` matches as a whole, cheaper to look for where
/// `pattern` begins or ends with `.*`; none where it does neither.
pub(super) fn loose(pattern: &str) -> Option<String> {
    let hir = regex_syntax::ParserBuilder::new().dot_matches_new_line(true).build().parse(pattern).ok()?;
    let HirKind::Concat(parts) = bare(&hir).kind() else { return None };
    let open = parts.first().is_some_and(is_anything);
    let rest = if open { &parts[1..] } else { &parts[..] };
    let close = rest.last().is_some_and(is_anything);
    let inside = if close { &rest[..rest.len() - 1] } else { rest };
    let (start, end) = (if open { "" } else { r"\A" }, if close { "" } else { r"\z" });
    (open || close).then(|| format!("{start}(?:{}){end}", Hir::concat(inside.to_vec())))
}

/// The middle of `.*middle.*`, if it matches letters and digits only and at least one.
fn inside_a_word(hir: &Hir) -> Option<Hir> {
    let HirKind::Concat(parts) = bare(hir).kind() else { return None };
    let [first, middle @ .., last] = parts.as_slice() else { return None };
    if !is_anything(first) || !is_anything(last) {
        return None;
    }
    let middle = Hir::concat(middle.to_vec());
    let properties = middle.properties();
    (properties.minimum_len().is_some_and(|least| least > 0)
        && properties.look_set().is_empty()
        && only_letters(&middle))
    .then_some(middle)
}

fn bare(hir: &Hir) -> &Hir {
    match hir.kind() {
        HirKind::Capture(capture) => bare(&capture.sub),
        _ => hir,
    }
}

fn is_anything(hir: &Hir) -> bool {
    let HirKind::Repetition(repetition) = bare(hir).kind() else { return false };
    let every = |class: &Class| match class {
        Class::Unicode(class) => class.iter().any(|range| range.start() == '\0' && range.end() == char::MAX),
        Class::Bytes(_) => false,
    };
    repetition.min == 0
        && repetition.max.is_none()
        && matches!(bare(&repetition.sub).kind(), HirKind::Class(class) if every(class))
}

fn only_letters(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Empty => true,
        HirKind::Look(_) => false,
        HirKind::Literal(literal) => {
            std::str::from_utf8(&literal.0).is_ok_and(|text| text.chars().all(char::is_alphanumeric))
        }
        HirKind::Class(class) => letters(class).is_some_and(|mut all| all.all(char::is_alphanumeric)),
        HirKind::Repetition(repetition) => only_letters(&repetition.sub),
        HirKind::Capture(capture) => only_letters(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().all(only_letters),
    }
}

/// The letters of a class, unless there are very many.
fn letters(class: &Class) -> Option<impl Iterator<Item = char>> {
    let Class::Unicode(class) = class else { return None };
    let count: u32 = class.iter().map(|range| range.len() as u32).sum();
    (count > 0 && count <= MOST_LETTERS).then(|| {
        class.iter().flat_map(|range| range.start()..=range.end()).collect::<Vec<char>>().into_iter()
    })
}

/// A piece of what every match consists of, in order.
#[derive(Debug, Clone)]
enum Item {
    /// A letter or digit, in lower case.
    Letter(String),
    /// Any character that is in no word.
    Other,
    /// What it is is not known, nor whether there is anything.
    Gap,
    /// The same, and this is needed of it.
    Needed(Need),
}

fn walk(hir: &Hir, items: &mut Vec<Item>) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) => items.extend(text.chars().map(item)),
            Err(_) => items.push(Item::Gap),
        },
        HirKind::Class(class) => items.push(one_of(class)),
        HirKind::Capture(capture) => walk(&capture.sub, items),
        HirKind::Concat(parts) => parts.iter().for_each(|part| walk(part, items)),
        HirKind::Repetition(repetition) => {
            items.push(Item::Gap);
            if repetition.min > 0 {
                items.extend(need_of(&repetition.sub).map(Item::Needed));
            }
            items.push(Item::Gap);
        }
        HirKind::Alternation(branches) => {
            let needs: Option<Vec<Need>> = branches.iter().map(need_of).collect();
            items.push(needs.map_or(Item::Gap, |needs| Item::Needed(Need::Any(needs))));
        }
    }
}

fn item(letter: char) -> Item {
    if letter.is_alphanumeric() { Item::Letter(lower(letter.encode_utf8(&mut [0; 4]))) } else { Item::Other }
}

/// A class that holds one letter in several forms is that letter; one without letters separates words.
fn one_of(class: &Class) -> Item {
    let Some(mut all) = letters(class) else { return Item::Gap };
    let Some(first) = all.next().map(item) else { return Item::Gap };
    let same = |other: Item| match (&first, &other) {
        (Item::Letter(a), Item::Letter(b)) => a == b,
        (Item::Other, Item::Other) => true,
        _ => false,
    };
    if all.map(item).all(same) { first } else { Item::Gap }
}

fn need_of(hir: &Hir) -> Option<Need> {
    let mut items = vec![Item::Gap];
    walk(hir, &mut items);
    items.push(Item::Gap);
    needs(&items)
}

/// The needs of items in a row, of which the first and the last are no letters.
fn needs(items: &[Item]) -> Option<Need> {
    let mut all = Vec::new();
    let mut at = 0;
    while at < items.len() {
        match &items[at] {
            Item::Needed(need) => all.push(need.clone()),
            Item::Letter(_) => {
                let start = at;
                let mut text = String::new();
                while let Some(Item::Letter(letter)) = items.get(at) {
                    text.push_str(letter);
                    at += 1;
                }
                let other = |item: Option<&Item>| matches!(item, Some(Item::Other));
                let begins = start.checked_sub(1).is_some_and(|before| other(items.get(before)));
                let ends = other(items.get(at));
                if text.chars().count() >= SHORTEST || (begins && ends) {
                    all.push(Need::Piece { text, begins, ends });
                }
                continue;
            }
            Item::Other | Item::Gap => {}
        }
        at += 1;
    }
    match all.len() {
        0 => None,
        1 => all.pop(),
        _ => Some(Need::All(all)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Need, Plan, loose, plan};

    fn show(need: &Need) -> String {
        let list = |sign: &str, needs: &[Need]| {
            format!("({})", needs.iter().map(show).collect::<Vec<_>>().join(sign))
        };
        match need {
            Need::All(needs) => list(" ", needs),
            Need::Any(needs) => list("|", needs),
            Need::Piece { text, begins, ends } => {
                format!("{}{text}{}", if *begins { "" } else { "*" }, if *ends { "" } else { "*" })
            }
        }
    }

    #[test]
    fn what_stands_for_anything_at_the_ends_is_not_looked_for() {
        for (pattern, expected) in [
            (".*timeout to.*", Some("(?:(?:timeout to))")),
            (".*[0-9]7", Some(r"(?:(?:[0-9]7))\z")),
            ("(GET .*)", Some(r"\A(?:(?:GET ))")),
            (".*", None),
            ("GET", None),
            (".*a|b", None),
            ("[^x]*a", None),
            (".+a", None),
        ] {
            assert_eq!(loose(pattern).as_deref(), expected, "{pattern}");
        }
    }

    #[test]
    fn expressions_are_planned() {
        for (pattern, expected) in [
            (".*timeout.*", "word (?:timeout)"),
            (".*(time|dead)line.*", "word "),
            (".*[0-9]{3}.*", "word [0-9]{3}"),
            ("(.*)Timeout(.*)", "word "),
            (r".*\w+.*", "read nothing"), // an underline is no letter
            (".*a?.*", "read nothing"),
            (r".*\bfoo\b.*", "read *foo*"),
            (r#".*"Method":"POST".*"#, "read (method post)"),
            ("time.*out", "read (time* *out)"),
            ("GET|POST", "read (*get*|*post*)"),
            ("GET /x", "read (get x)"),
            ("x GET", "read (x get)"),
            ("(?i).*refused.*", "word "),
            ("(?i).*kept on.*", "read (*kept on*)"),
            ("(?i).*uses on.*", "read on*"), // there is a third s, which is not in lower case
            (".* abc-*def .*", "read (abc* *def)"),
            (".* (abc)+ .*", "read *abc*"),
            (".* (abc)* .*", "read nothing"),
            ("(?s-u:.)*x", "read nothing"),
            ("((", "read nothing"),
        ] {
            let shown = match plan(pattern) {
                Plan::Word(inside) => format!("word {inside}"),
                Plan::Read(need) => {
                    format!("read {}", need.as_ref().map_or("nothing".to_owned(), show))
                }
            };
            assert!(
                if expected.ends_with(' ') { shown.starts_with(expected) } else { shown == expected },
                "{pattern}: {shown}, not {expected}"
            );
        }
    }
}
