//! What a configuration says that cannot work, found without opening a port or reaching a server.

use crate::config::Config;
use crate::export::change_events;
use crate::export::elasticsearch::Elasticsearch;
use crate::export::http::SettingsError;
use crate::export::otlp::Otlp;
use crate::export::pump;
use crate::export::remote_write;
use crate::export::zipkin::Zipkin;
use crate::logs;
use crate::receive::settings::{Limits, Tls};
use crate::receive::tls::{Certificates, TlsError};

/// What is wrong, each with the key that it is about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Problems {
    /// Mistakes: no start gets past them.
    pub(crate) mistakes: Vec<String>,
    /// Files that are not here. They may be where the agent will run.
    pub(crate) files: Vec<String>,
}

/// The key that a mistake is about, for the place of it in a file.
pub(crate) fn key(mistake: &str) -> String {
    let (key, said) = mistake.split_once(": ").unwrap_or((mistake, ""));
    let rule = said.strip_prefix("rule ").and_then(|rest| rest.split(':').next()?.parse::<usize>().ok());
    match rule {
        Some(rule) => format!("{key}.{}", rule.saturating_sub(1)),
        None => key.to_owned(),
    }
}

/// Looks at every section that reading alone does not judge.
pub(crate) fn verify(config: &Config) -> Problems {
    let mut problems = Problems::default();
    if let Err(reason) = logs::verify(&config.logs) {
        problems.mistakes.push(reason);
    }
    let ratio = config.spans.sampling.ratio;
    if !(0.0..=1.0).contains(&ratio) {
        problems.mistakes.push(format!("spans.sampling.ratio: {ratio} is not a share; write 0 to 1"));
    }
    if config.logs.max_line.0 == 0 {
        problems.mistakes.push("logs.max_line: no line would be short enough; write 1MiB, say".to_owned());
    }
    if config.queue.max_bytes.0 < config.logs.max_line.0 {
        let (most, line) = (config.queue.max_bytes, config.logs.max_line);
        let text = format!("queue.max_bytes: {most} is no room for a line of logs.max_line, {line}");
        problems.mistakes.push(text);
    }
    problems.receivers(config);
    problems.back_ends(config);
    problems
}

impl Problems {
    fn receivers(&mut self, config: &Config) {
        let (logs, otlp, zipkin) = (&config.logs, &config.otlp, &config.spans.zipkin);
        for (setting, certificates, limits) in [
            ("logs.tcp", &logs.tcp.tls, &logs.tcp.limits),
            ("logs.http", &logs.http.tls, &logs.http.limits),
            ("otlp.http", &otlp.http.tls, &otlp.http.limits),
            ("otlp.grpc", &otlp.grpc.tls, &otlp.grpc.limits),
            ("spans.zipkin", &zipkin.tls, &zipkin.limits),
        ] {
            self.limits(setting, limits);
            self.certificates(setting, certificates);
        }
    }

    fn limits(&mut self, setting: &str, limits: &Limits) {
        for (key, value) in [
            ("connections", limits.connections as u64),
            ("size", limits.size.0),
            ("in_flight", limits.in_flight.0),
        ] {
            if value == 0 {
                let text = format!(
                    "{setting}.limits.{key}: 0 lets nothing in; set `{setting}.listen: off` for that"
                );
                self.mistakes.push(text);
            }
        }
    }

    fn certificates(&mut self, setting: &'static str, certificates: &Tls) {
        match Certificates::read(certificates, setting, &[]) {
            Ok(_) => {}
            Err(TlsError::File { path, reason, .. }) if !path.exists() => {
                self.files.push(format!("{setting}.tls: cannot read {}: {reason}", path.display()));
            }
            Err(error) => self.mistakes.push(error.to_string()),
        }
    }

