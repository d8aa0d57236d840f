//! The messages of remote write 1.0 and 2.0, field for field.

/// Remote write 1.0, `prometheus.WriteRequest`.
pub mod v1 {
    use prost::Message;

    /// A request.
    #[derive(Clone, PartialEq, Message)]
    pub struct WriteRequest {
        /// Each series once.
        #[prost(message, repeated, tag = "1")]
        pub timeseries: Vec<TimeSeries>,
        /// Type and help by metric.
        #[prost(message, repeated, tag = "3")]
        pub metadata: Vec<MetricMetadata>,
    }

    /// A series.
    #[derive(Clone, PartialEq, Message)]
    pub struct TimeSeries {
        /// By ascending name; `__name__` is one of them.
        #[prost(message, repeated, tag = "1")]
        pub labels: Vec<Label>,
        /// By ascending time.
        #[prost(message, repeated, tag = "2")]
        pub samples: Vec<Sample>,
        /// Traces behind the samples.
        #[prost(message, repeated, tag = "3")]
        pub exemplars: Vec<Exemplar>,
        /// By ascending time. 2.0 took the message over as it is. The agent itself sends them by 2.0 only.
        #[prost(message, repeated, tag = "4")]
        pub histograms: Vec<super::v2::Histogram>,
    }

    /// A label.
    #[derive(Clone, PartialEq, Message)]
    pub struct Label {
        /// Its name.
        #[prost(string, tag = "1")]
        pub name: String,
        /// Its value, never empty.
        #[prost(string, tag = "2")]
        pub value: String,
    }

    /// A sample.
    #[derive(Clone, PartialEq, Message)]
    pub struct Sample {
        /// Its value.
        #[prost(double, tag = "1")]
        pub value: f64,
        /// Milliseconds since the epoch.
        #[prost(int64, tag = "2")]
        pub timestamp: i64,
    }

    /// A trace behind a sample.
    #[derive(Clone, PartialEq, Message)]
    pub struct Exemplar {
        /// `trace_id`.
        #[prost(message, repeated, tag = "1")]
        pub labels: Vec<Label>,
        /// What was observed.
        #[prost(double, tag = "2")]
        pub value: f64,
        /// Milliseconds since the epoch.
        #[prost(int64, tag = "3")]
        pub timestamp: i64,
    }

    /// What a metric is.
    #[derive(Clone, PartialEq, Message)]
    pub struct MetricMetadata {
        /// As in [`super::v2::Metadata`].
        #[prost(int32, tag = "1")]
        pub r#type: i32,
        /// The metric.
        #[prost(string, tag = "2")]
        pub metric_family_name: String,
        /// HELP.
        #[prost(string, tag = "4")]
        pub help: String,
    }
}

/// Remote write 2.0, `io.prometheus.write.v2.Request`.
pub mod v2 {
    use prost::{Message, Oneof};

    /// A request.
    #[derive(Clone, PartialEq, Message)]
    pub struct Request {
        /// Every string once; the first is empty.
        #[prost(string, repeated, tag = "4")]
        pub symbols: Vec<String>,
        /// The series.
        #[prost(message, repeated, tag = "5")]
        pub timeseries: Vec<TimeSeries>,
    }

    /// A series: samples or histograms, never both.
    #[derive(Clone, PartialEq, Message)]
    pub struct TimeSeries {
        /// Name, value, name, value, … as places in the symbols, by ascending name.
        #[prost(uint32, repeated, tag = "1")]
        pub labels_refs: Vec<u32>,
        /// By ascending time.
        #[prost(message, repeated, tag = "2")]
        pub samples: Vec<Sample>,
        /// By ascending time.
        #[prost(message, repeated, tag = "3")]
        pub histograms: Vec<Histogram>,
        /// Traces behind the samples.
        #[prost(message, repeated, tag = "4")]
        pub exemplars: Vec<Exemplar>,
        /// What the metric is.
        #[prost(message, optional, tag = "5")]
        pub metadata: Option<Metadata>,
        /// Since when it counts, in milliseconds since the epoch; 0 if unknown. Receivers of the earlier drafts
        /// read it here, those of the later ones in the sample.
        #[prost(int64, tag = "6")]
        pub created_timestamp: i64,
    }

