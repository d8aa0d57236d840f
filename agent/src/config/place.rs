//! Where a key stands in a file. Reading forgets places, so a value that cannot be meant, which shows later, is looked for anew.

/// The line, from 1, of `key` in `text` (YAML in block style): `logs.max_line`, `remote_write.1.url`. Where a part of it stands
/// in braces, or is set elsewhere, the line of the nearest part above it; `None` if not even the first is there.
pub fn line(text: &str, key: &str) -> Option<usize> {
    let mut parts = key.split('.').peekable();
    let mut found = None;
    // Lines of what was found last are indented deeper than it; a list's may begin below its key.
    let mut floor = None;
    let mut level = None;
    let mut item = 0;
    for (number, line) in text.lines().enumerate() {
        let Some(&part) = parts.peek() else { break };
        let mut rest = line.trim_start();
        if rest.is_empty() || rest.starts_with('#') || rest.starts_with("---") {
            continue;
        }
        let wanted: Option<usize> = part.parse().ok();
        let listed = rest == "-" || rest.starts_with("- ");
        let mut indent = line.len() - rest.len();
        if floor.is_some_and(|floor| indent < floor || indent == floor && !(wanted.is_some() && listed)) {
            break;
        }
        if *level.get_or_insert(indent) != indent {
            continue;
        }
        if let Some(wanted) = wanted {
            if !listed {
                continue;
            }
            item += 1;
            if item <= wanted {
                continue;
            }
            (found, floor, level, item) = (Some(number + 1), Some(indent), None, 0);
            parts.next();
            // The item's first key follows its dash.
            let inner = rest[1..].trim_start();
            indent += rest.len() - inner.len();
            rest = inner;
            if rest.is_empty() {
                continue;
            }
            level = Some(indent);
        }
        let Some(&part) = parts.peek() else { break };
        let name = rest.split_once(':').map(|(name, _)| name.trim_end().trim_matches(['"', '\'']));
        if name == Some(part) {
            (found, floor, level) = (Some(number + 1), Some(indent), None);
            parts.next();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn keys_are_found_by_their_depth() {
        let text = "\
# logs: not this
web:
  listen: off
logs:
  http:
    limits: {connections: 0}
  # max_line: 1
  max_line: 0
remote_write:
- url: http://a
  name: x
-   name: x
    url: http://b
rules:
  -
    match: a
spans: {sampling: {ratio: 7}}
";
        for (key, at) in [
            ("web", Some(2)),
            ("web.listen", Some(3)),
            ("logs.max_line", Some(8)),
            ("logs.http.limits.connections", Some(6)),
            ("remote_write", Some(9)),
            ("remote_write.0", Some(10)),
            ("remote_write.0.name", Some(11)),
            ("remote_write.1", Some(12)),
            ("remote_write.1.name", Some(12)),
            ("remote_write.1.url", Some(13)),
            ("remote_write.2", Some(9)),
            ("rules.0.match", Some(16)),
            ("spans.sampling.ratio", Some(17)),
            ("listen", None),
            ("zipkin.urls", None),
        ] {
            assert_eq!(line(text, key), at, "{key}");
        }
        assert_eq!(line("", "a"), None);
    }
}
