//! The HTTP port of statsd_exporter: exposition, landing page, health, and on request reload and quit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use axum::Router;
use axum::response::Html;
use axum::routing::get;

use super::own::{self, Facts};
use super::plan::Plan;
use crate::metrics::http::router_at;
use crate::metrics::mapping::Note;
use crate::metrics::naming::source::Source;
use crate::metrics::registry::Registry;

/// Reads the mapping file again, on SIGHUP or by request, and counts how that went.
pub struct Reloader {
    source: Source,
    registry: Arc<Registry>,
    good: AtomicU64,
    bad: AtomicU64,
}

impl Reloader {
    /// For the rules of `plan` in `registry`.
    pub fn new(plan: &Plan, registry: Arc<Registry>) -> Arc<Self> {
        Arc::new(Reloader {
            source: plan.source.clone(),
            registry,
            good: AtomicU64::new(0),
            bad: AtomicU64::new(0),
        })
    }

    /// Puts the rules of the file in force. A mistake in it leaves those in force that are.
    pub fn reload(&self) -> Result<(), Note> {
        if self.source.file.as_os_str().is_empty() {
            tracing::warn!("asked to reload, but no mapping file was given");
            return Ok(());
        }
        match self.source.read() {
            Ok(rules) => {
                for warning in rules.mapping.iter().flat_map(|mapping| &mapping.warnings) {
                    tracing::warn!(%warning, "mapping file");
                }
                self.registry.set_rules(rules);
                self.good.fetch_add(1, Relaxed);
                tracing::info!("mapping file reloaded");
                Ok(())
            }
            Err(error) => {
                self.bad.fetch_add(1, Relaxed);
                tracing::warn!(%error, "mapping file not reloaded, the rules stay as they were");
                Err(error)
            }
        }
    }
}

/// Serves what statsd_exporter serves. `more` renders further metrics as text 0.0.4; `quit` asks the program to end.
pub fn router(
    plan: &Plan,
    registry: Arc<Registry>,
    reloader: Arc<Reloader>,
    more: Arc<dyn Fn() -> String + Send + Sync>,
    quit: Arc<dyn Fn() + Send + Sync>,
) -> Router {
    let relay = plan.metrics.relay.clone();
    let (counted, reloads) = (Arc::clone(&registry), Arc::clone(&reloader));
    let own_metrics = Arc::new(move || {
        let facts = Facts {
            reloads: reloads.good.load(Relaxed),
            failed_reloads: reloads.bad.load(Relaxed),
            relay: relay.clone(),
        };
        own::render(&counted, &facts) + &more()
    });
    let mut router = router_at(&plan.telemetry_path, Arc::clone(&registry), own_metrics)
        .merge(crate::metrics::top::router(registry))
        .route("/-/healthy", get(async || "Statsd Exporter is Healthy.\n"))
        .route("/-/ready", get(async || "Statsd Exporter is Ready.\n"));
    if !matches!(plan.telemetry_path.as_str(), "" | "/") {
        let page = landing(&plan.telemetry_path);
        router = router.route("/", get(async move || Html(page)));
    }
    if plan.lifecycle {
        let reload = move || {
            let reloader = Arc::clone(&reloader);
            async move {
                // The answer says only that it was asked for, as there; how it went is counted and logged.
                let _ = tokio::task::spawn_blocking(move || reloader.reload()).await;
                "Requesting reload"
            }
        };
        let quit = move || {
            quit();
            std::future::ready("Requesting termination... Goodbye!")
        };
        router = router
            .route("/-/reload", axum::routing::post(reload.clone()).put(reload))
            .route("/-/quit", axum::routing::post(quit.clone()).put(quit));
    }
    router
}

fn landing(path: &str) -> String {
    let path = path.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>StatsD Exporter</title>\
         <h1>StatsD Exporter</h1><p>Served by Sightline.</p><p><a href=\"{path}\">Metrics</a></p></html>\n"
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use clap::Parser;
    use tower::ServiceExt;

    use super::super::{Args, RESERVED, Task, task};
    use super::{Reloader, router};
    use crate::metrics::registry::Registry;
    use crate::metrics::tally::Batch;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    struct Served {
        router: axum::Router,
        registry: Arc<Registry>,
        quit: Arc<AtomicBool>,
    }

    fn serve(flags: &[&str]) -> Served {
        let cli = Cli::parse_from(std::iter::once("x").chain(flags.iter().copied()));
        let Task::Serve(plan) = task(&cli.args).unwrap() else { panic!("not a plan") };
        let registry = Arc::new(Registry::new(&plan.metrics, plan.rules.clone(), &RESERVED));
        let reloader = Reloader::new(&plan, Arc::clone(&registry));
        let quit = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&quit);
        let router = router(
            &plan,
            Arc::clone(&registry),
            reloader,
            Arc::new(|| "more 1\n".to_owned()),
            Arc::new(move || asked.store(true, Relaxed)),
        );
        Served { router, registry, quit }
    }

    async fn ask(served: &Served, method: &str, path: &str) -> (StatusCode, String) {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = served.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn answers_as_statsd_exporter_does() {
        let served = serve(&[]);
        served.registry.ingest(b"statsd_exporter_lines_total:5|c\nkit.hits:1|c", 1, &mut Batch::default());
        let (status, body) = ask(&served, "GET", "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.contains("\nkit_hits 1\n") && body.ends_with("more 1\n"), "{body}");
        assert_eq!(
            body.matches("# TYPE statsd_exporter_lines_total counter").count(),
            1,
            "input took its name"
        );
        for (path, text) in
            [("/-/healthy", "Statsd Exporter is Healthy.\n"), ("/-/ready", "Statsd Exporter is Ready.\n")]
        {
            assert_eq!(ask(&served, "GET", path).await, (StatusCode::OK, text.to_owned()));
        }
        assert!(ask(&served, "GET", "/").await.1.contains("href=\"/metrics\""));
        assert_eq!(ask(&served, "POST", "/-/reload").await.0, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn reloads_and_quits_when_that_was_enabled() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("m.yaml");
        let named =
            |name: &str| std::fs::write(&file, format!("mappings: [{{match: a, name: {name}}}]")).unwrap();
        named("first");
        let flag = format!("--statsd.mapping-config={}", file.display());
        let served = serve(&["--web.enable-lifecycle", "--web.telemetry-path=/m", &flag]);
        let hit = || served.registry.ingest(b"a:1|c", 1, &mut Batch::default());
        hit();
        named("second");
        assert_eq!(ask(&served, "POST", "/-/reload").await.1, "Requesting reload");
        hit();
        named("'not a name'");
        assert_eq!(ask(&served, "PUT", "/-/reload").await.1, "Requesting reload");
        hit();
        let (_, body) = ask(&served, "GET", "/m").await;
        assert!(body.contains("\nfirst 1\n") && body.contains("\nsecond 2\n"), "{body}");
        assert!(body.contains("config_reloads_total{outcome=\"success\"} 1\n"), "{body}");
        assert!(body.contains("config_reloads_total{outcome=\"failure\"} 1\n"), "{body}");
        assert!(!served.quit.load(Relaxed));
        assert!(ask(&served, "PUT", "/-/quit").await.1.starts_with("Requesting termination"));
        assert!(served.quit.load(Relaxed));
    }
}
