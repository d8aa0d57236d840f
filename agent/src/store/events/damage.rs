//! Damage on disk: found by checksums, confined to the segment that it hits, said with the number of records it costs.
//!
//! A part is a list of segments (`meta.json`) and about six files for each of them. A file of which a bit has turned
//! costs its segment; only without a readable list the whole part is set aside.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use tantivy::schema::Schema;

use super::happenings;
use super::lane::Lane;
use super::part::Part;
use super::schema::Kind;

const LIST: &str = "meta.json";
/// The engine's note of files that it may delete; it makes a new one.
const MANAGED: &str = ".managed.json";
/// Files that every segment has.
const NEEDED: [&str; 5] = ["store", "term", "idx", "pos", "fast"];
/// Ends every file of the engine's, behind the length of its footer.
const MAGIC: u32 = 1337;

/// A segment that cannot be trusted.
#[derive(Debug, PartialEq, Eq)]
struct Damaged {
    /// As `meta.json` writes it.
    id: String,
    records: u64,
}

/// The segments of the part in `dir` with a file that is missing or differs from its checksum. Reads all of them,
/// beside the engine's own maps, so that the memory of the process stays as it is.
fn damaged_segments(dir: &Path) -> io::Result<Vec<Damaged>> {
    let mut found = Vec::new();
    for segment in segments(&list(dir)?) {
        if !is_whole(dir, &segment.id)? {
            found.push(segment);
        }
    }
    // A merge may have replaced a segment and removed its files meanwhile.
    let current: HashSet<String> = segments(&list(dir)?).into_iter().map(|s| s.id).collect();
    found.retain(|segment| current.contains(&segment.id));
    Ok(found)
}

fn list(dir: &Path) -> io::Result<Value> {
    Ok(serde_json::from_slice(&std::fs::read(dir.join(LIST))?)?)
}

fn segments(list: &Value) -> Vec<Damaged> {
    let all = list["segments"].as_array().into_iter().flatten();
    all.map(|segment| Damaged {
        id: segment["segment_id"].as_str().unwrap_or_default().to_owned(),
        records: segment["max_doc"].as_u64().unwrap_or(0),
    })
    .collect()
}

fn stem(id: &str) -> String {
    id.replace('-', "")
}

fn is_whole(dir: &Path, id: &str) -> io::Result<bool> {
    let stem = stem(id);
    if NEEDED.iter().any(|kind| !dir.join(format!("{stem}.{kind}")).is_file()) {
        return Ok(false);
    }
    for file in files_of(dir, &stem)? {
        match checksum_fits(&file) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            // Removed while we looked; the list says whether it is still wanted.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

fn files_of(dir: &Path, stem: &str) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.file_stem().is_some_and(|s| s.to_string_lossy().split('.').next() == Some(stem)) {
            files.push(path);
        }
    }
    Ok(files)
}

/// `[body][footer: JSON with "crc"][length of the footer u32][magic u32]`, little-endian.
fn checksum_fits(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    if length < 8 {
        return Ok(false);
    }
    let mut end = [0; 8];
    file.seek(SeekFrom::End(-8))?;
    file.read_exact(&mut end)?;
    let footer_length = u64::from(u32::from_le_bytes([end[0], end[1], end[2], end[3]]));
    let magic = u32::from_le_bytes([end[4], end[5], end[6], end[7]]);
    if magic != MAGIC || footer_length > 50_000 || footer_length + 8 > length {
        return Ok(false);
    }
    let body = length - footer_length - 8;
    let mut footer = vec![0; footer_length as usize];
    file.seek(SeekFrom::Start(body))?;
    file.read_exact(&mut footer)?;
    let Ok(footer) = serde_json::from_slice::<Value>(&footer) else { return Ok(false) };
    file.rewind()?;
    let (mut hasher, mut left, mut buffer) = (crc32fast::Hasher::new(), body, vec![0; 256 << 10]);
    while left > 0 {
        let take = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        file.read_exact(&mut buffer[..take])?;
        hasher.update(&buffer[..take]);
        left -= take as u64;
    }
    Ok(footer["crc"].as_u64() == Some(u64::from(hasher.finalize())))
}

