//! Names of data streams: `logs-<service>.<kind>-<environment>`, safe whatever a record says, and not without number.

use hashbrown::HashSet;
use parking_lot::RwLock;
use sightline_instrument::wire::kind;

/// What kind of record it is; each kind has streams of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// What services say.
    App,
    /// Who did what.
    Audit,
    /// Panic reports.
    Panic,
    /// Lines that were not JSON objects.
    Unparsed,
}

impl Kind {
    /// As it stands in names.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::App => kind::APP,
            Kind::Audit => kind::AUDIT,
            Kind::Panic => kind::PANIC,
            Kind::Unparsed => kind::UNPARSED,
        }
    }

    /// Reads the part of a dataset after its last dot.
    pub fn of_dataset(dataset: &[u8]) -> Option<Self> {
        let last = dataset.rsplit(|&b| b == b'.').next()?;
        [Kind::App, Kind::Audit, Kind::Panic, Kind::Unparsed]
            .into_iter()
            .find(|kind| kind.as_str().as_bytes() == last)
    }
}

/// The service of a record that names none.
pub const UNKNOWN: &str = "unknown";
/// The service of records whose service came after the bound was reached.
pub const OTHER: &str = "other";

const SERVICE_BYTES: usize = 80;
const ENVIRONMENT_BYTES: usize = 40;

/// The streams in use; a client that invents services cannot make more than `most` of them.
#[derive(Debug)]
pub struct Streams {
    known: RwLock<HashSet<Box<[u8]>>>,
    most: usize,
}

impl Streams {
    /// At most `most` pairs of service and environment.
    pub fn new(most: usize) -> Self {
        Streams { known: RwLock::default(), most }
    }

    /// Appends the name. False if the bound was reached and the record went to [`OTHER`].
    pub fn write(&self, service: &[u8], kind: Kind, environment: &[u8], out: &mut Vec<u8>) -> bool {
        let from = out.len();
        out.extend_from_slice(b"logs-");
        let start = out.len();
        part(service, SERVICE_BYTES, UNKNOWN, out);
        let end = out.len();
        out.push(b'.');
        out.extend_from_slice(kind.as_str().as_bytes());
        out.push(b'-');
        part(environment, ENVIRONMENT_BYTES, UNKNOWN, out);
        if self.admit(&out[start..]) {
            return true;
        }
        let tail = out.split_off(end);
        out.truncate(from);
        out.extend_from_slice(b"logs-");
        out.extend_from_slice(OTHER.as_bytes());
        // The environment is the sender's word as well: beyond the bound it names no stream either.
        let environment = tail.iter().position(|&b| b == b'-').unwrap_or(tail.len());
        out.extend_from_slice(&tail[..environment]);
        out.push(b'-');
        out.extend_from_slice(OTHER.as_bytes());
        false
    }

    fn admit(&self, name: &[u8]) -> bool {
        if self.known.read().contains(name) {
            return true;
        }
        let mut known = self.known.write();
        if known.len() >= self.most {
            return known.contains(name);
        }
        known.insert(name.into());
        true
    }
}

/// Appends `text` in lower case, everything but letters and digits as `_`; `otherwise` if nothing is left of it.
fn part(text: &[u8], most: usize, otherwise: &str, out: &mut Vec<u8>) {
    let before = out.len();
    out.extend(text.iter().take(most).map(|byte| match byte {
        b'a'..=b'z' | b'0'..=b'9' => *byte,
        b'A'..=b'Z' => byte.to_ascii_lowercase(),
        _ => b'_',
    }));
    if out[before..].iter().all(|&b| b == b'_') {
        out.truncate(before);
        out.extend_from_slice(otherwise.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Streams};
    use proptest::prelude::*;

    fn name(streams: &Streams, service: &str, environment: &str) -> String {
        let mut out = b"before ".to_vec();
        streams.write(service.as_bytes(), Kind::App, environment.as_bytes(), &mut out);
        String::from_utf8(out).unwrap().strip_prefix("before ").unwrap().to_owned()
    }

    #[test]
    fn confines_what_a_record_says() {
        let streams = Streams::new(100);
        for (service, environment, stream) in [
            ("kittenserver", "prod", "logs-kittenserver.app-prod"),
            ("Kitten-Server.v2", "Prod/EU", "logs-kitten_server_v2.app-prod_eu"),
            ("../../etc", "..", "logs-______etc.app-unknown"),
            ("", "", "logs-unknown.app-unknown"),
            ("kätzchen", "dev", "logs-k__tzchen.app-dev"),
        ] {
            assert_eq!(name(&streams, service, environment), stream);
        }
    }

    #[test]
    fn a_client_cannot_invent_streams_without_end() {
        let streams = Streams::new(2);
        assert_eq!(name(&streams, "a", "prod"), "logs-a.app-prod");
        assert_eq!(name(&streams, "b", "prod"), "logs-b.app-prod");
        assert_eq!(name(&streams, "c", "prod"), "logs-other.app-other");
        assert_eq!(name(&streams, "a", "prod"), "logs-a.app-prod");
    }

    proptest! {
        #[test]
        fn every_name_is_one_that_elasticsearch_takes(service in "\\PC{0,200}", environment in "\\PC{0,200}") {
            let name = name(&Streams::new(10), &service, &environment);
            prop_assert!(name.len() <= 255);
            prop_assert!(name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-')));
            prop_assert!(!name.contains(".."));
            prop_assert_eq!(name.matches('-').count(), 2);
        }
    }
}
