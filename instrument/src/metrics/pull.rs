//! The same series for a Prometheus that scrapes the service itself, by metrics-exporter-prometheus: under the names that the
//! agent would give them, so that dashboards and rules fit both ways.

use super::registry::{Cell, Kind, Series};
use crate::identity::Identity;
use crate::settings::Settings;
use crate::wire::{self, group, label, metric, outcome};
use metrics::{Key, KeyName, Label, Level, Metadata, Recorder, SharedString};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Those of the agent.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const OF_US: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

/// See the module.
pub(crate) struct Pull {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    prefix: String,
    service: String,
    environment: String,
    host: String,
    exposed: Mutex<Vec<Exposed>>,
    described: AtomicUsize,
}

/// Texts that are kept at most, as names may be made up at run time.
const DESCRIBED: usize = 10_000;

/// Counters and gauges are copied when somebody looks; samples go both ways as they are recorded.
enum Exposed {
    Counter(Arc<Series>, metrics::Counter),
    Gauge(Arc<Series>, metrics::Gauge),
}

impl fmt::Debug for Pull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pull").finish_non_exhaustive()
    }
}

impl Pull {
    /// `None` unless it is asked for.
    pub(crate) fn new(settings: &Settings, identity: &Identity) -> Option<Self> {
        settings.metrics_path.as_ref()?;
        let buckets = |builder: PrometheusBuilder, name: &str| {
            // Only an empty list of buckets is an error.
            builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), &BUCKETS).unwrap_or_default()
        };
        let builder = buckets(buckets(PrometheusBuilder::new(), metric::TIMING), metric::DISTRIBUTION);
        let recorder = builder.build_recorder();
        describe(&recorder);
        let pull = Pull {
            handle: recorder.handle(),
            recorder,
            prefix: identity.metric_prefix.clone(),
            service: identity.service.clone(),
            environment: wire::part(&settings.environment),
            host: wire::part(&settings.host),
            exposed: Mutex::default(),
            described: AtomicUsize::new(0),
        };
        let mut build = pull.labels(group::PROCESS, "build");
        build.push(Label::new(label::VERSION, settings.version.clone()));
        pull.recorder.register_gauge(&Key::from_parts(metric::BUILD_INFO, build), &OF_US).set(1.0);
        Some(pull)
    }

    fn labels(&self, group: &str, segment: &str) -> Vec<Label> {
        vec![
            Label::new(label::ENVIRONMENT, self.environment.clone()),
            Label::new(label::HOST, self.host.clone()),
            Label::new(label::SERVICE, self.service.clone()),
            Label::new(label::GROUP, group.to_owned()),
            Label::new(label::SEGMENT, segment.to_owned()),
        ]
    }

    /// Exposes a series that was just made.
    pub(crate) fn add(&self, kind: Kind, series: &Arc<Series>, tags: &[(String, String)]) {
        let key = self.key(kind, &series.name, tags);
        match &series.cell {
            Cell::Counter(_) => {
                let to = self.recorder.register_counter(&key, &OF_US);
                self.exposed.lock().push(Exposed::Counter(series.clone(), to));
            }
            Cell::Gauge(_) => {
                let to = self.recorder.register_gauge(&key, &OF_US);
                self.exposed.lock().push(Exposed::Gauge(series.clone(), to));
            }
            Cell::Samples(cell, _) => {
                // Prometheus wants seconds where StatsD wants milliseconds.
                let scale = if kind == Kind::Histogram { 1.0 } else { 1e-3 };
                cell.mirror(self.recorder.register_histogram(&key, &OF_US), scale);
            }
        }
    }

    /// The help of a metric of the service's own, `name` without prefix. Those of the convention share a family, which has its help.
    pub(crate) fn describe(&self, kind: Kind, name: &str, text: SharedString) {
        if name.split('.').count() == 3 || self.described.fetch_add(1, Ordering::Relaxed) >= DESCRIBED {
            return;
        }
        let name = KeyName::from(self.own(name));
        match kind {
            Kind::Counter => self.recorder.describe_counter(name, None, text),
            Kind::Gauge => self.recorder.describe_gauge(name, None, text),
            _ => self.recorder.describe_histogram(name, None, text),
        }
    }

    /// The family of a name that is not the convention's.
    fn own(&self, short: &str) -> String {
        let flat = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        format!("{}_{short}", self.service).chars().map(flat).collect()
    }

    fn key(&self, kind: Kind, name: &str, tags: &[(String, String)]) -> Key {
        let short = name.strip_prefix(&self.prefix).unwrap_or(name);
        let mut parts = short.split('.');
        let three = (parts.next(), parts.next(), parts.next(), parts.next());
        let (family, mut labels) = match three {
            (Some(group), Some(segment), Some(last), None) => {
                let mut labels = self.labels(group, segment);
                let extra = |labels: &mut Vec<Label>, key: &'static str, value: &str| {
                    labels.push(Label::new(key, value.to_owned()));
                };
                let family = match kind {
                    Kind::Counter if last == outcome::CALLED => metric::CALLS,
                    Kind::Counter => {
                        extra(&mut labels, label::OUTCOME, last);
                        metric::OUTCOMES
                    }
                    Kind::Gauge if group == group::HEALTH && last == outcome::STATUS => {
                        extra(&mut labels, label::CHECK, segment);
                        metric::HEALTH
                    }
                    Kind::Gauge => {
                        extra(&mut labels, label::MEASURE, last);
                        metric::GAUGE
                    }
                    _ if last == outcome::TIMING => metric::TIMING,
                    _ => {
                        extra(&mut labels, label::MEASURE, last);
                        metric::DISTRIBUTION
                    }
                };
                (family.to_owned(), labels)
            }
            _ => {
                let labels = vec![
                    Label::new(label::ENVIRONMENT, self.environment.clone()),
                    Label::new(label::HOST, self.host.clone()),
                ];
                (self.own(short), labels)
            }
        };
        labels.extend(tags.iter().map(|(k, v)| Label::new(k.clone(), v.clone())));
        Key::from_parts(family, labels)
    }

    /// What a scrape gets.
    pub(crate) fn render(&self) -> String {
        for exposed in &*self.exposed.lock() {
            match exposed {
                Exposed::Counter(series, to) => {
                    if let Cell::Counter(cell) = &series.cell {
                        to.absolute(cell.total());
                    }
                }
                Exposed::Gauge(series, to) => {
                    if let Cell::Gauge(cell) = &series.cell
                        && cell.changes.load(Ordering::Acquire) > 0
                    {
                        to.set(cell.value());
                    }
                }
            }
        }
        self.handle.render()
    }

    /// Samples are sorted into buckets, whether anybody scrapes or not: they would pile up.
    pub(crate) fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

