//! Cuts a byte stream into lines: reads that are split or joined anywhere, CRLF, a missing last newline, JSON objects
//! without newlines between them, syslog frames with their length in front.

/// What one connection carries over from read to read.
#[derive(Debug, Default)]
pub struct Framer {
    carry: Vec<u8>,
    balance: Balance,
    /// The rest of a line that was too long is passed over up to the next newline.
    skipping: bool,
    /// Lines that were too long since the last [`Framer::take_oversized`].
    oversized: u64,
    /// Lines that were finished, for whatever end.
    lines: u64,
}

impl Framer {
    /// Takes the next bytes of the stream and hands each finished line to `emit`, without its end.
    pub fn feed(&mut self, mut bytes: &[u8], max_line: usize, emit: &mut dyn FnMut(&[u8])) {
        if self.skipping {
            let Some(end) = memchr::memchr(b'\n', bytes) else { return };
            self.skipping = false;
            bytes = &bytes[end + 1..];
        }
        if !self.carry.is_empty() {
            let end = memchr::memchr(b'\n', bytes);
            self.carry.extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
            match end {
                Some(end) => {
                    bytes = &bytes[end + 1..];
                    let carry = std::mem::take(&mut self.carry);
                    self.balance = Balance::default();
                    self.line(&carry, max_line, emit);
                    self.carry = carry;
                    self.carry.clear();
                    self.carry.shrink_to(4096);
                }
                None => return self.unfinished(max_line, emit),
            }
        }
        let mut from = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            // Frames with their length in front may hold newlines: they are cut by the length.
            if end >= from {
                from = self.framed_or_line(bytes, from, end, max_line, emit);
            }
        }
        if from < bytes.len() {
            self.carry.extend_from_slice(&bytes[from..]);
            self.balance = Balance::default();
            self.unfinished(max_line, emit);
        }
    }

    /// The stream has ended: what is left is a line without its newline.
    pub fn finish(&mut self, max_line: usize, emit: &mut dyn FnMut(&[u8])) {
        let carry = std::mem::take(&mut self.carry);
        if !carry.is_empty() {
            self.line(&carry, max_line, emit);
        }
    }

    /// Lines that were too long since this was last asked.
    pub fn take_oversized(&mut self) -> u64 {
        std::mem::take(&mut self.oversized)
    }

    /// Bytes held for a line that is not finished.
    pub fn held(&self) -> usize {
        self.carry.len()
    }

    /// Lines that were finished so far.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Gives up the line that is not finished: what came of it is forgotten, the rest is passed over.
    pub fn abandon(&mut self) {
        self.skipping = true;
        self.carry = Vec::new();
        self.balance = Balance::default();
    }

    fn line(&mut self, line: &[u8], max_line: usize, emit: &mut dyn FnMut(&[u8])) {
        self.lines += 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > max_line {
            self.oversized += 1;
        } else if !line.is_empty() {
            emit(line);
        }
    }

    fn framed_or_line(
        &mut self,
        bytes: &[u8],
        mut from: usize,
        end: usize,
        max_line: usize,
        emit: &mut dyn FnMut(&[u8]),
    ) -> usize {
        while let Some((header, length)) = counted(&bytes[from..]) {
            let Some(frame) = bytes.get(from + header..from + header + length) else { break };
            self.line(frame.trim_ascii_end(), max_line, emit);
            from += header + length;
            if from > end {
                return from;
            }
        }
        self.line(&bytes[from..end], max_line, emit);
        end + 1
    }

    /// A line whose newline has not come: objects that are complete already need not wait for it.
    fn unfinished(&mut self, max_line: usize, emit: &mut dyn FnMut(&[u8])) {
        let mut done = 0;
        if self.carry.first() == Some(&b'{') {
            let carry = std::mem::take(&mut self.carry);
            while let Some(end) = self.balance.next_end(&carry, done) {
                self.line(&carry[done..end], max_line, emit);
                done = end;
                while carry.get(done).is_some_and(|b| matches!(b, b' ' | b'\t' | b'\r')) {
                    done += 1;
                }
                if carry.get(done) != Some(&b'{') {
                    break;
                }
            }
            self.carry = carry;
        } else {
            while let Some((header, length)) = counted(&self.carry[done..]) {
                let Some(frame) = self.carry.get(done + header..done + header + length) else { break };
                let frame = frame.to_vec();
                self.line(frame.trim_ascii_end(), max_line, emit);
                done += header + length;
            }
        }
        if done > 0 {
            self.carry.drain(..done);
            self.balance = Balance::default();
        }
        if self.carry.len() > max_line {
            self.oversized += 1;
            self.abandon();
        }
    }
}

