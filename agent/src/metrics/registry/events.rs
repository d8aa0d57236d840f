//! DogStatsD events and service checks: an event becomes a log record, a check a record and a health status.

use serde_json::{Map, Value as Json, json};
use sightline_instrument::wire::{field, label, metric};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Registry;
use super::create::Wanted;
use super::family::Shape;
use super::series::Value;
use crate::metrics::line::{Check, Event};
use crate::metrics::naming::escape;
use crate::metrics::tally::Batch;

impl Registry {
    pub(super) fn event(&self, event: &Event<'_>, batch: &mut Batch) {
        batch.events += 1;
        let Some(hook) = self.log_line.get() else { return };
        let text = event.text.replace("\\n", "\n");
        let mut record = record(event.tags, event.at, event.host);
        let level = match event.alert {
            Some("error") => "error",
            Some("warning") => "warn",
            _ => "info",
        };
        record.insert(field::LEVEL.into(), level.into());
        record.insert(field::MESSAGE.into(), format!("{}\n{text}", event.title).trim_end().into());
        record.insert("event.kind".into(), "event".into());
        let rest =
            [("event.reason", Some(event.title)), ("event.provider", event.source), ("event.id", event.key)];
        for (key, value) in rest {
            if let Some(value) = value {
                record.insert(key.into(), value.into());
            }
        }
        hook(&to_line(record));
    }

    pub(super) fn check(&self, check: &Check<'_>, now: u64, batch: &mut Batch) {
        batch.checks += 1;
        let mut labels: Vec<(String, String)> =
            tags(check.tags).map(|(key, value)| (escape(key), value.to_owned())).collect();
        if let Some(host) = check.host {
            labels.push((label::HOST.to_owned(), host.to_owned()));
        }
        labels.push((label::CHECK.to_owned(), check.name.to_owned()));
        // The later one of equal keys wins.
        labels.reverse();
        labels.sort_by(|a, b| a.0.cmp(&b.0));
        labels.dedup_by(|later, first| later.0 == first.0);
        self.rename_reserved_labels(&mut labels, batch);
        let wanted = Wanted {
            family: metric::HEALTH.to_owned(),
            shape: Shape::Gauge,
            labels,
            help: None,
            ttl: 0,
            source: 0,
        };
        if let Ok((series, _)) = self.series(wanted, now, batch) {
            series.touch(now);
            if let Value::Gauge(number) = &series.value {
                // Unknown is not ok, and not known to have failed.
                number.set([0.0, 1.0, 2.0, 1.0][usize::from(check.status & 3)]);
            }
        }
        let Some(hook) = self.log_line.get() else { return };
        let mut record = record(check.tags, check.at, check.host);
        let (level, word) = [("info", "ok"), ("warn", "warning"), ("error", "critical"), ("warn", "unknown")]
            [usize::from(check.status & 3)];
        let message = check.message.map_or(String::new(), |m| format!(": {}", m.replace("\\n", "\n")));
        record.insert(field::LEVEL.into(), level.into());
        record.insert(field::MESSAGE.into(), format!("check {} is {word}{message}", check.name).into());
        record.insert("event.kind".into(), "state".into());
        record.insert("event.action".into(), check.name.into());
        hook(&to_line(record));
    }
}

fn tags(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(',').filter_map(|tag| tag.split_once(':')).filter(|(k, v)| !k.is_empty() && !v.is_empty())
}

fn record(tag_text: &str, at: Option<&str>, host: Option<&str>) -> Map<String, Json> {
    let mut record = Map::new();
    let at =
        at.and_then(|at| OffsetDateTime::from_unix_timestamp(at.parse().ok()?).ok()?.format(&Rfc3339).ok());
    if let Some(at) = at {
        record.insert(field::TIMESTAMP.into(), at.into());
    }
    let mut labels = Map::new();
    for (key, value) in tags(tag_text) {
        match key {
            "service" => record.insert(field::SERVICE_NAME.into(), value.into()),
            "env" | "environment" => record.insert(field::SERVICE_ENVIRONMENT.into(), value.into()),
            "version" => record.insert(field::SERVICE_VERSION.into(), value.into()),
            "host" => record.insert(field::HOST_NAME.into(), value.into()),
            _ => labels.insert(escape(key), value.into()),
        };
    }
    if let Some(host) = host {
        record.insert(field::HOST_NAME.into(), host.into());
    }
    if !labels.is_empty() {
        record.insert(field::LABELS.into(), labels.into());
    }
    record
}

fn to_line(record: Map<String, Json>) -> Vec<u8> {
    json!(record).to_string().into_bytes()
}
