//! Says of a name which rule takes it, what it becomes, and why the rules before did not.
//!
//! Pure but for `main`, which writes for a person.

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;

use sightline_instrument::wire::label;

use super::line::Kind;
use super::mapping::MatchType;
use super::naming::{self, Action, Observer, Origin, Resolved, Rules};

/// `sightline explain`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// A metric's name as it is sent, with dots: prod.server1.kittenserver.handlers.list.timing
    pub name: String,
    /// The type it is sent as (c, g, ms, h, d, s); all of them when absent
    #[arg(long = "type", value_name = "TYPE", value_parser = kind)]
    pub kind: Option<Kind>,
    /// A tag that it carries, key:value; may be given many times
    #[arg(long = "tag", value_name = "KEY:VALUE", value_parser = tag)]
    pub tags: Vec<(String, String)>,
    /// A mapping file to try instead of the configured rules
    #[arg(long, value_name = "FILE")]
    pub mapping: Option<PathBuf>,
}

/// What happens to a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The name, as asked.
    pub name: String,
    /// The type, as asked.
    pub kind: Kind,
    /// Who takes it.
    pub taken_by: String,
    /// Why rules before that one did not.
    pub passed: Vec<String>,
    /// What it becomes.
    pub resolved: Resolved,
}

/// Explains `name` as a sample of type `kind` with `tags`.
pub fn run(rules: &Rules, name: &str, kind: Kind, tags: &[(&str, &str)]) -> Explanation {
    let resolved = naming::resolve(name, kind, tags, rules);
    let mut passed = Vec::new();
    if resolved.rule == Origin::Flat || resolved.rule == Origin::Convention {
        passed.extend(rules.mapping.as_ref().map(|mapping| {
            format!("none of the {} rules of {} matches", mapping.rules().len(), mapping.source())
        }));
    }
    if resolved.rule == Origin::Flat {
        passed.push(why_not_convention(rules, name, tags));
    }
    let taken_by = match resolved.rule {
        Origin::Mapping(index) => by_mapping(rules, index),
        Origin::Convention => {
            let form = if name.split('.').count() == 6 { "the whole name" } else { "four parts and tags" };
            format!("the convention ({form})")
        }
        Origin::Flat => "no rule: the name with '_' for what Prometheus does not allow".to_owned(),
    };
    Explanation { name: name.to_owned(), kind, taken_by, passed, resolved }
}

/// Explains what `args` ask for by `rules`, which `--mapping` overrides.
pub fn main(args: &Args, rules: Rules, out: &mut impl Write) -> Result<(), Failure> {
    let rules = match &args.mapping {
        Some(file) => rules.with_mapping(naming::source::read_file(file)?.into()),
        None => rules,
    };
    for note in rules.mapping.iter().flat_map(|mapping| &mapping.warnings) {
        writeln!(out, "warning: {note}")?;
    }
    let tags: Vec<(&str, &str)> = args.tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let kinds = match &args.kind {
        Some(kind) => std::slice::from_ref(kind),
        None => &[Kind::Counter, Kind::Gauge, Kind::Timer, Kind::Set],
    };
    for (index, &kind) in kinds.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        write!(out, "{}", run(&rules, &args.name, kind, &tags))?;
    }
    Ok(())
}

/// Why nothing was explained.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The mapping file has a mistake.
    #[error("{0}")]
    Mapping(#[from] super::mapping::Note),
    /// The terminal is gone.
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Resolved { action, family, labels, observer, ttl, scale, help, .. } = &self.resolved;
        writeln!(f, "{} as {}", self.name, long(self.kind))?;
        for reason in &self.passed {
            writeln!(f, "  passed   {reason}")?;
        }
        writeln!(f, "  taken by {}", self.taken_by)?;
        if *action == Action::Drop {
            let why = match scale {
                Some(scale) if *scale < 0.0 => "the rule's scale would turn a counter around",
                _ => "the rule drops it",
            };
            return writeln!(f, "  becomes  nothing: {why}");
        }
        if family.is_empty() {
            return writeln!(f, "  becomes  nothing: the rule's captures leave an empty name");
        }
        write!(f, "  becomes  {family}")?;
        for (index, (key, value)) in labels.iter().enumerate() {
            write!(f, "{}{key}={value:?}", if index == 0 { "{" } else { ", " })?;
        }
        writeln!(f, "{}", if labels.is_empty() { "" } else { "}" })?;
        writeln!(f, "  kept as  {}", kept_as(self.kind, observer))?;
        if let Some(scale) = scale {
            writeln!(f, "  scaled   by {scale}")?;
        }
        if let Some(ttl) = ttl {
            writeln!(f, "  ends     after {ttl:?} of silence")?;
        }
        if let Some(help) = help {
            writeln!(f, "  help     {help}")?;
        }
        Ok(())
    }
}

