//! `/metrics` for scrapers.

use std::convert::Infallible;
use std::io::Write;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::registry::Registry;
use super::render::{Format, PIECE, Renderer, own};

/// Renders the agent's own metrics as text 0.0.4.
pub type OwnMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// Serves `/metrics`: the registry, and after it what `own_metrics` says.
pub fn router(registry: Arc<Registry>, own_metrics: OwnMetrics) -> Router {
    router_at("/metrics", registry, own_metrics)
}

/// As [`router`], at another path.
pub fn router_at(path: &str, registry: Arc<Registry>, own_metrics: OwnMetrics) -> Router {
    let handler = move |headers: HeaderMap| {
        let scrape = scrape(Arc::clone(&registry), &own_metrics, &headers);
        async move { scrape }
    };
    Router::new().route(path, get(handler))
}

fn scrape(registry: Arc<Registry>, own_metrics: &OwnMetrics, headers: &HeaderMap) -> Response {
    let all = |name| {
        let values = headers.get_all(name).iter().filter_map(|v| v.to_str().ok());
        values.collect::<Vec<_>>().join(",")
    };
    let format = Format::negotiate(&all(header::ACCEPT));
    let gzip = accepts_gzip(&all(header::ACCEPT_ENCODING));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let body = pieces(Renderer::new(registry, format, now), own::convert(&own_metrics(), format), gzip);
    let mut response = Response::new(Body::from_stream(futures_util::stream::iter(body)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
    if gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn accepts_gzip(accept: &str) -> bool {
    accept.split(',').any(|offer| {
        let mut parts = offer.split(';').map(str::trim);
        matches!(parts.next(), Some("gzip" | "*"))
            && !parts.any(|p| p.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0)))
    })
}

/// The body, rendered as it is sent.
fn pieces(
    mut renderer: Renderer,
    own: Vec<u8>,
    gzip: bool,
) -> impl Iterator<Item = Result<Bytes, Infallible>> + Send {
    let mut encoder = gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
    let mut own = Some(own);
    std::iter::from_fn(move || {
        loop {
            // One size for all: pieces that grow would leave blocks of every size behind.
            let mut piece = Vec::with_capacity(PIECE + (PIECE >> 1));
            let last = !renderer.next_piece(&mut piece);
            if last {
                piece = own.take()?;
            }
            let Some(mut gz) = encoder.take() else {
                return Some(Ok(piece.into()));
            };
            // Writing into memory cannot fail.
            let _ = gz.write_all(&piece);
            if last {
                return Some(Ok(gz.finish().unwrap_or_default().into()));
            }
            let packed = std::mem::take(gz.get_mut());
            encoder = Some(gz);
            if !packed.is_empty() {
                return Some(Ok(packed.into()));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{naming::Rules, settings::Settings, tally::Batch};
    use std::io::Read;
    use tower::ServiceExt;

    async fn get(headers: &[(&str, &str)]) -> (Response<()>, Vec<u8>) {
        let registry = Arc::new(Registry::new(&Settings::default(), Rules::default(), &[]));
        let lines: String = (0..5000).map(|i| format!("m:1|c|#i:{i}\n")).collect();
        registry.ingest(lines.as_bytes(), 1, &mut Batch::default());
        let router = router(registry, Arc::new(|| "# TYPE sightline_x gauge\nsightline_x 1\n".to_owned()));
        let mut request = axum::http::Request::get("/metrics");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, body) = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().into_parts();
        (Response::from_parts(parts, ()), axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec())
    }

    #[tokio::test]
    async fn serves_everything_and_its_own() {
        let (response, body) = get(&[]).await;
        let text = String::from_utf8(body).unwrap();
        assert!(
            response.headers()[header::CONTENT_TYPE]
                .to_str()
                .unwrap()
                .starts_with("text/plain; version=0.0.4")
        );
        assert_eq!(text.matches("\nm{").count(), 5000);
        assert!(text.ends_with("# TYPE sightline_x gauge\nsightline_x 1\n"));
    }

    #[tokio::test]
    async fn packs_what_a_scraper_can_unpack() {
        let (_, plain) = get(&[]).await;
        let (response, packed) = get(&[("accept-encoding", "br, gzip")]).await;
        assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip");
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain);
        assert!(
            get(&[("accept-encoding", "gzip;q=0")]).await.0.headers().get(header::CONTENT_ENCODING).is_none()
        );
    }

    #[tokio::test]
    async fn open_metrics_ends_as_it_must() {
        let (_, body) = get(&[("accept", "application/openmetrics-text; version=1.0.0")]).await;
        assert!(String::from_utf8(body).unwrap().ends_with("sightline_x 1\n# EOF\n"));
    }
}
