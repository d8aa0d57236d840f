//! Record rules of the configuration: match a record, take texts apart, set, rename, remove, drop.
//!
//! Rules see the record as the client sent it (a plain line is `{"message": line}`); what they make of it is then
//! understood like anything else, so that an extracted `level` or `trace_id` finds its ECS name.

use std::collections::BTreeMap;

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::grok;
use super::redact::REDACTED;

/// One rule as it stands in the configuration. What is not given is not done; the order is that of the fields here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// Applies to records in which each of these fields (dotted paths) matches its regular expression. Empty: all.
    #[serde(rename = "match")]
    pub matches: BTreeMap<String, String>,
    /// Reads the field (a text holding a JSON object) and puts the object's members into the record.
    pub lift: Option<String>,
    /// Takes a text apart.
    pub extract: Option<Extract>,
    /// Gives fields a new name.
    pub rename: BTreeMap<String, String>,
    /// Gives fields a value; `${field}` in it stands for another field's.
    pub set: BTreeMap<String, String>,
    /// Blanks fields.
    pub redact: Vec<String>,
    /// Removes fields.
    pub remove: Vec<String>,
    /// Drops the record; it is counted.
    pub drop: bool,
}

/// How to take a text apart: a grok pattern or a regular expression with named groups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Extract {
    /// The text.
    pub field: String,
    /// `%{IP:source.ip} %{WORD:method}`
    pub grok: Option<String>,
    /// `(?P<level>\w+): (?P<message>.*)`
    pub regex: Option<String>,
}

/// Rules that are ready to be used.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<Compiled>,
}

#[derive(Debug)]
struct Compiled {
    rule: Rule,
    matches: Vec<(String, Regex)>,
    extract: Option<(String, grok::Pattern)>,
}

/// What the rules say about a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// No rule applied.
    Untouched,
    /// At least one did.
    Changed,
    /// The record is not wanted.
    Dropped,
}

impl Rules {
    /// Compiles; the error names the rule by its place, from 1.
    pub fn new(rules: &[Rule]) -> Result<Self, String> {
        let compiled = rules.iter().enumerate().map(|(index, rule)| {
            Compiled::new(rule).map_err(|reason| format!("logs.rules: rule {}: {reason}", index + 1))
        });
        Ok(Rules { rules: compiled.collect::<Result<_, _>>()? })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Applies all rules in order.
    pub fn apply(&self, record: &mut Map<String, Value>) -> Outcome {
        let mut outcome = Outcome::Untouched;
        for rule in &self.rules {
            if rule.applies(record) {
                outcome = Outcome::Changed;
                if rule.rule.drop {
                    return Outcome::Dropped;
                }
                rule.change(record);
            }
        }
        outcome
    }
}

impl Compiled {
    fn new(rule: &Rule) -> Result<Self, String> {
        let regex =
            |text: &str| Regex::new(text).map_err(|e| format!("'{text}' is not a regular expression: {e}"));
        let matches = rule.matches.iter().map(|(field, text)| Ok((field.clone(), regex(text)?)));
        let extract = match &rule.extract {
            None => None,
            Some(Extract { field, grok: Some(pattern), regex: None }) => {
                Some((field.clone(), grok::Pattern::grok(pattern)?))
            }
            Some(Extract { field, grok: None, regex: Some(text) }) => {
                Some((field.clone(), grok::Pattern::regex(regex(text)?)))
            }
            Some(_) => return Err("extract needs either grok or regex".into()),
        };
        Ok(Compiled { rule: rule.clone(), matches: matches.collect::<Result<_, String>>()?, extract })
    }

    fn applies(&self, record: &Map<String, Value>) -> bool {
        self.matches.iter().all(|(field, regex)| get(record, field).is_some_and(|v| regex.is_match(&text(v))))
            && self
                .extract
                .as_ref()
                .is_none_or(|(field, pattern)| get(record, field).is_some_and(|v| pattern.is_match(&text(v))))
    }

