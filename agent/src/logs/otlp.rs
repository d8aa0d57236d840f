//! OTLP logs in: each log record becomes a line in ECS names and takes the way of all lines.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use serde_json::{Map, Value, json};
use sightline_instrument::wire::field as f;

use super::intake::{Intake, now};
use super::level::{self, Scale};
use super::record::Source;
use super::timestamp;
use crate::queue::Broken;
use crate::receive::otlp::{Refusal, Signal, Taken, mend};
use crate::receive::sink::{Ticket, Wait};

/// The signal in front of the logs lane.
pub struct Logs(pub Intake);

impl Logs {
    fn take(&self, request: ExportLogsServiceRequest) -> Result<Taken, Refusal> {
        let lines = lines(&request, now());
        let taken = self.0.collect(|policy, scratch, batch| {
            for line in &lines {
                // Built here: it is an object, and only its size can be wrong.
                if line.len() > self.0.max_line()
                    || policy.object(line, Source::default(), now(), None, scratch, batch).is_err()
                {
                    policy.line(line, Source::default(), now(), scratch, batch);
                }
            }
        });
        match taken {
            Ok(ticket) => Ok(Taken { ticket, ..Taken::default() }),
            Err(_) => Err(Refusal::Full),
        }
    }
}

impl Signal for Logs {
    fn protobuf(&self, request: &[u8]) -> Result<Taken, Refusal> {
        let (request, mended) = mend::decode(request, &mend::LOGS)?;
        super::events::mended(mended);
        self.take(request)
    }

    fn json(&self, request: &[u8]) -> Result<Taken, Refusal> {
        let request = serde_json::from_slice(request).map_err(|e| Refusal::Malformed(e.to_string()))?;
        self.take(request)
    }

    fn durable(&self, ticket: Ticket) -> Wait<'_, Result<(), Broken>> {
        Box::pin(self.0.durable(ticket))
    }

    fn lane(&self) -> &'static str {
        "logs"
    }
}

/// One JSON object for each log record of `request`.
pub fn lines(request: &ExportLogsServiceRequest, now: timestamp::Nanos) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    for resource in &request.resource_logs {
        let mut shared = Map::new();
        for attribute in resource.resource.iter().flat_map(|r| &r.attributes) {
            put(attribute, &mut shared);
        }
        for scope in &resource.scope_logs {
            let logger = scope.scope.as_ref().map(|s| s.name.as_str()).filter(|name| !name.is_empty());
            for record in &scope.log_records {
                let mut line = shared.clone();
                if let Some(logger) = logger {
                    line.insert(f::LOGGER.into(), logger.into());
                }
                fill(record, now, &mut line);
                // A map of JSON values can always be written.
                lines.push(serde_json::to_vec(&line).unwrap_or_default());
            }
        }
    }
    lines
}

fn fill(record: &LogRecord, now: timestamp::Nanos, line: &mut Map<String, Value>) {
    for attribute in &record.attributes {
        put(attribute, line);
    }
    let nanos = [record.time_unix_nano, record.observed_time_unix_nano].into_iter().find(|&n| n > 0);
    let nanos = nanos.and_then(|n| i64::try_from(n).ok()).unwrap_or(now);
    let mut time = Vec::new();
    timestamp::write(&mut time, nanos);
    line.insert(f::TIMESTAMP.into(), String::from_utf8_lossy(&time).into());
    let level = level::word(record.severity_text.as_bytes())
        .or_else(|| level::number(u32::try_from(record.severity_number).ok()?, Scale::Otel));
    if let Some(level) = level {
        line.insert(f::LEVEL.into(), level.into());
    }
    match record.body.as_ref().and_then(|body| body.value.as_ref()) {
        None => {}
        Some(Any::StringValue(text)) => {
            line.insert(f::MESSAGE.into(), text.as_str().into());
        }
        // A structured body is a record of its own: its members are the record's, its text the message.
        Some(Any::KvlistValue(list)) => {
            list.values.iter().for_each(|member| put(member, line));
            if !line.contains_key(f::MESSAGE) {
                line.insert(f::MESSAGE.into(), value(record.body.as_ref()).to_string().into());
            }
        }
        Some(_) => {
            line.insert(f::MESSAGE.into(), value(record.body.as_ref()).to_string().into());
        }
    }
    if !record.event_name.is_empty() {
        line.insert("event.action".into(), record.event_name.as_str().into());
    }
    for (name, id) in [(f::TRACE_ID, &record.trace_id), (f::SPAN_ID, &record.span_id)] {
        if id.iter().any(|&b| b != 0) {
            let mut hex = Vec::new();
            crate::json::hex(&mut hex, id);
            line.insert(name.into(), String::from_utf8_lossy(&hex).into());
        }
    }
}

