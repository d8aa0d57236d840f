//! Alerts about the stack itself: who watches the watchers.

use super::{Alert, Severity};
use crate::names::agent;
use crate::promql::min;
use crate::uid;

pub(super) fn alerts() -> Vec<Alert> {
    vec![
        alert(
            "TargetDown",
            "up == 0",
            Some("3m"),
            Severity::Critical,
            "{{ $labels.job }} {{ $labels.instance }} does not answer",
            "Prometheus cannot read its metrics: the program is down, or the network between is.",
        ),
        alert(
            "NotificationsFailing",
            "sum by (job, instance, integration) (rate(alertmanager_notifications_failed_total[5m])) > 0",
            Some("1m"),
            Severity::Critical,
            "alerts do not reach {{ $labels.integration }}",
            "The routing key is missing or wrong, or the way out is blocked. You may see this only here: that is what the dead-man's switch is for.",
        ),
        alert(
            "RuleFailures",
            "sum by (job, instance, rule_group) (increase(prometheus_rule_evaluation_failures_total[5m])) > 0",
            Some("5m"),
            Severity::Critical,
            "rules of {{ $labels.rule_group }} cannot be evaluated",
            "Alerts of that group are blind. Prometheus names the error on its page of rules.",
        ),
        alert(
            "ConfigReloadFailed",
            "prometheus_config_last_reload_successful == 0 or alertmanager_config_last_reload_successful == 0",
            Some("5m"),
            Severity::Warning,
            "{{ $labels.job }} {{ $labels.instance }} runs with an old configuration",
            "The last edit was refused; a restart would not come up. Its log has the line.",
        ),
        alert(
            "ScrapeLimitHit",
            "sum by (job, instance) (increase(prometheus_target_scrapes_exceeded_sample_limit_total[15m])) > 0",
            None,
            Severity::Critical,
            "a target has more series than sample_limit allows, and is not read at all",
            "Find the service whose segments or hosts multiply; lower the agent's series budget or raise the limit.",
        ),
        alert(
            "ElasticsearchDiskFilling",
            &disk(0.15),
            Some("10m"),
            Severity::Warning,
            "the disk of Elasticsearch's node {{ $labels.node }} has {{ $value | humanizePercentage }} left",
            "Below 15 % a node takes no new shards, below 10 % it moves them away. Keep records for less long, or give it more disk.",
        ),
        alert(
            "ElasticsearchDiskFull",
            &disk(0.07),
            Some("1m"),
            Severity::Critical,
            "the disk of Elasticsearch's node {{ $labels.node }} has {{ $value | humanizePercentage }} left",
            "Below 5 % Elasticsearch refuses every record. The agents keep them on disk until it takes some again, or until their queues are full.",
        ),
        Alert {
            class: "heartbeat",
            ..alert(
                "Watchdog",
                "vector(1)",
                None,
                Severity::None,
                "alerts flow",
                "Always fires. A service outside the stack pages when it stops arriving.",
            )
        },
    ]
}

/// Every agent asks the same nodes: the worst answer counts.
fn disk(share: f64) -> String {
    let left = format!("{} / {}", agent::DISK_AVAILABLE, agent::DISK);
    format!("{} < {share}", min(&["node"], &left))
}

fn alert(
    name: &'static str,
    expr: &str,
    wait: Option<&'static str>,
    severity: Severity,
    summary: &str,
    description: &'static str,
) -> Alert {
    Alert {
        name,
        expr: expr.to_owned(),
        wait,
        severity,
        class: "telemetry",
        summary: summary.to_owned(),
        description,
        board: uid::HOME,
        filters: &[],
        logs: None,
    }
}
