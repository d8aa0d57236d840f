//! The body of a `_bulk` request.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::export::{Entry, Verdict};
use crate::logs::envelope::Envelope;

/// A body and what to make of the answer.
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    /// Records in it.
    pub(super) records: usize,
    /// Places in the batch of payloads that are no records at all, and so are not in it.
    unreadable: Vec<usize>,
}

impl Body {
    /// Verdicts for the batch, from those for the records that were sent.
    pub(super) fn verdicts(&self, sent: Vec<Verdict>) -> Vec<Verdict> {
        if self.unreadable.is_empty() {
            return sent;
        }
        let mut sent = sent.into_iter();
        let missing =
            || Verdict::Retry { after: None, reason: "reply: it says nothing of this record".into() };
        (0..self.records + self.unreadable.len())
            .map(|place| match self.unreadable.binary_search(&place) {
                Ok(_) => Verdict::Reject { reason: "not a log record".into() },
                Err(_) => sent.next().unwrap_or_else(missing),
            })
            .collect()
    }
}

/// Writes the records of `batch`, compressed as it grows if `gzip` says so.
pub(super) fn body(batch: &[Entry], gzip: bool) -> io::Result<Body> {
    let size: usize = batch.iter().map(|entry| entry.payload.len() + 48).sum();
    let (bytes, unreadable) = if gzip {
        let mut out = GzEncoder::new(Vec::with_capacity(size / 6), Compression::fast());
        let unreadable = write(batch, &mut out)?;
        (out.finish()?, unreadable)
    } else {
        let mut out = Vec::with_capacity(size);
        let unreadable = write(batch, &mut out)?;
        (out, unreadable)
    };
    Ok(Body { bytes, records: batch.len() - unreadable.len(), unreadable })
}

fn write(batch: &[Entry], out: &mut impl Write) -> io::Result<Vec<usize>> {
    let mut unreadable = Vec::new();
    for (place, entry) in batch.iter().enumerate() {
        let Some(record) = Envelope::decode(&entry.payload) else {
            unreadable.push(place);
            continue;
        };
        out.write_all(br#"{"create":{"_index":"#)?;
        quoted(record.stream, out)?;
        out.write_all(br#","_id":"#)?;
        quoted(record.id, out)?;
        out.write_all(b"}}\n")?;
        match memchr::memchr2(b'\n', b'\r', record.document) {
            None => out.write_all(record.document)?,
            // A line break between the members of an object means no more than a space, but would end the line.
            Some(_) => {
                let blank = |byte: &u8| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte };
                out.write_all(&record.document.iter().map(blank).collect::<Vec<u8>>())?;
            }
        }
        out.write_all(b"\n")?;
    }
    Ok(unreadable)
}

fn quoted(text: &str, out: &mut impl Write) -> io::Result<()> {
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        out.write_all(b"\"")?;
        out.write_all(text.as_bytes())?;
        out.write_all(b"\"")
    } else {
        Ok(serde_json::to_writer(out, text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::body;
    use crate::export::{Entry, Verdict};
    use crate::logs::envelope::Envelope;
    use std::io::Read;

    fn entry(stream: &str, id: &str, document: &str) -> Entry {
        let mut payload = Vec::new();
        Envelope { stream, id, document: document.as_bytes() }.encode(&mut payload);
        Entry { seq: 0, payload: payload.into() }
    }

    fn batch() -> Vec<Entry> {
        vec![
            entry("logs-a.app-prod", "01", r#"{"message":"x"}"#),
            Entry { seq: 1, payload: b"\xffjunk".as_slice().into() },
            entry("logs-\"b-prod", "02\n", "{\n\"a\":1}"),
        ]
    }

    #[test]
    fn writes_an_action_and_a_document_on_a_line_each() {
        let body = body(&batch(), false).unwrap();
        expect_test::expect![[r#"
            {"create":{"_index":"logs-a.app-prod","_id":"01"}}
            {"message":"x"}
            {"create":{"_index":"logs-\"b-prod","_id":"02\n"}}
            { "a":1}
        "#]]
        .assert_eq(std::str::from_utf8(&body.bytes).unwrap());
    }

    #[test]
    fn what_is_no_record_is_refused_and_shifts_no_verdict() {
        let body = body(&batch(), false).unwrap();
        let verdicts = body.verdicts(vec![Verdict::Done]);
        assert_eq!(verdicts[0], Verdict::Done);
        assert_eq!(verdicts[1], Verdict::Reject { reason: "not a log record".into() });
        assert!(matches!(verdicts[2], Verdict::Retry { .. }));
    }

    #[test]
    fn compressed_is_the_same() {
        let mut plain = Vec::new();
        let gzip = body(&batch(), true).unwrap().bytes;
        flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut plain).unwrap();
        assert_eq!(plain, body(&batch(), false).unwrap().bytes);
    }
}
