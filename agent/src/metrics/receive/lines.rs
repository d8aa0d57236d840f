//! Cuts a stream into lines: whole stretches of lines go on as they are, only a cut line is copied.

use memchr::{memchr, memrchr};

/// What a stream has left over between two reads.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The beginning of a line whose end has not come yet.
    partial: Vec<u8>,
    /// The line is too long: its rest is skipped.
    skipping: bool,
    limit: usize,
}

impl Lines {
    /// `limit` is the longest line, without its newline.
    pub(super) fn new(limit: usize) -> Self {
        Lines { limit, ..Lines::default() }
    }

    /// Takes what was read. `lines` gets stretches of whole lines; returns how many lines were too long.
    pub(super) fn push(&mut self, mut read: &[u8], mut lines: impl FnMut(&[u8])) -> u64 {
        let mut long = 0;
        if !self.partial.is_empty() || self.skipping {
            let Some(end) = memchr(b'\n', read) else {
                return self.keep(read);
            };
            if !self.skipping {
                long += self.keep(&read[..end]);
            }
            if !self.skipping {
                lines(&self.partial);
            }
            self.partial.clear();
            self.skipping = false;
            read = &read[end + 1..];
        }
        match memrchr(b'\n', read) {
            Some(end) => {
                if end > self.limit {
                    long += self.split(&read[..end], &mut lines);
                } else {
                    lines(&read[..end]);
                }
                long + self.keep(&read[end + 1..])
            }
            None => long + self.keep(read),
        }
    }

    /// A stretch longer than the limit may hold a line that is.
    fn split(&self, stretch: &[u8], lines: &mut impl FnMut(&[u8])) -> u64 {
        let mut long = 0;
        let mut rest = stretch;
        while rest.len() > self.limit {
            match memrchr(b'\n', &rest[..=self.limit]) {
                Some(end) => {
                    lines(&rest[..end]);
                    rest = &rest[end + 1..];
                }
                None => {
                    long += 1;
                    let end = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
                    rest = &rest[end..];
                }
            }
        }
        lines(rest);
        long
    }

    fn keep(&mut self, read: &[u8]) -> u64 {
        if self.skipping {
            return 0;
        }
        if self.partial.len() + read.len() > self.limit {
            // Only the first of many pieces counts.
            self.partial = Vec::new();
            self.skipping = true;
            return 1;
        }
        self.partial.extend_from_slice(read);
        0
    }

    /// The last line of a stream may lack its newline.
    pub(super) fn finish(&mut self, mut lines: impl FnMut(&[u8])) {
        if !self.partial.is_empty() {
            lines(&self.partial);
            self.partial = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(limit: usize, reads: &[&[u8]]) -> (Vec<Vec<u8>>, u64) {
        let mut lines = Lines::new(limit);
        let (mut out, mut long) = (Vec::new(), 0);
        let take = |stretch: &[u8], out: &mut Vec<Vec<u8>>| {
            out.extend(stretch.split(|&b| b == b'\n').filter(|l| !l.is_empty()).map(<[u8]>::to_vec));
        };
        for read in reads {
            long += lines.push(read, |stretch| take(stretch, &mut out));
        }
        lines.finish(|stretch| take(stretch, &mut out));
        (out, long)
    }

    #[test]
    fn a_long_line_costs_only_itself() {
        let (lines, long) = run(4, &[b"ab\ncdefg\nhi\n", b"jklm", b"nop", b"q\nrs\ntu"]);
        assert_eq!(lines, [b"ab", b"hi", b"rs", b"tu"]);
        assert_eq!(long, 2);
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(text in "[ab\n]{0,40}", cuts in prop::collection::vec(0usize..40, 0..5), limit in 1usize..6) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
            cuts.sort_unstable();
            let mut reads = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([bytes.len()]) {
                reads.push(&bytes[from..cut]);
                from = cut;
            }
            let all: Vec<&[u8]> = bytes.split(|&b| b == b'\n').filter(|l| !l.is_empty()).collect();
            let fit: Vec<Vec<u8>> = all.iter().filter(|l| l.len() <= limit).map(|l| l.to_vec()).collect();
            let long = all.len() - fit.len();
            prop_assert_eq!(run(limit, &reads), (fit, long as u64));
        }
    }
}
