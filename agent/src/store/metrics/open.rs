//! Opens a store: finds its blocks, and reads back what its logs hold after a crash. Damage costs what it hits, and is counted.
use super::disk::{self, Kind};
use super::events;
use super::exemplars::Exemplars;
use super::head::{Head, WRITTEN};
use super::metadata::Metadata;
use super::native::NATIVE;
use super::rounds::{Decoded, Rounds};
use super::settings::Settings;
use super::store::{Inner, OpenLog, Store};
use super::table::Table;
use super::wal::Log;
use super::written::{self, Origin, Value};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// A store that cannot be opened at all: its folder cannot be made or read. Damage in it never is a reason.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the store of metrics in {dir}: {source}")]
pub struct OpenError {
    dir: String,
    source: io::Error,
}

impl Store {
    /// Opens or creates a store. After a crash it reads back what its log holds.
    pub fn open(dir: &Path, settings: &Settings) -> Result<Arc<Store>, OpenError> {
        let failed = |source| OpenError { dir: dir.display().to_string(), source };
        std::fs::create_dir_all(dir).map_err(failed)?;
        let (mut table, opened) = Table::open(&dir.join("series.log")).map_err(failed)?;
        if opened.lost > 0 {
            events::damaged("series", opened.lost);
            tracing::error!(
                series = opened.lost,
                "damage in the list of series and in its copy: their samples can no longer be found"
            );
        }
        if opened.recovered > 0 {
            events::damaged("series_recovered", opened.recovered);
            tracing::warn!(
                series = opened.recovered,
                "the list of series or its copy was damaged; the other one gave back what was missing"
            );
        }
        if opened.cut > 0 {
            events::damaged("series_log_bytes", opened.cut);
            tracing::warn!(
                bytes = opened.cut,
                "the tail of the list of series was damaged and has been cut off"
            );
        }
        let raw = disk::blocks(dir, Kind::Raw).map_err(failed)?;
        let rollups = disk::blocks(dir, Kind::Rollup).map_err(failed)?;
        for block in raw.iter().chain(&rollups) {
            // No id that a block uses may be given to another series.
            let last = block.index().ok().and_then(|i| i.iter().map(|e| e.id & !NATIVE).max());
            block.forget_index();
            table.reserve(last.map_or(0, |id| id as usize + 1));
        }
        let sealed = raw.last().map_or(i64::MIN, |b| b.end);
        let mut inner = Inner {
            table,
            head: Head::default(),
            raw,
            rollups,
            log: None,
            written: BTreeMap::new(),
            last_written: i64::MIN,
            round: 1,
            newest: i64::MIN,
            sealed,
        };
        for kind in [disk::HEAD, disk::WRITTEN] {
            for (window, path) in disk::logs(dir, kind).map_err(failed)? {
                if window < sealed {
                    let _ = std::fs::remove_file(&path);
                    continue;
                }
                let read = match kind {
                    disk::HEAD => inner.replay(window, &path),
                    _ => inner.replay_written(window, &path),
                };
                if let Err(error) = read {
                    events::damaged("head_log", 1);
                    tracing::error!(path = %path.display(), %error, "a log of samples cannot be read and is left out");
                }
            }
        }
        inner.newest = inner.head.newest().unwrap_or(sealed.saturating_sub(1));
        Ok(Arc::new(Store {
            dir: dir.to_owned(),
            settings: settings.clone(),
            inner: RwLock::new(inner),
            maintenance: Mutex::new(()),
            exemplars: Mutex::new(Exemplars::new(settings.max_exemplars)),
            metadata: RwLock::new(Metadata::default()),
            min_free: AtomicU64::new(0),
        }))
    }
}

impl Inner {
    fn replay_written(&mut self, window: i64, path: &Path) -> io::Result<()> {
        let (mut unknown, mut foreign) = (0u64, 0u64);
        let (head, table, last_written) = (&mut self.head, &self.table, &mut self.last_written);
        let (log, replay) = Log::open(path, |frame| {
            let Some(frame) = frame else { return };
            let read = written::decode(frame, |origin, id, time, value| {
                if table.labels_of(id).is_none() {
                    unknown += 1;
                    return;
                }
                let round = if origin == Origin::Round { 0 } else { WRITTEN };
                if origin == Origin::Sender {
                    *last_written = time.max(*last_written);
                }
                match value {
                    Value::Float(v) => head.push(id, time, v, round),
                    Value::Native(h) => head.push_native(id, time, &h, round),
                };
            });
            foreign += u64::from(read.is_none());
        })?;
        if replay.lost + foreign > 0 {
            events::damaged("written_log_frames", replay.lost + foreign);
            tracing::error!(
                path = %path.display(), frames = replay.lost + foreign,
                "damage in the log of written samples: what these frames held is lost"
            );
        }
        tell("written_log_bytes", path, replay.cut, unknown);
        self.written.insert(window, log);
        Ok(())
    }

    fn replay(&mut self, window: i64, path: &Path) -> io::Result<()> {
        let mut rounds = Rounds::default();
        let (mut unknown, mut skipped) = (0u64, 0u64);
        let (head, table) = (&mut self.head, &self.table);
        let (log, replay) = Log::open(path, |frame| {
            let Some(frame) = frame else { return rounds.lost() };
            let decoded = rounds.decode(frame, |id, time, value| {
                if table.labels_of(id).is_some() {
                    // Round 0 is before any: what does not come back has ended.
                    head.push(id, time, value, 0);
                } else {
                    unknown += 1;
                }
            });
            skipped += u64::from(decoded == Decoded::Skipped);
        })?;
        if replay.lost > 0 {
            events::damaged("head_log_rounds", replay.lost + skipped);
            tracing::error!(
                path = %path.display(), rounds = replay.lost + skipped,
                "damage in the log of samples: rounds are lost, up to the next one that was written in full"
            );
        }
        tell("head_log_bytes", path, replay.cut, unknown);
        self.log = Some(OpenLog { window, log, rounds });
        Ok(())
    }
}

/// Says that a log's tail was cut off, and that it had samples of series that nobody knows.
fn tell(what: &'static str, path: &Path, cut: u64, unknown: u64) {
    if cut > 0 {
        events::damaged(what, cut);
        tracing::warn!(path = %path.display(), bytes = cut, "the tail of the log of samples was damaged and has been cut off");
    }
    if unknown > 0 {
        events::damaged("samples", unknown);
        tracing::error!(path = %path.display(), samples = unknown, "samples of unknown series were left out");
    }
}
