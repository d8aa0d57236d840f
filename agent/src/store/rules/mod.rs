//! Recording and alerting rules over the store of metrics: the ones that ship with the dashboards, and files of one's own.
//!
//! A rule's question is asked now and then; what it gives is held, and each round of samples carries it until the next
//! answer. Nothing is sent to anybody: what fires is a series, an answer of the API, and a line on the page.

mod alerts;
mod file;
mod restore;
mod settings;
mod template;

use std::time::{Duration, Instant};

use metrics::{counter, gauge, histogram};
use parking_lot::Mutex;

pub use alerts::Active;
pub use file::{Alert, Group, Kind, Rule};
pub use settings::Settings;

use crate::store::metrics::Store;
use crate::store::metrics::labels::{Labels, NAME};
use crate::store::promql::{self, Answer, Options};
use alerts::Alerts;

/// The answer to a question that reaches back for a day or more changes slowly and costs most.
const FAR: i64 = 86_400_000;
/// It is asked no more often than this, milliseconds.
const SELDOM: i64 = 300_000;
/// One question may take so long.
const PATIENCE: Duration = Duration::from_secs(10);

macro_rules! shipped {
    ($($name:literal),*) => {
        [$(($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../dashboards/alerts/", $name)))),*]
    };
}

/// Those about a stack of other programs are not among them: there is none.
const SHIPPED: [(&str, &str); 3] = shipped!["slo.rules.yml", "services.rules.yml", "agent.rules.yml"];

/// A rule file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RuleError(String);

/// All rules and what they gave last.
#[derive(Debug)]
pub struct Rules {
    groups: Vec<Group>,
    interval: i64,
    /// Beside the rules of `groups`, one after the other.
    states: Mutex<Vec<State>>,
}

/// What a rule gave last.
#[derive(Debug, Default)]
struct State {
    due: i64,
    last: Last,
    recorded: Vec<(Labels, f64)>,
    alerts: Alerts,
    /// What the agent had seen before it started anew is taken into account.
    restored: bool,
}

/// The last time that a rule was asked.
#[derive(Debug, Default, Clone)]
pub struct Last {
    /// Milliseconds since 1970; 0 before the first time.
    pub at: i64,
    /// How long it took.
    pub took: Duration,
    /// Why it gave nothing.
    pub error: Option<String>,
}

impl Rules {
    /// Reads the rules.
    ///
    /// # Errors
    /// A file that cannot be read, or is not one of rules.
    pub fn load(settings: &Settings) -> Result<Self, RuleError> {
        let mut groups = Vec::new();
        let shipped: &[(&str, &str)] = if settings.shipped { &SHIPPED } else { &[] };
        for (name, text) in shipped {
            groups.extend(file::read(name, text).map_err(RuleError)?);
        }
        for path in &settings.files {
            let name = path.display().to_string();
            let text =
                std::fs::read_to_string(path).map_err(|error| RuleError(format!("{name}: {error}")))?;
            groups.extend(file::read(&name, &text).map_err(RuleError)?);
        }
        let count = groups.iter().map(|group| group.rules.len()).sum();
        let states = std::iter::repeat_with(State::default).take(count).collect();
        let interval = i64::try_from(settings.interval.0.as_millis()).unwrap_or(i64::MAX).max(1000);
        Ok(Rules { groups, interval, states: Mutex::new(states) })
    }

    /// Asks what is due at `now` (milliseconds). Takes as long as the questions do.
    pub fn evaluate(&self, store: &Store, now: i64) {
        let started = Instant::now();
        let mut asked = 0_u64;
        for (at, (group, rule)) in self.rules().enumerate() {
            if self.states.lock()[at].due > now {
                continue;
            }
            asked += 1;
            let every = group.interval.unwrap_or(self.interval);
            let began = Instant::now();
            let answer = ask(store, rule, now);
            // Where there is nothing yet there may be something soon.
            let found = answer.as_ref().is_ok_and(|elements| !elements.is_empty());
            let every = if rule.reach >= FAR && found { every.max(SELDOM) } else { every };
            self.take(store, at, rule, (now, every), answer, began.elapsed());
        }
        if asked > 0 {
            histogram!("sightline_store_rules_seconds").record(started.elapsed().as_secs_f64());
            self.tell();
        }
    }

    fn take(
        &self,
        store: &Store,
        at: usize,
        rule: &Rule,
        (now, every): (i64, i64),
        answer: Result<Vec<(Labels, f64)>, String>,
        took: Duration,
    ) {
        let mut states = self.states.lock();
        let state = &mut states[at];
        // Rounds come a little early or late: a tenth of the time is no reason to wait for another one.
        state.due = now + every - every / 10;
        counter!("sightline_store_rule_evaluations_total").increment(1);
        let (answer, error) = match answer {
            Ok(answer) => (answer, None),
            Err(error) => {
                counter!("sightline_store_rule_failures_total").increment(1);
                if state.last.error.is_none() {
                    tracing::warn!(
                        rule = rule.name(),
                        error,
                        "a rule gave no answer; its series has a gap until it does"
                    );
                }
                (Vec::new(), Some(error))
            }
        };
        let failed = error.is_some();
        state.last = Last { at: now, took, error };
        match &rule.kind {
            Kind::Record(_) => state.recorded = answer,
            // Nobody knows; what is there stays as it is.
            Kind::Alert(_) if failed => {}
            Kind::Alert(alert) => {
                let before = if std::mem::replace(&mut state.restored, true) || answer.is_empty() {
                    restore::Waited::default()
                } else {
                    restore::Waited::read(store, &alert.name, now)
                };
                let began = state.alerts.step(rule, alert, now, answer, |labels| before.of(labels));
                if began > 0 {
                    tracing::warn!(alert = %alert.name, firing = began, "an alert fires: the page and /api/v1/alerts say more");
                }
            }
        }
    }

    /// Shows every series that the rules make, as a round of samples takes them.
    pub fn samples(&self, each: &mut dyn FnMut(&str, &[(&str, &str)], f64)) {
        let mut give = |labels: &Labels, value: f64| {
            let pairs: Vec<(&str, &str)> = labels.iter().filter(|(name, _)| *name != NAME).collect();
            each(labels.name(), &pairs, value);
        };
        for state in self.states.lock().iter() {
            state.recorded.iter().for_each(|(labels, value)| give(labels, *value));
            state.alerts.series().for_each(|(labels, value)| give(&labels, value));
        }
    }

    /// Shows every group, and of each rule what it gave last and what is active.
    pub fn each(&self, mut show: impl FnMut(&Group, &[(&Rule, Last, Vec<Active>)])) {
        let states = self.states.lock();
        let mut states = states.iter();
        for group in &self.groups {
            let rules: Vec<_> = group
                .rules
                .iter()
                .zip(states.by_ref())
                .map(|(rule, state)| (rule, state.last.clone(), state.alerts.all()))
                .collect();
            show(group, &rules);
        }
    }

    /// Milliseconds between two looks at a group.
    pub fn interval_of(&self, group: &Group) -> i64 {
        group.interval.unwrap_or(self.interval)
    }

    fn rules(&self) -> impl Iterator<Item = (&Group, &Rule)> {
        self.groups.iter().flat_map(|group| group.rules.iter().map(move |rule| (group, rule)))
    }

    fn tell(&self) {
        let (mut firing, mut pending) = (0_u32, 0_u32);
        for state in self.states.lock().iter() {
            for active in state.alerts.all() {
                *(if active.firing { &mut firing } else { &mut pending }) += 1;
            }
        }
        gauge!("sightline_store_alerts", "state" => "firing").set(firing);
        gauge!("sightline_store_alerts", "state" => "pending").set(pending);
    }
}

/// Elements of the answer; for a recording rule under the labels that they will have.
fn ask(store: &Store, rule: &Rule, now: i64) -> Result<Vec<(Labels, f64)>, String> {
    let settings = store.settings();
    let options = Options {
        lookback: i64::try_from(settings.lookback.0.as_millis()).unwrap_or(i64::MAX),
        max_samples: settings.max_samples,
        deadline: Instant::now().checked_add(settings.query_timeout.0.min(PATIENCE)),
        ..Options::default()
    };
    let (answer, _) = promql::instant(store, &rule.expr, now, &options).map_err(|error| error.to_string())?;
    let mut elements: Vec<(Labels, f64)> = match answer {
        Answer::Scalar { value, .. } => vec![(Labels::default(), value)],
        Answer::Vector { series, .. } => {
            // What rules make are numbers; a histogram in an answer is no element.
            series.into_iter().filter_map(|(labels, sample)| Some((labels, sample.float()?))).collect()
        }
        Answer::Str { .. } | Answer::Matrix(_) => return Err("its answer is no vector".to_owned()),
    };
    if let Kind::Record(name) = &rule.kind {
        for (labels, _) in &mut elements {
            *labels = labels.with(NAME, name);
            for (label, value) in &rule.labels {
                *labels = labels.with(label, value);
            }
        }
        elements.sort_by(|a, b| a.0.cmp(&b.0));
        if elements.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err("two elements of its answer have the same labels under the new name".to_owned());
        }
    }
    Ok(elements)
}

#[cfg(test)]
mod tests;
