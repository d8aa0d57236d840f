//! Which records a person wants to see: `status=500`, `service.name=kitten*`, or a text that occurs anywhere.

use serde_json::Value;

/// All of its conditions must hold; none lets everything pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    texts: Vec<String>,
    members: Vec<(String, Wanted)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Exactly(String),
    Beginning(String),
}

/// A condition that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no filter: write FIELD=VALUE, FIELD=BEGINNING*, or a text to look for")]
pub struct BadFilter(String);

impl Filter {
    /// Reads conditions as they are written on the command line.
    pub fn parse<'a>(conditions: impl IntoIterator<Item = &'a str>) -> Result<Self, BadFilter> {
        let mut filter = Filter::default();
        for condition in conditions {
            match condition.split_once('=') {
                Some(("", _)) => return Err(BadFilter(condition.to_owned())),
                Some((field, value)) => {
                    let wanted = match value.strip_suffix('*') {
                        Some(beginning) => Wanted::Beginning(beginning.to_owned()),
                        None => Wanted::Exactly(value.to_owned()),
                    };
                    filter.members.push((field.to_owned(), wanted));
                }
                None if condition.is_empty() => return Err(BadFilter(String::new())),
                None => filter.texts.push(condition.to_owned()),
            }
        }
        Ok(filter)
    }

    /// Whether a record, one JSON object, is wanted.
    pub fn matches(&self, record: &[u8]) -> bool {
        if !self.texts.iter().all(|text| memchr::memmem::find(record, text.as_bytes()).is_some()) {
            return false;
        }
        if self.members.is_empty() {
            return true;
        }
        let Ok(record) = serde_json::from_slice::<Value>(record) else { return false };
        self.members.iter().all(|(field, wanted)| {
            member(&record, field).is_some_and(|value| match value {
                Value::String(text) => wanted.is(text),
                other => wanted.is(&other.to_string()),
            })
        })
    }
}

impl Wanted {
    fn is(&self, text: &str) -> bool {
        match self {
            Wanted::Exactly(value) => text == value,
            Wanted::Beginning(beginning) => text.starts_with(beginning),
        }
    }
}

/// `a.b.c`, whichever of its dots stand in keys and whichever between objects.
fn member<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let object = value.as_object()?;
    if let Some(found) = object.get(path) {
        return Some(found);
    }
    path.match_indices('.').find_map(|(dot, _)| member(object.get(&path[..dot])?, &path[dot + 1..]))
}

#[cfg(test)]
mod tests {
    use super::Filter;

    #[test]
    fn all_conditions_must_hold() {
        let record =
            br#"{"status":500,"service.name":"kittenserver","http":{"request.id":"a-1"},"message":"oh no"}"#;
        for (conditions, wanted) in [
            (&[][..], true),
            (&["status=500"], true),
            (&["status=50"], false),
            (&["status=5*"], true),
            (&["service.name=kitten*", "oh no"], true),
            (&["service.name=kitten*", "oh yes"], false),
            (&["http.request.id=a-1"], true),
            (&["http.request=a-1"], false),
            (&["missing=*"], false),
        ] {
            let filter = Filter::parse(conditions.iter().copied()).unwrap();
            assert_eq!(filter.matches(record), wanted, "{conditions:?}");
        }
        assert!(Filter::parse(["=x"]).is_err() && Filter::parse([""]).is_err());
        assert!(!Filter::parse(["a=b"]).unwrap().matches(b"not json"));
    }
}
