//! Which service calls which, computed from spans the way Zipkin does. Pure.
//!
//! A call is counted where it arrives (the server's or consumer's span, whose caller is the nearest ancestor with a
//! service), or, if the far side sends no spans, where it leaves (the client's span with a remote service).

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value, json};

#[derive(Default)]
struct Link {
    calls: u64,
    errors: u64,
    durations: Vec<u64>,
}

/// The links between services in `spans`.
pub(super) fn link(spans: &[Value], with_durations: bool) -> Vec<Value> {
    let mut traces: HashMap<&str, Vec<&Value>> = HashMap::new();
    for span in spans {
        if let Some(id) = span["traceId"].as_str() {
            traces.entry(id).or_default().push(span);
        }
    }
    let mut links: BTreeMap<(String, String), Link> = BTreeMap::new();
    for trace in traces.values() {
        of_trace(trace, &mut links);
    }
    links
        .into_iter()
        .map(|((parent, child), mut link)| {
            let mut shown = json!({ "parent": parent, "child": child, "callCount": link.calls });
            if link.errors > 0 {
                shown["errorCount"] = link.errors.into();
            }
            if with_durations && !link.durations.is_empty() {
                link.durations.sort_unstable();
                let at =
                    |share: f64| link.durations[((link.durations.len() - 1) as f64 * share).round() as usize];
                shown["p50"] = at(0.5).into();
                shown["p99"] = at(0.99).into();
            }
            shown
        })
        .collect()
}

fn of_trace(trace: &[&Value], links: &mut BTreeMap<(String, String), Link>) {
    // Client and server may share one id; the server's half is then the child.
    let mut by_id: HashMap<&str, Vec<&Value>> = HashMap::new();
    let mut parents: HashSet<&str> = HashSet::new();
    for span in trace {
        by_id.entry(span["id"].as_str().unwrap_or_default()).or_default().push(span);
        if let Some(parent) = span["parentId"].as_str() {
            parents.insert(parent);
        }
    }
    for span in trace {
        let local = service(span, "localEndpoint");
        let remote = service(span, "remoteEndpoint");
        let kind = match span["kind"].as_str() {
            Some(kind) => kind,
            None if local.is_some() && remote.is_some() => "CLIENT",
            None => continue,
        };
        let id = span["id"].as_str().unwrap_or_default();
        let (parent, child) = match kind {
            "SERVER" | "CONSUMER" => {
                let sibling = by_id[id].iter().find(|other| !std::ptr::eq(**other, *span)).copied();
                let caller =
                    sibling.and_then(|s| service(s, "localEndpoint")).or_else(|| ancestor(span, &by_id));
                (caller.or(remote), local)
            }
            _ => {
                let answered = parents.contains(id) || by_id[id].len() > 1;
                if answered && kind == "CLIENT" {
                    continue;
                }
                (local, remote)
            }
        };
        let (Some(parent), Some(child)) = (parent, child) else { continue };
        let link = links.entry((parent.to_owned(), child.to_owned())).or_default();
        link.calls += 1;
        link.errors += u64::from(span["tags"].get("error").is_some());
        link.durations.extend(span["duration"].as_u64());
    }
}

fn service<'a>(span: &'a Value, side: &str) -> Option<&'a str> {
    span[side]["serviceName"].as_str().filter(|name| !name.is_empty())
}

/// The service of the nearest ancestor that names one.
fn ancestor<'a>(span: &'a Value, by_id: &HashMap<&str, Vec<&'a Value>>) -> Option<&'a str> {
    let mut parent = span["parentId"].as_str();
    // A trace whose parents form a ring must not hold us.
    for _ in 0..by_id.len() {
        let above = by_id.get(parent?)?.first()?;
        if let Some(name) = service(above, "localEndpoint") {
            return Some(name);
        }
        parent = above["parentId"].as_str();
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::link;

    fn span(id: &str, parent: Option<&str>, kind: &str, local: &str, remote: Option<&str>) -> Value {
        let mut span = json!({"traceId": "1", "id": id, "kind": kind, "localEndpoint": {"serviceName": local}, "duration": 10});
        if let Some(parent) = parent {
            span["parentId"] = parent.into();
        }
        if let Some(remote) = remote {
            span["remoteEndpoint"] = json!({"serviceName": remote});
        }
        span
    }

    #[test]
    fn a_call_counts_once_where_it_arrives_or_where_it_leaves() {
        let mut failed = span("3", Some("2"), "SERVER", "kittens", None);
        failed["tags"] = json!({"error": "500"});
        let spans = [
            span("1", None, "SERVER", "web", None),
            span("2", Some("1"), "CLIENT", "web", Some("kittens")),
            failed,
            span("4", Some("3"), "CLIENT", "kittens", Some("mysql")),
            span("5", Some("3"), "CLIENT", "kittens", None),
        ];
        assert_eq!(
            link(&spans, true),
            [
                json!({"parent": "kittens", "child": "mysql", "callCount": 1, "p50": 10, "p99": 10}),
                json!({"parent": "web", "child": "kittens", "callCount": 1, "errorCount": 1, "p50": 10, "p99": 10}),
            ]
        );
        assert!(link(&spans, false)[0].get("p50").is_none());
    }

    #[test]
    fn halves_with_one_id_and_rings_are_understood() {
        let shared =
            [span("2", Some("1"), "CLIENT", "web", None), span("2", Some("1"), "SERVER", "kittens", None)];
        assert_eq!(link(&shared, false), [json!({"parent": "web", "child": "kittens", "callCount": 1})]);
        let mut a = span("1", Some("2"), "SERVER", "a", None);
        a["localEndpoint"] = json!({});
        let mut b = span("2", Some("1"), "SERVER", "b", None);
        b["localEndpoint"] = json!({});
        assert!(link(&[a, b], false).is_empty());
    }
}
