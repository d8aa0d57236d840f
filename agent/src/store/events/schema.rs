//! The fields of an index of logs or spans, and how a record's own field names lead to them.
//!
//! A few fields have a column of their own. Everything else a record says lies in one JSON field, flattened to dotted
//! paths, each path exact, fast and sortable, so that no mapping has to be declared and no two records conflict.

use tantivy::schema::{
    DateOptions, DateTimePrecision, FAST, Field, IndexRecordOption, JsonObjectOptions, STORED, STRING,
    Schema, TextFieldIndexing, TextOptions,
};

use sightline_instrument::wire::field;

use super::words::{WORDS, WRITTEN};

/// Which kind of record an index holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Elastic Common Schema records.
    Logs,
    /// Zipkin v2 spans.
    Spans,
}

impl Kind {
    /// Folder name and label of metrics.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Logs => "logs",
            Kind::Spans => "spans",
        }
    }
}

/// Name of the JSON field, the prefix of every dynamic path.
pub(crate) const REST: &str = "_doc";
/// Name of the column with the order of arrival.
pub(crate) const ORDER: &str = "_seq_no";
/// Name of the column with the data stream.
pub(crate) const STREAM: &str = "_index";

/// Handles of the fields, the same in every index.
#[derive(Debug, Clone)]
pub struct Fields {
    /// All of it.
    pub schema: Schema,
    /// Milliseconds; sorted by and aggregated over.
    pub timestamp: Field,
    /// Order of arrival; breaks ties between equal timestamps.
    pub order: Field,
    /// The record's fixed id.
    pub id: Field,
    /// The data stream.
    pub stream: Field,
    /// Running text, found by its words.
    pub message: Field,
    /// `error.message`, by its words.
    pub error_message: Field,
    /// `error.stack_trace`, by its words.
    pub stack: Field,
    /// The words of all other values, for words without a field.
    pub any: Field,
    /// Everything else, by path.
    pub rest: Field,
    /// The record as it came.
    pub source: Field,
}

impl Fields {
    /// Builds the schema. Its shape is part of the format on disk: an index with another one is set aside at open.
    pub fn new() -> Self {
        let mut builder = Schema::builder();
        let text = |tokenizer| {
            TextOptions::default().set_indexing_options(
                TextFieldIndexing::default()
                    .set_tokenizer(tokenizer)
                    .set_index_option(IndexRecordOption::WithFreqsAndPositions)
                    .set_fieldnorms(false),
            )
        };
        let written = text(WRITTEN);
        let timestamp = builder.add_date_field(
            field::TIMESTAMP,
            DateOptions::default().set_fast().set_precision(DateTimePrecision::Milliseconds),
        );
        let order = builder.add_u64_field(ORDER, FAST);
        let id = builder.add_text_field("_id", STRING | STORED);
        let stream = builder.add_text_field(STREAM, (STRING | STORED).set_fast("raw"));
        let message = builder.add_text_field(field::MESSAGE, written.clone());
        let error_message = builder.add_text_field(field::ERROR_MESSAGE, written.clone());
        let stack = builder.add_text_field(field::ERROR_STACK, written);
        let any = builder.add_text_field("_any", text(WORDS));
        let exact = TextFieldIndexing::default()
            .set_tokenizer("raw")
            .set_index_option(IndexRecordOption::Basic)
            .set_fieldnorms(false);
        let rest = builder.add_json_field(
            REST,
            JsonObjectOptions::default()
                .set_indexing_options(exact)
                .set_fast("raw")
                .set_expand_dots_enabled(),
        );
        let source = builder.add_bytes_field("_source", STORED);
        Fields {
            schema: builder.build(),
            timestamp,
            order,
            id,
            stream,
            message,
            error_message,
            stack,
            any,
            rest,
            source,
        }
    }

