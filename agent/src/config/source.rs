//! Where settings come from: a YAML file with `${ENV}` in its values, then the environment on top.
//!
//! Pure: the environment is a parameter, so that a test never has to change its own.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Variables of this prefix set one key each: `SIGHTLINE_WEB__LISTEN` is `web.listen`.
pub const PREFIX: &str = "SIGHTLINE_";

/// Reads variables; `None` when a variable is not set.
pub trait Env {
    /// The value of `name`.
    fn get(&self, name: &str) -> Option<String>;
    /// All variables, for those of [`PREFIX`].
    fn all(&self) -> Vec<(String, String)>;
}

/// The environment of this process.
#[derive(Debug, Clone, Copy)]
pub struct ProcessEnv;

impl Env for ProcessEnv {
    fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn all(&self) -> Vec<(String, String)> {
        std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
            .collect()
    }
}

/// A given environment, for tests and for embedding.
#[derive(Debug, Clone, Copy)]
pub struct FixedEnv<'a>(pub &'a [(&'a str, &'a str)]);

impl Env for FixedEnv<'_> {
    fn get(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(k, _)| *k == name).map(|(_, v)| (*v).to_owned())
    }

    fn all(&self) -> Vec<(String, String)> {
        self.0.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }
}

/// What is wrong with a setting, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// `sightline.yaml:3:7`, or the name of a variable.
    pub place: String,
    /// What was found and what was expected.
    pub reason: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.reason)
    }
}

impl std::error::Error for Error {}

/// Replaces `${NAME}` and `${NAME:-default}` outside comments; `$${` stays `${`. Names of digits alone, as
/// mapping rules capture with, are left as they are. Lines never shift, so that places in errors are true.
pub fn expand(file: &str, text: &str, env: &(impl Env + ?Sized)) -> Result<String, Error> {
    let mut out = String::with_capacity(text.len());
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if line.trim_start().starts_with('#') {
            out.push_str(line);
            continue;
        }
        let mut rest = line;
        while let Some(at) = rest.find("${") {
            let column = line.len() - rest.len() + at + 1;
            let wrong = |reason| Error { place: format!("{file}:{}:{column}", number + 1), reason };
            if rest[..at].ends_with('$') {
                out.push_str(&rest[..at - 1]);
                out.push_str("${");
                rest = &rest[at + 2..];
                continue;
            }
            out.push_str(&rest[..at]);
            let inner = &rest[at + 2..];
            let end = inner.find('}').ok_or_else(|| wrong("'${' without a closing '}'".to_owned()))?;
            let (name, default) = match inner[..end].split_once(":-") {
                Some((name, default)) => (name, Some(default.to_owned())),
                None => (&inner[..end], None),
            };
            if !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()) {
                out.push_str(&rest[at..at + 3 + end]);
            } else {
                let value = env.get(name).filter(|v| !v.is_empty() || default.is_none()).or(default);
                let value = value.ok_or_else(|| wrong(format!("the variable {name} is not set")))?;
                if value.contains(['\n', '\r']) {
                    return Err(wrong(format!("the variable {name} has a line break; it cannot stand here")));
                }
                out.push_str(&value);
            }
            rest = &inner[end + 1..];
        }
        out.push_str(rest);
    }
    Ok(out)
}

/// Reads `text` as `T`. Unknown keys, wrong types and broken YAML name their line and column.
pub fn parse<T: DeserializeOwned + Default>(file: &str, text: &str) -> Result<T, Error> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(T::default());
    }
    serde_saphyr::from_str(text).map_err(|error| {
        let error = error.without_snippet();
        let place = match error.location() {
            Some(at) => format!("{file}:{}:{}", at.line(), at.column()),
            None => file.to_owned(),
        };
        Error { place, reason: strip_location(&error.to_string()) }
    })
}

/// The library ends its messages with the place that we have put in front.
fn strip_location(message: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or(message);
    message.trim_end_matches([':', ' ', '\n']).to_owned()
}

/// Settings, and which of them somebody wrote down.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    /// Complete, defaults filled in.
    pub settings: T,
    /// The file they come from, if from one.
    pub file: Option<std::path::PathBuf>,
    text: String,
    written: Value,
}

impl<T> From<T> for Loaded<T> {
    /// Settings of a program's own making: nothing counts as asked for.
    fn from(settings: T) -> Self {
        Loaded { settings, file: None, text: String::new(), written: Value::Null }
    }
}

impl<T> Loaded<T> {
    /// Where `key` stands, as far as its file tells: `sightline.yaml:7`.
    pub fn place(&self, key: &str) -> String {
        let Some(file) = &self.file else { return "configuration".to_owned() };
        match super::place::line(&self.text, key) {
            Some(line) => format!("{}:{line}", file.display()),
            None => file.display().to_string(),
        }
    }

