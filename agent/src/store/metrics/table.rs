//! The table of series: an id for each set of labels, found by labels without copying them, kept in a log on disk.
use super::codec::{Take, put, put_str};
use super::labels::{Labels, NAME};
use super::matcher::{Matcher, Op};
use super::wal::{Log, Replay};
use hashbrown::HashTable;
use std::collections::HashMap;
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
}

impl Table {
    pub(crate) fn open(path: &Path) -> io::Result<(Table, Replay)> {
        let mut found: Vec<(Id, Labels)> = Vec::new();
        // Names and values repeat over series; one copy of each serves all.
        let mut strings: HashMap<String, Arc<str>> = HashMap::new();
        let (log, replay) = Log::open(path, |frame| {
            if let Some(entry) = frame.and_then(|frame| decode(frame, &mut strings)) {
                found.push(entry);
            }
        })?;
        let mut table =
            Table { labels: Vec::new(), by_labels: HashTable::new(), by_name: HashMap::new(), log };
        for (id, labels) in found {
            table.insert(id, labels);
        }
        Ok((table, replay))
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
        self.log.append(&encode(id, &labels))?;
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

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.log.sync()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.log.bytes()
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
        let next = path.with_extension("new");
        let _ = std::fs::remove_file(&next);
        let (mut log, _) = Log::open(&next, |_| {})?;
        for (id, labels) in &kept {
            log.append(&encode(*id, labels))?;
        }
        log.sync()?;
        std::fs::rename(&next, path)?;
        let (log, _) = Log::open(path, |_| {})?;
        *self = Table { labels: Vec::new(), by_labels: HashTable::new(), by_name: HashMap::new(), log };
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
