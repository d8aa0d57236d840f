//! A series' identity: label names and values, sorted, shared, cheap to clone.
use std::fmt;
use std::sync::Arc;

/// The label that holds the metric's name.
pub const NAME: &str = "__name__";

/// Sorted by name; each name once; no empty value (an empty value is an absent label).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Arc<[Pair]>);

type Pair = (Arc<str>, Arc<str>);

impl Default for Labels {
    fn default() -> Self {
        Labels(Arc::from([]))
    }
}

impl Labels {
    /// From pairs in any order; of a name given twice the last wins.
    pub fn new<N: Into<Arc<str>>, V: Into<Arc<str>>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut pairs: Vec<Pair> = pairs.into_iter().map(|(n, v)| (n.into(), v.into())).collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        let mut kept: Vec<Pair> = Vec::with_capacity(pairs.len());
        for pair in pairs {
            match kept.last_mut() {
                Some(last) if last.0 == pair.0 => *last = pair,
                _ => kept.push(pair),
            }
        }
        kept.retain(|(_, v)| !v.is_empty());
        Labels(kept.into())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| &**n == name).map(|(_, v)| &**v)
    }

    /// The metric's name, empty if it has none.
    pub fn name(&self) -> &str {
        self.get(NAME).unwrap_or("")
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (&**n, &**v))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The labels that `keep` accepts.
    pub fn filter(&self, keep: impl Fn(&str) -> bool) -> Labels {
        if self.0.iter().all(|(n, _)| keep(n)) {
            return self.clone();
        }
        Labels(self.0.iter().filter(|(n, _)| keep(n)).cloned().collect())
    }

    pub fn without_name(&self) -> Labels {
        self.filter(|n| n != NAME)
    }

    /// With `name` set to `value`, or removed when `value` is empty.
    pub fn with(&self, name: &str, value: &str) -> Labels {
        let mut pairs: Vec<Pair> = self.0.iter().filter(|(n, _)| &**n != name).cloned().collect();
        if !value.is_empty() {
            let at = pairs.partition_point(|(n, _)| &**n < name);
            pairs.insert(at, (name.into(), value.into()));
        }
        Labels(pairs.into())
    }

    /// Bytes that this identity holds, for the store's accounts.
    pub fn heap_bytes(&self) -> usize {
        self.0.iter().map(|(n, v)| n.len() + v.len() + 32).sum()
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        f.write_str(name)?;
        let mut rest = self.iter().filter(|(n, _)| *n != NAME).peekable();
        if rest.peek().is_none() && !name.is_empty() {
            return Ok(());
        }
        f.write_str("{")?;
        let mut first = true;
        for (n, v) in rest {
            if !first {
                f.write_str(", ")?;
            }
            first = false;
            write!(f, "{n}={v:?}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_and_drops_empty_values() {
        let l = Labels::new([("b", "2"), ("a", "1"), ("c", ""), (NAME, "m")]);
        assert_eq!(l.to_string(), r#"m{a="1", b="2"}"#);
        assert_eq!(l.with("a", "").to_string(), r#"m{b="2"}"#);
        assert_eq!(l.with("aa", "x").to_string(), r#"m{a="1", aa="x", b="2"}"#);
        assert_eq!(l.without_name().to_string(), r#"{a="1", b="2"}"#);
    }
}