    fn back_ends(&mut self, config: &Config) {
        let (elasticsearch, zipkin, otlp) = (&config.elasticsearch, &config.zipkin, &config.otlp_exporter);
        for (setting, named, delivery, made) in [
            (
                "elasticsearch",
                !elasticsearch.urls.is_empty(),
                &elasticsearch.delivery,
                Elasticsearch::new(elasticsearch).err(),
            ),
            ("zipkin", !zipkin.urls.is_empty(), &zipkin.delivery, Zipkin::new(zipkin).err()),
            ("otlp_exporter", !otlp.urls.is_empty(), &otlp.delivery, Otlp::new(otlp).err()),
        ] {
            self.delivery(setting, delivery);
            match made {
                Some(error @ SettingsError::File { .. }) if named => {
                    self.files.push(format!("{setting}: {error}"));
                }
                Some(error) if named => self.mistakes.push(format!("{setting}: {error}")),
                _ => {}
            }
        }
        for (n, error) in remote_write::verify(&config.remote_write) {
            self.mistakes.push(format!("remote_write.{n}: {}", error.reason));
        }
        if let Err(error) = change_events::verify(&config.change_events) {
            self.mistakes.push(format!("change_events: {error}"));
        }
        if let Some(file) = &config.change_events.routing_key_file
            && let Err(error) = std::fs::read(file)
        {
            let text = format!("change_events.routing_key_file: cannot read {}: {error}", file.display());
            self.files.push(text);
        }
        match config.web.own_token() {
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                self.mistakes.push(error.to_string());
            }
            Err(error) => self.files.push(error.to_string()),
            Ok(_) => {}
        }
    }

    fn delivery(&mut self, setting: &str, delivery: &pump::Settings) {
        for (key, value) in [
            ("max_records", delivery.max_records as u64),
            ("max_bytes", delivery.max_bytes.0),
            ("max_concurrency", delivery.max_concurrency as u64),
        ] {
            if value == 0 {
                self.mistakes.push(format!("{setting}.delivery.{key}: 0 would send nothing"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Problems, verify};
    use crate::config::Config;
    use crate::config::source::parse;

    fn problems(yaml: &str) -> Problems {
        verify(&parse::<Config>("s.yaml", yaml).unwrap())
    }

    #[test]
    fn each_mistake_names_its_key() {
        assert_eq!(verify(&Config::default()), Problems::default());
        for (yaml, start) in [
            ("logs: {rules: [{match: {a: '('}}]}", "logs.rules: rule 1: '('"),
            ("logs: {rules: [{extract: {field: message}}]}", "logs.rules: rule 1: extract needs"),
            ("logs: {rules: [{extract: {field: m, grok: '%{NO}'}}]}", "logs.rules: rule 1: 'NO' is not"),
            ("logs: {redact: {patterns: ['(']}}", "logs.redact: '('"),
            ("logs: {max_line: 0}", "logs.max_line: "),
            ("logs: {http: {limits: {connections: 0}}}", "logs.http.limits.connections: "),
            ("logs: {tcp: {tls: {certificate: /no/such.pem}}}", "logs.tcp: certificate and key go together"),
            ("spans: {sampling: {ratio: 7}}", "spans.sampling.ratio: 7 is not a share"),
            ("queue: {max_bytes: 1KiB}", "queue.max_bytes: 1KiB is no room"),
            ("elasticsearch: {urls: ['localhost:9200']}", "elasticsearch: 'localhost:9200' is not an http"),
            ("elasticsearch: {delivery: {max_records: 0}}", "elasticsearch.delivery.max_records: 0"),
            ("zipkin: {urls: ['ftp://x']}", "zipkin: 'ftp://x' is not an http"),
            ("remote_write: [{url: nowhere}]", "remote_write.0: 'nowhere' is not an http"),
            (
                "remote_write: [{url: 'http://a/w'}, {url: 'http://a/v'}]",
                "remote_write.1: another endpoint is called 'a' too; set name",
            ),
            ("change_events: {routing_key_file: /dev/null, url: pager}", "change_events: 'pager' is not"),
            ("web: {token_file: /dev/null}", "web.token_file: /dev/null is empty"),
        ] {
            let found = problems(yaml);
            assert_eq!((found.mistakes.len(), found.files.len()), (1, 0), "{yaml}: {found:?}");
            assert!(found.mistakes[0].starts_with(start), "{yaml}: {found:?}");
        }
    }

    #[test]
    fn a_mistake_tells_which_key_it_is_about() {
        for (mistake, about) in [
            ("logs.rules: rule 2: 'NO' is not", "logs.rules.1"),
            ("logs.tcp.tls: certificate and key go together", "logs.tcp.tls"),
            ("remote_write.1: another", "remote_write.1"),
        ] {
            assert_eq!(super::key(mistake), about);
        }
    }

    #[test]
    fn a_file_that_is_elsewhere_is_no_mistake() {
        let found = problems("otlp: {grpc: {tls: {certificate: /no/such.pem, key: /no/such.key}}}");
        assert_eq!((found.mistakes.len(), found.files.len()), (0, 1), "{found:?}");
        assert!(found.files[0].starts_with("otlp.grpc.tls: cannot read /no/such.pem"), "{found:?}");
        let found = problems("{web: {token_file: /no/t}, change_events: {routing_key_file: /no/k}}");
        assert_eq!((found.mistakes.len(), found.files.len()), (0, 2), "{found:?}");
    }
}
