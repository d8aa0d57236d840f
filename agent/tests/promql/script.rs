//! The commands of a test file.
use sightline_agent::store::metrics::labels::Labels;
use sightline_agent::store::promql::Sample;

pub(crate) enum Command {
    Clear,
    Load { step: i64, nhcb: bool, lines: Vec<String> },
    Eval(Eval),
}

pub(crate) struct Eval {
    pub(crate) line: usize,
    pub(crate) query: String,
    /// Start, end, step; start = end for an instant.
    pub(crate) times: (i64, i64, i64),
    pub(crate) instant: bool,
    pub(crate) expect: Expect,
}

#[derive(Default)]
pub(crate) struct Expect {
    pub(crate) fail: Option<Text>,
    pub(crate) warn: Option<Text>,
    pub(crate) info: Option<Text>,
    pub(crate) no_warn: bool,
    pub(crate) no_info: bool,
    pub(crate) ordered: bool,
    pub(crate) string: Option<String>,
    /// The result is a range vector with these times.
    pub(crate) range_vector: Option<(i64, i64, i64)>,
    pub(crate) scalar: Option<f64>,
    pub(crate) series: Vec<(Labels, Vec<Sample>)>,
}

/// What a message has to be.
pub(crate) enum Text {
    Any,
    Exact(String),
    Pattern(String),
}

impl Text {
    pub(crate) fn fits(&self, message: &str) -> bool {
        match self {
            Text::Any => true,
            Text::Exact(text) => message == text,
            Text::Pattern(p) => regex::Regex::new(p).unwrap().is_match(message),
        }
    }
}

pub(crate) fn duration(text: &str) -> i64 {
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds * 1000.0).round() as i64;
    }
    if let Some(rest) = text.strip_prefix('-') {
        return -duration(rest);
    }
    const UNITS: [(&str, i64); 7] = [
        ("ms", 1),
        ("s", 1000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
        ("w", 604_800_000),
        ("y", 31_536_000_000),
    ];
    let (mut total, mut rest) = (0, text);
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or_else(|| panic!("not a duration: {text}"));
        let count: f64 = rest[..digits].parse().unwrap();
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = UNITS
            .iter()
            .find(|(u, _)| *u == &rest[..letters])
            .unwrap_or_else(|| panic!("not a duration: {text}"));
        total += (count * unit.1 as f64) as i64;
        rest = &rest[letters..];
    }
    total
}

pub(crate) fn parse(text: &str) -> Vec<Command> {
    let lines: Vec<&str> =
        text.lines().map(str::trim).map(|l| if l.starts_with('#') { "" } else { l }).collect();
    let mut out = Vec::new();
    let mut i = 0;
    while i < lines.len() {
        let line = lines[i];
        let number = i + 1;
        i += 1;
        if line.is_empty() {
            continue;
        }
        let mut block = Vec::new();
        if line != "clear" {
            while i < lines.len() && !lines[i].is_empty() {
                block.push(lines[i]);
                i += 1;
            }
        }
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match word {
            "clear" => out.push(Command::Clear),
            "load" | "load_with_nhcb" => out.push(Command::Load {
                step: duration(rest.trim()),
                nhcb: word == "load_with_nhcb",
                lines: block.into_iter().map(str::to_owned).collect(),
            }),
            _ if word.starts_with("eval") => out.push(Command::Eval(eval(number, word, rest.trim(), &block))),
            _ => panic!("line {number}: unknown command {line:?}"),
        }
    }
    out
}

fn eval(line: usize, word: &str, rest: &str, block: &[&str]) -> Eval {
    let mut expect = Expect {
        ordered: word == "eval_ordered",
        fail: (word == "eval_fail").then_some(Text::Any),
        warn: (word == "eval_warn").then_some(Text::Any),
        info: (word == "eval_info").then_some(Text::Any),
        ..Expect::default()
    };
    let (kind, rest) = rest.split_once(char::is_whitespace).unwrap();
    let instant = kind == "instant";
    let (times, query) = if instant {
        let rest = rest.trim().strip_prefix("at").unwrap().trim();
        let (at, query) = rest.split_once(char::is_whitespace).unwrap();
        ((duration(at), duration(at), 1), query.trim())
    } else {
        let mut words = rest.trim().splitn(7, char::is_whitespace);
        let mut next = || words.next().unwrap();
        next();
        let from = duration(next());
        next();
        let to = duration(next());
        next();
        let step = duration(next());
        ((from, to, step), next().trim())
    };
    for text in block {
        expectation(text, &mut expect, instant);
    }
    Eval { line, query: query.to_owned(), times, instant, expect }
}

fn expectation(text: &str, expect: &mut Expect, instant: bool) {
    let Some(rest) = text.strip_prefix("expect ") else {
        return value(text, expect, instant);
    };
    let (word, detail) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let detail = detail.trim();
    let message = || match (detail.strip_prefix("msg:"), detail.strip_prefix("regex:")) {
        (Some(m), _) => Text::Exact(m.trim().to_owned()),
        (_, Some(m)) => Text::Pattern(m.trim().to_owned()),
        _ => Text::Any,
    };
    match word {
        "fail" => expect.fail = Some(message()),
        "warn" => expect.warn = Some(message()),
        "info" => expect.info = Some(message()),
        "no_warn" => expect.no_warn = true,
        "no_info" => expect.no_info = true,
        "ordered" => expect.ordered = true,
        "string" => expect.string = Some(detail[1..detail.len() - 1].to_owned()),
        "range" => {
            let words: Vec<&str> = detail.split_whitespace().collect();
            expect.range_vector = Some((duration(words[2]), duration(words[4]), duration(words[6])));
        }
        _ => panic!("unknown expectation {text:?}"),
    }
}

fn value(text: &str, expect: &mut Expect, instant: bool) {
    if let Some(message) = text.strip_prefix("expected_fail_message ") {
        expect.fail = Some(Text::Exact(message.trim().to_owned()));
        return;
    }
    if let Some(pattern) = text.strip_prefix("expected_fail_regexp ") {
        expect.fail = Some(Text::Pattern(pattern.trim().to_owned()));
        return;
    }
    if instant && let Some(v) = super::series::number(text) {
        expect.scalar = Some(v);
        return;
    }
    expect.series.push(super::series::parse(text));
}
