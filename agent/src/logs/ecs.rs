//! What a scanned object says in terms of the Elastic Common Schema, as changes to a [`Draft`] of it.

use super::draft::Draft;
use super::fields::{self, Field, Slot};
use super::record::Source;
use super::scan::{Kind as Json, Member, Scan};
use super::stream::Kind;
use super::timestamp::Nanos;

mod decide;

use decide::Work;

const NONE: u16 = u16::MAX;
const MAX_NOTED: usize = 256;

/// The reader, with the memory it uses again and what it found out about the last record.
#[derive(Debug)]
pub struct Ecs {
    noted: Vec<Noted>,
    /// The best source of each slot.
    best: [u16; fields::SLOTS],
    /// The ECS field itself, if the record has it.
    own: [u16; fields::SLOTS],
    dotted: Vec<usize>,
    spare: Vec<Scan>,
    path: Vec<u8>,
    /// Where the opening brace is.
    pub start: usize,
    /// `service.name` or what stands for it.
    pub service: Vec<u8>,
    /// `service.environment` or the default.
    pub environment: Vec<u8>,
    /// Which stream it belongs to.
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy)]
struct Noted {
    member: Member,
    field: &'static Field,
    /// A member of the record itself, not of an object in it.
    top: bool,
}

impl Default for Ecs {
    fn default() -> Self {
        Ecs {
            noted: Vec::new(),
            best: [NONE; fields::SLOTS],
            own: [NONE; fields::SLOTS],
            dotted: Vec::new(),
            spare: Vec::new(),
            path: Vec::new(),
            start: 0,
            service: Vec::new(),
            environment: Vec::new(),
            kind: Kind::App,
        }
    }
}

impl Ecs {
    /// Reads the members of `scan` and notes in `draft` what must change.
    pub fn understand(
        &mut self,
        line: &[u8],
        scan: &Scan,
        source: Source<'_>,
        environment: &str,
        now: Nanos,
        draft: &mut Draft,
    ) {
        self.start = line.iter().position(|&b| b == b'{').unwrap_or(0);
        self.collect(line, scan);
        Work { line, ecs: self, draft }.all(scan, source, environment, now);
    }

    fn collect(&mut self, line: &[u8], scan: &Scan) {
        self.noted.clear();
        self.dotted.clear();
        self.best.fill(NONE);
        self.own.fill(NONE);
        for (index, member) in scan.members.iter().enumerate() {
            let key = member.key(line);
            match fields::find(key) {
                Some(field) => {
                    self.note(*member, field, true);
                    if member.kind == Json::Object && (field.object.is_some() || fields::opens(key)) {
                        self.open(line, member);
                    }
                }
                None if member.kind == Json::Object && fields::opens(key) => self.open(line, member),
                None => {
                    if key.contains(&b'.') {
                        self.dotted.push(index);
                    }
                }
            }
        }
    }

    fn open(&mut self, line: &[u8], member: &Member) {
        let mut path = std::mem::take(&mut self.path);
        path.clear();
        path.extend_from_slice(member.key(line));
        self.descend(line, member, &mut path, 0);
        self.path = path;
    }

    fn descend(&mut self, line: &[u8], object: &Member, path: &mut Vec<u8>, depth: usize) {
        let mut scan = self.spare.pop().unwrap_or_default();
        if scan.object(line, object.value.0 as usize).is_ok() {
            let length = path.len();
            path.push(b'.');
            for member in &scan.members {
                path.extend_from_slice(member.key(line));
                if let Some(field) = fields::find(path) {
                    self.note(*member, field, false);
                }
                if member.kind == Json::Object && depth < 2 && fields::opens(path) {
                    self.descend(line, member, path, depth + 1);
                }
                path.truncate(length + 1);
            }
            path.truncate(length);
        }
        self.spare.push(scan);
    }

    fn note(&mut self, member: Member, field: &'static Field, top: bool) {
        if self.noted.len() >= MAX_NOTED {
            return;
        }
        let index = self.noted.len() as u16;
        self.noted.push(Noted { member, field, top });
        let slot = field.slot as usize;
        if slot >= fields::SLOTS {
            return;
        }
        if field.rank == 0 && self.own[slot] == NONE {
            self.own[slot] = index;
        }
        // An object says nothing itself, its members do; only `message` and `labels` may be one.
        let vessel = member.kind == Json::Object && !matches!(field.slot, Slot::Message | Slot::Labels);
        if vessel || member.kind == Json::Null {
            return;
        }
        let best = self.best[slot];
        if best == NONE || field.rank < self.noted[usize::from(best)].field.rank {
            self.best[slot] = index;
        }
    }
}
