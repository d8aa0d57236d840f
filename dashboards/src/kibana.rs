//! What Kibana is given: data views, saved searches and dashboards, each with a fixed id.
//!
//! Dashboards aggregate over a data view instead of using ES|QL, so that every one of their questions can be asked of a
//! plain Elasticsearch in a test.

use serde_json::{Value, json};

use crate::names::{field, kind};

/// A saved search: Lucene over a data view.
#[derive(Debug, Clone)]
pub struct Search {
    /// Its id, without the prefix.
    pub id: &'static str,
    /// Its name.
    pub title: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// What it finds.
    pub lucene: String,
    /// The data view that it looks in.
    pub view: &'static str,
    /// The columns beside the time.
    pub columns: Vec<&'static str>,
}

/// A chart of a dashboard.
#[derive(Debug, Clone)]
pub struct Chart {
    /// Its heading, also the question.
    pub title: &'static str,
    /// What it counts.
    pub lucene: String,
    /// How it shows it.
    pub show: Show,
}

/// Ways of showing a count.
#[derive(Debug, Clone, Copy)]
pub enum Show {
    /// One number.
    Number,
    /// Bars over time, split by a field.
    OverTime(&'static str),
    /// The most frequent values of a field, with how many different values of another each has.
    Top(&'static str, Option<&'static str>),
}

/// A dashboard: rows of charts.
#[derive(Debug, Clone)]
pub struct Dashboard {
    /// Its id, without the prefix.
    pub id: &'static str,
    /// Its name.
    pub title: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// The data view that it looks in.
    pub view: &'static str,
    /// Its charts, in reading order.
    pub charts: Vec<Chart>,
}

/// The files: name and content.
pub fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("data-views", data_views()),
        ("searches", searches().iter().map(Search::render).collect()),
        ("dashboards", dashboards().iter().map(Dashboard::render).collect()),
    ]
}

/// The index pattern of a data view.
pub fn pattern(view: &str) -> &'static str {
    match view {
        "logs-panic" => "logs-*.panic-*",
        "logs-audit" => "logs-*.audit-*",
        "spans" => "zipkin*span-*",
        _ => "logs-*",
    }
}

/// The first one is the default.
fn data_views() -> Value {
    let view = |id: &str, name: &str, time: &str| json!({ "id": id, "name": name, "title": pattern(id), "timeFieldName": time });
    json!([
        view("logs", "Logs", field::TIMESTAMP),
        view("logs-panic", "Panics", field::TIMESTAMP),
        view("logs-audit", "Audit", field::TIMESTAMP),
        view("spans", "Spans", "timestamp_millis"),
    ])
}

/// Every saved search.
pub fn searches() -> Vec<Search> {
    let search = |id, title, description, lucene: &str, columns: &[&'static str]| Search {
        id,
        title,
        description,
        lucene: lucene.to_owned(),
        view: "logs",
        columns: columns.to_vec(),
    };
    let request = [field::SERVICE_NAME, field::METHOD, field::URL_PATH, field::STATUS, field::MESSAGE];
    vec![
        search(
            "errors",
            "Errors and warnings",
            "What went wrong, newest first.",
            "log.level:(error OR warn)",
            &[field::SERVICE_NAME, field::LEVEL, field::HANDLER, field::MESSAGE],
        ),
        search(
            "request",
            "One request",
            "Put a request's id in place of the star to see it across all services.",
            "request_id:*",
            &request,
        ),
        search(
            "trace",
            "One trace",
            "Put a trace's id in place of the star to see what every service said during it.",
            "trace.id:*",
            &[field::SERVICE_NAME, field::LEVEL, field::HANDLER, field::MESSAGE],
        ),
        search(
            "posts",
            "POSTs that succeeded",
            "The book's question.",
            "status:200 AND method:POST",
            &request,
        ),
        search(
            "slow",
            "Slow requests",
            "Requests of more than half a second.",
            "event.duration:>500000000",
            &[field::SERVICE_NAME, field::HANDLER, field::STATUS, field::EVENT_DURATION, field::TRACE_ID],
        ),
        search(
            "server-errors",
            "Failed requests",
            "Requests that were answered with 500 or above.",
            "status:>=500",
            &request,
        ),
        Search {
            view: "logs-panic",
            ..search(
                "panics",
                "Panics",
                "Each with its message, its request and its stack.",
                "error.type:panic",
                &[field::SERVICE_NAME, field::HANDLER, field::ERROR_MESSAGE, field::ERROR_FINGERPRINT],
            )
        },
        Search {
            view: "logs-audit",
            ..search(
                "sign-in-failures",
                "Failed sign-ins",
                "Who tried, from where, and why it was refused.",
                "event.category:authentication AND event.outcome:failure",
                &[field::SERVICE_NAME, field::USER_NAME, field::SOURCE_IP, field::MESSAGE],
            )
        },
        search(
            "unparsed",
            "Lines that were not JSON",
            "Which host sends them tells which client to mend.",
            &format!("event.dataset:*.{}", kind::UNPARSED),
            &[field::HOST_NAME, field::SERVICE_NAME, field::MESSAGE],
        ),
    ]
}