    /// Where the records of `kind` keep what a person calls `name`.
    pub fn resolve(&self, kind: Kind, name: &str) -> Target {
        let name = name.strip_suffix(".keyword").or_else(|| name.strip_suffix(".raw")).unwrap_or(name);
        match name {
            field::TIMESTAMP => Target::Time,
            "timestamp_millis" if kind == Kind::Spans => Target::Time,
            "_id" => Target::Exact(self.id),
            STREAM => Target::Exact(self.stream),
            "_any" => Target::Text(self.any, "_any"),
            field::MESSAGE => Target::Text(self.message, field::MESSAGE),
            field::ERROR_MESSAGE if kind == Kind::Logs => {
                Target::Text(self.error_message, field::ERROR_MESSAGE)
            }
            field::ERROR_STACK if kind == Kind::Logs => Target::Text(self.stack, field::ERROR_STACK),
            _ => Target::Paths(paths(kind, name)),
        }
    }

    /// The column that aggregations and sorting read for `name`.
    pub fn column(&self, kind: Kind, name: &str) -> Column {
        match self.resolve(kind, name) {
            Target::Time => Column::Named(field::TIMESTAMP.to_owned()),
            Target::Exact(f) if f == self.stream => Column::Named(STREAM.to_owned()),
            Target::Exact(_) | Target::Text(..) => Column::None,
            // The short name's second meaning is the one that every record has.
            Target::Paths(paths) => match paths.into_iter().last() {
                Some(path) => Column::Named(format!("{REST}.{path}")),
                None => Column::None,
            },
        }
    }
}

impl Default for Fields {
    fn default() -> Self {
        Fields::new()
    }
}

/// What a field name leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The timestamp.
    Time,
    /// Exact values with a field of their own.
    Exact(Field),
    /// Words, and the name under which the source has the text.
    Text(Field, &'static str),
    /// Any of these paths below the JSON field.
    Paths(Vec<String>),
}

/// What can be sorted by and aggregated over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// A column by its name in the index.
    Named(String),
    /// The field is only searched by words.
    None,
}

/// The short names that people type for logs, and the field each stands for. The short name itself is searched too,
/// because records of foreign clients keep it.
const SHORT: [(&str, &str); 17] = [
    ("level", field::LEVEL),
    ("severity", field::LEVEL),
    ("service", field::SERVICE_NAME),
    ("version", field::SERVICE_VERSION),
    ("environment", field::SERVICE_ENVIRONMENT),
    ("env", field::SERVICE_ENVIRONMENT),
    ("host", field::HOST_NAME),
    ("hostname", field::HOST_NAME),
    ("trace_id", field::TRACE_ID),
    ("traceId", field::TRACE_ID),
    ("span_id", field::SPAN_ID),
    ("dataset", field::EVENT_DATASET),
    ("path", field::URL_PATH),
    ("user", field::USER_NAME),
    ("ip", field::SOURCE_IP),
    ("fingerprint", field::ERROR_FINGERPRINT),
    ("logger", field::LOGGER),
];

/// The same for spans, including the names that logs use, so that one query finds both.
const SHORT_SPAN: [(&str, &str); 17] = [
    ("trace.id", "traceId"),
    ("trace_id", "traceId"),
    ("span.id", "id"),
    ("span_id", "id"),
    ("parent.id", "parentId"),
    ("service", "localEndpoint.serviceName"),
    (field::SERVICE_NAME, "localEndpoint.serviceName"),
    (field::EVENT_DURATION, "duration"),
    ("request_id", "tags.http.request.id"),
    (field::HTTP_REQUEST_ID, "tags.http.request.id"),
    ("status", "tags.http.status_code"),
    (field::HTTP_STATUS, "tags.http.response.status_code"),
    ("method", "tags.http.request.method"),
    (field::HTTP_METHOD, "tags.http.request.method"),
    ("group", "tags.group"),
    ("segment", "tags.segment"),
    ("error", "tags.error"),
];

fn paths(kind: Kind, name: &str) -> Vec<String> {
    let table: &[(&str, &str)] = match kind {
        Kind::Logs => &SHORT,
        Kind::Spans => &SHORT_SPAN,
    };
    let mut paths = vec![name.to_owned()];
    paths.extend(table.iter().filter(|(short, _)| *short == name).map(|(_, long)| (*long).to_owned()));
    paths
}
