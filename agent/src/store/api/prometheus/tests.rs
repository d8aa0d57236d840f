//! The API as its clients see it: shapes, parameters, failures.
use super::*;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::store::metrics::{Exemplar, Settings, labels::Labels};

const T0: i64 = 1_700_000_000_000;

struct Fixture {
    _dir: tempfile::TempDir,
    store: Arc<Store>,
    router: Router,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &Settings::default()).unwrap();
    for i in 0..61i64 {
        store.sample(T0 + i * 10_000, &mut |each| {
            each("http_requests_total", &[("job", "api"), ("path", "/\"x\"")], (i * 10) as f64);
            each("http_requests_total", &[("job", "web")], (i * 20) as f64);
            each("up", &[("job", "api")], 1.0);
        });
    }
    let rules = Rules::load(&crate::store::rules::Settings::default()).unwrap();
    rules.evaluate(&store, T0 + 600_000);
    let router = router(store.clone(), Arc::new(rules));
    Fixture { _dir: dir, store, router }
}

impl Fixture {
    async fn send(&self, request: Request<Body>) -> (StatusCode, Value) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, form: &str) -> (StatusCode, Value) {
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(form.to_owned())).unwrap()).await
    }
}

#[tokio::test]
async fn an_instant_query_by_get_and_by_form() {
    let f = fixture();
    let wanted = json!({ "status": "success", "data": { "resultType": "vector", "result": [
        { "metric": { "job": "api" }, "value": [1_700_000_600, "600"] },
        { "metric": { "job": "web" }, "value": [1_700_000_600, "1200"] },
    ] } });
    let query = "sum%20by(job)(http_requests_total)&time=1700000600";
    assert_eq!(f.get(&format!("/api/v1/query?query={query}")).await, (StatusCode::OK, wanted.clone()));
    assert_eq!(f.post("/api/v1/query", &format!("query={query}")).await, (StatusCode::OK, wanted));
}

#[tokio::test]
async fn shapes_of_scalar_string_and_matrix() {
    let f = fixture();
    let (_, scalar) = f.get("/api/v1/query?query=1%2B1&time=1.5").await;
    assert_eq!(scalar["data"], json!({ "resultType": "scalar", "result": [1.5, "2"] }));
    let (_, string) = f.get("/api/v1/query?query=%22a%22&time=1").await;
    assert_eq!(string["data"], json!({ "resultType": "string", "result": [1, "a"] }));
    let (_, matrix) = f.get("/api/v1/query?query=up%5B15s%5D&time=1700000020").await;
    assert_eq!(
        matrix["data"]["result"],
        json!([{ "metric": { "__name__": "up", "job": "api" }, "values": [[1_700_000_010, "1"], [1_700_000_020, "1"]] }])
    );
    let (_, range) = f.get("/api/v1/query_range?query=vector(0)/0&start=0&end=20&step=10s").await;
    assert_eq!(
        range["data"],
        json!({ "resultType": "matrix", "result": [{ "metric": {}, "values": [[0, "NaN"], [10, "NaN"], [20, "NaN"]] }] })
    );
}

#[tokio::test]
async fn series_labels_and_values() {
    let f = fixture();
    let (_, series) = f.get("/api/v1/series?match[]=up&match[]=%7Bjob=%22web%22%7D").await;
    assert_eq!(
        series["data"],
        json!([{ "__name__": "http_requests_total", "job": "web" }, { "__name__": "up", "job": "api" }])
    );
    let (_, names) = f.post("/api/v1/labels", "match[]=up").await;
    assert_eq!(names["data"], json!(["__name__", "job"]));
    let (_, values) = f.get("/api/v1/label/path/values").await;
    assert_eq!(values["data"], json!(["/\"x\""]));
    let (_, limited) = f.get("/api/v1/label/job/values?limit=1").await;
    assert_eq!(
        (&limited["data"], &limited["warnings"]),
        (&json!(["api"]), &json!(["results truncated due to limit"]))
    );
    let (_, long_ago) = f.get("/api/v1/labels?start=1&end=2").await;
    assert_eq!(long_ago["status"], "success");
}

