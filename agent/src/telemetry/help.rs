//! What each of the agent's own metrics is, for whoever meets its name in a scrape.

/// Names with their help, in order. What is rendered without the recorder brings its own.
pub(super) const HELP: &[(&str, &str)] = &[
    (
        "sightline_auth_addresses_forgotten_total",
        "Addresses with failed sign-ins that were forgotten because the table was full.",
    ),
    (
        "sightline_backpressure_total",
        "Times that a sender of logs was kept waiting because the queue was full.",
    ),
    ("sightline_build_info", "Always 1; the label version says which agent this is."),
    ("sightline_change_events_total", "New versions of services told to PagerDuty, by result."),
    (
        "sightline_connections_closed_total",
        "Connections closed because their peer was too slow, by receiver and reason.",
    ),
    ("sightline_connections_open", "Connections open now, by receiver."),
    (
        "sightline_connections_refused_total",
        "Connections closed before anything was read from them, by receiver and reason.",
    ),
    ("sightline_connections_total", "Connections taken, by receiver."),
    (
        "sightline_dead_lettered_total",
        "Records that a back end refused for good and that are kept as dead letters.",
    ),
    ("sightline_dead_letters_dropped_total", "Dead letters removed to keep within their bound."),
    ("sightline_dropped_total", "Records lost, by lane and reason."),
    (
        "sightline_elasticsearch_disk_failures_total",
        "Times that the disks of Elasticsearch could not be asked for.",
    ),
    ("sightline_exported_total", "Records delivered, by lane and exporter."),
    ("sightline_exporter_batch_records", "Records in one batch."),
    ("sightline_exporter_batch_seconds", "How long one batch took, from sending to its answer."),
    (
        "sightline_exporter_batches_total",
        "Batches sent, by outcome: ok, partial (a part has to be tried again) or failed.",
    ),
    ("sightline_exporter_in_flight", "Batches on their way now."),
    ("sightline_exporter_retries_total", "Records that have to be tried again, by what the back end said."),
    ("sightline_exporter_unnamed_refusals_total", "Records refused by a back end that did not say which."),
    ("sightline_exporter_up", "Whether the last batch got through: 1 or 0."),
    (
        "sightline_ledger_difference",
        "What came in less what became of it: 0 unless records are between two steps at this moment.",
    ),
    (
        "sightline_logs_noted_total",
        "Log records that were taken though something was wrong with them, by what.",
    ),
    (
        "sightline_metrics_noted_total",
        "Metrics of OTLP that were taken though something was wrong with them, by what.",
    ),
    ("sightline_name_collisions_total", "Names of StatsD that became the same metric as another name."),
    ("sightline_process_cpu_seconds", "Processor time of this process so far, user and system."),
    ("sightline_process_open_fds", "File descriptors open now."),
    ("sightline_process_resident_bytes", "Memory of this process that is resident."),
    ("sightline_queue_bytes", "Bytes of a lane's queue on disk."),
    ("sightline_queue_corrupt_records_total", "Records of a queue that could not be read any more."),
    ("sightline_queue_fsyncs_total", "Times that a queue was forced to disk."),
    ("sightline_queue_oldest_seconds", "Age of the oldest record that waits."),
    ("sightline_queue_write_errors_total", "Writes of a queue that the disk refused."),
    ("sightline_queue_written_bytes_total", "Bytes written to a queue."),
    ("sightline_queued", "Records that wait for delivery."),
    ("sightline_received_total", "Records that came in, by lane."),
    ("sightline_recovered_total", "Records found on disk at the start."),
    ("sightline_rejected_total", "Input refused before it was a record, by lane and reason."),
    ("sightline_relay_errors_total", "Datagrams that could not be sent on to the relay's target."),
    ("sightline_relay_lines_total", "Lines sent on to the relay's target."),
    ("sightline_relay_long_lines_total", "Lines too long to be sent on to the relay's target."),
    ("sightline_relay_packets_total", "Datagrams sent on to the relay's target."),
    (
        "sightline_reloads_total",
        "Times that mapping rules or renewed certificates were read again, by outcome.",
    ),
    ("sightline_remote_write_dropped_samples_total", "Samples given up, by endpoint and reason."),
    (
        "sightline_remote_write_last_success_seconds",
        "When the endpoint last took samples, in seconds since the epoch.",
    ),
    ("sightline_remote_write_rejected_samples_total", "Samples that the endpoint refused for good."),
    ("sightline_remote_write_requests_total", "Requests sent to the endpoint."),
    ("sightline_remote_write_sent_samples_total", "Samples that the endpoint took."),
    ("sightline_remote_write_taken_samples_total", "Samples taken from the registry for the endpoint."),
    ("sightline_renamed_labels_total", "Labels that had a reserved name and got another."),
    ("sightline_renamed_metrics_total", "Metrics that had a reserved name and got another."),
    ("sightline_replayed_total", "Dead letters that went another round."),
    ("sightline_requests_total", "HTTP requests to receivers, by class of their status."),
    ("sightline_series", "Series in the registry."),
    ("sightline_series_bytes", "Estimate of the memory that series take, which the budget bounds."),
    ("sightline_series_cache_entries", "Spellings of series that are found by their bytes."),
    ("sightline_series_expired_total", "Series that ended by silence."),
    ("sightline_series_overflow_samples_total", "Samples that went to an _other series, for lack of budget."),
    ("sightline_spans_noted_total", "Spans that were taken though something was wrong with them, by what."),
    ("sightline_statsd_bad_tags_total", "Tags without a key or a value."),
    ("sightline_statsd_cache_hits_total", "Samples whose series was found by their bytes."),
    ("sightline_statsd_connection_errors_total", "Stream connections that ended with an error."),
    ("sightline_statsd_connections_refused_total", "Stream connections refused because there were too many."),
    ("sightline_statsd_connections_total", "Stream connections taken."),
    ("sightline_statsd_events_total", "DogStatsD events."),
    ("sightline_statsd_ignored_fields_total", "Fields of lines that were skipped."),
    ("sightline_statsd_lines_total", "Lines that were not empty."),
    ("sightline_statsd_packets_total", "Datagrams received, by transport."),
    ("sightline_statsd_service_checks_total", "DogStatsD service checks."),
    ("sightline_statsd_tagged_samples_total", "Samples with at least one tag."),
    ("sightline_store_alerts", "Alerts of the embedded store's rules, by state."),
    ("sightline_store_bytes", "Bytes of the embedded store on disk, by lane."),
    (
        "sightline_store_commit_failures_total",
        "Commits of the embedded store that failed and will be tried again.",
    ),
    ("sightline_store_commit_seconds", "How long one commit of the embedded store took."),
    ("sightline_store_expired_records_total", "Records that retention removed, by lane and reason."),
    (
        "sightline_store_fields_over_limit_total",
        "Times that a new field was not indexed because a day had too many.",
    ),
    ("sightline_store_lost_records_total", "Records in parts of the embedded store that could not be read."),
    ("sightline_store_mapped_releases_total", "Times that pages of mapped index files were given back."),
    ("sightline_store_metric_blocks_dropped_total", "Blocks of samples that retention removed, by reason."),
    (
        "sightline_store_metric_damaged_total",
        "Pieces of stored metrics that could not be read, by what they were.",
    ),
    ("sightline_store_metric_disk_bytes", "Bytes of stored metrics on disk."),
    ("sightline_store_metric_head_samples", "Samples in memory that are not sealed yet."),
    ("sightline_store_metric_memory_bytes", "Memory that stored metrics take."),
    (
        "sightline_store_metric_native_samples_total",
        "Native histograms taken into the embedded store; they are among the samples.",
    ),
    (
        "sightline_store_metric_samples_dropped_total",
        "Samples that the embedded store did not keep, by reason.",
    ),
    ("sightline_store_metric_samples_total", "Samples taken into the embedded store."),
    ("sightline_store_metric_series", "Series of the embedded store."),
    (
        "sightline_store_metric_series_dropped_total",
        "Series that the embedded store refused because its cap was reached.",
    ),
    (
        "sightline_store_metric_writes_total",
        "Requests of remote write to the embedded store, by outcome: ok, partial, invalid, busy or failed.",
    ),
    ("sightline_store_parts", "Parts of the embedded store, one for each day, by lane."),
    (
        "sightline_store_parts_set_aside_total",
        "Parts of the embedded store that could not be read and were set aside.",
    ),
    ("sightline_store_records", "Records in the embedded store, by lane."),
    ("sightline_store_records_total", "Records committed to the embedded store, by lane."),
    (
        "sightline_store_refused_batches_total",
        "Batches refused because the disk has too little room, by lane.",
    ),
    ("sightline_store_repeated_records_total", "Records that came again and were stored once."),
    ("sightline_store_rule_evaluations_total", "Rules that the embedded store evaluated."),
    ("sightline_store_rule_failures_total", "Rules that could not be evaluated."),
    ("sightline_store_rules_seconds", "How long one round of rules took."),
    ("sightline_store_search_failures_total", "Searches that could not read a part of the embedded store."),
    ("sightline_store_search_seconds", "How long one search took."),
    (
        "sightline_store_segments_set_aside_total",
        "Segments of the embedded store that could not be read and were set aside.",
    ),
];

/// Tells the recorder all of them.
pub(super) fn describe() {
    for (name, help) in HELP {
        // The recorder keeps help by name, whatever the kind.
        metrics::describe_counter!(*name, *help);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::HELP;

    /// Every literal of a macro that makes a metric, in a folder and below.
    fn made(folder: &Path, names: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                made(&path, names);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("help.rs")
            {
                let text = std::fs::read_to_string(&path).unwrap();
                let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
                let is_name = |name: &&str| {
                    name.starts_with("sightline_")
                        && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
                };
                names.extend(text.split('"').filter(is_name).map(str::to_owned));
            }
        }
    }

    #[test]
    fn every_metric_has_its_help_and_no_help_is_left_over() {
        let mut names = Vec::new();
        made(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut names);
        // These come with their help, see `disk.rs`; the others are words of other kinds.
        names.retain(|name| !name.starts_with("sightline_elasticsearch_disk_") || name.ends_with("_total"));
        names.retain(|name| {
            !["sightline_agent", "sightline_instrument", "sightline_"].contains(&name.as_str())
        });
        names.sort();
        names.dedup();
        let described: Vec<&str> = HELP.iter().map(|(name, _)| *name).collect();
        assert_eq!(described, names);
    }
}
