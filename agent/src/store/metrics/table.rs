//! The table of series: an id for each set of labels, found by labels without copying them, kept in a log on disk and in
//! a copy of it: a name that is lost costs all samples of its series, so what is damaged in one is taken from the other.
use super::codec::{Take, put, put_str};
use super::labels::{Labels, NAME};
use super::matcher::{Matcher, Op};
use super::wal::{Log, Replay};
use hashbrown::HashTable;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hasher;
use std::io;
use std::path::Path;
use std::sync::Arc;

pub(crate) type Id = u32;

pub(crate) struct Table {
    /// By id; a gap is a series that was forgotten.
    labels: Vec<Option<Labels>>,
    by_labels: HashTable<Id>,
    by_name: HashMap<Arc<str>, Vec<Id>>,
    log: Log,
    copy: Log,
}

/// What was found when a table was opened.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Opened {
    /// Broken stretches that neither file could give.
    pub(crate) lost: u64,
    /// Series that one file had lost and the other gave back.
    pub(crate) recovered: u64,
    /// Bytes cut off at the end of the log.
    pub(crate) cut: u64,
}

impl Table {
    pub(crate) fn open(path: &Path) -> io::Result<(Table, Opened)> {
        // Names and values repeat over series; one copy of each serves all.
        let mut strings: HashMap<String, Arc<str>> = HashMap::new();
        let mut read = |path: &Path| {
            let mut found: BTreeMap<Id, Labels> = BTreeMap::new();
            let (log, replay) = Log::open(path, |frame| {
                found.extend(frame.and_then(|frame| decode(frame, &mut strings)));
            })?;
            io::Result::Ok((log, replay, found))
        };
        let copied = path.with_extension("copy");
        let new = !copied.exists();
        let (mut log, first, mut found) = read(path)?;
        let (mut copy, second, others) = read(&copied)?;
        let whole = |replay: &Replay| replay.lost == 0 && replay.cut == 0;
        // A copy that was just made has lost nothing, and a kill between two appends damages neither.
        let mut recovered = 0;
        for (id, labels) in &found {
            if others.get(id) != Some(labels) {
                copy.append(&encode(*id, labels))?;
                recovered += u64::from(!whole(&second));
            }
        }
        let missing = others.into_iter().filter(|(id, _)| !found.contains_key(id)).collect::<Vec<_>>();
        if !missing.is_empty() {
            // A series that got another id since is not there twice.
            let known: HashSet<Labels> = found.values().cloned().collect();
            for (id, labels) in missing.into_iter().filter(|(_, labels)| !known.contains(labels)) {
                log.append(&encode(id, &labels))?;
                found.insert(id, labels);
                recovered += u64::from(!whole(&first));
            }
        }
        let lost = if whole(&first) || (whole(&second) && !new) { 0 } else { first.lost };
        let opened = Opened { lost, recovered, cut: first.cut };
        let (labels, by_labels, by_name) = Default::default();
        let mut table = Table { labels, by_labels, by_name, log, copy };
        for (id, labels) in found {
            table.insert(id, labels);
        }
        Ok((table, opened))
    }

    /// The id of a series, if it has one. `labels` are sorted and without the name.
    pub(crate) fn find(&self, name: &str, labels: &[(&str, &str)]) -> Option<Id> {
        let hash = hash_of(name, labels.iter().copied().filter(|(_, v)| !v.is_empty()));
        self.by_labels.find(hash, |id| self.labels_of(*id).is_some_and(|l| same(l, name, labels))).copied()
    }

    /// Gives a new series an id and writes it down.
    pub(crate) fn add(&mut self, name: &str, labels: &[(&str, &str)]) -> io::Result<Id> {
        let id = self.labels.len() as Id;
        let shared = self.by_name.get_key_value(name).map_or_else(|| Arc::from(name), |(n, _)| n.clone());
        let pairs = labels.iter().map(|(n, v)| (Arc::from(*n), Arc::from(*v)));
        let labels = Labels::new(pairs.chain([(Arc::from(NAME), shared)]));
        let frame = encode(id, &labels);
        self.log.append(&frame)?;
        self.copy.append(&frame)?;
        self.insert(id, labels);
        Ok(id)
    }

    fn insert(&mut self, id: Id, labels: Labels) {
        let at = id as usize;
        if self.labels.len() <= at {
            self.labels.resize(at + 1, None);
        }
        let name = labels.name().to_owned();
        let hash = hash_of(&name, labels.iter().filter(|(n, _)| *n != NAME));
        self.labels[at] = Some(labels);
        let all = &self.labels;
        self.by_labels.insert_unique(hash, id, |id| {
            all.get(*id as usize)
                .and_then(Option::as_ref)
                .map_or(0, |l| hash_of(l.name(), l.iter().filter(|(n, _)| *n != NAME)))
        });
        self.by_name.entry(Arc::from(name)).or_default().push(id);
    }

