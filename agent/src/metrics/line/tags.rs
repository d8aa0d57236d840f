//! Tags as labels: read once for each new series, in the four styles that clients write.

use super::{Dialect, Refusal, Sample};

/// The name without its tags, and the tags, as written.
#[derive(Debug, PartialEq, Eq)]
pub struct Identity<'a> {
    /// The dotted name.
    pub name: std::borrow::Cow<'a, str>,
    /// Key and value, in the order of the line; a key may occur twice.
    pub tags: Vec<(&'a str, &'a str)>,
    /// How many tags had no key or no value, and were left out.
    pub bad_tags: u32,
}

/// Takes apart what identifies a sample.
pub fn identify<'a>(sample: &Sample<'a>, dialect: Dialect) -> Result<Identity<'a>, Refusal> {
    let text = |bytes: &'a [u8]| std::str::from_utf8(bytes).map_err(|_| Refusal::MalformedLine);
    let mut identity = of_name(text(sample.name)?, dialect);
    if !sample.tags.is_empty() {
        if !identity.tags.is_empty() {
            return Err(Refusal::MixedTags);
        }
        for tag in text(sample.tags)?.split(',') {
            push(&mut identity, tag.trim_start_matches('#'), ':');
        }
    }
    if !sample.container.is_empty() {
        identity.tags.push(("container_id", text(sample.container)?));
    }
    Ok(identity)
}

fn of_name(name: &str, dialect: Dialect) -> Identity<'_> {
    let mut identity = Identity { name: name.into(), tags: Vec::new(), bad_tags: 0 };
    if dialect.signalfx {
        match (name.find('['), name.find(']')) {
            (Some(open), Some(close)) if open < close => {
                for tag in name[open + 1..close].split(',').filter(|_| close > open + 1) {
                    push(&mut identity, tag, '=');
                }
                let mut bare = name[..open].to_owned();
                bare.push_str(&name[close + 1..]);
                identity.name = bare.into();
                return identity;
            }
            (None, None) => {}
            _ => {
                identity.bad_tags += 1;
                return identity;
            }
        }
    }
    let starts_tags = |c| (c == ',' && dialect.influxdb) || (c == '#' && dialect.librato);
    if let Some(at) = name.find(starts_tags) {
        identity.name = name[..at].into();
        for tag in name[at + 1..].split(',').filter(|_| at + 1 < name.len()) {
            push(&mut identity, tag, '=');
        }
    }
    identity
}

fn push<'a>(identity: &mut Identity<'a>, tag: &'a str, separator: char) {
    match tag.split_once(separator) {
        Some((key, value)) if !key.is_empty() && !value.is_empty() => identity.tags.push((key, value)),
        _ => identity.bad_tags += 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::line::{self, Sink};

    /// `name{key=value,…}` and `!n` for n bad tags, or the refusal.
    fn identity(line: &str, dialect: Dialect) -> String {
        struct One(Dialect, String);
        impl Sink for One {
            fn sample(&mut self, sample: &Sample<'_>) {
                self.1 = match identify(sample, self.0) {
                    Ok(i) => {
                        let tags: Vec<String> = i.tags.iter().map(|(k, v)| format!("{k}={v}")).collect();
                        let bad = if i.bad_tags > 0 { format!("!{}", i.bad_tags) } else { String::new() };
                        format!("{}{{{}}}{bad}", i.name, tags.join(","))
                    }
                    Err(reason) => reason.label().to_owned(),
                };
            }
            fn refuse(&mut self, reason: Refusal) {
                self.1 = reason.label().to_owned();
            }
        }
        let mut one = One(dialect, String::new());
        line::parse(line.as_bytes(), dialect, &mut one);
        one.1
    }

    #[test]
    fn reads_every_style() {
        let cases = [
            ("tag.d:1|c|#k:v,novalue,k2:v:w", "tag.d{k=v,k2=v:w}!1"),
            ("tag.d:1|c|##k:v,#l:w", "tag.d{k=v,l=w}"),
            ("tag.i,a=1,b=2:1|c", "tag.i{a=1,b=2}"),
            ("tag.l#a=1,b=2:1|c", "tag.l{a=1,b=2}"),
            ("tag.s[a=1,b=2]x:1|c", "tag.sx{a=1,b=2}"),
            ("tag.s[a=1:1|c", "tag.s[a=1{}!1"),
            ("tag.s]a=1[:1|c", "tag.s]a=1[{}!1"),
            ("mix,a=1:1|c|#b:2", "mixed_tags"),
            ("cont:1|c|#a:b|c:abc123", "cont{a=b,container_id=abc123}"),
            ("cont:1|c|c:abc123", "cont{container_id=abc123}"),
            ("e:1|c|#:v,k:", "e{}!2"),
        ];
        for (line, expected) in cases {
            assert_eq!(identity(line, Dialect::default()), expected, "{line}");
        }
    }

    #[test]
    fn each_style_can_be_switched_off() {
        let off = Dialect {
            dogstatsd: false,
            influxdb: false,
            librato: false,
            signalfx: false,
            ..Dialect::default()
        };
        assert_eq!(identity("a:1|c|#k:v", off), "a{}");
        assert_eq!(identity("a,k=v:1|c", off), "a,k=v{}");
        assert_eq!(identity("a#k=v:1|c", off), "a#k=v{}");
        assert_eq!(identity("a[k=v]:1|c", off), "a[k=v]{}");
    }
}
