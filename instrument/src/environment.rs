//! Settings out of the environment: a wrong value is one warning and the default, never a failed start.

use crate::http::method::Methods;
use crate::propagation::Propagators;
use crate::settings::{LogTarget, Sampler, Settings, StatsdStyle};
use std::str::FromStr;
use std::time::Duration;
use tracing_subscriber::filter::Targets;

impl Settings {
    pub(crate) fn apply(&mut self, env: &mut Env<'_>) {
        let named_host = self.resource(env);
        env.text("OTEL_SERVICE_NAME", &mut self.service);
        env.text("SERVICE_VERSION", &mut self.version);
        env.text("ENVIRONMENT", &mut self.environment);
        // Who names the host among the resource's attributes means it; a container is given its HOSTNAME by itself.
        if !named_host {
            env.text("HOSTNAME", &mut self.host);
        }
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

    /// `OTEL_RESOURCE_ATTRIBUTES`: what there is a setting for becomes that, the rest goes along with the spans. Whether the
    /// host was among it.
    fn resource(&mut self, env: &mut Env<'_>) -> bool {
        let mut given = Vec::new();
        env.parse("OTEL_RESOURCE_ATTRIBUTES", "key=value pairs", &mut given, pairs);
        let mut named_host = false;
        for (key, value) in given {
            match key.as_str() {
                "service.name" => self.service = value,
                "service.version" => self.version = value,
                "deployment.environment.name" | "deployment.environment" => self.environment = value,
                "host.name" => {
                    self.host = value;
                    named_host = true;
                }
                _ => self.resource.push((key, value)),
            }
        }
        named_host
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
        for name in ["OTEL_EXPORTER_OTLP_COMPRESSION", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION"] {
            env.parse(name, "none (spans are sent as they are)", &mut (), |v| (v == "none").then_some(()));
        }
        for name in ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"] {
            env.parse(name, "name=value pairs", &mut self.otlp_headers, pairs);
        }
        let mut off = false;
        env.parse("OTEL_SDK_DISABLED", "true or false", &mut off, |v| v.to_ascii_lowercase().parse().ok());
        env.parse("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", "a list of methods", &mut self.methods, |v| {
            Some(Methods::parse(v))
        });
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
                const WANTED: &str = "tracecontext, b3, b3multi, baggage or none";
                let rest = if chosen == Propagators::default() { "the default" } else { "the others" };
                env.instead("OTEL_PROPAGATORS", &unknown.join(","), WANTED, rest);
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
        // What authorises is nobody's business.
        let value = if name.ends_with("_HEADERS") { "…" } else { value };
        self.instead(name, value, wanted, "the default");
    }

    fn instead(&mut self, name: &str, value: &str, wanted: &str, used: &str) {
        self.warnings.push(format!("{name}={value} is not understood, expected {wanted}; using {used}"));
    }
}

/// `key=value,key=value`, values as in a URL (`Bearer%20abc`), as OpenTelemetry's variables have it.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    text.split(',')
        .filter(|p| !p.trim().is_empty())
        .map(|p| p.split_once('=').map(|(k, v)| (k.trim().to_owned(), unescaped(v.trim()))))
        .collect()
}

/// With a byte for each `%XX`; any other `%` is one.
fn unescaped(text: &str) -> String {
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, after @ ..] = rest {
        let escaped = match after {
            [a, b, ..] if *first == b'%' => {
                let digit = |d: &u8| char::from(*d).to_digit(16);
                digit(a).zip(digit(b)).map(|(a, b)| (a * 16 + b) as u8)
            }
            _ => None,
        };
        out.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&out).into_owned()
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
        assert_eq!(s.propagators, Propagators { w3c: false, b3: false, b3_multi: true, baggage: true });
        assert_eq!(s.sampler, Sampler { parent_based: true, ratio: 0.25 });
        assert_eq!(s.slow_request, Duration::from_millis(250));
        assert_eq!(s.trusted_proxies.len(), 2);
    }

    #[test]
    fn a_resource_of_opentelemetrys_is_ours() {
        let (s, warnings) = read(&[
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "service.name=a,service.version=1.2,deployment.environment.name=prod,host.name=node-1,\
                 k8s.pod.name=pod%2C1",
            ),
            ("OTEL_SERVICE_NAME", "kittens"),
            ("HOSTNAME", "pod-1"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20abc="),
            ("OTEL_SDK_DISABLED", "FALSE"),
        ]);
        assert_eq!(warnings, Vec::<String>::new());
        assert_eq!(
            (s.service.as_str(), s.version.as_str(), s.environment.as_str(), s.host.as_str()),
            ("kittens", "1.2", "prod", "node-1")
        );
        assert_eq!(s.resource, [("k8s.pod.name".to_owned(), "pod,1".to_owned())]);
        assert_eq!(s.otlp_headers, [("authorization".to_owned(), "Basic abc=".to_owned())]);
        // What is to be sent to others than all is told by its own variable.
        let (s, _) =
            read(&[("OTEL_EXPORTER_OTLP_HEADERS", "a=1"), ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "b=2")]);
        assert_eq!(s.otlp_headers, [("b".to_owned(), "2".to_owned())]);
    }

    #[test]
    fn propagators_that_are_not_known_say_what_holds_instead() {
        let (s, warnings) = read(&[("OTEL_PROPAGATORS", "jaeger")]);
        assert_eq!(s.propagators, Propagators::default());
        assert!(warnings[0].ends_with("using the default"), "{warnings:?}");
        let (s, warnings) = read(&[("OTEL_PROPAGATORS", "xray,b3multi")]);
        assert!(s.propagators.b3_multi && !s.propagators.w3c);
        assert!(
            warnings[0].starts_with("OTEL_PROPAGATORS=xray ") && warnings[0].ends_with("using the others")
        );
        let (s, warnings) = read(&[("OTEL_PROPAGATORS", "none")]);
        assert!(!s.propagators.w3c && !s.propagators.b3 && warnings.is_empty());
    }

    #[test]
    fn a_header_that_is_not_understood_is_not_shown() {
        let (_, warnings) = read(&[("OTEL_EXPORTER_OTLP_HEADERS", "whiskers")]);
        assert!(warnings.len() == 1 && !warnings[0].contains("whiskers"), "{warnings:?}");
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