    /// Whether the file or the environment sets `path` (`web.listen`). A default that does not work out can be
    /// given up with a warning; what was asked for cannot.
    pub fn asked(&self, path: &str) -> bool {
        path.split('.').try_fold(&self.written, |tree, key| tree.get(key)).is_some_and(|v| !v.is_null())
    }
}

/// Reads `text` (expanded) and lays the variables of [`PREFIX`] over it. A variable for a key that does not
/// exist is an error, as it is in the file. `well_known` are pairs of a variable and a key: such a variable
/// counts where neither the file nor one of [`PREFIX`] says anything.
pub fn load<T>(
    file: &str,
    text: &str,
    env: &(impl Env + ?Sized),
    well_known: &[(&str, &str)],
) -> Result<Loaded<T>, Error>
where
    T: DeserializeOwned + Default,
{
    let text = expand(file, text, env)?;
    let mut settings: T = parse(file, &text)?;
    let mut written: Value = tree::<T>(file, &text)?;
    let mut variables: Vec<_> = env.all().into_iter().filter(|(k, _)| k.starts_with(PREFIX)).collect();
    variables.sort();
    // The agent's own command line knows these two; they are no settings.
    variables.retain(|(name, _)| {
        !matches!(name.as_str(), "SIGHTLINE_CONFIG" | "SIGHTLINE_URL" | "SIGHTLINE_TOKEN")
    });
    let mut given: Vec<(String, Vec<String>, String)> = Vec::new();
    for (name, key) in well_known {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        let silent = path.iter().try_fold(&written, |tree, key| tree.get(key)).is_none();
        if let Some(text) = env.get(name).filter(|text| silent && !text.is_empty()) {
            given.push(((*name).to_owned(), path, text));
        }
    }
    for (name, text) in variables {
        let path = name[PREFIX.len()..].split("__").map(str::to_ascii_lowercase).collect();
        given.push((name, path, text));
    }
    for (name, path, text) in given {
        // One word may be a tool's own variable (SIGHTLINE_CACHE, SIGHTLINE_IMAGE): only words that are keys count.
        if let [word] = path.as_slice()
            && !is_key::<T>(word)
        {
            continue;
        }
        let error = |reason: String| Error { place: name.clone(), reason };
        let value = scalar(&text);
        if let Some(reason) = section::<T>(&name, &path).filter(|_| !value.is_object()) {
            return Err(error(reason));
        }
        set(&mut written, &path, value).map_err(error)?;
        settings = match serde_json::from_value(written.clone()) {
            Ok(settings) => settings,
            // A number was meant as text (a password of digits, say), or text as a list.
            Err(first) => {
                let list = text.split(',').map(|item| Value::String(item.trim().to_owned())).collect();
                let others = [Value::String(text.clone()), Value::Array(list)];
                let read = others.into_iter().find_map(|value| {
                    set(&mut written, &path, value).ok()?;
                    serde_json::from_value(written.clone()).ok()
                });
                read.ok_or_else(|| error(first.to_string()))?
            }
        };
    }
    Ok(Loaded { settings, file: None, text, written })
}

/// The file as a tree for variables to be laid over. To YAML `off` is a boolean unless one insists; to us it is a word
/// (`listen: off`), but where the settings have a boolean, `on` and `yes` are still good.
fn tree<T: DeserializeOwned>(file: &str, text: &str) -> Result<Value, Error> {
    let strict = serde_saphyr::options! { strict_booleans: true };
    match serde_saphyr::from_str_with_options::<Value>(text, strict) {
        Ok(words) if serde_json::from_value::<T>(words.clone()).is_ok() => Ok(words),
        _ => parse(file, text),
    }
}

/// Whether `word` stands at the top of the settings.
fn is_key<T: DeserializeOwned>(word: &str) -> bool {
    let probe = serde_json::from_value::<T>(serde_json::json!({ word: {} }));
    !matches!(probe, Err(error) if error.to_string().starts_with("unknown field"))
}

/// What to say of a variable that sets a whole section to a plain value, where one of its keys must be meant; `None` if
/// `path` is no section.
fn section<T: DeserializeOwned>(name: &str, path: &[String]) -> Option<String> {
    let mut probe = Value::Null;
    // No key is empty: the complaint about one that is names those that there are.
    set(&mut probe, path, serde_json::json!({ "": 0 })).ok()?;
    let complaint = serde_json::from_value::<T>(probe).err()?.to_string();
    let keys = complaint.strip_prefix("unknown field ``, expected ")?;
    let keys: Vec<&str> = keys.split('`').skip(1).step_by(2).collect();
    let (section, example) = (path.join("."), keys.first()?.to_ascii_uppercase());
    Some(format!(
        "{section} has keys of its own ({}): set one of them, as in {name}__{example}",
        keys.join(", ")
    ))
}

