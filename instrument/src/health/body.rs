//! The answer: JSON by the draft "Health Check Response Format for HTTP APIs", and a status that a balancer obeys.

use super::{Health, Status};
use crate::json;
use crate::settings::Settings;
use std::sync::atomic::Ordering;

/// Which question was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Everything, and whether to send requests here.
    Health,
    /// Whether to restart the process: never while it answers.
    Live,
    /// Whether to send requests here.
    Ready,
}

impl Probe {
    /// The probe that a path asks for, given where health is served.
    pub(crate) fn of(path: &str, base: &str) -> Option<Self> {
        match path.strip_prefix(base)? {
            "" => Some(Probe::Health),
            "/live" => Some(Probe::Live),
            "/ready" => Some(Probe::Ready),
            _ => None,
        }
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Ok => "pass",
        Status::Degraded => "warn",
        Status::Failed => "fail",
    }
}

impl Health {
    /// Status code and body.
    pub(crate) fn answer(
        &self,
        probe: Probe,
        settings: &Settings,
        mono_ns: u64,
        unix_ns: u64,
    ) -> (u16, Vec<u8>) {
        let mut out = Vec::with_capacity(512);
        if probe == Probe::Live {
            out.extend_from_slice(b"{\"status\":\"pass\"}\n");
            return (200, out);
        }
        let status = self.status(mono_ns);
        let serving = status == Status::Ok && !self.draining();
        // The draft's `warn` goes with a success; who should rest says `fail`.
        out.extend_from_slice(if serving { b"{\"status\":\"pass\"" } else { b"{\"status\":\"fail\"" });
        json::member(&mut out, "serviceId", &settings.service);
        json::member(&mut out, "version", &settings.version);
        if self.draining() {
            json::member(&mut out, "output", "the service is ending");
        } else if status == Status::Degraded {
            json::member(&mut out, "output", "degraded: let it rest");
        }
        out.extend_from_slice(b",\"checks\":{");
        self.write_checks(&mut out, mono_ns, unix_ns);
        out.extend_from_slice(b"}}\n");
        (if serving { 200 } else { 503 }, out)
    }

    fn write_checks(&self, out: &mut Vec<u8>, mono_ns: u64, unix_ns: u64) {
        let mut time = Vec::with_capacity(32);
        crate::clock::rfc3339(&mut time, unix_ns);
        let mut first = true;
        let mut open = |out: &mut Vec<u8>, name: &str, measure: &str, status: Status| {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            out.extend_from_slice(
                format!("\"{name}:{measure}\":[{{\"status\":\"{}\"", word(status)).as_bytes(),
            );
        };
        for check in self.checks.lock().iter() {
            let status = Status::from_number(check.status.load(Ordering::Relaxed));
            open(out, &check.name, "responseTime", status);
            let (said, took) = &*check.last.lock();
            json::member(out, "componentType", "datastore");
            json::key(out, "observedValue");
            json::float(out, took.as_secs_f64() * 1e3);
            json::member(out, "observedUnit", "ms");
            if !said.is_empty() {
                json::member(out, "output", said);
            }
            out.extend_from_slice(b"}]");
        }
        for measure in self.load.look(mono_ns) {
            open(out, measure.name, measure.unit, measure.status);
            json::member(out, "componentType", "system");
            json::key(out, "observedValue");
            json::float(out, measure.value);
            json::key(out, "threshold");
            json::float(out, measure.threshold);
            out.extend_from_slice(b",\"time\":\"");
            out.extend_from_slice(&time);
            out.extend_from_slice(b"\"}]");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failed_dependency_is_named_and_answers_503() {
        let health = Health::default();
        health.check("sqlite", || async { Err("disk I/O \"error\"".to_owned()) });
        health.check("cache", || async { Ok(()) });
        health.check("broken", || async { panic!("a bug in a check") });
        let settings = Settings::new("svc");
        assert_eq!(health.answer(Probe::Ready, &settings, 1, 0).0, 200, "nothing is known to be wrong yet");
        health.run_checks().await;
        let (status, body) = health.answer(Probe::Health, &settings, 1, 0);
        assert_eq!(status, 503);
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["status"], "fail");
        assert_eq!(body["checks"]["sqlite:responseTime"][0]["output"], "disk I/O \"error\"");
        assert_eq!(body["checks"]["cache:responseTime"][0]["status"], "pass");
        assert_eq!(body["checks"]["broken:responseTime"][0]["status"], "fail");
        assert_eq!(health.answer(Probe::Live, &settings, 1, 0).0, 200);
    }

    #[test]
    fn a_service_that_ends_is_alive_but_not_ready() {
        let health = Health::default();
        health.drain();
        let settings = Settings::new("svc");
        assert_eq!(health.answer(Probe::Ready, &settings, 1, 0).0, 503);
        assert_eq!(health.answer(Probe::Live, &settings, 1, 0).0, 200);
    }

    #[test]
    fn only_the_three_paths_are_ours() {
        assert_eq!(Probe::of("/health", "/health"), Some(Probe::Health));
        assert_eq!(Probe::of("/health/ready", "/health"), Some(Probe::Ready));
        assert_eq!(Probe::of("/healthy", "/health"), None);
        assert_eq!(Probe::of("/", "/health"), None);
    }
}
