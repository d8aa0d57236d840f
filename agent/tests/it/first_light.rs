//! One request, seen everywhere: as a metric in Prometheus, a record in Elasticsearch, a trace in Zipkin and, when
//! it panics, a report with its stack; all under one correlation id.

use serde_json::{Value, json};

use super::support::agent::{Ports, Process};
use super::support::backends::Backend;
use super::support::{eventually, get_json};

/// PromQL at this moment; the error is the whole answer when nothing came back.
async fn prometheus(url: &str, expr: &str) -> Result<f64, String> {
    let client = reqwest::Client::new();
    let answer = client.get(format!("{url}/api/v1/query")).query(&[("query", expr)]).send().await;
    let body: Value = answer.map_err(|e| e.to_string())?.json().await.map_err(|e| e.to_string())?;
    let value = body["data"]["result"][0]["value"][1].as_str().and_then(|text| text.parse().ok());
    value.ok_or_else(|| format!("{expr}: {body}"))
}

/// The records that a query as people type it finds in Elasticsearch.
async fn records(url: &str, query: &str, least: usize) -> Result<Vec<Value>, String> {
    let client = reqwest::Client::new();
    // What was indexed a moment ago is found after a refresh.
    client.post(format!("{url}/logs-*/_refresh")).send().await.map_err(|e| e.to_string())?;
    let body = json!({ "size": 50, "query": { "query_string": { "query": query } }, "sort": ["@timestamp"] });
    let answer =
        client.post(format!("{url}/logs-*/_search")).json(&body).send().await.map_err(|e| e.to_string())?;
    let answer: Value = answer.json().await.map_err(|e| e.to_string())?;
    let hits = answer["hits"]["hits"].as_array().cloned().unwrap_or_default();
    if hits.len() < least {
        return Err(format!("{query}: {} of {least} records: {answer}", hits.len()));
    }
    // A data stream's own index, not one that `create` made by itself.
    if let Some(plain) =
        hits.iter().find(|hit| !hit["_index"].as_str().unwrap_or_default().starts_with(".ds-logs-"))
    {
        return Err(format!("not in a data stream: {plain}"));
    }
    Ok(hits.into_iter().map(|hit| flat(&hit["_source"])).collect())
}

