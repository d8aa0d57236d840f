//! From a mapping file as typed to rules that can match, or to what is wrong with it and where.

use std::sync::Arc;
use std::time::Duration;

use serde_saphyr::Spanned;

use super::file::{Entry, File, Placed};
use super::glob::{self, Globs};
use super::options::{self, Defaults};
use super::regexes::Regexes;
use super::template::Template;
use super::{Mapping, MatchType, Note, Place, Rule, Slot, duration};

/// Where notes come from and go to while a file is read.
pub(super) struct Context<'s> {
    source: &'s str,
    /// The rule or section at hand, for values without a place of their own.
    pub(super) here: Place,
    warnings: Vec<Note>,
}

impl Context<'_> {
    pub(super) fn error(&self, place: Place, text: impl Into<String>) -> Note {
        Note { source: self.source.to_owned(), place, text: text.into() }
    }

    pub(super) fn warn(&mut self, place: Place, text: impl Into<String>) {
        let note = self.error(place, text);
        self.warnings.push(note);
    }

    /// Where `value` stands, or else the rule that it belongs to.
    pub(super) fn place<T>(&self, value: &Spanned<T>) -> Place {
        match value.referenced.line() {
            0 => self.here,
            line => Place { line, column: value.referenced.column() },
        }
    }

    /// Reads a duration in Go's form.
    pub(super) fn duration(&mut self, key: &str, value: &Placed) -> Result<Duration, Note> {
        let place = self.place(value);
        if let Some(duration) = duration::parse(&value.value) {
            return Ok(duration);
        }
        if let Ok(nanos) = value.value.parse::<u64>() {
            self.warn(
                place,
                format!("{key}: {nanos} has no unit and counts nanoseconds, as in statsd_exporter; write '{nanos}s' for seconds"),
            );
            return Ok(Duration::from_nanos(nanos));
        }
        Err(self
            .error(place, format!("{key}: '{}' is not a duration such as 30s, 10m or 1h30m", value.value)))
    }

    /// One of `words`, or an error that lists them.
    pub(super) fn word<T: Copy>(&self, key: &str, value: &Placed, words: &[(&str, T)]) -> Result<T, Note> {
        words.iter().find(|(word, _)| *word == value.value).map(|&(_, meaning)| meaning).ok_or_else(|| {
            let known: Vec<&str> =
                words.iter().map(|(word, _)| *word).filter(|word| !word.is_empty()).collect();
            self.error(
                self.place(value),
                format!("{key}: '{}' is not one of {}", value.value, known.join(", ")),
            )
        })
    }
}

/// Reads YAML.
pub(super) fn parse(source: &str, text: &str) -> Result<File, Note> {
    if text.lines().all(|line| matches!(line.trim(), "" | "---") || line.trim_start().starts_with('#')) {
        return Ok(File::default());
    }
    serde_saphyr::from_str(text).map_err(|error| {
        let error = error.without_snippet();
        let place =
            error.location().map_or(Place::default(), |at| Place { line: at.line(), column: at.column() });
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or(&message);
        let message = message
            .split_once(": ")
            .filter(|(head, _)| head.starts_with("line "))
            .map_or(message, |(_, m)| m);
        Note { source: source.to_owned(), place, text: message.trim_end_matches([':', ' ', '\n']).to_owned() }
    })
}

/// Judges a file and compiles it.
pub(super) fn compile(source: &str, file: &File) -> Result<Mapping, Note> {
    let mut context = Context { source, here: Place::default(), warnings: Vec::new() };
    let typed = file.defaults.clone().unwrap_or_default();
    let defaults = Defaults::read(&typed, &mut context)?;
    let default_match = match_type(&context, typed.match_type.as_ref())?.unwrap_or(MatchType::Glob);

    let mut globs = Globs::new(!typed.glob_disable_ordering.unwrap_or(false));
    let mut regexes = Regexes::default();
    let mut rules = Vec::new();
    for (index, entry) in file.mappings.iter().flatten().enumerate() {
        context.here = entry
            .matches
            .as_ref()
            .map_or(Place::default(), |m| Place { line: m.referenced.line(), column: m.referenced.column() });
        let (rule, slots) = rule(entry, index, default_match, &defaults, &mut context)?;
        let number = u32::try_from(index).map_err(|_| context.error(context.here, "too many rules"))?;
        match rule.match_type {
            MatchType::Glob => globs.add(&rule.matches, slots, number),
            MatchType::Regex => regexes.add(&rule.matches, slots, number).map_err(|reason| {
                context.error(context.here, format!("match: invalid regex '{}': {reason}", rule.matches))
            })?,
        }
        rules.push(rule);
    }
    regexes.seal();
    shadowed(&rules, &globs, &mut context);
    Ok(Mapping {
        source: source.to_owned(),
        rules,
        globs,
        regexes,
        observer: defaults.observer(),
        ttl: defaults.ttl,
        warnings: context.warnings,
    })
}