fn scalar(text: &str) -> Value {
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ if text.starts_with(['[', '{']) => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        _ => text.parse::<i64>().map_or_else(|_| text.into(), Value::from),
    }
}

fn set(tree: &mut Value, path: &[String], value: Value) -> Result<(), String> {
    let Some((first, rest)) = path.split_first() else {
        *tree = value;
        return Ok(());
    };
    if tree.is_null() {
        *tree = Value::Object(serde_json::Map::new());
    }
    let Value::Object(map) = tree else {
        return Err(format!("no key '{first}' here: it is a plain value"));
    };
    set(map.entry(first.clone()).or_insert(Value::Null), rest, value)
}

#[cfg(test)]
mod tests {
    use super::{Error, FixedEnv, Loaded, expand, load, parse};
    use serde::Deserialize;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Inner {
        listen: String,
        limit: u32,
        password: Option<String>,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Outer {
        web: Inner,
        other: Option<Inner>,
    }

    #[test]
    fn expands_variables_and_leaves_captures() {
        let vars = &FixedEnv(&[("HOST", "es"), ("EMPTY", "")]);
        let text = "a: http://${HOST}:9200\n# ${NOT_SET}\nb: ${X:-5}${EMPTY:-e}\nc: \"${1}_$2 $${HOST}\"\n";
        let expected = "a: http://es:9200\n# ${NOT_SET}\nb: 5e\nc: \"${1}_$2 ${HOST}\"\n";
        assert_eq!(expand("f", text, vars).unwrap(), expected);
        let error = expand("f.yaml", "a: 1\nb: x${NOPE}\n", vars).unwrap_err();
        assert_eq!(error.to_string(), "f.yaml:2:5: the variable NOPE is not set");
        let error = expand("f.yaml", "a: ${HOST", vars).unwrap_err();
        assert_eq!(error.place, "f.yaml:1:4");
    }

    #[test]
    fn names_the_place_of_a_mistake() {
        let error = parse::<Outer>("s.yaml", "web:\n  listen: a\n  limitt: 3\n").unwrap_err();
        assert_eq!(error.place, "s.yaml:3:3", "{error}");
        assert!(error.reason.contains("limitt") && error.reason.contains("limit"), "{error}");
        let error = parse::<Outer>("s.yaml", "web:\n  limit: many\n").unwrap_err();
        assert_eq!(error.place, "s.yaml:2:10", "{error}");
        assert!(parse::<Outer>("s.yaml", "web: [").unwrap_err().place.starts_with("s.yaml:"));
        assert_eq!(parse::<Outer>("s.yaml", "# nothing\n").unwrap(), Outer::default());
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let vars = &FixedEnv(&[
            ("SIGHTLINE_WEB__LIMIT", "7"),
            ("SIGHTLINE_OTHER__PASSWORD", "1234"),
            ("PATH", "/bin"),
        ]);
        let loaded: Loaded<Outer> = load("f", "web: {listen: \"a:1\", limit: 3}\n", vars, &[]).unwrap();
        assert_eq!((loaded.settings.web.limit, loaded.settings.web.listen.as_str()), (7, "a:1"));
        assert_eq!(loaded.settings.other.as_ref().unwrap().password.as_deref(), Some("1234"));
        assert!(loaded.asked("web.listen") && loaded.asked("web.limit") && !loaded.asked("other.listen"));
        let off = load::<Outer>("f", "web: {listen: off}\n", vars, &[]).unwrap();
        assert_eq!(off.settings.web.listen, "off", "a word in the file stays one beside a variable");
        let fails = |vars| load::<Outer>("f", "", &FixedEnv(vars), &[]).unwrap_err();
        let Error { place, reason } = fails(&[("SIGHTLINE_WEB__LIMIT", "x")]);
        assert_eq!(place, "SIGHTLINE_WEB__LIMIT");
        assert!(reason.contains("u32"), "{reason}");
        assert!(fails(&[("SIGHTLINE_WEB__NOPE", "x")]).reason.contains("nope"));
        assert!(load::<Outer>("f", "", &FixedEnv(&[("SIGHTLINE_CACHE", "/c")]), &[]).is_ok());
        assert_eq!(
            fails(&[("SIGHTLINE_WEB", "http://somewhere")]).to_string(),
            "SIGHTLINE_WEB: web has keys of its own (listen, limit, password): set one of them, as in SIGHTLINE_WEB__LISTEN"
        );
    }
}