/// Takes segments out of a part's list and moves their files into a folder beside it.
fn take_out(dir: &Path, damaged: &[Damaged]) -> io::Result<PathBuf> {
    let aside = aside(dir)?;
    std::fs::create_dir(&aside)?;
    let mut list = list(dir)?;
    if let Some(segments) = list["segments"].as_array_mut() {
        segments.retain(|s| !damaged.iter().any(|d| Some(d.id.as_str()) == s["segment_id"].as_str()));
    }
    let new = dir.join("meta.json.new");
    let mut file = File::create(&new)?;
    serde_json::to_writer(&mut file, &list)?;
    file.sync_all()?;
    std::fs::rename(&new, dir.join(LIST))?;
    File::open(dir)?.sync_all()?;
    for segment in damaged {
        for file in files_of(dir, &stem(&segment.id))? {
            if let Some(name) = file.file_name() {
                std::fs::rename(&file, aside.join(name))?;
            }
        }
    }
    Ok(aside)
}

/// A name beside `dir` that is free and never opened.
fn aside(dir: &Path) -> io::Result<PathBuf> {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    (0..1000)
        .map(|number| dir.with_file_name(format!("damaged-{name}-{number}")))
        .find(|aside| !aside.exists())
        .ok_or_else(|| io::Error::other("a thousand damaged parts of this name lie there already"))
}

/// Opens a part; the engine can panic over a damaged file as well as fail.
pub(super) fn open(dir: &Path, schema: &Schema) -> Result<Part, String> {
    match catch_unwind(AssertUnwindSafe(|| Part::open(dir, schema))) {
        Ok(Ok(part)) => Ok(part),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the engine panicked".to_owned()),
    }
}

/// Makes the best of a part that did not open for `reason`: without its damaged segments, or not at all.
pub(super) fn rescue(kind: Kind, dir: &Path, schema: &Schema, reason: &str) -> Option<Part> {
    let damaged = damaged_segments(dir);
    if damaged.is_ok() {
        // It may be what is damaged, and nothing is lost with it.
        let _ = std::fs::remove_file(dir.join(MANAGED));
    }
    let records = match damaged {
        Ok(damaged) if !damaged.is_empty() => match take_out(dir, &damaged) {
            Ok(aside) => {
                let records = damaged.iter().map(|d| d.records).sum();
                happenings::segments_lost(kind, &aside, damaged.len(), records, &reason);
                0
            }
            Err(_) => damaged.iter().map(|d| d.records).sum(),
        },
        _ => list(dir).map_or(0, |list| segments(&list).iter().map(|s| s.records).sum()),
    };
    match open(dir, schema) {
        Ok(part) => Some(part),
        Err(error) => {
            set_aside(kind, dir, records, &error);
            None
        }
    }
}

/// Moves a whole part out of the way under a name that is never opened.
fn set_aside(kind: Kind, dir: &Path, records: u64, error: &dyn std::fmt::Display) {
    match aside(dir).and_then(|aside| std::fs::rename(dir, &aside).map(|()| aside)) {
        Ok(aside) => happenings::set_aside(kind, &aside, records, error),
        Err(_) => happenings::set_aside(kind, dir, records, error),
    }
}

impl Lane {
    /// Checks a part that a search found strange, or whose turn it is, against its checksums. What is damaged is
    /// taken out, and the rest answers.
    pub(crate) fn examine(&self, part: &Arc<Part>) {
        if self.looking || damaged_segments(&part.dir).is_ok_and(|damaged| damaged.is_empty()) {
            return;
        }
        let mut writing = self.writing.lock();
        if !self.parts.read().iter().any(|other| Arc::ptr_eq(other, part)) {
            return;
        }
        if self.parts.read().last().is_some_and(|last| Arc::ptr_eq(last, part)) {
            // A merge that ended later would write the old list again.
            if let Some(Err(error)) = writing.writer.take().map(tantivy::IndexWriter::wait_merging_threads) {
                tracing::warn!(part = part.name, %error, "a merge in a damaged part failed");
            }
        }
        let rescued = rescue(self.kind, &part.dir, &self.fields.schema, "a file differs from its checksum");
        let mut parts = self.parts.write();
        match (parts.iter().position(|other| Arc::ptr_eq(other, part)), rescued) {
            (Some(at), Some(rescued)) => parts[at] = Arc::new(rescued),
            (Some(at), None) => drop(parts.remove(at)),
            (None, _) => {}
        }
    }

    /// Checks the part whose last check lies longest back, if it was not today: bits turn in silence.
    pub(crate) fn examine_next(&self) {
        const DAY_MS: i64 = 86_400_000;
        let now = (self.clock)();
        let due = |part: &Arc<Part>| part.checked().is_none_or(|at| now.saturating_sub(at) >= DAY_MS);
        if let Some(part) = self.parts().into_iter().rev().filter(due).min_by_key(|part| part.checked()) {
            part.set_checked(now);
            self.examine(&part);
        }
    }

    /// Folders of what was set aside and still lies on disk.
    pub(crate) fn damaged_parts(&self) -> usize {
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("damaged-")).count()
    }
}
