//! Settings out of the environment: a wrong value is one warning and the default, never a failed start.

use crate::propagation::Propagators;
use crate::settings::{LogTarget, Sampler, Settings, StatsdStyle};
use std::str::FromStr;
use std::time::Duration;
use tracing_subscriber::filter::Targets;

impl Settings {
    pub(crate) fn apply(&mut self, env: &mut Env<'_>) {
        env.text("OTEL_SERVICE_NAME", &mut self.service);
        env.text("SERVICE_VERSION", &mut self.version);
        env.text("ENVIRONMENT", &mut self.environment);
        env.text("HOSTNAME", &mut self.host);
        env.text("RUST_LOG", &mut self.log_filter);
        if let Err(error) = Targets::from_str(&self.log_filter) {
            env.wrong("RUST_LOG", &self.log_filter, &format!("target=level pairs ({error})"));
            self.log_filter = "info".to_owned();
        }
        env.parse("STATSD", "host:port, unix:///path or off", &mut self.statsd, |v| match v {
            "off" => Some(None),
            v if v.starts_with("unix:///") => Some(Some(v.to_owned())),
            v => address(v.trim_start_matches("udp://")).map(Some),
        });
        env.parse("STATSD_STYLE", "tagged or long", &mut self.statsd_style, |v| match v {
            "tagged" => Some(StatsdStyle::Tagged),
            "long" => Some(StatsdStyle::Long),
            _ => None,
        });
        env.parse("LOGSTASH", "host:port, udp://host:port, stdout or off", &mut self.logs, log_target);
        self.console =
            (env.read)("LOGSTASH").is_none() && std::io::IsTerminal::is_terminal(&std::io::stderr());
        env.parse("LOG_CONSOLE", "on or off", &mut self.console, on_off);
        self.traces(env);
        env.parse("SLOW_REQUEST_MS", "milliseconds", &mut self.slow_request, |v| {
            v.parse().ok().map(Duration::from_millis)
        });
        const PATH: &str =
            if cfg!(feature = "pull") { "a path such as /metrics" } else { "the crate's feature pull" };
        env.parse("METRICS_PATH", PATH, &mut self.metrics_path, |v| {
            (cfg!(feature = "pull") && v.starts_with('/')).then(|| Some(v.to_owned()))
        });
        env.parse(
            "TRUSTED_PROXIES",
            "addresses or networks such as 10.0.0.0/8",
            &mut self.trusted_proxies,
            |v| v.split(',').map(|n| n.trim().parse().ok()).collect(),
        );
    }

    fn traces(&mut self, env: &mut Env<'_>) {
        let spoken =
            |v: &str| v.starts_with("http://") || (cfg!(feature = "tls") && v.starts_with("https://"));
        let base = |v: &str| spoken(v).then(|| v.trim_end_matches('/').to_owned());
        const WANTED: &str = if cfg!(feature = "tls") {
            "http://host:port or https://host:port"
        } else {
            "http://host:port (https:// needs the crate's feature tls, or an agent on this host)"
        };
        for name in ["OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"] {
            env.parse(name, "a path", &mut self.otlp_certificate, |v| Some(Some(v.to_owned())));
        }
        env.parse("OTEL_EXPORTER_OTLP_ENDPOINT", WANTED, &mut self.otlp_traces, |v| {
            base(v).map(|b| Some(format!("{b}/v1/traces")))
        });
        env.parse("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", WANTED, &mut self.otlp_traces, |v| base(v).map(Some));
        for name in ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] {
            env.parse(name, "http/protobuf (the only one spoken)", &mut (), |v| {
                (v == "http/protobuf").then_some(())
            });
        }
        env.parse("OTEL_EXPORTER_OTLP_HEADERS", "name=value pairs", &mut self.otlp_headers, |v| {
            v.split(',')
                .filter(|p| !p.trim().is_empty())
                .map(|p| p.split_once('=').map(|(k, v)| (k.trim().to_owned(), v.trim().to_owned())))
                .collect()
        });
        let mut off = false;
        env.parse("OTEL_SDK_DISABLED", "true or false", &mut off, |v| v.parse().ok());
        let mut exporter_off = false;
        env.parse("OTEL_TRACES_EXPORTER", "otlp or none", &mut exporter_off, |v| match v {
            "none" => Some(true),
            "otlp" => Some(false),
            _ => None,
        });
        if off || exporter_off {
            self.otlp_traces = None;
        }
        if let Some(list) = env.get("OTEL_PROPAGATORS") {
            let (chosen, unknown) = Propagators::parse(&list);
            self.propagators = chosen;
            if !unknown.is_empty() {
                env.wrong(
                    "OTEL_PROPAGATORS",
                    &unknown.join(","),
                    "tracecontext, b3, b3multi, baggage or none",
                );
            }
        }
        let mut ratio = 1.0;
        env.parse("OTEL_TRACES_SAMPLER_ARG", "a number from 0 to 1", &mut ratio, |v| {
            v.parse().ok().filter(|r| (0.0..=1.0).contains(r))
        });
        const SAMPLERS: &str = "always_on, always_off, traceidratio, or one of these after parentbased_";
        env.parse("OTEL_TRACES_SAMPLER", SAMPLERS, &mut self.sampler, |v| {
            let (parent_based, rest) = match v.strip_prefix("parentbased_") {
                Some(rest) => (true, rest),
                None => (false, v),
            };
            let ratio = match rest {
                "always_on" => 1.0,
                "always_off" => 0.0,
                "traceidratio" => ratio,
                _ => return None,
            };
            Some(Sampler { parent_based, ratio })
        });
    }
}

