//! What may be empty, or not emitted, after a short run of the sample service, and why. Nothing else may.

/// Series that are born with the trouble they count.
const METRICS: [(&str, &str); 3] = [
    ("sightline_exporter_retries_total", "born with the first retry"),
    ("sightline_dead_lettered_total", "born with the first dead letter"),
    ("sightline_dropped_total", "born with the first drop"),
];

/// Questions whose good answer is none, or that need more time than a test has. Alerts are not among them: they may be
/// silent, and each series that they look at has to be there.
const EMPTY: [(&str, &str); 8] = [
    ("marks \"Alerts\"", "nothing fires"),
    ("home.json: Firing alerts", "nothing fires"),
    ("trends.json: Requests", "there is no last week"),
    ("trends.json: Error ratio", "there is no last week"),
    ("trends.json: p99", "there is no last week"),
    ("agent.json: Dead letters", "nothing was refused for good"),
    ("agent.json: Dropped, by reason", "nothing was dropped"),
    ("agent.json: Sent again, by reason", "nothing had to be sent again"),
];

/// Why nobody may emit `name`.
pub(super) fn metric(name: &str) -> Option<&'static str> {
    METRICS.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, why)| *why)
}

/// Why the question at `place` may have no answer.
pub(super) fn empty(place: &str, question: &str) -> Option<&'static str> {
    if METRICS.iter().any(|(name, _)| place.starts_with("rule ") && question.contains(name)) {
        return Some("born with the trouble that it counts");
    }
    let found = EMPTY.iter().find(|(part, _)| place.contains(part)).map(|(_, why)| *why);
    // A Lucene query for slow requests is right and may find none on a fast machine.
    found.or_else(|| question.contains("event.duration:>").then_some("no request was that slow"))
}

#[cfg(test)]
mod tests {
    use super::{EMPTY, METRICS};
    use crate::queries::collect;

    /// An entry that nothing needs would excuse the next panel that answers nothing.
    #[test]
    fn every_excuse_is_for_a_question_that_is_asked() {
        let asked: Vec<String> = collect::all().unwrap().iter().map(|one| format!("{one:?}")).collect();
        for (part, _) in EMPTY {
            let escaped = part.replace('"', "\\\"");
            assert!(asked.iter().any(|one| one.contains(&escaped)), "{part} excuses nothing");
        }
        for (name, _) in METRICS {
            assert!(asked.iter().any(|one| one.contains(name)), "nobody asks for {name}");
        }
    }
}