    fn change(&self, record: &mut Map<String, Value>) {
        if let Some(field) = &self.rule.lift
            && let Some(inner) =
                get(record, field).and_then(|v| serde_json::from_str::<Map<_, _>>(v.as_str()?).ok())
        {
            // Inner members win: the text is the original, the envelope around it is not.
            take(record, field);
            record.extend(inner);
        }
        if let Some((field, pattern)) = &self.extract
            && let Some(text) = get(record, field).map(text)
        {
            pattern.extract(&text, &mut |name, value| {
                record.insert(name.to_owned(), value);
            });
        }
        for (from, to) in &self.rule.rename {
            if let Some(value) = take(record, from) {
                record.insert(to.clone(), value);
            }
        }
        for (field, template) in &self.rule.set {
            let value = fill(template, record);
            take(record, field);
            record.insert(field.clone(), value.into());
        }
        for field in &self.rule.redact {
            if take(record, field).is_some() {
                record.insert(field.clone(), REDACTED.into());
            }
        }
        for field in &self.rule.remove {
            take(record, field);
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A field by its dotted path, whether its name has the dots or objects stand for them.
fn get<'a>(record: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    record.get(path).or_else(|| {
        path.match_indices('.')
            .find_map(|(dot, _)| get(record.get(&path[..dot])?.as_object()?, &path[dot + 1..]))
    })
}

fn take(record: &mut Map<String, Value>, path: &str) -> Option<Value> {
    if let Some(value) = record.remove(path) {
        return Some(value);
    }
    path.match_indices('.')
        .find_map(|(dot, _)| take(record.get_mut(&path[..dot])?.as_object_mut()?, &path[dot + 1..]))
}

fn fill(template: &str, record: &Map<String, Value>) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            out.push_str("${");
            rest = after;
            continue;
        };
        out.push_str(&get(record, name).map(text).unwrap_or_default());
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Rule, Rules};
    use serde_json::{Value, json};

    fn rules(json: Value) -> Rules {
        let rules: Vec<Rule> = serde_json::from_value(json).unwrap();
        Rules::new(&rules).unwrap()
    }

    fn applied(rules: &Rules, mut record: Value) -> (Outcome, Value) {
        let outcome = rules.apply(record.as_object_mut().unwrap());
        (outcome, record)
    }

    #[test]
    fn a_plain_line_is_taken_apart_and_renamed() {
        let rules = rules(json!([
            {"match": {"message": "^noise"}, "drop": true},
            {"extract": {"field": "message", "grok": "%{IP:ip} %{WORD:method} %{NUMBER:took:float} %{GREEDYDATA:message}"},
             "rename": {"ip": "source.ip"}, "set": {"service.name": "edge", "note": "${method} in ${took}"},
             "remove": ["took"]},
        ]));
        assert_eq!(
            applied(&rules, json!({"message": "10.0.0.1 GET 12.5 all well"})),
            (
                Outcome::Changed,
                json!({"source.ip": "10.0.0.1", "method": "GET", "message": "all well", "service.name": "edge",
                       "note": "GET in 12.5"})
            )
        );
        assert_eq!(applied(&rules, json!({"message": "noise"})).0, Outcome::Dropped);
        assert_eq!(applied(&rules, json!({"message": "other"})).0, Outcome::Untouched);
    }

    #[test]
    fn nested_json_is_lifted_and_paths_reach_into_objects() {
        let rules = rules(json!([
            {"match": {"kubernetes.pod": "^web"}, "lift": "message", "redact": ["user.email"], "remove": ["kubernetes.id"]},
        ]));
        assert_eq!(
            applied(
                &rules,
                json!({"message": "{\"level\":\"warn\",\"message\":\"in\"}", "user": {"email": "x"},
                       "kubernetes": {"pod": "web-1", "id": 7}})
            )
            .1,
            json!({"level": "warn", "message": "in", "user": {}, "user.email": "[redacted]",
                   "kubernetes": {"pod": "web-1"}})
        );
    }

    #[test]
    fn a_mistake_names_its_rule() {
        let broken: Vec<Rule> = serde_json::from_value(json!([{}, {"match": {"a": "("}}])).unwrap();
        let error = Rules::new(&broken).unwrap_err();
        assert!(error.starts_with("logs.rules: rule 2: '(' is not a regular expression"), "{error}");
    }
}
