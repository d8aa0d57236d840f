//! What `_bulk` answered for each record.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::export::Verdict;

/// How much of what the back end says is kept as a reason.
const MAX_REASON: usize = 600;

/// One verdict for each item of the reply, in order. `sent` is how many there should be.
pub(super) fn verdicts(body: &[u8], sent: usize) -> Result<Vec<Verdict>, serde_json::Error> {
    if all_well(body, sent) {
        return Ok(vec![Verdict::Done; sent]);
    }
    serde_json::from_slice::<Reply>(body).map(|reply| reply.0)
}

/// Whether the reply says of each of `sent` records that it was created, and nothing else. The usual reply has nothing
/// but that in it, and need not be read word by word to know.
fn all_well(body: &[u8], sent: usize) -> bool {
    const ITEM: &[u8] = br#"{"create":{"status":201}}"#;
    let Some(items) = body.strip_prefix(br#"{"errors":false,"items":["#) else { return false };
    let Some(items) = items.strip_suffix(b"]}") else { return false };
    sent > 0
        && items.len() == sent * (ITEM.len() + 1) - 1
        && items
            .chunks(ITEM.len() + 1)
            .all(|chunk| chunk.starts_with(ITEM) && matches!(chunk.get(ITEM.len()), None | Some(b',')))
}

struct Reply(Vec<Verdict>);

impl<'de> Deserialize<'de> for Reply {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Reply;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a reply of _bulk")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Reply, A::Error> {
                let mut items = None;
                while let Some(key) = map.next_key::<&str>()? {
                    if key == "items" {
                        items = Some(map.next_value::<Items>()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                items.map(|items| Reply(items.0)).ok_or_else(|| de::Error::missing_field("items"))
            }
        }
        from.deserialize_map(Members)
    }
}

struct Items(Vec<Verdict>);

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Items;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the items of a reply of _bulk")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Items, A::Error> {
                let mut verdicts = Vec::new();
                while let Some(item) = seq.next_element::<Item<'de>>()? {
                    verdicts.push(item.create.verdict());
                }
                Ok(Items(verdicts))
            }
        }
        from.deserialize_seq(List)
    }
}

/// `{"create": {…}}`
#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow, alias = "index")]
    create: Outcome<'a>,
}

#[derive(Deserialize)]
struct Outcome<'a> {
    status: u16,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Cause {
    r#type: String,
    reason: Option<String>,
    caused_by: Option<Box<Cause>>,
}

impl Outcome<'_> {
    fn verdict(&self) -> Verdict {
        match self.status {
            // A conflict: the record with this id is there, by an earlier try whose answer was lost.
            200..300 | 409 => Verdict::Done,
            429 | 500.. => Verdict::Retry { after: None, reason: self.reason() },
            _ => {
                let reason = self.reason();
                // An index that is shut for writing (a full disk, on versions that say 403) will be opened again.
                if reason.contains("cluster_block_exception") {
                    return Verdict::Retry { after: None, reason };
                }
                Verdict::Reject { reason }
            }
        }
    }

    /// `400 mapper_parsing_exception: failed to parse field [status]: …`
    fn reason(&self) -> String {
        let mut text = self.status.to_string();
        let raw = self.error.map_or("", RawValue::get);
        match serde_json::from_str::<Cause>(raw) {
            Ok(cause) => {
                let mut next = Some(&cause);
                while let Some(cause) = next {
                    let mark = if text.len() == 3 { " " } else { ": " };
                    text.push_str(mark);
                    text.push_str(&cause.r#type);
                    if let Some(reason) = &cause.reason {
                        text.push_str(": ");
                        text.push_str(reason);
                    }
                    next = cause.caused_by.as_deref();
                }
            }
            Err(_) if !raw.is_empty() => {
                text.push(' ');
                text.push_str(raw);
            }
            Err(_) => {}
        }
        text.chars().take(MAX_REASON).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::verdicts;
    use crate::export::Verdict;

    #[test]
    fn judges_each_item_by_its_status() {
        let reply = br#"{"took":3,"errors":true,"items":[
            {"create":{"_index":"x","status":201}},
            {"create":{"status":409,"error":{"type":"version_conflict_engine_exception"}}},
            {"create":{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"queue is full"}}},
            {"create":{"status":503}},
            {"create":{"status":400,"error":{"type":"document_parsing_exception","reason":"failed to parse [status]",
                "caused_by":{"type":"number_format_exception","reason":"For input string: \"x\""}}}},
            {"create":{"status":403,"error":{"type":"cluster_block_exception","reason":"index read-only"}}},
            {"create":{"status":404,"error":"index_not_found"}}
        ]}"#;
        let retry = |reason: &str| Verdict::Retry { after: None, reason: reason.into() };
        let reject = |reason: &str| Verdict::Reject { reason: reason.into() };
        assert_eq!(
            verdicts(reply, 7).unwrap(),
            [
                Verdict::Done,
                Verdict::Done,
                retry("429 es_rejected_execution_exception: queue is full"),
                retry("503"),
                reject(
                    "400 document_parsing_exception: failed to parse [status]: \
                     number_format_exception: For input string: \"x\""
                ),
                retry("403 cluster_block_exception: index read-only"),
                reject("404 \"index_not_found\""),
            ]
        );
    }

    #[test]
    fn the_usual_reply_is_read_at_a_glance_and_no_other_for_it() {
        let item = r#"{"create":{"status":201}}"#;
        let reply = |items: &[&str]| format!(r#"{{"errors":false,"items":[{}]}}"#, items.join(","));
        assert!(super::all_well(reply(&[item]).as_bytes(), 1));
        assert!(super::all_well(reply(&[item; 3]).as_bytes(), 3));
        let conflict = r#"{"create":{"status":409}}"#;
        for (items, sent) in
            [(&[item; 3][..], 2), (&[item; 3], 4), (&[item, conflict, item], 3), (&[], 0), (&[conflict], 1)]
        {
            assert!(!super::all_well(reply(items).as_bytes(), sent), "{items:?}");
        }
        assert_eq!(verdicts(reply(&[item; 3]).as_bytes(), 4).unwrap().len(), 3, "what was said, and no more");
        let glued = reply(&[item; 2]).replace("},{", "};{");
        assert!(!super::all_well(glued.as_bytes(), 2));
    }

    #[test]
    fn believes_nothing_but_items() {
        for reply in
            ["", "{}", r#"{"errors":false}"#, "[]", r#"{"errors":false,"items":[{"create":{}}]}"#, "<html>"]
        {
            assert!(verdicts(reply.as_bytes(), 1).is_err(), "{reply}");
        }
        assert_eq!(verdicts(br#"{"errors":false,"items":[]}"#, 0).unwrap(), []);
    }
}
