//! The page: plain files inside the binary; every address that is not a file's is the page itself.
//!
//! The files' addresses carry a checksum over all of them, so that a browser keeps them until the agent is another one and
//! asks for nothing but the page when it comes again.

use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

macro_rules! files {
    ($($name:literal),* $(,)?) => { [$(($name, include_bytes!(concat!("ui/", $name)) as &[u8])),*] };
}

static FILES: &[(&str, &[u8])] = &files![
    "api.js",
    "app.js",
    "format.js",
    "grafana/annotations.js",
    "grafana/calcs.js",
    "grafana/elasticsearch.js",
    "grafana/expressions.js",
    "grafana/field.js",
    "grafana/frames.js",
    "grafana/math.js",
    "grafana/model.js",
    "grafana/panel.js",
    "grafana/panels/heatmap.js",
    "grafana/panels/index.js",
    "grafana/panels/logs.js",
    "grafana/panels/menu.js",
    "grafana/panels/pie.js",
    "grafana/panels/stat.js",
    "grafana/panels/states.js",
    "grafana/panels/table.js",
    "grafana/panels/text.js",
    "grafana/panels/timeseries.js",
    "grafana/panels/trace.js",
    "grafana/sources.js",
    "grafana/text.js",
    "grafana/transform.js",
    "grafana/units.js",
    "grafana/variables.js",
    "icon.svg",
    "index.html",
    "location.js",
    "names.js",
    "native.js",
    "pages/agent.js",
    "pages/dashboards.js",
    "pages/explore.js",
    "pages/home.js",
    "pages/logs.js",
    "pages/map.js",
    "pages/panics.js",
    "pages/security.js",
    "pages/trace.js",
    "pages/traces.js",
    "parts/alerts.js",
    "parts/chart.js",
    "parts/graph.js",
    "parts/handlers.js",
    "parts/marks.js",
    "parts/plot.js",
    "parts/reading.js",
    "parts/record.js",
    "parts/scroll.js",
    "parts/state.js",
    "parts/tail.js",
    "parts/timepicker.js",
    "parts/waterfall.js",
    "parts/why.js",
    "style.css",
    "time.js",
    "vendor/preact.js",
    "vendor/uplot.css",
    "vendor/uplot.js",
];

/// A checksum over all files: a part of their addresses.
static EDITION: LazyLock<String> = LazyLock::new(|| {
    let mut sum = crc32fast::Hasher::new();
    FILES.iter().for_each(|(name, body)| {
        sum.update(name.as_bytes());
        sum.update(body);
    });
    format!("{:08x}", sum.finalize())
});

const GREETING: &str =
    "sightline: /metrics, /api/v1 (prometheus), /api/v2 (zipkin), /-/ready; the page is here for a browser\n";

/// Where files come from: the binary, or a folder while somebody works on them.
type Source = Option<Arc<Path>>;

/// Serves the page as the fallback of everything else. `folder` replaces the built-in files (for development).
pub fn router(folder: Option<PathBuf>) -> Router {
    Router::new().fallback(page).with_state(folder.map(Arc::from))
}

/// Whether a request comes from somebody's address bar: then `/` is the page, not an API's greeting.
pub fn wants_page(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::GET
        && headers
            .get(header::ACCEPT)
            .and_then(|v| v.to_str().ok())
            .is_some_and(|accept| accept.contains("text/html"))
}

async fn page(State(source): State<Source>, request: Request) -> Response {
    let path = request.uri().path();
    if let Some(name) = path.strip_prefix("/ui/") {
        let (name, lasting) = match name.split_once('/') {
            Some((edition, name)) if edition == *EDITION => (name, source.is_none()),
            _ => (name, false),
        };
        return match load(&source, name) {
            Some(body) => file(name, body, lasting, request.headers()),
            None => (StatusCode::NOT_FOUND, "there is no such file\n").into_response(),
        };
    }
    if wants_page(request.method(), request.headers())
        && let Some(body) = load(&source, "index.html")
    {
        let page = if source.is_none() { with_edition(&body) } else { body };
        return file("index.html", page, false, request.headers());
    }
    if path == "/" && matches!(*request.method(), Method::GET | Method::HEAD) {
        // Client libraries ask here whether anybody is at home.
        return GREETING.into_response();
    }
    let message = serde_json::json!({ "error": format!("nothing answers {} {path} here", request.method()) });
    (StatusCode::NOT_FOUND, axum::Json(message)).into_response()
}

/// The page with the addresses of this edition, and all its modules named at its top: a browser then asks for them at
/// once, not import by import.
fn with_edition(page: &[u8]) -> Bytes {
    let below = format!("/ui/{}/", *EDITION);
    let links: String = FILES
        .iter()
        .filter(|(name, _)| name.ends_with(".js") && *name != "vendor/uplot.js")
        .map(|(name, _)| format!("<link rel=\"modulepreload\" href=\"{below}{name}\">\n"))
        .collect();
    let page = String::from_utf8_lossy(page).replace("\"/ui/", &format!("\"{below}"));
    page.replacen("</head>", &(links + "</head>"), 1).into_bytes().into()
}

