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

/// The metrics that `query` refers to and that are not among `emitted`: words that look like our names, or that stand
/// before a brace or a bracket.
pub(super) fn unknown<'q>(query: &'q str, emitted: &[String]) -> Vec<&'q str> {
    let mut out = Vec::new();
    let mut quoted = false;
    let mut start = None;
    for (at, c) in query.char_indices().chain([(query.len(), ' ')]) {
        if c == '"' {
            quoted = !quoted;
        }
        let word = !quoted && (c.is_ascii_alphanumeric() || c == '_' || c == ':');
        match (word, start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                let name = &query[from..at];
                let ours = ["instrument_", "instrument:", "sightline_", "alertmanager_", "prometheus_"];
                if ours.iter().any(|prefix| name.starts_with(prefix))
                    && !emitted.iter().any(|known| known == name)
                {
                    out.push(name);
                }
                start = None;
            }
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::unknown;

    #[test]
    fn finds_the_metrics_that_nobody_emits() {
        let emitted = ["instrument_calls_total".to_owned()];
        let query = r#"sum(rate(instrument_calls_total{a="instrument_no"}[5m])) / sightline_made_up > instrument:none"#;
        assert_eq!(unknown(query, &emitted), ["sightline_made_up", "instrument:none"]);
    }
}
