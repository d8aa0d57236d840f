//! The worst offenders of a running agent: `GET /api/v1/sightline/top`, and the command `sightline top` that asks it.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::{Context, bail};
use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;

use super::registry::{Order, Registry, Spread, Top};
use crate::client::Target;

/// Where the answer is.
pub const PATH: &str = "/api/v1/sightline/top";
/// Metrics in one answer, at most.
const MOST: usize = 1000;

/// Which metrics have the most series or get the most samples, in a running agent
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// How many metrics to show
    #[arg(short = 'n', long, default_value_t = 20)]
    count: usize,
    /// What to sort by
    #[arg(long, value_enum, default_value_t)]
    by: Order,
    /// Print the agent's answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct Asked {
    n: usize,
    by: Order,
}

impl Default for Asked {
    fn default() -> Self {
        Asked { n: 20, by: Order::default() }
    }
}

/// Serves `?n=20&by=series|samples` at [`PATH`] as JSON.
pub fn router(registry: Arc<Registry>) -> Router {
    async fn top(State(registry): State<Arc<Registry>>, Query(asked): Query<Asked>) -> Json<Top> {
        // It walks every series of the metrics that it shows.
        let found = tokio::task::spawn_blocking(move || registry.top(asked.n.min(MOST), asked.by)).await;
        Json(found.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())))
    }
    Router::new().route(PATH, get(top)).with_state(registry)
}

/// Asks the agent and returns what to print.
pub async fn main(args: &Args) -> anyhow::Result<String> {
    let by = if args.by == Order::Samples { "samples" } else { "series" };
    let path = format!("{PATH}?n={}&by={by}", args.count.min(MOST));
    let (status, body) = args.target.get(&path).await?;
    match status {
        200 => {}
        401 | 403 => {
            bail!("the agent at {} wants its token: give --token or SIGHTLINE_TOKEN", args.target.url)
        }
        404 => bail!("what answers at {} is no agent that knows 'top'; set --url", args.target.url),
        status => bail!("the agent at {} answered {status}", args.target.url),
    }
    if args.json {
        return Ok(format!("{}\n", String::from_utf8_lossy(&body).trim_end()));
    }
    let top: Top = serde_json::from_slice(&body)
        .with_context(|| format!("what answers at {} is no agent; set --url", args.target.url))?;
    Ok(table(&top))
}

fn table(top: &Top) -> String {
    let mib = |bytes: f64| bytes / f64::from(1 << 20);
    let mut out = format!(
        "{} series of at most {} in {} metrics, {:.1} of {:.0} MiB; at most {} series a metric\n",
        top.series,
        top.series_limit,
        top.metrics,
        mib(top.bytes as f64),
        mib(top.bytes_limit as f64),
        top.series_per_metric_limit
    );
    let width = top.top.iter().map(|o| o.metric.len()).max().unwrap_or(0).clamp(6, 60);
    // Writing into a string cannot fail, here and below.
    let _ = writeln!(
        out,
        "{:<width$}  {:<9}  {:>8}  {:>9}  {:>10}  {:>12}  values by label",
        "metric", "type", "series", "overflow", "samples/s", "samples"
    );
    for o in &top.top {
        // A value that half of the series have is whose they are.
        let label = |l: &Spread| match l.most_series * 2 >= o.series && l.most_series > 1 {
            true => format!("{} {} ({})", l.label, l.values, l.most),
            false => format!("{} {}", l.label, l.values),
        };
        let labels: Vec<String> = o.labels.iter().take(6).map(label).collect();
        let _ = writeln!(
            out,
            "{:<width$}  {:<9}  {:>8}  {:>9}  {:>10.1}  {:>12}  {}",
            o.metric,
            o.kind,
            o.series,
            o.folded,
            o.samples_per_second,
            o.samples,
            labels.join(", ")
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{naming::Rules, settings::Settings, tally::Batch};
    use expect_test::expect;
    use tower::ServiceExt;

    fn registry() -> Arc<Registry> {
        let mut settings = Settings::default();
        settings.budget.series_per_metric = 3;
        let registry = Registry::new(&settings, Rules::default(), &[]);
        registry.sweep(100);
        let lines = "few:1|c|#a:1\nmany:1|ms|#user:1,zone:x\nmany:1|ms|#user:2,zone:x\nmany:1|ms|#user:3,zone:x\n\
                     many:1|ms|#user:4,zone:x\nmany:1|ms|#user:5,zone:x\nfew:1|c|#a:1\nbusy:1|g\n";
        registry.ingest(lines.as_bytes(), 101, &mut Batch::default());
        for _ in 0..300 {
            registry.ingest(b"busy:2|g", 101, &mut Batch::default());
        }
        registry.sweep(115);
        Arc::new(registry)
    }

    #[test]
    fn the_table_names_the_metric_and_the_label_to_blame() {
        expect![[r#"
            6 series of at most 200000 in 3 metrics, 0.0 of 128 MiB; at most 3 series a metric
            metric  type         series   overflow   samples/s       samples  values by label
            many    summary           4          2         0.3             5  user 3, overflow 1, zone 1 (x)
            busy    gauge             1          0        20.1           301  
            few     counter           1          0         0.1             2  a 1
        "#]]
        .assert_eq(&table(&Top { bytes: 0, ..registry().top(10, Order::Series) }));
    }

    #[tokio::test]
    async fn the_api_sorts_and_cuts() {
        let request = axum::http::Request::get(format!("{PATH}?n=1&by=samples"));
        let request = request.body(axum::body::Body::empty()).unwrap();
        let answer = router(registry()).oneshot(request).await.unwrap();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        let top: Top = serde_json::from_slice(&body).unwrap();
        assert_eq!((top.metrics, top.top.len(), top.top[0].metric.as_str()), (3, 1, "busy"));
    }
}
