//! Reads the Prometheus text format 0.0.4: for expectations in tests, and for the agent's own metrics on their way
//! to remote write.

use std::collections::BTreeMap;
use std::fmt;

/// One sample line.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Name, with `_bucket`, `_sum`, … where it has one.
    pub name: String,
    /// Labels by ascending key, unescaped.
    pub labels: Vec<(String, String)>,
    /// Value.
    pub value: f64,
}

/// A whole exposition.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exposition {
    /// Words of `# TYPE` lines by metric.
    pub types: BTreeMap<String, String>,
    /// Texts of `# HELP` lines by metric, unescaped.
    pub helps: BTreeMap<String, String>,
    /// Samples in the order of the text.
    pub samples: Vec<Sample>,
}

/// A line that is none of the format's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct Error {
    /// From 1.
    pub line: usize,
    /// What is wrong.
    pub reason: &'static str,
}

impl Exposition {
    /// Reads a whole text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut out = Exposition::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if let Some(comment) = line.strip_prefix('#') {
                let mut words = comment.trim_start().splitn(3, ' ');
                match (words.next(), words.next(), words.next()) {
                    (Some("TYPE"), Some(name), Some(kind)) => {
                        out.types.insert(name.to_owned(), kind.trim().to_owned());
                    }
                    (Some("HELP"), Some(name), text) => {
                        out.helps.insert(name.to_owned(), unescape(text.unwrap_or_default()));
                    }
                    _ => {}
                }
            } else if !line.is_empty() {
                let sample = Sample::parse(line).map_err(|reason| Error { line: index + 1, reason })?;
                out.samples.push(sample);
            }
        }
        Ok(out)
    }

    /// The type of the metric that the sample `name` belongs to.
    pub fn type_of(&self, name: &str) -> Option<(&str, &str)> {
        let of = |metric: &str| self.types.get_key_value(metric).map(|(k, v)| (k.as_str(), v.as_str()));
        of(name).or_else(|| {
            ["_bucket", "_sum", "_count"].iter().find_map(|suffix| {
                of(name.strip_suffix(suffix)?)
                    .filter(|(_, kind)| *kind == "histogram" || (*kind == "summary" && *suffix != "_bucket"))
            })
        })
    }
}

impl Sample {
    /// Reads `name{key="value",…} 1.5`, with or without a timestamp behind it, which is left out.
    pub fn parse(line: &str) -> Result<Self, &'static str> {
        let end = line.find(['{', ' ', '\t']).ok_or("a value is missing")?;
        let (name, mut rest) = line.split_at(end);
        if !is_name(name, true) {
            return Err("this is no metric name");
        }
        let mut labels = Vec::new();
        rest = rest.trim_start();
        if let Some(body) = rest.strip_prefix('{') {
            rest = body.trim_start();
            while !rest.starts_with('}') {
                let (key, after) = rest.split_once('=').ok_or("a label lacks its '='")?;
                let key = key.trim();
                if !is_name(key, false) {
                    return Err("this is no label name");
                }
                let after = after.trim_start().strip_prefix('"').ok_or("a label's value lacks its quotes")?;
                let end = closing_quote(after).ok_or("a label's value does not end")?;
                labels.push((key.to_owned(), unescape(&after[..end])));
                rest = after[end + 1..].trim_start();
                rest = match rest.strip_prefix(',') {
                    Some(more) => more.trim_start(),
                    None if rest.starts_with('}') => rest,
                    None => return Err("labels lack a ',' or '}'"),
                };
            }
            rest = &rest[1..];
        }
        labels.sort();
        let mut words = rest.split_ascii_whitespace();
        let value = words.next().and_then(number).ok_or("the value is no number")?;
        if words.nth(1).is_some() {
            return Err("there is something behind the value");
        }
        Ok(Sample { name: name.to_owned(), labels, value })
    }

    /// Name and labels as they are written.
    pub fn series(&self) -> String {
        let mut out = self.name.clone();
        for (index, (key, value)) in self.labels.iter().enumerate() {
            out.push(if index == 0 { '{' } else { ',' });
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            out.push_str(&format!("{key}=\"{value}\""));
        }
        if !self.labels.is_empty() {
            out.push('}');
        }
        out
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.series(), self.value)
    }
}

/// Where the text inside quotes ends.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|b| {
        let ends = b == b'"' && !escaped;
        escaped = b == b'\\' && !escaped;
        ends
    })
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some(c @ ('\\' | '"')) => out.push(c),
                Some(c) => out.extend(['\\', c]),
                None => out.push('\\'),
            },
            c => out.push(c),
        }
    }
    out
}

fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        text => text.parse().ok(),
    }
}

fn is_name(name: &str, colons: bool) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || (colons && b == b':'))
}

#[cfg(test)]
mod tests {
    use super::{Exposition, Sample};

    #[test]
    fn reads_what_it_writes() {
        for line in [
            "a 1",
            "a:b 1.5",
            "a{b=\"c\"} 2",
            "a{b=\"c d\",e=\"\"} 1000",
            r#"a{b="q\"u\\o\nte"} 3"#,
            "a NaN",
            "a{le=\"+Inf\"} inf",
        ] {
            assert_eq!(Sample::parse(line).unwrap().to_string(), line);
        }
        let spaced = Sample::parse("a { z = \"1\" , b=\"2\", } 4 1700000000000").unwrap();
        assert_eq!(spaced.to_string(), "a{b=\"2\",z=\"1\"} 4");
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        for (line, reason) in [
            ("a", "a value is missing"),
            ("1a 1", "this is no metric name"),
            ("a{b} 1", "a label lacks its '='"),
            ("a{1=\"\"} 1", "this is no label name"),
            ("a{b=c} 1", "a label's value lacks its quotes"),
            ("a{b=\"c} 1", "a label's value does not end"),
            ("a{b=\"c\"d} 1", "labels lack a ',' or '}'"),
            ("a{b=\"c\"", "labels lack a ',' or '}'"),
            ("a x", "the value is no number"),
            ("a 1 2 3", "there is something behind the value"),
        ] {
            assert_eq!(Sample::parse(line).unwrap_err(), reason, "{line}");
        }
        assert_eq!(Exposition::parse("a 1\n\nb\n").unwrap_err().to_string(), "line 3: a value is missing");
    }

    #[test]
    fn knows_the_type_behind_a_suffix() {
        let text = "# HELP h A\\nhistogram.\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n\
                    # TYPE s summary\ns_bucket 1\n# TYPE c_sum counter\nc_sum 1\n";
        let all = Exposition::parse(text).unwrap();
        assert_eq!((all.samples.len(), all.helps["h"].as_str()), (5, "A\nhistogram."));
        assert_eq!(all.type_of("h_bucket"), Some(("h", "histogram")));
        assert_eq!(all.type_of("s_bucket"), None);
        assert_eq!(all.type_of("c_sum"), Some(("c_sum", "counter")));
    }
}