fn by_mapping(rules: &Rules, index: usize) -> String {
    let Some((mapping, rule)) = rules.mapping.as_ref().and_then(|m| Some((m, m.rules().get(index)?))) else {
        return format!("mapping rule {}", index + 1);
    };
    let place = match rule.place.line {
        0 => mapping.source().to_owned(),
        line => format!("{}:{line}", mapping.source()),
    };
    let how = match rule.match_type {
        MatchType::Glob => "glob",
        MatchType::Regex => "regex",
    };
    format!("mapping rule {} ({place}, {how} '{}')", index + 1, rule.matches)
}

fn why_not_convention(rules: &Rules, name: &str, tags: &[(&str, &str)]) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    let has = |key: &str| tags.iter().any(|(k, _)| *k == key);
    let why = match parts.as_slice() {
        _ if !rules.convention => "it is switched off".to_owned(),
        parts if parts.iter().any(|part| part.is_empty()) => "a part of the name is empty".to_owned(),
        [environment, _, _, _, _, _] => format!(
            "six parts, but '{environment}' is no known environment ({})",
            rules.environments.join(", ")
        ),
        [_, _, _, _] => {
            let missing: Vec<&str> =
                [label::ENVIRONMENT, label::HOST].into_iter().filter(|key| !has(key)).collect();
            let add: Vec<String> = missing.iter().map(|key| format!("--tag {key}:…")).collect();
            format!(
                "four parts, but without the {} {} (try {})",
                if missing.len() == 1 { "tag" } else { "tags" },
                missing.join(" and "),
                add.join(" ")
            )
        }
        parts => format!("{} parts; it takes six, or four with the tags environment and host", parts.len()),
    };
    format!("the convention does not apply: {why}")
}

fn kept_as(kind: Kind, observer: &Observer) -> String {
    match kind {
        Kind::Counter => "counter".to_owned(),
        Kind::Gauge => "gauge".to_owned(),
        Kind::Set => "gauge of distinct members".to_owned(),
        Kind::Timer | Kind::Histogram | Kind::Distribution => {
            let unit = if kind == Kind::Timer { " in seconds" } else { "" };
            match observer {
                Observer::Summary(options) => {
                    let quantiles: Vec<String> = options.quantiles.iter().map(|q| q.0.to_string()).collect();
                    format!("summary{unit}: quantiles {} over {:?}", quantiles.join(", "), options.max_age)
                }
                Observer::Histogram(options) => {
                    let buckets: Vec<String> = options.buckets.iter().map(f64::to_string).collect();
                    let native = match options.native_factor {
                        factor if factor > 1.0 => format!(", native by {factor}"),
                        _ => String::new(),
                    };
                    format!("histogram{unit}: buckets {}{native}", buckets.join(", "))
                }
            }
        }
    }
}

fn long(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter (c)",
        Kind::Gauge => "gauge (g)",
        Kind::Timer => "timer (ms)",
        Kind::Histogram => "histogram (h)",
        Kind::Distribution => "distribution (d)",
        Kind::Set => "set (s)",
    }
}

fn kind(text: &str) -> Result<Kind, String> {
    match text {
        "c" | "counter" => Ok(Kind::Counter),
        "g" | "gauge" => Ok(Kind::Gauge),
        "ms" | "timer" => Ok(Kind::Timer),
        "h" | "histogram" => Ok(Kind::Histogram),
        "d" | "distribution" => Ok(Kind::Distribution),
        "s" | "set" => Ok(Kind::Set),
        _ => Err("expected one of c, g, ms, h, d, s".to_owned()),
    }
}

