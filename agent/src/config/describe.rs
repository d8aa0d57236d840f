//! The configuration with its meaning beside each key: for `--print-config`, for the reference in the docs, and as a
//! JSON schema that editors complete and check from. All of it comes from the doc comments of the settings.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::Config;

/// How wide a comment may get, its indentation included.
const WIDTH: usize = 110;

/// The JSON schema of the configuration (draft 2020-12).
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Config).to_value();
    if let Value::Object(root) = &mut schema {
        root.insert("title".to_owned(), "The configuration of sightline".into());
        // Defaults of this machine (folders of its user) are nothing that a schema should carry.
        root.remove("default");
        if let Some(data_dir) =
            root.get_mut("properties").and_then(|p| p.get_mut("data_dir")?.as_object_mut())
        {
            data_dir.remove("default");
        }
    }
    schema
}

/// `config` as YAML, each key under a comment that says what it is. A group of keys that stands in several places
/// is explained in the first one.
pub fn yaml(config: &impl Serialize) -> Result<String, serde_saphyr::ser::Error> {
    Ok(annotate(&serde_saphyr::to_string(config)?, &schema()))
}

/// Puts the descriptions of `schema` into `yaml`, which is in block style, indented by two, as our writer writes it.
fn annotate(yaml: &str, schema: &Value) -> String {
    let mut out = String::with_capacity(yaml.len() * 4);
    let mut explained = BTreeSet::new();
    // The schema of each enclosing key with the key's indentation, `None` where nothing (more) is to be said.
    let mut path: Vec<(usize, Option<&Value>)> = Vec::new();
    for line in yaml.lines() {
        let text = line.trim_start();
        let start = line.len() - text.len();
        // An element of a list begins with its first key; the others stand below that one.
        let (indent, text) = text.strip_prefix("- ").map_or((start, text), |first| (start + 2, first));
        let Some((key, _)) = text.split_once(':').filter(|(key, _)| !key.contains([' ', '"', '/'])) else {
            let _ = writeln!(out, "{line}");
            continue;
        };
        path.retain(|(outer, _)| *outer < indent);
        let parent = path.last().map_or(Some(schema), |(_, node)| *node);
        let property = parent.and_then(|parent| parent.get("properties")?.get(key));
        let mut below = None;
        if let Some(property) = property {
            let name = reference(property);
            let target = name.and_then(|name| schema.get("$defs")?.get(name));
            let text = property.get("description").or_else(|| target?.get("description"));
            let known = name.is_some_and(|name| target.is_some_and(has_keys) && !explained.insert(name));
            below = target.filter(|_| !known);
            if indent == 0 && !out.is_empty() {
                out.push('\n');
            }
            comment(&mut out, start, text.and_then(Value::as_str).unwrap_or_default(), known);
        }
        let _ = writeln!(out, "{line}");
        path.push((indent, below));
    }
    out
}

/// The name of the definition that a property points to: itself, as the one that is not null, or in its elements.
fn reference(property: &Value) -> Option<&str> {
    let property = property.get("items").unwrap_or(property);
    let pointer = property.get("$ref").or_else(|| {
        let options = property.get("anyOf")?.as_array()?;
        options.iter().find_map(|option| option.get("$ref"))
    })?;
    pointer.as_str()?.strip_prefix("#/$defs/")
}

fn has_keys(definition: &Value) -> bool {
    definition.get("properties").is_some()
}

/// Writes `text` as comment lines. Paragraphs of a doc comment are hard-wrapped, so their line ends mean nothing.
fn comment(out: &mut String, indent: usize, text: &str, known: bool) {
    let also = if known { " Keys: as above." } else { "" };
    let mut column = WIDTH;
    let mut first = true;
    for word in text.split_whitespace().chain(also.split_whitespace()) {
        if column + 1 + word.chars().count() > WIDTH {
            if !std::mem::take(&mut first) {
                out.push('\n');
            }
            let _ = write!(out, "{:indent$}#", "");
            column = indent + 1;
        }
        let _ = write!(out, " {word}");
        column += 1 + word.chars().count();
    }
    if !text.is_empty() || known {
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{schema, yaml};
    use crate::config::Config;

    /// The page of the documentation, which people read without a binary at hand.
    #[test]
    fn the_reference_in_the_docs_is_that_of_the_code() {
        let mut config = Config { data_dir: "~/.local/state/sightline".into(), ..Config::default() };
        config.remote_write.push(Default::default());
        config.logs.rules.push(Default::default());
        let text = format!(
            "# Configuration\n\n\
             Written by a test from the doc comments of the settings (`UPDATE_EXPECT=1 cargo test -p sightline-agent \
             --lib the_reference`); do not edit it here.\n\n\
             No key has to be set. `sightline run --config FILE` reads YAML; `${{NAME}}` and `${{NAME:-default}}` in values are \
             variables of the environment. `SIGHTLINE_WEB__LISTEN` sets `web.listen`, and so for every key. \
             `ELASTICSEARCH_URL`, `ELASTICSEARCH_API_KEY`, `ELASTICSEARCH_USERNAME`, `ELASTICSEARCH_PASSWORD`, `ZIPKIN_URL` and \
             `ENVIRONMENT` are known too.\n\n\
             | command | what it does |\n| --- | --- |\n\
             | `sightline run --print-config` | prints this page's keys with the values in force, secrets as `***` |\n\
             | `sightline check FILE` | says what is wrong with a file, by line and column |\n\
             | `sightline schema` | prints a JSON schema; a first line `# yaml-language-server: $schema=FILE` makes editors complete and check |\n\n\
             `remote_write` and `logs.rules` are empty by default; one element stands here to show its keys. `mapping` takes what a \
             mapping file of [statsd_exporter](statsd-exporter.md) holds.\n\n\
             ```yaml\n{}```\n",
            yaml(&config).unwrap()
        );
        expect_test::expect_file!["../../../docs/configuration.md"].assert_eq(&text);
    }

    #[test]
    fn every_key_is_explained() {
        let schema = schema();
        let mut silent = Vec::new();
        let definitions = schema["$defs"].as_object().unwrap();
        for (name, definition) in definitions.iter().chain([(&"Config".to_owned(), &schema)]) {
            for (key, property) in definition["properties"].as_object().into_iter().flatten() {
                if property.get("description").is_none_or(|text| text.as_str() == Some("")) {
                    silent.push(format!("{name}.{key}"));
                }
            }
        }
        assert_eq!(silent, Vec::<String>::new());
    }

    #[test]
    fn what_is_printed_can_be_read_again() {
        let config = Config::default();
        let printed = yaml(&config).unwrap();
        let read: Config = crate::config::source::parse("printed", &printed).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), serde_json::to_value(&config).unwrap());
    }

    #[test]
    fn the_schema_knows_no_other_keys() {
        let schema = schema();
        assert_eq!(schema["additionalProperties"], Value::Bool(false));
        assert_eq!(schema["$defs"]["Auth"]["additionalProperties"], Value::Bool(false));
    }
}
