//! Reads the text format of `/metrics`: samples with their labels, exemplars, types and help. Pure; bytes in, items out.

/// What a line says.
#[derive(Debug, PartialEq)]
pub enum Item<'a> {
    Help { name: &'a str, help: String },
    Type { name: &'a str, kind: &'a str },
    Sample(Sample<'a>),
}

/// One sample; labels as they stand, unescaped.
#[derive(Debug, PartialEq)]
pub struct Sample<'a> {
    pub name: &'a str,
    pub labels: Vec<(&'a str, String)>,
    pub value: f64,
    /// As written: milliseconds in the classic format.
    pub time: Option<f64>,
    pub exemplar: Option<Exemplar<'a>>,
}

/// What stands behind `#` after a sample; the time is in seconds.
#[derive(Debug, PartialEq)]
pub struct Exemplar<'a> {
    pub labels: Vec<(&'a str, String)>,
    pub value: f64,
    pub time: Option<f64>,
}

/// Gives each item to `each`, in order. Lines that cannot be read are skipped; their number comes back.
pub fn parse<'a>(text: &'a str, each: &mut dyn FnMut(Item<'a>)) -> usize {
    let mut bad = 0;
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        if let Some(rest) = line.strip_prefix('#') {
            if let Some(item) = comment(rest.trim_start()) {
                each(item);
            }
            continue;
        }
        match sample(line) {
            Some(sample) => each(Item::Sample(sample)),
            None => bad += 1,
        }
    }
    bad
}

fn comment(rest: &str) -> Option<Item<'_>> {
    let (word, rest) = rest.split_once(' ')?;
    let (name, detail) = rest.trim_start().split_once(' ').unwrap_or((rest.trim(), ""));
    match word {
        "HELP" => Some(Item::Help { name, help: detail.replace("\\n", "\n").replace("\\\\", "\\") }),
        "TYPE" => Some(Item::Type { name, kind: detail.trim() }),
        _ => None,
    }
}

fn sample(line: &str) -> Option<Sample<'_>> {
    let end = line.find(|c: char| c == '{' || c.is_whitespace())?;
    let (name, rest) = line.split_at(end);
    if name.is_empty() {
        return None;
    }
    let (labels, rest) = labels(rest.trim_start())?;
    let (numbers, exemplar) = match rest.split_once(" # ") {
        Some((numbers, exemplar)) => (numbers, Some(exemplar)),
        None => (rest, None),
    };
    let (value, time) = value_and_time(numbers)?;
    let exemplar = match exemplar {
        Some(text) => {
            let (labels, rest) = self::labels(text.trim_start())?;
            let (value, time) = value_and_time(rest)?;
            Some(Exemplar { labels, value, time })
        }
        None => None,
    };
    Some(Sample { name, labels, value, time, exemplar })
}

fn value_and_time(text: &str) -> Option<(f64, Option<f64>)> {
    let mut words = text.split_whitespace();
    let value = words.next()?.parse().ok()?;
    let time = match words.next() {
        Some(word) => Some(word.parse().ok()?),
        None => None,
    };
    if words.next().is_some() { None } else { Some((value, time)) }
}

type Pairs<'a> = Vec<(&'a str, String)>;

/// `{a="b",…}` or nothing, and what follows.
fn labels(text: &str) -> Option<(Pairs<'_>, &str)> {
    let mut out = Vec::new();
    let Some(mut rest) = text.strip_prefix('{') else { return Some((out, text)) };
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return Some((out, after));
        }
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start().strip_prefix('"')?;
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next()? {
                (i, '"') => break i + 1,
                (_, '\\') => match chars.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, c) => value.push(c),
            }
        };
        out.push((name.trim(), value));
        rest = after[end..].trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str) -> (Vec<Item<'_>>, usize) {
        let mut out = Vec::new();
        let bad = parse(text, &mut |i| out.push(i));
        (out, bad)
    }

    fn plain<'a>(name: &'a str, labels: &[(&'a str, &str)], value: f64) -> Sample<'a> {
        let labels = labels.iter().map(|(n, v)| (*n, (*v).to_owned())).collect();
        Sample { name, labels, value, time: None, exemplar: None }
    }

    #[test]
    fn reads_samples_types_and_help() {
        let (found, bad) = items(
            "# HELP a Some \\n help.\n# TYPE a counter\na{b=\"c\\\"\\\\\\n\", d=\"}\"} 1 1700\na +Inf\n",
        );
        assert_eq!(bad, 0);
        assert_eq!(found[0], Item::Help { name: "a", help: "Some \n help.".into() });
        assert_eq!(found[1], Item::Type { name: "a", kind: "counter" });
        let timed = Sample { time: Some(1700.0), ..plain("a", &[("b", "c\"\\\n"), ("d", "}")], 1.0) };
        assert_eq!(found[2], Item::Sample(timed));
        assert_eq!(found[3], Item::Sample(plain("a", &[], f64::INFINITY)));
    }

    #[test]
    fn reads_exemplars() {
        let (found, _) = items("a_bucket{le=\"1\"} 3 # {trace_id=\"ff\"} 0.5 12.25");
        let Item::Sample(s) = &found[0] else { panic!() };
        let exemplar = Exemplar { labels: vec![("trace_id", "ff".into())], value: 0.5, time: Some(12.25) };
        assert_eq!(s.exemplar, Some(exemplar));
    }

    #[test]
    fn counts_what_it_cannot_read_and_goes_on() {
        let (found, bad) = items("a{b=\"c} 1\na{b} 1\na x\na\n1 2 3 4\nok 1\n# EOF\n");
        assert_eq!(bad, 5);
        assert_eq!(found, [Item::Sample(plain("ok", &[], 1.0))]);
    }
}