fn load(source: &Source, name: &str) -> Option<Bytes> {
    match source {
        None => FILES.iter().find(|(file, _)| *file == name).map(|(_, body)| Bytes::from_static(body)),
        Some(folder) => {
            let plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
            plain.then(|| std::fs::read(folder.join(name)).ok().map(Bytes::from)).flatten()
        }
    }
}

fn file(name: &str, body: Bytes, lasting: bool, headers: &HeaderMap) -> Response {
    let kind = match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    };
    let keep = if lasting { "public, max-age=31536000, immutable" } else { "no-cache" };
    let tag = format!("\"{:08x}-{:x}\"", crc32fast::hash(&body), body.len());
    let common = [(header::ETAG, tag.clone()), (header::CACHE_CONTROL, keep.to_owned())];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, [(header::CONTENT_TYPE, kind)], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::{EDITION, FILES, router};
    use axum::body::Body;
    use http::Request;
    use tower::ServiceExt;

    async fn get(path: &str, headers: &[(&str, &str)]) -> (u16, String, Option<String>) {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = router(None).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let text = |name: &str| response.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
        (response.status().as_u16(), text("content-type").unwrap_or_default(), text("etag"))
    }

    #[tokio::test]
    async fn serves_the_page_to_browsers_and_json_to_programs() {
        let html = [("accept", "text/html,*/*")];
        assert_eq!(get("/traces/abc", &html).await.1, "text/html; charset=utf-8");
        let (status, kind, _) = get("/traces/abc", &[]).await;
        assert_eq!((status, kind.as_str()), (404, "application/json"));
        assert_eq!(get("/ui/../mod.rs", &html).await.0, 404);
        assert_eq!(get("/", &[]).await.0, 200, "a client library asks whether anybody is at home");
    }

    #[tokio::test]
    async fn files_of_this_edition_are_kept_and_others_asked_for_again() {
        let control = |path: String| async move {
            let response =
                router(None).oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
            let keep = response.headers().get("cache-control").map(|v| v.to_str().unwrap().to_owned());
            (response.status().as_u16(), keep.unwrap_or_default())
        };
        let (status, keep) = control(format!("/ui/{}/parts/chart.js", *EDITION)).await;
        assert!(status == 200 && keep.contains("immutable"), "{status} {keep}");
        assert_eq!(control("/ui/parts/chart.js".to_owned()).await, (200, "no-cache".to_owned()));
        assert_eq!(control("/ui/00000000/parts/chart.js".to_owned()).await.0, 404);

        let request = Request::get("/").header("accept", "text/html").body(Body::empty()).unwrap();
        let page = router(None).oneshot(request).await.unwrap();
        assert_eq!(page.headers()["cache-control"], "no-cache");
        let body = axum::body::to_bytes(page.into_body(), 1 << 20).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(text.contains(&format!("src=\"/ui/{}/app.js\"", *EDITION)), "{text}");
        assert!(!text.replace(&format!("/ui/{}/", *EDITION), "").contains("/ui/"), "{text}");
    }

    #[tokio::test]
    async fn answers_not_modified_to_a_known_tag() {
        let (status, _, tag) = get("/ui/app.js", &[]).await;
        assert_eq!(status, 200);
        assert_eq!(get("/ui/app.js", &[("if-none-match", tag.as_deref().unwrap())]).await.0, 304);
    }

    #[test]
    fn embeds_every_file_of_the_folder() {
        fn visit(folder: &std::path::Path, below: &std::path::Path) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(below).unwrap().to_str().unwrap();
                if path.is_dir() {
                    visit(&path, below);
                } else if !name.contains("LICENSE") && !name.ends_with(".md") {
                    assert!(FILES.iter().any(|(file, _)| *file == name), "{name} is not in FILES");
                }
            }
        }
        let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/web/page/ui"));
        visit(folder, folder);
    }

    /// A module that is imported but not embedded would leave a blank page.
    #[test]
    fn embeds_every_file_that_another_imports() {
        for (name, body) in FILES.iter().filter(|(n, _)| n.ends_with(".js") && !n.starts_with("vendor/")) {
            let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
            for import in std::str::from_utf8(body).unwrap().split(" from '").skip(1) {
                let path = import.split('\'').next().unwrap();
                let mut parts: Vec<&str> = folder.split('/').filter(|p| !p.is_empty()).collect();
                for part in path.split('/') {
                    match part {
                        "." => {}
                        ".." => drop(parts.pop()),
                        part => parts.push(part),
                    }
                }
                let target = parts.join("/");
                assert!(FILES.iter().any(|(n, _)| *n == target), "{name} imports {target}");
            }
        }
    }
}