fn rule(
    entry: &Entry,
    index: usize,
    default_match: MatchType,
    defaults: &Defaults,
    context: &mut Context<'_>,
) -> Result<(Rule, &'static [Slot]), Note> {
    let matches = entry
        .matches
        .as_ref()
        .ok_or_else(|| context.error(context.here, format!("rule {}: 'match' is missing", index + 1)))?;
    let match_type = match_type(context, entry.match_type.as_ref())?.unwrap_or(default_match);
    if match_type == MatchType::Glob && !glob::is_valid(&matches.value) {
        let reason = format!(
            "match: '{}' is not a glob: parts of letters, digits, '_' and '-' between dots, or '*' for a whole part; \
             for more, set match_type: regex",
            matches.value
        );
        return Err(context.error(context.place(matches), reason));
    }
    let captures = matches.value.split('.').filter(|part| *part == "*").count();
    let template = |text: &str| match match_type {
        MatchType::Glob => Template::glob(text, captures),
        MatchType::Regex => Template::regex(text),
    };
    let drop = entry
        .action
        .as_ref()
        .map(|action| context.word("action", action, &[("map", false), ("drop", true), ("", false)]))
        .transpose()?
        .unwrap_or(false);
    let name = entry.name.as_ref().filter(|name| !name.value.is_empty());
    let name = name.ok_or_else(|| {
        context.error(context.here, "'name' is missing: every rule needs one, even 'action: drop'")
    })?;
    if !is_name_template(&name.value) {
        let reason = format!(
            "name: '{}' is not a metric name: letters, digits and '_', no digit first, and captures such as ${{1}}",
            name.value
        );
        return Err(context.error(context.place(name), reason));
    }
    let name_template = template(&name.value);
    if name_template.is_empty() {
        let reason = format!(
            "name: '{}' always comes out empty, so nothing will be kept; write ${{1}} where text follows a capture",
            name.value
        );
        context.warn(context.place(name), reason);
    }

    if entry.scale.is_some_and(|scale| !scale.is_finite()) {
        return Err(context.error(context.here, "scale: must be a finite number"));
    }
    let rule = Rule {
        matches: matches.value.clone(),
        match_type,
        place: context.here,
        drop,
        honor_labels: entry.honor_labels.unwrap_or(false),
        observer: options::observer(entry, defaults, context)?,
        ttl: match &entry.ttl {
            Some(ttl) => Some(context.duration("ttl", ttl)?).filter(|ttl| !ttl.is_zero()).or(defaults.ttl),
            None => defaults.ttl,
        },
        scale: entry.scale,
        help: entry.help.clone().filter(|help| !help.is_empty()),
        name: name_template,
        labels: labels(entry, &template, context)?,
    };
    Ok((rule, slots(entry, context)?))
}

fn labels(
    entry: &Entry,
    template: &impl Fn(&str) -> Template,
    context: &Context<'_>,
) -> Result<Vec<(String, Template)>, Note> {
    let Some(labels) = &entry.labels else { return Ok(Vec::new()) };
    labels
        .value
        .iter()
        .map(|(key, value)| {
            if is_label_key(key) {
                return Ok((key.clone(), template(value.as_deref().unwrap_or_default())));
            }
            let reason = format!(
                "labels: '{key}' is not a label name: two or more letters, digits or '_', no digit first"
            );
            Err(context.error(context.place(labels), reason))
        })
        .collect()
}

fn slots(entry: &Entry, context: &mut Context<'_>) -> Result<&'static [Slot], Note> {
    let Some(kind) = &entry.match_metric_type else { return Ok(&Slot::ALL) };
    if kind.value == "timer" {
        context.warn(context.place(kind), "match_metric_type: 'timer' is now called 'observer'");
        return Ok(&[Slot::Observer]);
    }
    let words: [(&str, &'static [Slot]); 3] =
        [("counter", &[Slot::Counter]), ("gauge", &[Slot::Gauge]), ("observer", &[Slot::Observer])];
    context.word("match_metric_type", kind, &words)
}

fn match_type(context: &Context<'_>, value: Option<&Placed>) -> Result<Option<MatchType>, Note> {
    let words = [("glob", MatchType::Glob), ("regex", MatchType::Regex), ("", MatchType::Glob)];
    value.map(|value| context.word("match_type", value, &words)).transpose()
}

/// Warns of globs that an earlier one always wins over.
fn shadowed(rules: &[Rule], globs: &Globs, context: &mut Context<'_>) {
    for (index, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.match_type == MatchType::Glob) {
        // A part that no rule can spell literally: only `*` matches it, so what wins here wins everywhere.
        let hardest = rule.matches.replace('*', "\u{0}");
        let winners = Slot::ALL.map(|slot| globs.find(&hardest, slot));
        if winners.iter().all(|winner| *winner != Some(index as u32))
            && let Some(winner) = winners.into_iter().flatten().min()
        {
            let earlier = &rules[winner as usize];
            let text = format!(
                "match: '{}' is never reached: '{}' in line {} takes all of it",
                rule.matches, earlier.matches, earlier.place.line
            );
            context.warn(rule.place, text);
        }
    }
}

/// Letters, digits, `_` and captures such as `$1` or `${1}`; no digit first.
fn is_name_template(name: &str) -> bool {
    let mut rest = name;
    let mut first = true;
    while let Some(c) = rest.chars().next() {
        if c == '$' {
            let body = &rest[1..];
            let body = body.strip_prefix('{').unwrap_or(body);
            let digits = body.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                return false;
            }
            rest = body[digits..].strip_prefix('}').unwrap_or(&body[digits..]);
        } else if c == '_' || c.is_ascii_alphabetic() || (c.is_ascii_digit() && !first) {
            rest = &rest[1..];
        } else {
            return false;
        }
        first = false;
    }
    !first
}

/// statsd_exporter wants two characters at least.
fn is_label_key(key: &str) -> bool {
    key.len() >= 2
        && !key.starts_with(|c: char| c.is_ascii_digit())
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Options that rules share are kept once.
pub(super) fn shared<T: Clone + PartialEq>(own: T, common: &Arc<T>) -> Arc<T> {
    if own == **common { Arc::clone(common) } else { Arc::new(own) }
}
