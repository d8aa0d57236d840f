//! The form in which a log record waits in the queue: its data stream, its fixed id and its document.
//!
//! `[u8 stream length][stream][u8 id length][id][document]`. The document is one JSON object on one line,
//! ready for `_bulk`; the id is fixed here so that a retry cannot double the record. A zero before the id's length says
//! that the sender chose the id, who may send it again.

/// Stands where an id's length would be 0, which no id's is.
pub(super) const SENDERS: u8 = 0;

/// A queued log record, borrowed from the queue's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// `logs-<service>.<kind>-<environment>`
    pub stream: &'a str,
    /// Time-ordered and unique.
    pub id: &'a str,
    /// One JSON object without a newline.
    pub document: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Appends the encoded form to `out`. Stream and id beyond 255 bytes are the caller's mistake and are cut.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for part in [self.stream, self.id] {
            let bytes = &part.as_bytes()[..part.len().min(255)];
            out.push(bytes.len() as u8);
            out.extend_from_slice(bytes);
        }
        out.extend_from_slice(self.document);
    }

    /// Reads a payload back; `None` if it is not an envelope.
    pub fn decode(payload: &'a [u8]) -> Option<Self> {
        let (stream, rest) = part(payload)?;
        let (id, document) = part(rest.strip_prefix(&[SENDERS]).unwrap_or(rest))?;
        Some(Envelope { stream, id, document })
    }

    /// Whether the id of an encoded record came with it: such a record may come again with the same id.
    pub fn has_senders_id(payload: &[u8]) -> bool {
        part(payload).is_some_and(|(_, rest)| rest.first() == Some(&SENDERS))
    }
}

fn part(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (&len, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(usize::from(len))?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::Envelope;

    #[test]
    fn reads_back_what_it_wrote_and_nothing_else() {
        let envelope = Envelope { stream: "logs-a.app-prod", id: "01", document: br#"{"message":"x"}"# };
        let mut bytes = Vec::new();
        envelope.encode(&mut bytes);
        assert_eq!(Envelope::decode(&bytes), Some(envelope));
        assert_eq!(Envelope::decode(&bytes[..10]), None);
        assert_eq!(Envelope::decode(b""), None);
        assert!(!Envelope::has_senders_id(&bytes));
    }

    #[test]
    fn tells_a_senders_id_from_one_of_ours() {
        let bytes = b"\x0flogs-a.app-prod\0\x02my{}";
        assert!(Envelope::has_senders_id(bytes));
        let expected = Envelope { stream: "logs-a.app-prod", id: "my", document: b"{}" };
        assert_eq!(Envelope::decode(bytes), Some(expected));
    }
}