/// The process's environment, with the kernel's word for a missing `HOSTNAME`.
pub(crate) fn process_env(name: &str) -> Option<String> {
    let value = std::env::var(name).ok().filter(|v| !v.is_empty());
    match name {
        "HOSTNAME" => value.or_else(|| {
            let text = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
            Some(text.trim().to_owned()).filter(|t| !t.is_empty())
        }),
        _ => value,
    }
}

/// Reads variables, and notes what is wrong with them.
pub(crate) struct Env<'a> {
    read: &'a dyn Fn(&str) -> Option<String>,
    warnings: Vec<String>,
}

impl<'a> Env<'a> {
    pub(crate) fn new(read: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Env { read, warnings: Vec::new() }
    }

    pub(crate) fn warnings(self) -> Vec<String> {
        self.warnings
    }

    fn get(&self, name: &str) -> Option<String> {
        (self.read)(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())
    }

    fn text(&self, name: &str, into: &mut String) {
        if let Some(value) = self.get(name) {
            *into = value;
        }
    }

    fn parse<T>(&mut self, name: &str, wanted: &str, into: &mut T, parse: impl FnOnce(&str) -> Option<T>) {
        let Some(value) = self.get(name) else { return };
        match parse(&value) {
            Some(parsed) => *into = parsed,
            None => self.wrong(name, &value, wanted),
        }
    }

    fn wrong(&mut self, name: &str, value: &str, wanted: &str) {
        self.warnings.push(format!("{name}={value} is not understood, expected {wanted}; using the default"));
    }
}

fn address(text: &str) -> Option<String> {
    let (host, port) = text.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    (!host.is_empty() && port > 0 && !host.contains('/')).then(|| text.to_owned())
}

fn log_target(text: &str) -> Option<LogTarget> {
    match text {
        "stdout" => Some(LogTarget::Stdout),
        "off" => Some(LogTarget::Off),
        text => match text.strip_prefix("udp://") {
            Some(rest) => address(rest).map(LogTarget::Udp),
            None => address(text.strip_prefix("tcp://").unwrap_or(text)).map(LogTarget::Tcp),
        },
    }
}

fn on_off(text: &str) -> Option<bool> {
    match text {
        "on" | "true" | "1" => Some(true),
        "off" | "false" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &'static [(&'static str, &'static str)]) -> (Settings, Vec<String>) {
        Settings::from_env("svc", |name| pairs.iter().find(|(k, _)| *k == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn each_variable_is_read() {
        let (s, warnings) = read(&[
            ("OTEL_SERVICE_NAME", "kittens"),
            ("STATSD", "statsd:9125"),
            ("LOGSTASH", "udp://logstash:5000"),
            ("ENVIRONMENT", "prod"),
            ("HOSTNAME", "web-1"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/"),
            ("OTEL_PROPAGATORS", "b3multi,baggage"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("SLOW_REQUEST_MS", "250"),
            ("TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8"),
        ]);
        assert_eq!(warnings, Vec::<String>::new());
        assert_eq!(s.service, "kittens");
        assert_eq!(s.logs, LogTarget::Udp("logstash:5000".into()));
        assert_eq!(s.otlp_traces.as_deref(), Some("http://collector:4318/v1/traces"));
        assert_eq!(s.propagators, Propagators { w3c: false, b3: false, b3_multi: true });
        assert_eq!(s.sampler, Sampler { parent_based: true, ratio: 0.25 });
        assert_eq!(s.slow_request, Duration::from_millis(250));
        assert_eq!(s.trusted_proxies.len(), 2);
    }

    #[test]
    fn a_wrong_value_is_one_warning_and_the_default() {
        let (s, warnings) = read(&[
            ("STATSD", "statsd"),
            ("LOGSTASH", "tcp://x:99999"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://collector:4318"),
            ("OTEL_TRACES_SAMPLER", "sometimes"),
            ("RUST_LOG", "svc=loud"),
            ("SLOW_REQUEST_MS", "soon"),
        ]);
        assert_eq!(warnings.len(), 6, "{warnings:#?}");
        assert!(
            warnings.iter().any(|w| w.starts_with("STATSD=statsd is not understood, expected host:port"))
        );
        assert_eq!(s.statsd.as_deref(), Some("127.0.0.1:9125"));
        assert_eq!(s.logs, LogTarget::Tcp("127.0.0.1:5000".into()));
        assert_eq!(s.log_filter, "info");
    }
}
