//! Who fails to sign in, by address: a bounded table fed by audit records, of which only the worst become metrics.
//!
//! An address is a client's choice, so it is never a label without a bound (docs/adr/0005-addresses-of-attackers.md): the
//! table holds [`ADDRESSES`], a new one takes the place of the quietest, and a scrape shows at most [`SHOWN`] of them.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Instant;

use parking_lot::Mutex;
use serde_json::Value;
use sightline_instrument::wire::{field, label};

use crate::metrics::registry::series::render_labels;

/// Addresses that are counted at one time, over all services.
const ADDRESSES: usize = 1_024;
/// Addresses that a scrape shows.
const SHOWN: usize = 20;
/// Failures below this number are people who mistype.
const FEWEST: u64 = 5;
/// Minutes that are looked back on, each a slot.
const MINUTES: u64 = 5;
/// The longest name of a service or an environment that is kept.
const NAME: usize = 128;

static TABLE: LazyLock<(Instant, Mutex<SignIns>)> =
    LazyLock::new(|| (Instant::now(), Mutex::new(SignIns::default())));

/// One failed sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Failure {
    /// `service.environment`
    pub environment: String,
    /// `service.name`
    pub service: String,
    /// `source.ip`
    pub address: IpAddr,
}

impl Failure {
    /// What a finished audit record says, if it is a sign-in that failed and its address is one.
    pub fn of(document: &[u8]) -> Option<Self> {
        let record: Value = serde_json::from_slice(document).ok()?;
        let is = |path: &str, value: &str| match at(&record, path) {
            Some(Value::Array(values)) => values.iter().any(|one| one == value),
            one => one.is_some_and(|one| one == value),
        };
        if !is(field::EVENT_CATEGORY, "authentication") || !is(field::EVENT_OUTCOME, "failure") {
            return None;
        }
        let name = |path: &str| -> String {
            at(&record, path).and_then(Value::as_str).unwrap_or("unknown").chars().take(NAME).collect()
        };
        let address = at(&record, field::SOURCE_IP)?.as_str()?.parse::<IpAddr>().ok()?.to_canonical();
        Some(Failure {
            environment: name(field::SERVICE_ENVIRONMENT),
            service: name(field::SERVICE_NAME),
            address,
        })
    }
}

/// The value of a dotted field, written as one key or as objects.
fn at<'v>(record: &'v Value, path: &str) -> Option<&'v Value> {
    record.get(path).or_else(|| path.split('.').try_fold(record, |value, part| value.get(part)))
}

/// Failures of the last minutes by who failed where.
#[derive(Debug, Default)]
pub struct SignIns {
    counts: HashMap<Failure, Counts>,
}

/// Failures by minute.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    slots: [u64; MINUTES as usize],
    last: u64,
}

impl Counts {
    fn add(&mut self, minute: u64) {
        self.forget(minute);
        self.slots[(minute % MINUTES) as usize] += 1;
    }

    /// Empties the slots of minutes that have gone by.
    fn forget(&mut self, minute: u64) {
        for gone in self.last + 1..=minute.min(self.last + MINUTES) {
            self.slots[(gone % MINUTES) as usize] = 0;
        }
        self.last = self.last.max(minute);
    }

    fn sum(mut self, minute: u64) -> u64 {
        if minute >= self.last + MINUTES {
            return 0;
        }
        self.forget(minute);
        self.slots.iter().sum()
    }
}

impl SignIns {
    /// Counts one failure in `minute`. True if another address had to be forgotten for it.
    pub fn add(&mut self, failure: Failure, minute: u64) -> bool {
        let mut forgot = false;
        if self.counts.len() >= ADDRESSES && !self.counts.contains_key(&failure) {
            self.counts.retain(|_, counts| counts.sum(minute) > 0);
            if self.counts.len() >= ADDRESSES {
                let quietest = self.counts.iter().min_by_key(|(_, counts)| counts.sum(minute));
                if let Some(quietest) = quietest.map(|(failure, _)| failure.clone()) {
                    self.counts.remove(&quietest);
                    forgot = true;
                }
            }
        }
        let counts = self.counts.entry(failure).or_insert(Counts { last: minute, ..Counts::default() });
        counts.add(minute);
        forgot
    }

