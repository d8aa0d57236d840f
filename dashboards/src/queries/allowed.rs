//! What may be empty, or not emitted, after a short run of the sample service, and why. Nothing else may.

/// Series that exist only in a larger stack than the tests', or only after trouble.
const METRICS: [(&str, &str); 7] = [
    ("sightline_exporter_retries_total", "born with the first retry"),
    (
        "alertmanager_",
        "the tests' Prometheus does not scrape an Alertmanager; unit-tested in alerts/tests/stack.yml",
    ),
    ("prometheus_", "the tests' Prometheus does not scrape itself; unit-tested in alerts/tests/stack.yml"),
    ("instrument:", "recorded series: the tests' Prometheus may run without the rules"),
    ("sightline_dead_lettered_total", "born with the first dead letter"),
    ("sightline_dropped_total", "born with the first drop"),
    ("sightline_rejected_total", "born with the first bad input"),
];

/// Questions whose good answer is none, or that need more time than a test has.
const EMPTY: [(&str, &str); 30] = [
    ("marks \"Deploys\"", "no version appeared during the last five minutes"),
    ("marks \"Alerts\"", "nothing fires"),
    ("home.json: Firing alerts", "nothing fires"),
    ("home.json: Pages that failed", "the tests' Prometheus does not scrape an Alertmanager"),
    ("service.json: Error budget left", "needs the recording rules"),
    ("service.json: Process gauges", "the sample service reports no gauges of its process"),
    ("Today against last week", "there is no last week"),
    ("trends.json: Requests", "there is no last week"),
    ("trends.json: Error ratio", "there is no last week"),
    ("trends.json: p99", "there is no last week"),
    ("health.json: What the checks measured", "the sample service reports no gauges of its checks"),
    ("agent.json: Dead letters", "nothing was refused for good"),
    ("agent.json: Dropped, by reason", "nothing was dropped"),
    ("agent.json: Refused input, by reason", "all input was understood"),
    ("agent.json: Sent again, by reason", "nothing had to be sent again"),
    ("rule instrument:", "a rule over hours of data"),
    ("rule ErrorBudget", "an alert that does not fire"),
    ("rule LatencyP99High", "an alert that does not fire"),
    ("rule PanicOccurred", "the last panic may be more than five minutes ago"),
    ("rule RequestsUnfinished", "an alert that does not fire"),
    ("rule Health", "an alert that does not fire"),
    ("rule ServiceSilent", "an alert that does not fire"),
    ("rule DependencyFailing", "an alert that does not fire"),
    ("rule SignInFailuresHigh", "an alert that does not fire"),
    ("rule Agent", "an alert that does not fire"),
    ("rule TargetDown", "an alert that does not fire"),
    ("rule NotificationsFailing", "an alert that does not fire"),
    ("rule RuleFailures", "an alert that does not fire"),
    ("rule ConfigReloadFailed", "an alert that does not fire"),
    ("rule ScrapeLimitHit", "an alert that does not fire"),
];

/// Why nobody may emit `name`.
pub(super) fn metric(name: &str) -> Option<&'static str> {
    METRICS.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, why)| *why)
}

/// Why the question at `place` may have no answer.
pub(super) fn empty(place: &str, question: &str) -> Option<&'static str> {
    let found = EMPTY.iter().find(|(part, _)| place.contains(part)).map(|(_, why)| *why);
    // A Lucene query for slow requests is right and may find none on a fast machine.
    found.or_else(|| question.contains("event.duration:>").then_some("no request was that slow"))
}