    /// A sample.
    #[derive(Clone, PartialEq, Message)]
    pub struct Sample {
        /// Its value.
        #[prost(double, tag = "1")]
        pub value: f64,
        /// Milliseconds since the epoch.
        #[prost(int64, tag = "2")]
        pub timestamp: i64,
        /// Since when it counts; 0 if unknown.
        #[prost(int64, tag = "3")]
        pub start_timestamp: i64,
    }

    /// A trace behind a sample.
    #[derive(Clone, PartialEq, Message)]
    pub struct Exemplar {
        /// As in [`TimeSeries`].
        #[prost(uint32, repeated, tag = "1")]
        pub labels_refs: Vec<u32>,
        /// What was observed.
        #[prost(double, tag = "2")]
        pub value: f64,
        /// Milliseconds since the epoch.
        #[prost(int64, tag = "3")]
        pub timestamp: i64,
    }

    /// What a metric is.
    #[derive(Clone, Copy, PartialEq, Message)]
    pub struct Metadata {
        /// 1 counter, 2 gauge, 3 histogram, 5 summary.
        #[prost(int32, tag = "1")]
        pub r#type: i32,
        /// HELP, as a place in the symbols.
        #[prost(uint32, tag = "3")]
        pub help_ref: u32,
        /// The unit, as a place in the symbols.
        #[prost(uint32, tag = "4")]
        pub unit_ref: u32,
    }

    /// A native histogram.
    #[derive(Clone, PartialEq, Message)]
    pub struct Histogram {
        /// All observations.
        #[prost(oneof = "Count", tags = "1, 2")]
        pub count: Option<Count>,
        /// Their sum.
        #[prost(double, tag = "3")]
        pub sum: f64,
        /// 2^schema buckets for each doubling.
        #[prost(sint32, tag = "4")]
        pub schema: i32,
        /// Up to which distance from zero observations count as zero.
        #[prost(double, tag = "5")]
        pub zero_threshold: f64,
        /// Observations at zero.
        #[prost(oneof = "ZeroCount", tags = "6, 7")]
        pub zero_count: Option<ZeroCount>,
        /// Where the buckets below zero are.
        #[prost(message, repeated, tag = "8")]
        pub negative_spans: Vec<BucketSpan>,
        /// Their counts, each as a step from the one before.
        #[prost(sint64, repeated, tag = "9")]
        pub negative_deltas: Vec<i64>,
        /// Or the counts themselves, where they have fractions.
        #[prost(double, repeated, tag = "10")]
        pub negative_counts: Vec<f64>,
        /// Where the buckets above zero are.
        #[prost(message, repeated, tag = "11")]
        pub positive_spans: Vec<BucketSpan>,
        /// Their counts, each as a step from the one before.
        #[prost(sint64, repeated, tag = "12")]
        pub positive_deltas: Vec<i64>,
        /// Or the counts themselves, where they have fractions.
        #[prost(double, repeated, tag = "13")]
        pub positive_counts: Vec<f64>,
        /// 0: the receiver looks for resets itself.
        #[prost(int32, tag = "14")]
        pub reset_hint: i32,
        /// Milliseconds since the epoch.
        #[prost(int64, tag = "15")]
        pub timestamp: i64,
        /// Upper bounds of the buckets where schema is -53.
        #[prost(double, repeated, tag = "16")]
        pub custom_values: Vec<f64>,
        /// Since when it counts; 0 if unknown.
        #[prost(int64, tag = "17")]
        pub start_timestamp: i64,
    }

    /// All observations, whole or not.
    #[derive(Clone, Copy, PartialEq, Oneof)]
    pub enum Count {
        /// Whole.
        #[prost(uint64, tag = "1")]
        CountInt(u64),
        /// Fractions too.
        #[prost(double, tag = "2")]
        CountFloat(f64),
    }

    /// Observations at zero, whole or not.
    #[derive(Clone, Copy, PartialEq, Oneof)]
    pub enum ZeroCount {
        /// Whole.
        #[prost(uint64, tag = "6")]
        ZeroCountInt(u64),
        /// Fractions too.
        #[prost(double, tag = "7")]
        ZeroCountFloat(f64),
    }

    /// A run of buckets.
    #[derive(Clone, Copy, PartialEq, Message)]
    pub struct BucketSpan {
        /// Buckets left out before it.
        #[prost(sint32, tag = "1")]
        pub offset: i32,
        /// Buckets in it.
        #[prost(uint32, tag = "2")]
        pub length: u32,
    }
}