fn describe(recorder: &PrometheusRecorder) {
    let about = |name: &'static str| name.into();
    recorder.describe_counter(about(metric::CALLS), None, "Requests or operations begun.".into());
    recorder.describe_counter(about(metric::OUTCOMES), None, "How they ended.".into());
    recorder.describe_histogram(about(metric::TIMING), None, "How long they took, in seconds.".into());
    recorder.describe_histogram(about(metric::DISTRIBUTION), None, "Any other distribution.".into());
    recorder.describe_gauge(about(metric::GAUGE), None, "Values that go up and down.".into());
    recorder.describe_gauge(about(metric::HEALTH), None, "0 ok, 1 degraded, 2 failed.".into());
    recorder.describe_gauge(about(metric::BUILD_INFO), None, "1, with the version as label.".into());
}

#[cfg(test)]
mod tests {
    use crate::testing::Capture;
    use std::time::Duration;

    #[test]
    fn a_scrape_shows_what_the_agent_would() {
        let capture = Capture::with("svc", |s| {
            s.metrics_path = Some("/metrics".to_owned());
            s.version = "1.2.3".to_owned();
        });
        capture.call(|| {
            let list = crate::handler("list");
            list.called();
            list.success();
            list.timing(Duration::from_millis(20));
            crate::gauge("queue", "orders", "depth").set(12.0);
            metrics::describe_counter!("kittens_served", "Kittens that found a home.");
            metrics::counter!("kittens_served", "breed" => "tabby").increment(2);
        });
        let pull = capture.service().0.metrics.pull.as_ref().unwrap();
        let first = pull.render();
        // What StatsD took is not missing from the next scrape.
        assert_eq!(capture.counter("handlers.list.called"), Some(1));
        capture.call(|| crate::handler("list").called());
        let text = pull.render();
        let at = r#"environment="test",host="testhost",service="svc",group="handlers",segment="list""#;
        for (text, line) in [
            (&first, format!("instrument_calls_total{{{at}}} 1\n")),
            (&text, format!("instrument_calls_total{{{at}}} 2\n")),
            (&text, format!("instrument_outcomes_total{{{at},outcome=\"success\"}} 1\n")),
            (&text, format!("instrument_outcomes_total{{{at},outcome=\"panic\"}} 0\n")),
            (&text, format!("instrument_timing_seconds_bucket{{{at},le=\"0.01\"}} 0\n")),
            (&text, format!("instrument_timing_seconds_bucket{{{at},le=\"0.025\"}} 1\n")),
            (&text, "segment=\"orders\",measure=\"depth\"} 12\n".to_owned()),
            (&text, "segment=\"build\",version=\"1.2.3\"} 1\n".to_owned()),
            (&text, "# HELP svc_kittens_served Kittens that found a home.\n".to_owned()),
            (
                &text,
                "svc_kittens_served{environment=\"test\",host=\"testhost\",breed=\"tabby\"} 2\n".to_owned(),
            ),
        ] {
            assert!(text.contains(&line), "no {line} in\n{text}");
        }
    }
}
