//! A record being made: the line as it came, places in it that change, and members that are added.
//!
//! Nothing is copied until the end, and then only once; a line that needs nothing is one `memcpy`.

use crate::json;

/// Changes to one line.
#[derive(Debug, Default)]
pub struct Draft {
    edits: Vec<Edit>,
    patch: Vec<u8>,
    extra: Vec<u8>,
    renamed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Edit {
    at: u32,
    end: u32,
    from: u32,
    to: u32,
}

impl Draft {
    /// Forgets all changes.
    pub fn clear(&mut self) {
        self.edits.clear();
        self.patch.clear();
        self.extra.clear();
        self.renamed = false;
    }

    /// Gives the member whose key stands at `range` another one. Whether that is taken shows only in the end.
    pub fn rename(&mut self, range: (u32, u32), write: impl FnOnce(&mut Vec<u8>)) {
        self.renamed = true;
        self.replace(range, write);
    }

    /// Whether a key was given away that another member might have, too.
    pub fn is_renamed(&self) -> bool {
        self.renamed
    }

    /// Puts what `write` appends in the place of `range` of the line. Places must not overlap.
    pub fn replace(&mut self, range: (u32, u32), write: impl FnOnce(&mut Vec<u8>)) {
        let from = self.patch.len() as u32;
        write(&mut self.patch);
        self.edits.push(Edit { at: range.0, end: range.1, from, to: self.patch.len() as u32 });
    }

    /// Adds a member whose value `write` appends as JSON.
    pub fn add(&mut self, key: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.renamed |= key.starts_with("labels.");
        self.extra.extend_from_slice(b",\"");
        json::escape(&mut self.extra, key.as_bytes());
        self.extra.extend_from_slice(b"\":");
        write(&mut self.extra);
    }

    /// Adds a string member.
    pub fn add_text(&mut self, key: &str, value: &[u8]) {
        self.add(key, |out| json::string(out, value));
    }

    /// Appends the finished object: `object` is the line from its opening to its closing brace, `base` its place.
    pub fn write(&mut self, object: &[u8], base: usize, out: &mut Vec<u8>) {
        out.reserve(object.len() + self.extra.len() + self.patch.len());
        let body = &object[..object.len() - 1];
        if self.edits.is_empty() {
            out.extend_from_slice(body);
        } else {
            self.edits.sort_unstable_by_key(|edit| edit.at);
            let mut done = 0;
            for edit in &self.edits {
                let (at, end) = (edit.at as usize - base, edit.end as usize - base);
                if at < done {
                    continue;
                }
                out.extend_from_slice(&body[done..at]);
                out.extend_from_slice(&self.patch[edit.from as usize..edit.to as usize]);
                done = end;
            }
            out.extend_from_slice(&body[done..]);
        }
        if !self.extra.is_empty() {
            // The first member of an empty object has no comma before it.
            let empty = body[1..].trim_ascii().is_empty();
            out.extend_from_slice(&self.extra[usize::from(empty)..]);
        }
        out.push(b'}');
    }
}