    /// Ids below this one have been given out; a block may know more than a damaged table.
    pub(crate) fn reserve(&mut self, ids: usize) {
        if self.labels.len() < ids {
            self.labels.resize(ids, None);
        }
    }

    pub(crate) fn labels_of(&self, id: Id) -> Option<&Labels> {
        self.labels.get(id as usize)?.as_ref()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_labels.len()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = (Id, &Labels)> {
        self.labels.iter().enumerate().filter_map(|(i, l)| Some((i as Id, l.as_ref()?)))
    }

    /// Handles of its files, to sync them.
    pub(crate) fn handles(&self) -> [io::Result<std::fs::File>; 2] {
        [self.log.handle(), self.copy.handle()]
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.log.sync()?;
        self.copy.sync()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.log.bytes() + self.copy.bytes()
    }

    /// Calls `f` with each series that all matchers accept.
    pub(crate) fn select<'t>(&'t self, matchers: &[Matcher], mut f: impl FnMut(Id, &'t Labels)) {
        let mut consider = |id: Id| {
            if let Some(labels) = self.labels_of(id)
                && matchers.iter().all(|m| m.matches_labels(labels))
            {
                f(id, labels);
            }
        };
        let name = matchers.iter().find(|m| m.name == NAME);
        match name {
            Some(m) if m.op == Op::Equal => {
                self.by_name.get(m.value.as_str()).into_iter().flatten().for_each(|id| consider(*id));
            }
            Some(m) => {
                let names = self.by_name.iter().filter(|(n, _)| m.matches(n));
                names.flat_map(|(_, ids)| ids).for_each(|id| consider(*id));
            }
            None => (0..self.labels.len() as Id).for_each(consider),
        }
    }

    /// Forgets series for which `keep` says no, and writes the table anew without them.
    pub(crate) fn retain(&mut self, path: &Path, keep: impl Fn(Id) -> bool) -> io::Result<usize> {
        let all = self.labels.len();
        let kept: Vec<(Id, Labels)> =
            self.ids().filter(|(id, _)| keep(*id)).map(|(id, l)| (id, l.clone())).collect();
        let gone = self.len() - kept.len();
        if gone == 0 {
            return Ok(0);
        }
        // One after the other: a crash between leaves a table that knows too much, not too little.
        let anew = |path: &Path| {
            let next = path.with_extension("new");
            let _ = std::fs::remove_file(&next);
            let (mut log, _) = Log::open(&next, |_| {})?;
            for (id, labels) in &kept {
                log.append(&encode(*id, labels))?;
            }
            log.sync()?;
            std::fs::rename(&next, path)?;
            Log::open(path, |_| {}).map(|(log, _)| log)
        };
        let (log, copy) = (anew(path)?, anew(&path.with_extension("copy"))?);
        let (labels, by_labels, by_name) = Default::default();
        *self = Table { labels, by_labels, by_name, log, copy };
        kept.into_iter().for_each(|(id, labels)| self.insert(id, labels));
        self.reserve(all);
        Ok(gone)
    }
}

fn encode(id: Id, labels: &Labels) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    put(&mut out, u64::from(id));
    put(&mut out, labels.len() as u64);
    for (n, v) in labels.iter() {
        put_str(&mut out, n);
        put_str(&mut out, v);
    }
    out
}

fn decode(frame: &[u8], strings: &mut HashMap<String, Arc<str>>) -> Option<(Id, Labels)> {
    let mut take = Take(frame);
    let id = Id::try_from(take.number()?).ok().filter(|id| *id < 1 << 28)?;
    let mut shared = |s: &str| match strings.get(s) {
        Some(a) => a.clone(),
        None => {
            let a: Arc<str> = Arc::from(s);
            strings.insert(s.to_owned(), a.clone());
            a
        }
    };
    let mut pairs = Vec::new();
    for _ in 0..take.number()? {
        pairs.push((shared(take.text()?), shared(take.text()?)));
    }
    Some((id, Labels::new(pairs)))
}

fn hash_of<'a>(name: &str, labels: impl Iterator<Item = (&'a str, &'a str)>) -> u64 {
    let mut hasher = rapidhash::fast::RapidHasher::default();
    hasher.write(name.as_bytes());
    for (n, v) in labels {
        hasher.write_u8(0xff);
        hasher.write(n.as_bytes());
        hasher.write_u8(0xfe);
        hasher.write(v.as_bytes());
    }
    hasher.finish()
}

fn same(labels: &Labels, name: &str, given: &[(&str, &str)]) -> bool {
    let filled = given.iter().filter(|(_, v)| !v.is_empty());
    labels.name() == name && labels.iter().filter(|(n, _)| *n != NAME).eq(filled.copied())
}
