//! The files of the store: blocks by kind and time, opened whatever state they are in.
use super::block::Block;
use super::events;
pub(crate) use crate::store::events::free_disk as free;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Raw,
    Rollup,
}

impl Kind {
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Kind::Raw => "raw",
            Kind::Rollup => "rollup",
        }
    }
}

pub(crate) fn block_path(dir: &Path, kind: Kind, start: i64, end: i64) -> PathBuf {
    dir.join(kind.folder()).join(format!("{start:013}-{end:013}.blk"))
}

pub(crate) fn log_path(dir: &Path, window: i64) -> PathBuf {
    dir.join(format!("{HEAD}{window:013}.log"))
}

/// The log of what others write, and of histograms.
pub(crate) fn written_path(dir: &Path, window: i64) -> PathBuf {
    dir.join(format!("{WRITTEN}{window:013}.log"))
}

pub(crate) const HEAD: &str = "head-";
pub(crate) const WRITTEN: &str = "written-";

/// The logs of a kind, of windows that are not sealed yet, oldest first.
pub(crate) fn logs(dir: &Path, kind: &str) -> io::Result<Vec<(i64, PathBuf)>> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let window =
            name.strip_prefix(kind).and_then(|n| n.strip_suffix(".log")).and_then(|n| n.parse().ok());
        if let Some(window) = window {
            out.push((window, path));
        }
    }
    out.sort();
    Ok(out)
}

/// All blocks of a kind by time. A file that is no whole block is set aside; one that a larger block has replaced is
/// removed.
pub(crate) fn blocks(dir: &Path, kind: Kind) -> io::Result<Vec<Arc<Block>>> {
    let folder = dir.join(kind.folder());
    std::fs::create_dir_all(&folder)?;
    let mut found: Vec<Block> = Vec::new();
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        match path.extension().and_then(|e| e.to_str()) {
            Some("blk") => match Block::open(&path) {
                Ok(block) => found.push(block),
                Err(error) => {
                    events::damaged("block", 1);
                    tracing::error!(path = %path.display(), %error, "a block of metrics cannot be read and is set aside");
                    let _ = std::fs::rename(&path, path.with_extension("damaged"));
                }
            },
            // A write that a crash cut short; what it would have held is still where it came from.
            Some("new") => {
                let _ = std::fs::remove_file(&path);
            }
            _ => {}
        }
    }
    found.sort_by_key(|b| (b.start, -b.end));
    let mut out: Vec<Arc<Block>> = Vec::new();
    for block in found {
        if out.last().is_some_and(|last| block.start < last.end) {
            let _ = std::fs::remove_file(&block.path);
            continue;
        }
        out.push(Arc::new(block));
    }
    Ok(out)
}