/// Every dashboard.
pub fn dashboards() -> Vec<Dashboard> {
    let chart = |title, lucene: &str, show| Chart { title, lucene: lucene.to_owned(), show };
    let failed = "event.category:authentication AND event.outcome:failure";
    vec![
        Dashboard {
            id: "logs",
            title: "Logs overview",
            description: "How much is logged, how bad it is, by whom, and what is said most.",
            view: "logs",
            charts: vec![
                chart("Records", "*", Show::Number),
                chart("Errors", "log.level:error", Show::Number),
                chart("Failed requests", "status:>=500", Show::Number),
                chart("Services that spoke", "*", Show::Top(field::SERVICE_NAME, Some(field::HOST_NAME))),
                chart("Records by level", "*", Show::OverTime(field::LEVEL)),
                chart("Errors by service", "log.level:error", Show::OverTime(field::SERVICE_NAME)),
                chart(
                    "What is said most in errors and warnings",
                    "log.level:(error OR warn)",
                    Show::Top("message.raw", Some(field::SERVICE_NAME)),
                ),
                chart(
                    "Kinds of error",
                    "_exists_:error.type",
                    Show::Top(field::ERROR_TYPE, Some(field::SERVICE_NAME)),
                ),
            ],
        },
        Dashboard {
            id: "panics",
            title: "Panics",
            description: "Each kind of panic is one bug: how often, where, since when.",
            view: "logs-panic",
            charts: vec![
                chart("Panics", "error.type:panic", Show::Number),
                chart("Panics over time", "error.type:panic", Show::OverTime(field::SERVICE_NAME)),
                chart(
                    "Kinds of panic, and on how many hosts",
                    "error.type:panic",
                    Show::Top(field::ERROR_FINGERPRINT, Some(field::HOST_NAME)),
                ),
                chart("By handler", "error.type:panic", Show::Top(field::HANDLER, Some(field::SERVICE_NAME))),
                chart(
                    "By version",
                    "error.type:panic",
                    Show::Top(field::SERVICE_VERSION, Some(field::SERVICE_NAME)),
                ),
            ],
        },
        Dashboard {
            id: "sign-ins",
            title: "Sign-ins",
            description: "Failed sign-ins by address and by user. Many users from one address: block it. One user from many addresses: reset the password.",
            view: "logs-audit",
            charts: vec![
                chart("Failed sign-ins", failed, Show::Number),
                chart(
                    "Over time by outcome",
                    "event.category:authentication",
                    Show::OverTime(field::EVENT_OUTCOME),
                ),
                chart(
                    "Failures by address, and how many users",
                    failed,
                    Show::Top(field::SOURCE_IP, Some(field::USER_NAME)),
                ),
                chart(
                    "Failures by user, and from how many addresses",
                    failed,
                    Show::Top(field::USER_NAME, Some(field::SOURCE_IP)),
                ),
                chart(
                    "Successes by address",
                    "event.category:authentication AND event.outcome:success",
                    Show::Top(field::SOURCE_IP, Some(field::USER_NAME)),
                ),
            ],
        },
        Dashboard {
            id: "ingest",
            title: "Ingest quality",
            description: "What arrives that is not as it should be: lines that are not JSON, records without ids, services without an environment.",
            view: "logs",
            charts: vec![
                chart(
                    "Lines that were not JSON",
                    &format!("event.dataset:*.{}", kind::UNPARSED),
                    Show::Number,
                ),
                chart(
                    "Not JSON, by host",
                    &format!("event.dataset:*.{}", kind::UNPARSED),
                    Show::OverTime(field::HOST_NAME),
                ),
                chart("Records by kind", "*", Show::OverTime(field::EVENT_DATASET)),
                chart(
                    "Requests without a trace",
                    "_exists_:status AND NOT _exists_:trace.id",
                    Show::Top(field::SERVICE_NAME, Some(field::HANDLER)),
                ),
                chart(
                    "Records without a level",
                    "NOT _exists_:log.level",
                    Show::Top(field::SERVICE_NAME, Some(field::HOST_NAME)),
                ),
            ],
        },
    ]
}