#[tokio::test]
async fn failures_say_what_and_where() {
    let f = fixture();
    let bad = |kind: &str, message: &str| json!({ "status": "error", "errorType": kind, "error": message });
    for (path, status, wanted) in [
        (
            "/api/v1/query?query=sum(",
            400,
            bad("bad_data", "invalid parameter \"query\": 1:5: parse error: unexpected end of input"),
        ),
        (
            "/api/v1/query?query=up&time=x",
            400,
            bad("bad_data", "invalid parameter \"time\": cannot parse \"x\" to a valid timestamp"),
        ),
        (
            "/api/v1/query_range?query=up&start=2&end=1&step=1",
            400,
            bad("bad_data", "invalid parameter \"end\": end timestamp must not be before start time"),
        ),
        (
            "/api/v1/query_range?query=up&start=1&end=2&step=0",
            400,
            bad(
                "bad_data",
                "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer",
            ),
        ),
        (
            "/api/v1/query_range?query=up&start=0&end=11001&step=1",
            400,
            bad(
                "bad_data",
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
            ),
        ),
        (
            "/api/v1/query_range?query=up%5B1m%5D&start=0&end=1&step=1",
            400,
            bad(
                "bad_data",
                "invalid parameter \"query\": invalid expression type \"range vector\" for range query, must be Scalar or instant Vector",
            ),
        ),
        ("/api/v1/series", 400, bad("bad_data", "no match[] parameter provided")),
        ("/api/v1/label/a-b/values", 400, bad("bad_data", "invalid label name: \"a-b\"")),
        (
            "/api/v1/query?query=up%20*%20on(x)%20http_requests_total&time=1700000600",
            422,
            bad(
                "execution",
                "found duplicate series for the match group {} on the right hand-side of the operation: [http_requests_total{job=\"web\"}, http_requests_total{job=\"api\", path=\"/\\\"x\\\"\"}];many-to-many matching not allowed: matching labels must be unique on one side",
            ),
        ),
        ("/api/v1/query?query=up&timeout=0", 503, bad("timeout", "query timed out in query execution")),
    ] {
        let (code, body) = f.get(path).await;
        assert_eq!((code.as_u16(), &body), (status, &wanted), "{path}");
    }
}

#[tokio::test]
async fn metadata_exemplars_and_status() {
    let f = fixture();
    f.store.describe("up", "gauge", "Whether it is.");
    let (_, metadata) = f.get("/api/v1/metadata?metric=up").await;
    assert_eq!(
        metadata["data"],
        json!({ "up": [{ "type": "gauge", "help": "Whether it is.", "unit": "" }] })
    );
    f.store.exemplar(
        "up",
        &[("job", "api")],
        Exemplar { labels: Labels::new([("trace_id", "ff")]), value: 0.5, time: T0 },
    );
    let (_, exemplars) = f.get("/api/v1/query_exemplars?query=rate(up%5B1m%5D)&start=0&end=1800000000").await;
    assert_eq!(
        exemplars["data"],
        json!([{ "seriesLabels": { "__name__": "up", "job": "api" },
            "exemplars": [{ "labels": { "trace_id": "ff" }, "value": "0.5", "timestamp": 1_700_000_000 }] }])
    );
    let (_, tsdb) = f.get("/api/v1/status/tsdb").await;
    assert_eq!(
        tsdb["data"]["seriesCountByMetricName"][0],
        json!({ "name": "http_requests_total", "value": 2 })
    );
    let (_, build) = f.get("/api/v1/status/buildinfo").await;
    assert_eq!(build["data"]["version"], "3.0.0");
    for (path, key) in [("alerts", "alerts"), ("targets", "activeTargets")] {
        assert_eq!(f.get(&format!("/api/v1/{path}")).await.1["data"][key], json!([]));
    }
    let (_, rules) = f.get("/api/v1/rules").await;
    let group =
        rules["data"]["groups"].as_array().unwrap().iter().find(|g| g["name"] == "sightline-slo").unwrap();
    assert_eq!(group["interval"], json!(30.0));
    let find =
        |name: &str| group["rules"].as_array().unwrap().iter().find(|r| r["name"] == name).unwrap().clone();
    let record = find("instrument:error_budget:left30d");
    assert_eq!((&record["type"], &record["health"]), (&json!("recording"), &json!("ok")));
    assert_eq!(record["lastEvaluation"], "2023-11-14T22:23:20Z");
    let alert = find("LatencyP99High");
    assert_eq!((&alert["state"], &alert["duration"]), (&json!("inactive"), &json!(600.0)));
}

#[tokio::test]
async fn long_answers_are_packed_for_those_who_ask() {
    let f = fixture();
    let path = "/api/v1/query_range?query=http_requests_total&start=1700000000&end=1700000600&step=1";
    let plain = f.get(path).await.1;
    let request = Request::get(path).header(header::ACCEPT_ENCODING, "br, gzip").body(Body::empty()).unwrap();
    let response = f.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip");
    let packed = response.into_body().collect().await.unwrap().to_bytes();
    let unpacked: Value = serde_json::from_reader(flate2::read::GzDecoder::new(&packed[..])).unwrap();
    assert_eq!(unpacked, plain);
}