/// `123 <34>1 …`: the length of the header and that of the frame (RFC 6587).
fn counted(bytes: &[u8]) -> Option<(usize, usize)> {
    let digits = bytes.iter().take(7).take_while(|b| b.is_ascii_digit()).count();
    if digits == 0
        || bytes[0] == b'0'
        || bytes.get(digits) != Some(&b' ')
        || bytes.get(digits + 1) != Some(&b'<')
    {
        return None;
    }
    let length = bytes[..digits].iter().fold(0, |n, b| n * 10 + usize::from(b - b'0'));
    Some((digits + 1, length))
}

/// Finds where an object ends by its braces alone; remembers how far it has looked.
#[derive(Debug, Default)]
struct Balance {
    seen: usize,
    depth: u32,
    quoted: bool,
    escaped: bool,
}

impl Balance {
    /// The end of the object that begins at `from`, once it is there.
    fn next_end(&mut self, bytes: &[u8], from: usize) -> Option<usize> {
        for (at, &byte) in bytes.iter().enumerate().skip(self.seen.max(from)) {
            self.seen = at + 1;
            if self.quoted {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.quoted = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.quoted = true,
                b'{' => self.depth += 1,
                b'}' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Framer;
    use proptest::prelude::*;

    fn lines(chunks: &[&[u8]], max: usize) -> (Vec<String>, u64) {
        let (mut framer, mut lines) = (Framer::default(), Vec::new());
        let mut emit = |line: &[u8]| lines.push(String::from_utf8_lossy(line).into_owned());
        for chunk in chunks {
            framer.feed(chunk, max, &mut emit);
        }
        framer.finish(max, &mut emit);
        let oversized = framer.take_oversized();
        (lines, oversized)
    }

    #[test]
    fn cuts_at_newlines_whatever_the_reads() {
        let text = b"one\r\n\ntwo\nthree";
        let expected = (vec!["one".to_owned(), "two".into(), "three".into()], 0);
        assert_eq!(lines(&[text], 100), expected);
        for at in 0..text.len() {
            assert_eq!(lines(&[&text[..at], &text[at..]], 100), expected, "split at {at}");
        }
    }

    #[test]
    fn an_object_need_not_wait_for_a_newline() {
        let mut framer = Framer::default();
        let mut seen = Vec::new();
        let mut emit = |line: &[u8]| seen.push(String::from_utf8_lossy(line).into_owned());
        framer.feed(br#"{"a":"}\"{"} {"b":{}}{"c":"#, 100, &mut emit);
        framer.feed(b"1}", 100, &mut emit);
        framer.feed(b"\n{\"d\":2}\n", 100, &mut emit);
        assert_eq!(seen, [r#"{"a":"}\"{"}"#, r#"{"b":{}}"#, r#"{"c":1}"#, r#"{"d":2}"#]);
        assert_eq!(framer.held(), 0);
    }

    #[test]
    fn a_line_too_long_is_counted_and_the_next_one_is_served() {
        let long = "x".repeat(2000);
        let text = format!("short\n{long}\nafter\n{long}");
        let expected = (vec!["short".to_owned(), "after".into()], 2);
        assert_eq!(lines(&[text.as_bytes()], 1000), expected);
        let pieces: Vec<&[u8]> = text.as_bytes().chunks(300).collect();
        assert_eq!(lines(&pieces, 1000), expected);
        let mut framer = Framer::default();
        for _ in 0..100 {
            framer.feed(&[b'{'; 500], 1000, &mut |_| {});
            assert!(framer.held() <= 1500);
        }
    }

    #[test]
    fn frames_with_their_length_in_front_are_cut_by_it() {
        let text = b"11 <34>1 a\nb c7 <5>d e\n12 <34>1 x y z\n";
        let expected = vec!["<34>1 a\nb c".to_owned(), "<5>d e".into(), "<34>1 x y z".into()];
        assert_eq!(lines(&[text], 100).0, expected);
        let open = b"11 <34>1 aab c7 <5>d ef";
        assert_eq!(lines(&[open], 100).0, ["<34>1 aab c", "<5>d ef"]);
    }

    proptest! {
        #[test]
        fn splitting_reads_changes_nothing(
            records in prop::collection::vec("[a-z{}\" ]{1,30}", 1..20),
            cuts in prop::collection::vec(0usize..400, 0..8),
        ) {
            // A plain line after an object without a newline is the one thing that depends on timing.
            let records: Vec<String> = records.into_iter().map(|r| format!("x{r}")).collect();
            let text = records.join("\n");
            let mut cuts: Vec<_> = cuts.into_iter().filter(|&c| c < text.len()).collect();
            cuts.sort_unstable();
            let mut chunks = Vec::new();
            let mut from = 0;
            for cut in cuts {
                chunks.push(&text.as_bytes()[from..cut]);
                from = cut;
            }
            chunks.push(&text.as_bytes()[from..]);
            prop_assert_eq!(lines(&chunks, 100).0, records);
        }
    }
}