    /// The worst of the last minutes, worst first, as exposition text; empty while there is none.
    pub fn render(&mut self, minute: u64) -> String {
        self.counts.retain(|_, counts| counts.sum(minute) > 0);
        let mut worst: Vec<(u64, &Failure)> =
            self.counts.iter().map(|(failure, counts)| (counts.sum(minute), failure)).collect();
        worst.retain(|(count, _)| *count >= FEWEST);
        worst.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.address.cmp(&b.1.address)));
        worst.truncate(SHOWN);
        if worst.is_empty() {
            return String::new();
        }
        let mut out = String::from(
            "# HELP sightline_auth_failures Failed sign-ins of the last five minutes, of the worst addresses.\n\
             # TYPE sightline_auth_failures gauge\n",
        );
        for (count, failure) in worst {
            let address = failure.address.to_string();
            let labels = render_labels([
                (label::ENVIRONMENT, failure.environment.as_str()),
                (label::SERVICE, failure.service.as_str()),
                ("source_ip", address.as_str()),
            ]);
            // Writing to a string does not fail.
            let _ = writeln!(out, "sightline_auth_failures{{{labels}}} {count}");
        }
        out
    }
}

/// Counts the failures of a batch that is in the queue.
pub(super) fn note(failures: &[Failure]) {
    if failures.is_empty() {
        return;
    }
    let (started, table) = &*TABLE;
    let minute = started.elapsed().as_secs() / 60;
    let mut table = table.lock();
    let forgotten = failures.iter().filter(|failure| table.add((*failure).clone(), minute)).count();
    drop(table);
    if forgotten > 0 {
        metrics::counter!("sightline_auth_addresses_forgotten_total").increment(forgotten as u64);
    }
}

/// What a scrape shows beside the agent's own metrics.
pub fn render() -> String {
    let (started, table) = &*TABLE;
    table.lock().render(started.elapsed().as_secs() / 60)
}

#[cfg(test)]
mod tests {
    use super::{ADDRESSES, Failure, SHOWN, SignIns};

    fn from(address: &str) -> Failure {
        Failure {
            environment: "prod".to_owned(),
            service: "shop".to_owned(),
            address: address.parse().unwrap(),
        }
    }

    #[test]
    fn reads_failed_sign_ins_and_nothing_else() {
        let record = |outcome: &str, ip: &str| {
            format!(
                r#"{{"event.category":"authentication","event":{{"outcome":"{outcome}"}},"service.name":"shop","service.environment":"prod","source":{{"ip":"{ip}"}}}}"#
            )
        };
        assert_eq!(Failure::of(record("failure", "192.0.2.1").as_bytes()), Some(from("192.0.2.1")));
        assert_eq!(Failure::of(record("failure", "::ffff:192.0.2.1").as_bytes()), Some(from("192.0.2.1")));
        assert_eq!(Failure::of(record("success", "192.0.2.1").as_bytes()), None);
        assert_eq!(Failure::of(record("failure", "a.b\\\"c").as_bytes()), None);
        assert_eq!(Failure::of(b"no json"), None);
    }

    #[test]
    fn shows_who_fails_often_for_five_minutes() {
        let mut table = SignIns::default();
        (0..4).for_each(|_| {
            table.add(from("192.0.2.2"), 0);
        });
        (0..3).for_each(|_| {
            table.add(from("192.0.2.1"), 0);
        });
        (0..4).for_each(|_| {
            table.add(from("192.0.2.1"), 3);
        });
        let text = table.render(4);
        assert!(
            text.contains(
                "sightline_auth_failures{environment=\"prod\",service=\"shop\",source_ip=\"192.0.2.1\"} 7\n"
            ),
            "{text}"
        );
        assert!(!text.contains("192.0.2.2"), "four failures are a person: {text}");
        assert_eq!(table.render(5), "", "the first minute's are five minutes old");
        assert_eq!(table.counts.len(), 1, "who is quiet is forgotten");
        assert_eq!(table.render(100), "");
        assert!(table.counts.is_empty());
    }

    /// An attacker with many addresses neither fills the memory nor hides the one that tries most.
    #[test]
    fn stays_bounded_under_many_addresses() {
        let mut table = SignIns::default();
        (0..50).for_each(|_| {
            table.add(from("203.0.113.9"), 0);
        });
        for n in 0..3 * ADDRESSES as u32 {
            for _ in 0..=n % 7 {
                table.add(from(&std::net::Ipv4Addr::from(0x0a00_0000 + n).to_string()), 0);
            }
        }
        assert_eq!(table.counts.len(), ADDRESSES);
        let text = table.render(0);
        assert_eq!(text.lines().filter(|line| !line.starts_with('#')).count(), SHOWN);
        assert!(text.lines().nth(2).unwrap().contains("203.0.113.9"), "{text}");
    }
}