impl Search {
    /// The saved object. Its description ends with a mark of its content: what Kibana gives back may be in the form of a
    /// newer version, and the mark says whether it is the same search.
    fn render(&self) -> Value {
        let source = json!({
            "query": { "query": self.lucene, "language": "lucene" }, "filter": [],
            "indexRefName": "kibanaSavedObjectMeta.searchSourceJSON.index"
        });
        let mark = mark(&format!("{source}{:?}{}{}", self.columns, self.title, self.view));
        json!({
            "type": "search",
            "id": format!("sightline-{}", self.id),
            "attributes": {
                "title": self.title,
                "description": format!("{} ({mark})", self.description),
                "columns": self.columns,
                "sort": [[field::TIMESTAMP, "desc"]],
                "grid": {},
                "hideChart": false,
                "isTextBasedQuery": false,
                "timeRestore": false,
                "kibanaSavedObjectMeta": { "searchSourceJSON": crate::files::line(source) }
            },
            "references": [{
                "name": "kibanaSavedObjectMeta.searchSourceJSON.index", "type": "index-pattern", "id": self.view
            }]
        })
    }
}

/// FNV-1a: short, and the same everywhere.
fn mark(text: &str) -> String {
    let hash =
        text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    format!("{:08x}", hash >> 32)
}

impl Dashboard {
    /// The body for the dashboards interface, which takes flat JSON on a grid of 48 columns.
    fn render(&self) -> Value {
        let mut panels = Vec::new();
        let (mut x, mut y, mut tallest) = (0, 0, 0);
        for (index, chart) in self.charts.iter().enumerate() {
            let (width, height) = match chart.show {
                Show::Number => (12, 6),
                Show::OverTime(_) => (24, 10),
                Show::Top(..) => (24, 12),
            };
            if x + width > 48 {
                y += tallest;
                (x, tallest) = (0, 0);
            }
            panels.push(json!({
                "type": "vis", "id": format!("{}-{index}", self.id),
                "grid": { "x": x, "y": y, "w": width, "h": height },
                "config": chart.render(self.view)
            }));
            x += width;
            tallest = tallest.max(height);
        }
        json!({
            "id": format!("sightline-{}", self.id),
            "body": {
                "title": self.title,
                "description": self.description,
                // Without it a dashboard opens on the last quarter of an hour.
                "time_range": { "from": "now-24h", "to": "now" },
                "panels": panels
            }
        })
    }
}

impl Chart {
    fn render(&self, view: &str) -> Value {
        let source = json!({ "type": "data_view_reference", "ref_id": view });
        let query = json!({ "expression": self.lucene, "language": "lucene" });
        match self.show {
            Show::Number => json!({
                "type": "metric", "data_source": source, "query": query,
                "metrics": [{ "type": "primary", "operation": "count", "label": self.title }]
            }),
            Show::OverTime(by) => json!({
                "type": "xy", "title": self.title, "query": query,
                "legend": { "position": "bottom", "visibility": "visible" },
                "layers": [{
                    "type": "bar_stacked", "data_source": source,
                    "x": { "operation": "date_histogram", "field": field::TIMESTAMP },
                    "y": [{ "operation": "count" }],
                    "breakdown_by": { "operation": "terms", "fields": [by], "limit": 10 }
                }]
            }),
            Show::Top(by, distinct) => {
                let mut metrics = vec![json!({ "operation": "count" })];
                if let Some(other) = distinct {
                    metrics.push(json!({ "operation": "unique_count", "field": other }));
                }
                json!({
                    "type": "data_table", "title": self.title, "data_source": source, "query": query,
                    "metrics": metrics,
                    "rows": [{
                        "operation": "terms", "fields": [by], "limit": 20,
                        "rank_by": { "type": "metric", "metric_index": 0, "direction": "desc" }
                    }]
                })
            }
        }
    }
}
