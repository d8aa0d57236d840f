//! Alerts about the services: panics, health, silence, calls that never end, dependencies, sign-ins.

use super::{Alert, Severity, records};
use crate::names::{agent, group, label, metric, outcome};
use crate::promql::{Select, error_ratio, max, sum};
use crate::uid;

const OPERATION: [&str; 4] = [label::ENVIRONMENT, label::SERVICE, label::GROUP, label::SEGMENT];
const SERVICE: [&str; 2] = [label::ENVIRONMENT, label::SERVICE];
const FILTERS: &[&str] = &[label::ENVIRONMENT, label::SERVICE];

pub(super) fn alerts() -> Vec<Alert> {
    vec![panic(), unfinished(), degraded(), failed(), silent(), dependency(), sign_ins(), brute_force()]
}

/// A counter that is born at 1 has not increased, so the first panic of a new process needs the second arm.
fn panic() -> Alert {
    let panics = Select::of(metric::OUTCOMES).eq(label::OUTCOME, outcome::PANIC);
    Alert {
        name: "PanicOccurred",
        expr: format!(
            "{} > 0\nor {} > 0",
            sum(&OPERATION, &panics.increase("5m")),
            sum(&OPERATION, &format!("{panics} unless {panics} offset 5m"))
        ),
        wait: None,
        severity: Severity::Critical,
        class: "panic",
        summary: "panic in {{ $labels.service }} {{ $labels.group }}.{{ $labels.segment }} ({{ $labels.environment }})".to_owned(),
        description: "A panic is a bug, each one. Its report has the stack, the request and the trace.",
        board: uid::PANICS,
        filters: FILTERS,
        logs: records("%20AND%20error.type:panic"),
    }
}

fn unfinished() -> Alert {
    let began = sum(&OPERATION, &Select::of(metric::CALLS).increase("15m"));
    let ended = sum(&OPERATION, &Select::of(metric::OUTCOMES).increase("15m"));
    Alert {
        name: "RequestsUnfinished",
        expr: format!("{began}\n  - {ended} > 5"),
        wait: Some("5m"),
        severity: Severity::Warning,
        class: "availability",
        summary: "{{ $labels.service }} {{ $labels.group }}.{{ $labels.segment }} ({{ $labels.environment }}): {{ $value | printf \"%.0f\" }} calls began and never ended".to_owned(),
        description: "Calls hang, are aborted, or die with their process. No rate of errors shows them.",
        board: uid::SERVICE,
        filters: FILTERS,
        logs: records(""),
    }
}

fn health(name: &'static str, comparison: &str, wait: &'static str, severity: Severity, verb: &str) -> Alert {
    let by = [label::ENVIRONMENT, label::SERVICE, label::CHECK];
    Alert {
        name,
        expr: format!("{} {comparison}", max(&by, metric::HEALTH)),
        wait: Some(wait),
        severity,
        class: "health",
        summary: format!(
            "{{{{ $labels.service }}}} ({{{{ $labels.environment }}}}): check {{{{ $labels.check }}}} {verb}"
        ),
        description: "The service measured it itself. Of several checks the one that turned first is the cause.",
        board: uid::HEALTH,
        filters: FILTERS,
        logs: records(""),
    }
}

fn degraded() -> Alert {
    health("HealthDegraded", "== 1", "5m", Severity::Warning, "is degraded")
}

fn failed() -> Alert {
    health("HealthFailed", ">= 2", "1m", Severity::Critical, "fails")
}

/// A service that pushes has no `up`: what tells is that it spoke an hour ago and does not now.
fn silent() -> Alert {
    let calls = Select::of(metric::OUTCOMES);
    Alert {
        name: "ServiceSilent",
        expr: format!(
            "{} > 0\nunless on ({}) {} > 0",
            sum(&SERVICE, &format!("rate({calls}[1h] offset 1h)")),
            SERVICE.join(", "),
            sum(&SERVICE, &calls.rate("10m"))
        ),
        wait: Some("10m"),
        severity: Severity::Warning,
        class: "availability",
        summary: "{{ $labels.service }} ({{ $labels.environment }}) reported calls an hour ago and none now"
            .to_owned(),
        description: "It is down, has no traffic, or cannot reach the agent.",
        board: uid::SERVICE,
        filters: FILTERS,
        logs: records(""),
    }
}

fn dependency() -> Alert {
    let calls = Select::of(metric::OUTCOMES).dependencies();
    Alert {
        name: "DependencyFailing",
        expr: format!(
            "{} > 0.05\nand on ({}) {} > 0.02",
            error_ratio(&OPERATION, &calls, "10m"),
            OPERATION.join(", "),
            sum(&OPERATION, &calls.rate("10m"))
        ),
        wait: Some("10m"),
        severity: Severity::Warning,
        class: "dependency",
        summary: "{{ $labels.service }} ({{ $labels.environment }}): {{ $value | humanizePercentage }} of {{ $labels.group }}.{{ $labels.segment }} fail".to_owned(),
        description: "A data store, a cache or another service fails for this one. See whether it fails for others too.",
        board: uid::DEPENDENCIES,
        filters: FILTERS,
        logs: records(""),
    }
}

fn sign_ins() -> Alert {
    let failures = Select::of(metric::OUTCOMES)
        .eq(label::GROUP, group::AUTH)
        .eq(label::OUTCOME, outcome::FAILED)
        .increase("5m");
    Alert {
        name: "SignInFailuresHigh",
        expr: format!("{} > 20", sum(&SERVICE, &failures)),
        wait: None,
        severity: Severity::Warning,
        class: "security",
        summary: "{{ $labels.service }} ({{ $labels.environment }}): {{ $value | printf \"%.0f\" }} failed sign-ins in 5 minutes".to_owned(),
        description: "Somebody guesses passwords, or a client has a wrong one. The dashboard shows from where.",
        board: uid::SECURITY,
        filters: FILTERS,
        logs: records("%20AND%20event.category:authentication%20AND%20event.outcome:failure"),
    }
}

/// By address: the agent shows the worst of them, never all (docs/adr/0005-addresses-of-attackers.md).
fn brute_force() -> Alert {
    let by = [label::ENVIRONMENT, label::SERVICE, agent::SOURCE_IP];
    Alert {
        name: "AuthBruteForce",
        expr: format!("{} > 20", sum(&by, agent::AUTH_FAILURES)),
        wait: None,
        severity: Severity::Warning,
        class: "security",
        summary: "{{ $labels.source_ip }} failed to sign in to {{ $labels.service }} ({{ $labels.environment }}) {{ $value | printf \"%.0f\" }} times in 5 minutes".to_owned(),
        description: "One address guesses passwords, or a script there has an old one. See whether any of its tries worked.",
        board: uid::SECURITY,
        filters: FILTERS,
        logs: records("%20AND%20event.category:authentication%20AND%20source.ip:%22{{ $labels.source_ip | urlquery }}%22"),
    }
}