/// Objects and dotted keys alike as dotted keys.
fn flat(value: &Value) -> Value {
    fn walk(prefix: &str, value: &Value, out: &mut serde_json::Map<String, Value>) {
        match value {
            Value::Object(map) => {
                for (key, inner) in map {
                    let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                    walk(&name, inner, out);
                }
            }
            other => drop(out.insert(prefix.to_owned(), other.clone())),
        }
    }
    let mut out = serde_json::Map::new();
    walk("", value, &mut out);
    Value::Object(out)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_shows_as_metric_record_and_trace() {
    let (elasticsearch, zipkin) = (Backend::elasticsearch(), Backend::zipkin());
    let ports = Ports::new();
    let prom = Backend::prometheus(&format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n\
         scrape_configs:\n- job_name: agent\n  static_configs: [{{targets: ['127.0.0.1:{}']}}]\n",
        ports.web
    ));
    // Templates first, as the stack does it: records then go into data streams.
    let log = ports.dir.path().join("setup.log");
    let words = ["setup", "elasticsearch", "--elasticsearch", &elasticsearch.url, "--without-span-retention"];
    let mut setup = Process::start(&words, &[], &log);
    assert_eq!(setup.ended(120).await, Some(0), "{}", setup.log());
    let more =
        format!("elasticsearch: {{urls: ['{}']}}\nzipkin: {{urls: ['{}']}}", elasticsearch.url, zipkin.url);
    let _agent = ports.agent(&more).await;
    let (_service, url) = ports.kittenserver(&[]).await;

    // Three requests of a kind that nobody else makes: good, bad, and one that panics.
    let run = format!("{:x}-{:x}", std::process::id(), ports.web);
    let client = reqwest::Client::new();
    let (good, bad, bang, deep) =
        (format!("good-{run}"), format!("bad-{run}"), format!("bang-{run}"), format!("deep-{run}"));
    let hello = |id: &str, body: &'static str| {
        client
            .post(format!("{url}/helloworld"))
            .header("x-request-id", id)
            .header("content-type", "application/json")
            .body(body)
            .send()
    };
    let answer = hello(&good, r#"{"name": "Nic"}"#).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["x-request-id"], good.as_str());
    assert_eq!(answer.json::<Value>().await.unwrap(), json!({ "message": "Hello Nic" }));
    assert_eq!(hello(&bad, r#"{"nom": "#).await.unwrap().status(), 400);
    let answer = client.get(format!("{url}/bang")).header("x-request-id", &bang).send().await.unwrap();
    assert_eq!(answer.status(), 500);
    assert_eq!(answer.text().await.unwrap(), "", "a panic gives away nothing");
    assert_eq!(client.get(format!("{url}/kittens")).send().await.unwrap().status(), 200);
    let answer = client.get(format!("{url}/upstream")).header("x-request-id", &deep).send().await.unwrap();
    assert_eq!(answer.status(), 200);

    // Metrics, asked of Prometheus.
    let of = |segment: &str| {
        format!("service=\"kittenserver\",environment=\"test\",group=\"handlers\",segment=\"{segment}\"")
    };
    for (outcome, count) in [("success", 1.0), ("failed", 1.0), ("panic", 0.0)] {
        let expr =
            format!("instrument_outcomes_total{{{},outcome=\"{outcome}\"}} == {count}", of("helloworld"));
        eventually("an outcome in Prometheus", 40, async || prometheus(&prom.url, &expr).await).await;
    }
    for expr in [
        format!("instrument_calls_total{{{}}} == 2", of("helloworld")),
        format!("instrument_outcomes_total{{{},outcome=\"panic\"}} == 1", of("bang")),
        format!("instrument_timing_seconds_count{{{}}} == 2", of("helloworld")),
        "instrument_timing_seconds_count{group=\"sqlite\",segment=\"select_kittens\"} >= 1".to_owned(),
        "instrument_outcomes_total{group=\"validation\",outcome=\"failed\"} >= 1".to_owned(),
        "instrument_build_info{service=\"kittenserver\"} == 1".to_owned(),
    ] {
        eventually("a metric in Prometheus", 40, async || prometheus(&prom.url, &expr).await).await;
    }
    let host =
        prometheus(&prom.url, "count(instrument_calls_total{host=\"kitten-1_example\"})").await.unwrap();
    assert!(host >= 1.0);

    // Log records, asked of Elasticsearch, by the correlation id and as people type it.
    let es = &elasticsearch.url;
    let found = eventually("the good request's record", 40, async || {
        records(es, &format!("request_id:\"{good}\" AND status:200 AND method:POST"), 1).await
    })
    .await;
    let record = &found[0];
    assert_eq!(record["handler"], "helloworld");
    assert_eq!(record["service.name"], "kittenserver");
    assert_eq!(record["http.request.id"], good.as_str());
    assert_eq!(record["url.path"], "/helloworld");
    let trace = record["trace.id"].as_str().unwrap().to_owned();
    assert!(
        trace.len() == 32 && trace.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()),
        "{trace}"
    );
    let not_found = records(es, &format!("request_id:\"{good}\" AND status:400"), 0).await.unwrap();
    assert!(not_found.is_empty(), "{not_found:?}");
    eventually("the bad request's record", 40, async || {
        records(es, &format!("request_id:\"{bad}\" AND status:400"), 1).await
    })
    .await;

    // The panic: one report, with its stack, its request and its ids.
    let reports = eventually("the panic report", 40, async || {
        records(es, &format!("request_id:\"{bang}\" AND handler:panic AND status:500"), 1).await
    })
    .await;
    assert_eq!(reports.len(), 1, "one panic is one report: {reports:?}");
    let report = &reports[0];
    let stack = report["error.stack_trace"].as_str().unwrap_or_default();
    assert!(stack.contains("kittenserver"), "the stack names the service's own code: {stack}");
    assert!(report["error.fingerprint"].is_string() && report["error.message"].is_string(), "{report}");
    assert_eq!(report["url.path"], "/bang");

    // The trace, asked of Zipkin.
    let spans = eventually("the good request's trace", 40, async || {
        let answer = get_json(&format!("{}/api/v2/trace/{trace}", zipkin.url)).await?;
        answer.as_array().filter(|spans| !spans.is_empty()).cloned().ok_or(answer.to_string())
    })
    .await;
    let server =
        spans.iter().find(|s| s["kind"] == "SERVER").unwrap_or_else(|| panic!("no server span: {spans:?}"));
    assert_eq!(server["localEndpoint"]["serviceName"], "kittenserver");
    assert_eq!(server["tags"]["http.request.id"], good.as_str());

    // A request that calls on: server, client, server and data store in one trace.
    let deep_trace = eventually("the deep request's record", 40, async || {
        let found = records(es, &format!("request_id:\"{deep}\" AND handler:upstream"), 1).await?;
        found[0]["trace.id"].as_str().map(str::to_owned).ok_or(format!("{found:?}"))
    })
    .await;
    let spans = eventually("the deep trace", 40, async || {
        let answer = get_json(&format!("{}/api/v2/trace/{deep_trace}", zipkin.url)).await?;
        let spans = answer.as_array().cloned().unwrap_or_default();
        let has = |test: &dyn Fn(&Value) -> bool| spans.iter().any(test);
        let servers = spans.iter().filter(|s| s["kind"] == "SERVER").count();
        let store = has(&|s| s["tags"]["group"] == "sqlite");
        if servers >= 2 && store && has(&|s| s["kind"] == "CLIENT") {
            Ok(spans)
        } else {
            Err(answer.to_string())
        }
    })
    .await;
    assert!(spans.iter().all(|s| s["traceId"] == deep_trace.as_str()));
    let below = records(es, &format!("request_id:\"{deep}\""), 2).await.unwrap();
    assert!(below.len() >= 2, "the id went downstream: {below:?}");
}
