//! Asking Elasticsearch: a Lucene query, with the aggregation that a panel or a chart makes of it.

use std::fmt;

use serde_json::{Value, json};

/// A search.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) index: &'static str,
    pub(super) lucene: String,
    pub(super) terms: Option<String>,
    pub(super) distinct: Option<String>,
}

impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.lucene, self.index)?;
        if let Some(field) = &self.terms {
            write!(f, " by {field}")?;
        }
        if let Some(field) = &self.distinct {
            write!(f, ", distinct {field}")?;
        }
        Ok(())
    }
}

/// How many records match; with terms, how many values they have.
pub(super) async fn ask(client: &reqwest::Client, url: &str, search: &Search) -> Result<usize, String> {
    let mut body = json!({
        "size": 0, "track_total_hits": true,
        "query": { "query_string": { "query": search.lucene, "analyze_wildcard": true } }
    });
    if let Some(field) = &search.terms {
        let mut inner =
            json!({ "time": { "date_histogram": { "field": "@timestamp", "fixed_interval": "1m" } } });
        if let Some(other) = &search.distinct {
            inner["distinct"] = json!({ "cardinality": { "field": other } });
        }
        body["aggs"] = json!({ "top": { "terms": { "field": field, "size": 20 }, "aggs": inner } });
    }
    let path = format!("{url}/{}/_search?ignore_unavailable=true", search.index);
    let answer = client.post(path).json(&body).send().await.map_err(|error| error.to_string())?;
    let status = answer.status();
    let answer: Value = answer.json().await.map_err(|error| error.to_string())?;
    if !status.is_success() || answer["_shards"]["failed"] != 0 {
        let reason = &answer["error"]["root_cause"][0]["reason"];
        let shard = &answer["_shards"]["failures"][0]["reason"]["reason"];
        return Err(format!(
            "{status}: {}",
            [reason, shard].iter().find_map(|r| r.as_str()).unwrap_or("no reason given")
        ));
    }
    let hits = answer["hits"]["total"]["value"].as_u64().unwrap_or(0);
    let Some(_) = search.terms else { return Ok(usize::try_from(hits).unwrap_or(usize::MAX)) };
    Ok(answer["aggregations"]["top"]["buckets"].as_array().map_or(0, Vec::len))
}
