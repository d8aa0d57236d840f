//! The agent itself: what came in, what left, and whether anything was lost between.

use super::none_is_good;
use crate::grafana::{Board, Kind, Panel, Unit};
use crate::names::{LANE, agent};
use crate::promql::{STEP, Select, min, sum};
use crate::uid;

pub(super) fn board() -> Board {
    Board::new(uid::AGENT, "Agent", "What the agent took in, shipped, refused and lost, and what it costs.")
        .row("The ledger", vec![received(), exported(), balance(), queued()])
        .row("Back ends", vec![up(), oldest(), retries(), bytes(), disk()])
        .row("Trouble", vec![dropped(), dead(), rejected()])
        .row("Series", vec![series(), series_bytes(), overflow()])
        .row("Cost", vec![memory(), cpu(), files(), versions()])
}

fn lane(title: &str, help: &str, metric: &str, by: &[&str]) -> Panel {
    let legend: Vec<String> = by.iter().map(|label| format!("{{{{{label}}}}}")).collect();
    Panel::new(Kind::Lines, title, help)
        .unit(Unit::PerSecond)
        .promql(&legend.join(" "), sum(by, &Select::of(metric).rate(STEP)))
}

fn received() -> Panel {
    lane(
        "Received",
        "Records a second that came in. 0 in a lane: services point elsewhere, or a firewall came between.",
        agent::RECEIVED,
        &[LANE],
    )
}

fn exported() -> Panel {
    lane(
        "Shipped",
        "Records a second that a back end confirmed. Below what came in: the queue grows; see why below.",
        agent::EXPORTED,
        &[LANE, "exporter"],
    )
}

fn balance() -> Panel {
    Panel::new(
        Kind::Lines,
        "Unaccounted for",
        "Received minus shipped, dead-lettered, dropped and queued. Anything but 0 for longer than a scrape is a bug: report it.",
    )
    .promql("{{lane}}", sum(&[LANE], agent::LEDGER))
}

fn queued() -> Panel {
    Panel::new(
        Kind::Lines,
        "Waiting",
        "Records on disk for a back end. A slope that only rises: that back end is down or too slow.",
    )
    .promql("{{lane}}", sum(&[LANE], &Select::of(agent::QUEUED).to_string()))
    .steps(&super::steps(10_000.0, 100_000.0))
}

fn disk() -> Panel {
    Panel::new(
        Kind::Lines,
        "Elasticsearch: disk left",
        "Of each node. Below 15 % it takes no new shards, below 5 % it refuses every record: keep records for less long, or grow it.",
    )
    .unit(Unit::Ratio)
    .bounds(0.0, 1.0)
    .promql("{{node}}", min(&["node"], &format!("{} / {}", agent::DISK_AVAILABLE, agent::DISK)))
    .no_value("no agent has Elasticsearch as its back end")
}

fn dropped() -> Panel {
    lane(
        "Dropped, by reason",
        "Lost for good. `queue_full`: give the queue more disk or mend the back end; `kernel`: give the socket a larger buffer.",
        agent::DROPPED,
        &[LANE, "reason"],
    )
    .no_value("nothing was dropped")
    .steps(&none_is_good())
    .size(8, 8)
}

fn dead() -> Panel {
    lane(
        "Dead letters",
        "Refused by the back end for good, and kept: `sightline dlq list`, mend the cause, `sightline dlq replay`.",
        agent::DEAD_LETTERED,
        &[LANE, "exporter"],
    )
    .no_value("no dead letters")
    .size(8, 8)
}

fn rejected() -> Panel {
    lane(
        "Refused input, by reason",
        "What could not be read as a metric, a span or a request. `sightline tap` shows it as it comes in.",
        agent::REJECTED,
        &[LANE, "reason"],
    )
    .no_value("all input was understood")
    .size(8, 8)
}

fn memory() -> Panel {
    Panel::new(
        Kind::Lines,
        "Memory",
        "Resident memory. It follows the number of series; a slope without new series is a leak.",
    )
    .unit(Unit::Bytes)
    .promql("{{instance}}", sum(&["instance"], agent::RESIDENT))
    .size(6, 7)
}

fn cpu() -> Panel {
    Panel::new(
        Kind::Lines,
        "Processor",
        "Cores in use. Near the number of cores, datagrams are lost in the kernel: see drops.",
    )
    .promql("{{instance}}", sum(&["instance"], &Select::of(agent::CPU).rate(STEP)))
    .size(6, 7)
}

fn files() -> Panel {
    Panel::new(
        Kind::Lines,
        "Open descriptors",
        "Connections and files. A slope that only rises: clients that never close.",
    )
    .promql("{{instance}}", sum(&["instance"], agent::FDS))
    .size(6, 7)
}

fn versions() -> Panel {
    Panel::new(
        Kind::Table,
        "Versions",
        "Which version runs where. Mixed versions are fine while you roll out, and not for long.",
    )
    .promql("", format!("max by (instance, version) ({})", agent::BUILD_INFO))
    .columns(&[("instance", "Instance", None), ("version", "Version", None)])
    .size(6, 7)
}

fn up() -> Panel {
    Panel::new(
        Kind::States,
        "Back ends",
        "Whether each back end takes batches. Down: mend it; nothing is lost until the queue is full.",
    )
    .unit(Unit::None)
    .promql("{{exporter}}", crate::promql::min(&["exporter"], agent::EXPORTER_UP))
    .words(&[(0.0, "down", "red"), (1.0, "up", "green")])
    .no_value("no back end is named: logs and spans stay in the embedded store")
    .size(8, 8)
}

fn oldest() -> Panel {
    Panel::new(
        Kind::Lines,
        "Oldest record that waits",
        "How far behind a search in Kibana or Zipkin is. Minutes: the back end is slow or down.",
    )
    .unit(Unit::Seconds)
    .promql("{{lane}}", crate::promql::max(&[LANE], agent::QUEUE_OLDEST))
    .steps(&super::steps(60.0, 300.0))
    .size(8, 8)
}

fn retries() -> Panel {
    lane("Sent again, by reason", "429: the back end is overloaded or its disk is full. connect, timeout: it is down or the network is.", agent::RETRIES, &["exporter", "reason"])
        .no_value("nothing had to be sent again")
        .size(8, 8)
}

fn bytes() -> Panel {
    Panel::new(
        Kind::Stacked,
        "Queues on disk",
        "When it reaches the bound in queue.max_bytes the agent drops and counts: mend the back end before.",
    )
    .unit(Unit::Bytes)
    .promql("{{lane}}", sum(&[LANE], agent::QUEUE_BYTES))
}

fn series() -> Panel {
    Panel::new(Kind::Lines, "Series", "Distinct metrics and labels. A step that stays: a release with ids in a name; find it with sightline top.")
        .promql("{{instance}}", sum(&["instance"], agent::SERIES))
        .size(8, 7)
}

fn series_bytes() -> Panel {
    Panel::new(
        Kind::Lines,
        "Memory of the series",
        "Bounded by metrics.budget.memory; beyond it new series go to _other.",
    )
    .unit(Unit::Bytes)
    .promql("{{instance}}", sum(&["instance"], agent::SERIES_BYTES))
    .size(8, 7)
}

fn overflow() -> Panel {
    lane(
        "Samples of series beyond the budget",
        "Above 0, a client makes new labels all the time: sightline top names it.",
        agent::OVERFLOW,
        &["instance"],
    )
    .no_value("every series is within the budget")
    .size(8, 7)
}
