//! The queue against a model, on a file system that fails: power cuts lose, tear and reorder what was not forced
//! to disk, and writes are refused.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use proptest::prelude::*;

use super::super::disk::{Blob, Disk, Listed};
use super::super::{Queue, Settings};
use crate::units::Bytes;

/// A file: what a power cut leaves, and what the process sees.
#[derive(Debug, Clone, Default)]
struct Data {
    forced: Vec<u8>,
    now: Vec<u8>,
    /// Changes since it was last forced, in order.
    changes: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Cut(u64),
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Change::Cut(len) => to.resize(*len as usize, 0),
            Change::Write(at, bytes) => {
                let end = *at as usize + bytes.len();
                if to.len() < end {
                    to.resize(end, 0);
                }
                to[*at as usize..end].copy_from_slice(bytes);
            }
        }
    }
}

type File = Arc<Mutex<Data>>;

#[derive(Debug, Default)]
struct Tree {
    forced: BTreeMap<String, File>,
    now: BTreeMap<String, File>,
    /// Writes that still succeed.
    credit: Option<u32>,
}

#[derive(Debug, Clone, Default)]
struct Fake(Arc<Mutex<Tree>>);

struct Handle {
    data: File,
    tree: Arc<Mutex<Tree>>,
}

impl Tree {
    fn spend(&mut self) -> io::Result<()> {
        match &mut self.credit {
            Some(0) => Err(io::ErrorKind::StorageFull.into()),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Fake {
    fn handle(&self, data: &File) -> Box<dyn Blob> {
        Box::new(Handle { data: data.clone(), tree: self.0.clone() })
    }

    /// Keeps what was forced, and of the rest what `keep` says: whole, in part, or not at all, in any order.
    fn power_cut(&self, mut keep: impl FnMut() -> u8) {
        let mut tree = self.0.lock();
        let names: Vec<String> = tree.now.keys().chain(tree.forced.keys()).cloned().collect();
        for name in names {
            let (now, forced) = (tree.now.get(&name).cloned(), tree.forced.get(&name).cloned());
            // A name whose change was not forced may be there or not.
            let survives = match (&now, &forced) {
                (Some(a), Some(b)) if Arc::ptr_eq(a, b) => Some(a.clone()),
                _ if keep().is_multiple_of(2) => now,
                _ => forced,
            };
            let Some(file) = survives else {
                tree.now.remove(&name);
                tree.forced.remove(&name);
                continue;
            };
            {
                let mut data = file.lock();
                let mut left = data.forced.clone();
                for change in std::mem::take(&mut data.changes) {
                    let mut change = change;
                    match (keep() % 4, &mut change) {
                        (0, _) => continue,
                        (1, Change::Write(_, bytes)) => {
                            bytes.truncate(usize::from(keep()) * bytes.len() / 255);
                        }
                        // Blocks that were allotted and never written.
                        (2, Change::Write(_, bytes)) => {
                            let from = usize::from(keep()) * bytes.len() / 255;
                            bytes[from..].fill(0);
                        }
                        _ => {}
                    }
                    change.apply(&mut left);
                }
                (data.now, data.forced) = (left.clone(), left);
            }
            tree.now.insert(name.clone(), file.clone());
            tree.forced.insert(name, file);
        }
        tree.credit = None;
    }
}

impl Disk for Fake {
    fn create(&self, name: &str) -> io::Result<Box<dyn Blob>> {
        let mut tree = self.0.lock();
        tree.spend()?;
        let file = tree.now.entry(name.to_owned()).or_default().clone();
        drop(tree);
        let handle = self.handle(&file);
        if !file.lock().now.is_empty() {
            let mut data = file.lock();
            data.now.clear();
            data.changes.push(Change::Cut(0));
        }
        Ok(handle)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Blob>> {
        self.0.lock().now.get(name).map(|file| self.handle(file)).ok_or(io::ErrorKind::NotFound.into())
    }

    fn list(&self) -> io::Result<Vec<Listed>> {
        let list = |(name, file): (&String, &File)| Listed {
            name: name.clone(),
            len: file.lock().now.len() as u64,
            modified: SystemTime::UNIX_EPOCH,
        };
        Ok(self.0.lock().now.iter().map(list).collect())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.lock().now.remove(name).map(|_| ()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut tree = self.0.lock();
        tree.spend()?;
        tree.forced = tree.now.clone();
        Ok(())
    }

    fn free(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

impl Blob for Handle {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let data = self.data.lock();
        let rest = data.now.get(offset as usize..).unwrap_or(&[]);
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        let full = self.tree.lock().spend();
        let mut data = self.data.lock();
        // A refused write may have written a part.
        let part = if full.is_err() { &buf[..buf.len() / 2] } else { buf };
        let change = Change::Write(offset, part.to_vec());
        change.apply(&mut data.now);
        data.changes.push(change);
        full
    }

    fn sync(&self) -> io::Result<()> {
        self.tree.lock().spend()?;
        let mut data = self.data.lock();
        data.forced = data.now.clone();
        data.changes.clear();
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.tree.lock().spend()?;
        let mut data = self.data.lock();
        let change = Change::Cut(len);
        change.apply(&mut data.now);
        data.changes.push(change);
        Ok(())
    }
}

#[derive(Debug, Clone)]
enum Action {
    Append(Vec<u8>),
    Commit,
    Read(usize),
    Acknowledge,
    KeepCursor(bool),
    /// The next so many changes of the disk succeed, then none, until the next of these.
    Fill(Option<u32>),
    Restart,
    PowerCut(Vec<u8>),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => prop::collection::vec(0u8..200, 1..8).prop_map(Action::Append),
        6 => Just(Action::Commit),
        4 => (1usize..20).prop_map(Action::Read),
        3 => Just(Action::Acknowledge),
        3 => any::<bool>().prop_map(Action::KeepCursor),
        1 => prop::option::of(0u32..6).prop_map(Action::Fill),
        1 => Just(Action::Restart),
        2 => prop::collection::vec(any::<u8>(), 1..40).prop_map(Action::PowerCut),
    ]
}

/// What the queue has promised.
#[derive(Default)]
struct Model {
    /// By sequence number: the payload, as long as a restart has not shown it to be gone.
    records: BTreeMap<u64, Vec<u8>>,
    next_seq: u64,
    durable: u64,
    read: u64,
    acked: u64,
}

struct World {
    disk: Fake,
    settings: Settings,
    queue: Arc<Queue>,
    reader: super::super::Reader,
    model: Model,
    serial: u32,
}

impl World {
    fn new() -> Self {
        let settings = Settings {
            max_bytes: Bytes(1 << 30),
            min_free: Bytes(0),
            segment_bytes: Bytes(700),
            ..Settings::default()
        };
        let disk = Fake::default();
        let queue = Queue::open_on(Arc::new(disk.clone()), "queue-model", &settings, None).unwrap();
        let reader = queue.reader();
        World { disk, settings, queue, reader, model: Model::default(), serial: 0 }
    }

    fn step(&mut self, action: Action) {
        match action {
            Action::Append(sizes) => {
                let payload = |size: u8| {
                    self.serial += 1;
                    let mut payload = self.serial.to_le_bytes().to_vec();
                    payload.resize(4 + usize::from(size), size);
                    payload
                };
                let payloads: Vec<Vec<u8>> = sizes.into_iter().map(payload).collect();
                if self.queue.append(&payloads).is_ok() {
                    for payload in payloads {
                        self.model.records.insert(self.model.next_seq, payload);
                        self.model.next_seq += 1;
                    }
                }
            }
            Action::Commit => {
                self.queue.commit();
                self.model.durable = self.queue.progress().borrow().end_seq;
            }
            Action::Read(records) => {
                let batch = self.reader.next_batch(records, 1000).unwrap();
                assert!(batch.lost.is_empty(), "nothing that was not damaged is lost: {:?}", batch.lost);
                for entry in batch.entries {
                    assert_eq!(entry.seq, self.model.read, "in order and without a gap");
                    assert!(entry.seq < self.model.durable, "only what is on disk is read");
                    assert_eq!(&entry.payload[..], &self.model.records[&entry.seq][..]);
                    self.model.read += 1;
                }
            }
            Action::Acknowledge => {
                self.queue.acknowledge(self.model.read);
                self.model.acked = self.model.acked.max(self.model.read);
            }
            Action::KeepCursor(now) => self.queue.keep_cursor(now),
            Action::Fill(credit) => self.disk.0.lock().credit = credit,
            Action::Restart => self.reopen(false),
            Action::PowerCut(dice) => {
                let mut dice = dice.into_iter().cycle();
                self.disk.power_cut(|| dice.next().unwrap_or(0));
                self.reopen(true);
            }
        }
    }

    /// The process has ended without a word and begins again.
    fn reopen(&mut self, power_cut: bool) {
        self.disk.0.lock().credit = None;
        let disk = Arc::new(self.disk.clone());
        self.queue = Queue::open_on(disk, "queue-model", &self.settings, None).unwrap();
        self.reader = self.queue.reader();
        let (first, end) = (self.reader.next_seq(), self.queue.progress().borrow().end_seq);
        assert!(first <= self.model.acked, "a record that was not acknowledged is passed over");
        assert!(end >= self.model.durable, "a record that was durable is gone");
        // What was not durable may be there in part: look at what is, with its gaps.
        let mut reader = self.queue.reader();
        let mut seen = BTreeMap::new();
        loop {
            let batch = reader.next_batch(1000, 1 << 20).unwrap();
            if batch.entries.is_empty() && batch.lost.is_empty() {
                break;
            }
            for lost in batch.lost.iter().cloned().flatten() {
                assert!(power_cut && lost >= self.model.durable, "the durable record {lost} is lost");
            }
            for entry in batch.entries {
                if let Some(payload) = self.model.records.get(&entry.seq) {
                    assert_eq!(&entry.payload[..], &payload[..], "record {}", entry.seq);
                }
                seen.insert(entry.seq, entry.payload.to_vec());
            }
        }
        for seq in first.max(self.model.acked)..self.model.durable {
            assert!(seen.contains_key(&seq), "the durable record {seq} is gone");
        }
        // Gaps in what was never promised would trip the model: such a queue is done with here.
        self.model.records.extend(seen);
        let whole = (first..end).all(|seq| self.model.records.contains_key(&seq));
        let gap = power_cut && reader.next_seq() > self.model.durable;
        (self.model.next_seq, self.model.durable, self.model.read) = (end, end, first);
        if !whole || gap {
            let disk = Fake::default();
            self.queue = Queue::open_on(Arc::new(disk.clone()), "queue-model", &self.settings, None).unwrap();
            (self.disk, self.reader, self.model) = (disk, self.queue.reader(), Model::default());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn durable_records_survive_power_cuts_full_disks_and_restarts(
        actions in prop::collection::vec(action(), 1..80)
    ) {
        let mut world = World::new();
        for action in actions {
            world.step(action);
        }
        world.step(Action::Fill(None));
        world.step(Action::Commit);
        // Once the disk takes writes again, nothing that was taken is missing.
        let end = world.queue.progress().borrow().end_seq;
        prop_assert_eq!(end, world.model.next_seq);
        while world.model.read < end {
            world.step(Action::Read(50));
        }
    }
}
