//! A panel: one question, its query, its unit, and what to do when the answer is bad.

/// What draws the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Lines over time.
    Lines,
    /// Areas over time, one upon the other.
    Stacked,
    /// Bars over time, one upon the other.
    Bars,
    /// One number.
    Stat,
    /// Rows and columns; several queries are joined by their labels.
    Table,
    /// Markdown.
    Text,
    /// A number on a scale.
    Gauge,
    /// Numbers as bars, longest first.
    BarGauge,
    /// Buckets of a histogram over time.
    Heatmap,
    /// Shares of a whole.
    Pie,
    /// Log records.
    Logs,
    /// One trace.
    Trace,
    /// States over time.
    States,
}

/// What a number means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Nanoseconds, as `event.duration` has it.
    Nanoseconds,
    /// Events each second.
    PerSecond,
    /// Requests each second.
    Requests,
    /// 0 to 1, shown as per cent.
    Ratio,
    /// Bytes.
    Bytes,
    /// Bytes each second.
    BytesPerSecond,
    /// A plain number.
    Number,
    /// Nothing to convert: text, states.
    None,
}

impl Unit {
    /// Grafana's name for it.
    pub fn id(self) -> &'static str {
        match self {
            Unit::Seconds => "s",
            Unit::Nanoseconds => "ns",
            Unit::PerSecond => "ops",
            Unit::Requests => "reqps",
            Unit::Ratio => "percentunit",
            Unit::Bytes => "bytes",
            Unit::BytesPerSecond => "Bps",
            Unit::Number => "short",
            Unit::None => "none",
        }
    }
}

/// Where a query goes.
#[derive(Debug, Clone)]
pub enum Query {
    /// PromQL over the shown range.
    Range { expr: String, legend: String, exemplars: bool },
    /// PromQL at the end of the shown range, as a table or a number.
    Instant { expr: String, legend: String },
    /// Log records that match a Lucene query, newest first.
    Logs { lucene: String },
    /// Records that match, as rows, newest first.
    Records { lucene: String, size: u32 },
    /// How many records match, over time, split by a field.
    Volume { lucene: String, by: Option<&'static str> },
    /// How many records match for each value of `terms`, and how many different values of `distinct` they hold.
    Terms { lucene: String, terms: Vec<&'static str>, distinct: Option<&'static str> },
    /// One trace of Zipkin.
    Trace { id: String },
}

/// From this value on, that colour. The first of a panel's steps has no value.
#[derive(Debug, Clone, Copy)]
pub struct Step(pub Option<f64>, pub &'static str);

/// A panel and its place in the flow.
#[derive(Debug, Clone)]
pub struct Panel {
    pub(super) kind: Kind,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) unit: Unit,
    pub(super) no_value: String,
    pub(super) queries: Vec<Query>,
    pub(super) links: Vec<(String, String)>,
    pub(super) steps: Vec<Step>,
    pub(super) mappings: Vec<(f64, &'static str, &'static str)>,
    pub(super) text: String,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) columns: Vec<(&'static str, &'static str, Option<Unit>)>,
    pub(super) bounds: Option<(f64, f64)>,
}

impl Panel {
    /// A panel with its title and what a person does when it looks bad.
    pub fn new(kind: Kind, title: &str, description: &str) -> Self {
        let (width, height) = match kind {
            Kind::Stat | Kind::Gauge => (4, 4),
            Kind::Table | Kind::Logs | Kind::Trace => (24, 10),
            Kind::Text => (24, 3),
            _ => (12, 8),
        };
        Panel {
            kind,
            title: title.to_owned(),
            description: description.to_owned(),
            unit: Unit::Number,
            no_value: "no data in this range".to_owned(),
            queries: Vec::new(),
            links: Vec::new(),
            steps: Vec::new(),
            mappings: Vec::new(),
            text: String::new(),
            width,
            height,
            columns: Vec::new(),
            bounds: None,
        }
    }

    /// What the numbers mean.
    pub fn unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }

    /// What an empty answer means, in words.
    pub fn no_value(mut self, text: &str) -> Self {
        self.no_value = text.to_owned();
        self
    }

    /// PromQL: over time where the panel shows time, at one moment elsewhere.
    pub fn promql(mut self, legend: &str, expr: String) -> Self {
        let legend = legend.to_owned();
        self.queries.push(match self.kind {
            Kind::Lines | Kind::Stacked | Kind::Bars | Kind::Heatmap | Kind::States => {
                Query::Range { expr, legend, exemplars: false }
            }
            _ => Query::Instant { expr, legend },
        });
        self
    }

    /// PromQL over time with the dots that lead to traces.
    pub fn promql_with_exemplars(mut self, legend: &str, expr: String) -> Self {
        self.queries.push(Query::Range { expr, legend: legend.to_owned(), exemplars: true });
        self
    }

    /// A query to another store.
    pub fn query(mut self, query: Query) -> Self {
        self.queries.push(query);
        self
    }

    /// Where a click leads.
    pub fn link(mut self, title: &str, url: String) -> Self {
        self.links.push((title.to_owned(), url));
        self
    }

    /// Colours by value.
    pub fn steps(mut self, steps: &[Step]) -> Self {
        self.steps = steps.to_vec();
        self
    }

    /// Words for values, each with its colour.
    pub fn words(mut self, words: &[(f64, &'static str, &'static str)]) -> Self {
        self.mappings = words.to_vec();
        self
    }

    /// Markdown of a text panel.
    pub fn markdown(mut self, text: &str) -> Self {
        self.text = text.to_owned();
        self
    }

    /// Width of 24 and height in grid units.
    pub fn size(mut self, width: u32, height: u32) -> Self {
        (self.width, self.height) = (width, height);
        self
    }

    /// The columns of a table: the field or the query's letter, its heading, its unit.
    pub fn columns(mut self, columns: &[(&'static str, &'static str, Option<Unit>)]) -> Self {
        self.columns = columns.to_vec();
        self
    }

    /// The scale's ends.
    pub fn bounds(mut self, low: f64, high: f64) -> Self {
        self.bounds = Some((low, high));
        self
    }
}
