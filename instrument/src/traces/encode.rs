//! An export of OTLP out of spans that are written already.

use super::protobuf::{bytes, text, varint, varint_len};
use crate::settings::Settings;

/// The name of what makes our spans.
const SCOPE: &str = "sightline-instrument";

/// Who sends, as OpenTelemetry's resource has it.
pub(crate) fn resource(settings: &Settings) -> impl Iterator<Item = (&str, &str)> {
    let ours = [
        ("service.name", settings.service.as_str()),
        ("service.version", settings.version.as_str()),
        ("deployment.environment.name", settings.environment.as_str()),
        ("host.name", settings.host.as_str()),
    ];
    ours.into_iter().chain(settings.resource.iter().map(|(key, value)| (key.as_str(), value.as_str())))
}

/// What the exports of one service share.
#[derive(Debug)]
pub(crate) struct Encoder {
    /// `ResourceSpans.resource`, tag and all.
    resource: Vec<u8>,
    /// `ScopeSpans.scope`, likewise.
    scope: Vec<u8>,
}

impl Encoder {
    pub(crate) fn new(settings: &Settings) -> Self {
        let (mut attributes, mut of, mut scope, mut names) = Default::default();
        for (key, value) in resource(settings) {
            text(&mut attributes, 1, key, value.as_bytes());
        }
        bytes(&mut of, 1, &attributes);
        bytes(&mut names, 1, SCOPE.as_bytes());
        bytes(&mut names, 2, env!("CARGO_PKG_VERSION").as_bytes());
        bytes(&mut scope, 1, &names);
        Encoder { resource: of, scope }
    }

    /// One `ExportTraceServiceRequest`. Each of `parts` is whole fields `ScopeSpans.spans`.
    pub(crate) fn export(&self, parts: &[&[u8]]) -> Vec<u8> {
        let spans = self.scope.len() + parts.iter().map(|p| p.len()).sum::<usize>();
        let within = self.resource.len() + 1 + varint_len(spans as u64) + spans;
        let mut out = Vec::with_capacity(within + 8);
        out.push(1 << 3 | 2);
        varint(&mut out, within as u64);
        out.extend_from_slice(&self.resource);
        out.push(2 << 3 | 2);
        varint(&mut out, spans as u64);
        out.extend_from_slice(&self.scope);
        for part in parts {
            out.extend_from_slice(part);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Capture;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
    use prost::Message;
    use std::time::Duration;

    #[test]
    fn opentelemetrys_own_reader_understands_it() {
        let capture = Capture::new("svc");
        let statement = format!("SELECT {}", "x".repeat(300));
        capture.call(|| {
            let select = crate::query("sqlite", "select").statement(&statement);
            let _ = select.run_blocking(|| {
                capture.advance(Duration::from_nanos(250));
                Err::<(), _>("locked")
            });
        });
        let written = capture.spans_as_sent();
        let mut settings = Settings::new("svc");
        settings.version = "1.2.3".to_owned();
        settings.resource.push(("k8s.pod.name".to_owned(), "pod-1".to_owned()));
        let body = Encoder::new(&settings).export(&[&written, &written]);
        let read = ExportTraceServiceRequest::decode(&*body).unwrap();
        let text = |v: &Option<AnyValue>| match v.clone().unwrap().value {
            Some(any_value::Value::StringValue(text)) => text,
            other => panic!("{other:?}"),
        };
        let of = &read.resource_spans[0];
        let resource = of.resource.as_ref().unwrap();
        assert!(resource.attributes.iter().any(|a| a.key == "service.version" && text(&a.value) == "1.2.3"));
        assert!(resource.attributes.iter().any(|a| a.key == "k8s.pod.name" && text(&a.value) == "pod-1"));
        assert_eq!(of.scope_spans[0].scope.as_ref().unwrap().name, "sightline-instrument");
        assert_eq!(of.scope_spans[0].spans.len(), 2);
        let span = &of.scope_spans[0].spans[1];
        assert_eq!((span.trace_id.len(), span.span_id.len(), span.parent_span_id.len()), (16, 8, 0));
        assert_eq!((span.name.as_str(), span.kind, span.flags), ("sqlite select", 3, 0x101));
        assert_eq!(span.end_time_unix_nano - span.start_time_unix_nano, 250);
        let status = span.status.as_ref().unwrap();
        assert_eq!((status.code, status.message.as_str()), (2, "locked"));
        let attributes: Vec<_> = span.attributes.iter().map(|a| (a.key.as_str(), text(&a.value))).collect();
        assert_eq!(
            attributes,
            [
                ("service", "svc".to_owned()),
                ("group", "sqlite".to_owned()),
                ("segment", "select".to_owned()),
                ("db.system.name", "sqlite".to_owned()),
                ("db.query.summary", "select".to_owned()),
                ("db.query.text", statement),
                ("error.type", "_OTHER".to_owned()),
            ]
        );
    }
}
