//! Asking Prometheus, and which metric names a query refers to.

use serde_json::Value;

/// Every metric name that there is.
pub(super) async fn names(client: &reqwest::Client, url: &str) -> anyhow::Result<Vec<String>> {
    let answer: Value =
        client.get(format!("{url}/api/v1/label/__name__/values")).send().await?.json().await?;
    let names = answer["data"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    Ok(names.collect())
}

/// How many series the query answers with that hold a number.
pub(super) async fn ask(client: &reqwest::Client, url: &str, query: &str) -> Result<usize, String> {
    let form = [("query", query)];
    let request = client.post(format!("{url}/api/v1/query")).form(&form);
    let answer: Value = request.send().await.map_err(text)?.json().await.map_err(text)?;
    if answer["status"] != "success" {
        return Err(answer["error"].as_str().unwrap_or("no reason given").to_owned());
    }
    let result = &answer["data"]["result"];
    if answer["data"]["resultType"] == "scalar" {
        return Ok(usize::from(result[1] != "NaN"));
    }
    let series = result.as_array().into_iter().flatten();
    let numbers = series.filter(|one| one["value"][1].as_str().is_some_and(|value| value != "NaN"));
    Ok(numbers.count())
}

fn text(error: reqwest::Error) -> String {
    error.to_string()
}

/// The metrics that `query` refers to and that are not among `emitted`.
pub(super) fn unknown<'q>(query: &'q str, emitted: &[String]) -> Vec<&'q str> {
    names_in(query)
        .map(|(from, to)| &query[from..to])
        .filter(|name| !emitted.iter().any(|known| known == name))
        .collect()
}

/// The series that `query` selects, each with its matchers and without its range.
pub(super) fn selectors(query: &str) -> Vec<&str> {
    let mut out: Vec<&str> = Vec::new();
    for (from, to) in names_in(query) {
        let matchers = query[to..].starts_with('{').then(|| query[to..].find('}')).flatten();
        let selector = &query[from..matchers.map_or(to, |end| to + end + 1)];
        if !out.contains(&selector) {
            out.push(selector);
        }
    }
    out
}

/// Where the metric names stand: words outside quotes that begin as names of the stack's parts do, and `up`.
fn names_in(query: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    const OURS: [&str; 6] =
        ["instrument_", "instrument:", "sightline_", "alertmanager_", "prometheus_", "elasticsearch_"];
    let mut quoted = false;
    let mut start = None;
    query.char_indices().chain([(query.len(), ' ')]).filter_map(move |(at, c)| {
        if c == '"' {
            quoted = !quoted;
        }
        let word = !quoted && (c.is_ascii_alphanumeric() || c == '_' || c == ':');
        match (word, start) {
            (true, None) => {
                start = Some(at);
                None
            }
            (false, Some(from)) => {
                start = None;
                let name = &query[from..at];
                let ours = name == "up" || OURS.iter().any(|prefix| name.starts_with(prefix));
                ours.then_some((from, at))
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{selectors, unknown};

    #[test]
    fn finds_the_series_that_a_rule_compares() {
        let query =
            "sum(rate(instrument_calls_total{a=~\"b|c\"}[5m])) > 0 unless up == 0 or rate(sightline_x[1m])";
        assert_eq!(selectors(query), ["instrument_calls_total{a=~\"b|c\"}", "up", "sightline_x"]);
    }

    #[test]
    fn finds_the_metrics_that_nobody_emits() {
        let emitted = ["instrument_calls_total".to_owned()];
        let query = r#"sum(rate(instrument_calls_total{a="instrument_no"}[5m])) / sightline_made_up > instrument:none"#;
        assert_eq!(unknown(query, &emitted), ["sightline_made_up", "instrument:none"]);
    }
}