/// Semantic conventions that have another name in ECS; all else of the conventions is kept under its own name when ECS
/// knows its object, and under `labels` when it does not.
fn put(attribute: &KeyValue, line: &mut Map<String, Value>) {
    let name = match attribute.key.as_str() {
        "exception.type" => f::ERROR_TYPE,
        "exception.message" => f::ERROR_MESSAGE,
        "exception.stacktrace" => f::ERROR_STACK,
        "deployment.environment" | "deployment.environment.name" => f::SERVICE_ENVIRONMENT,
        "http.method" => f::HTTP_METHOD,
        "http.status_code" => f::HTTP_STATUS,
        "client.address" => "client.ip",
        "enduser.id" => f::USER_NAME,
        "code.function" | "code.function.name" => "log.origin.function",
        "code.filepath" | "code.file.path" => "log.origin.file.name",
        "thread.name" => "process.thread.name",
        other => other,
    };
    let value = value(attribute.value.as_ref());
    let (root, nested) = name.split_once('.').map_or((name, false), |(root, _)| (root, true));
    let known = super::fields::find(name.as_bytes()).is_some()
        || (nested && super::fields::find(root.as_bytes()).is_some_and(|field| field.object.is_some()));
    if known {
        line.insert(name.to_owned(), value);
        return;
    }
    let text = match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    line.insert(format!("{}.{name}", f::LABELS), text.into());
}

fn value(any: Option<&AnyValue>) -> Value {
    match any.and_then(|any| any.value.as_ref()) {
        Some(Any::StringValue(text)) => text.as_str().into(),
        Some(Any::BoolValue(b)) => (*b).into(),
        Some(Any::IntValue(n)) => (*n).into(),
        Some(Any::DoubleValue(n)) if n.is_finite() => json!(n),
        Some(Any::DoubleValue(n)) => n.to_string().into(),
        Some(Any::ArrayValue(list)) => list.values.iter().map(|v| value(Some(v))).collect(),
        Some(Any::KvlistValue(list)) => {
            Value::Object(list.values.iter().map(|kv| (kv.key.clone(), value(kv.value.as_ref()))).collect())
        }
        Some(Any::BytesValue(bytes)) => {
            use base64::Engine;
            base64::engine::general_purpose::STANDARD.encode(bytes).into()
        }
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::lines;
    use expect_test::expect;
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;

    #[test]
    fn a_log_record_becomes_a_line() {
        let json = r#"{"resourceLogs":[{"resource":{"attributes":[
            {"key":"service.name","value":{"stringValue":"shop"}},
            {"key":"telemetry.sdk.language","value":{"stringValue":"python"}}]},
          "scopeLogs":[{"scope":{"name":"shop.db"},"logRecords":[
            {"timeUnixNano":"1700000000000000000","severityNumber":17,"body":{"stringValue":"no \"db\""},
             "traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7",
             "attributes":[{"key":"exception.type","value":{"stringValue":"E"}},{"key":"n","value":{"intValue":"5"}}]},
            {"observedTimeUnixNano":"1700000000000000000","severityText":"Warn",
             "body":{"kvlistValue":{"values":[{"key":"a","value":{"boolValue":true}}]}}}]}]}]}"#;
        let request: ExportLogsServiceRequest = serde_json::from_str(json).unwrap();
        let shown: Vec<String> =
            lines(&request, 0).into_iter().map(|line| String::from_utf8(line).unwrap()).collect();
        expect![[r#"
            {"@timestamp":"2023-11-14T22:13:20.000Z","error.type":"E","labels.n":"5","labels.telemetry.sdk.language":"python","log.level":"error","log.logger":"shop.db","message":"no \"db\"","service.name":"shop","span.id":"00f067aa0ba902b7","trace.id":"4bf92f3577b34da6a3ce929d0e0e4736"}
            {"@timestamp":"2023-11-14T22:13:20.000Z","labels.a":"true","labels.telemetry.sdk.language":"python","log.level":"warn","log.logger":"shop.db","message":"{\"a\":true}","service.name":"shop"}"#]].assert_eq(&shown.join("\n"));
    }
}