fn tag(text: &str) -> Result<(String, String), String> {
    match text.split_once([':', '=']) {
        Some((key, value)) if !key.is_empty() && !value.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected key:value".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use clap::Parser;
    use expect_test::{Expect, expect};

    use super::{Args, main};
    use crate::metrics::mapping::Mapping;
    use crate::metrics::naming::Rules;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn check(mapping: &str, arguments: &[&str], expected: Expect) {
        let mut rules = Rules::default();
        if !mapping.is_empty() {
            rules = rules.with_mapping(Arc::new(Mapping::parse("m.yaml", mapping).unwrap()));
        }
        let cli = Cli::parse_from(std::iter::once("explain").chain(arguments.iter().copied()));
        let mut out = Vec::new();
        main(&cli.args, rules, &mut out).unwrap();
        expected.assert_eq(&String::from_utf8(out).unwrap());
    }

    #[test]
    fn a_name_of_the_convention() {
        check(
            "",
            &["prod.server1.kittenserver.handlers.list.ok", "--type", "c"],
            expect![[r#"
                prod.server1.kittenserver.handlers.list.ok as counter (c)
                  taken by the convention (the whole name)
                  becomes  instrument_outcomes_total{environment="prod", group="handlers", host="server1", outcome="ok", segment="list", service="kittenserver"}
                  kept as  counter
            "#]],
        );
    }

    #[test]
    fn a_foreign_name_says_why_it_is_one() {
        check(
            "",
            &["kittenserver.handlers.list.timing", "--type", "ms", "--tag", "host:h1"],
            expect![[r#"
                kittenserver.handlers.list.timing as timer (ms)
                  passed   the convention does not apply: four parts, but without the tag environment (try --tag environment:…)
                  taken by no rule: the name with '_' for what Prometheus does not allow
                  becomes  kittenserver_handlers_list_timing{host="h1"}
                  kept as  summary in seconds: quantiles 0.5, 0.9, 0.99 over 600s
            "#]],
        );
        check(
            "mappings: [{match: a, name: a}]",
            &["qa.h.s.g.s.ok", "--type", "g"],
            expect![[r#"
                qa.h.s.g.s.ok as gauge (g)
                  passed   none of the 1 rules of m.yaml matches
                  passed   the convention does not apply: six parts, but 'qa' is no known environment (dev, test, staging, prod, production)
                  taken by no rule: the name with '_' for what Prometheus does not allow
                  becomes  qa_h_s_g_s_ok
                  kept as  gauge
            "#]],
        );
    }

    #[test]
    fn a_rule_is_named_with_its_place() {
        let mapping = "
mappings:
- match: web.*.hits
  name: hits_total
  labels: {site: $1}
  scale: 10
  ttl: 1m
  help: Hits.
- match: ^web
  match_type: regex
  name: unused
  action: drop
";
        check(
            mapping,
            &["web.a.hits", "--type", "counter"],
            expect![[r#"
                web.a.hits as counter (c)
                  taken by mapping rule 1 (m.yaml:3, glob 'web.*.hits')
                  becomes  hits_total{site="a"}
                  kept as  counter
                  scaled   by 10
                  ends     after 60s of silence
                  help     Hits.
            "#]],
        );
        check(
            mapping,
            &["web.rest", "--type", "g"],
            expect![[r#"
                web.rest as gauge (g)
                  taken by mapping rule 2 (m.yaml:9, regex '^web')
                  becomes  nothing: the rule drops it
            "#]],
        );
    }

    #[test]
    fn without_a_type_every_type_is_explained() {
        let mut out = Vec::new();
        let cli = Cli::parse_from(["explain", "a.b"]);
        main(&cli.args, Rules::default(), &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        for word in ["(c)", "(g)", "(ms)", "(s)"] {
            assert_eq!(out.matches(word).count(), 1, "{out}");
        }
        assert!(Cli::try_parse_from(["explain", "a", "--type", "x"]).is_err());
        assert!(Cli::try_parse_from(["explain", "a", "--tag", "x"]).is_err());
    }
}
