//! Finished payloads one after the other in one piece of memory, on their way into a queue.

/// A batch of payloads.
#[derive(Debug, Default)]
pub struct Payloads {
    /// The bytes of all payloads; append here, then call [`Payloads::end`].
    pub bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Payloads {
    /// What was appended since the last end is one payload.
    pub fn end(&mut self) {
        self.ends.push(self.bytes.len());
    }

    /// Forgets what was appended since the last end.
    pub fn cancel(&mut self) {
        self.bytes.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The payloads in order.
    pub fn slices(&self) -> Vec<&[u8]> {
        let mut from = 0;
        let slice = |&end: &usize| &self.bytes[std::mem::replace(&mut from, end)..end];
        self.ends.iter().map(slice).collect()
    }

    /// Empties it; the memory of an unusually large batch is given back.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(1 << 20);
        self.ends.clear();
        self.ends.shrink_to(1 << 14);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn gives_back_what_was_put_in() {
        let mut payloads = super::Payloads::default();
        for text in ["one", "", "three"] {
            payloads.bytes.extend_from_slice(text.as_bytes());
            payloads.end();
        }
        payloads.bytes.extend_from_slice(b"half");
        payloads.cancel();
        assert_eq!(payloads.slices(), [&b"one"[..], b"", b"three"]);
        payloads.clear();
        assert!(payloads.is_empty() && payloads.slices().is_empty());
    }
}
