//! Who may use the HTTP port: everyone on loopback, holders of the token elsewhere; and the headers that keep
//! a browser from doing more than the page needs.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::SocketAddr;

/// What scripts, styles and connections the page may use: its own origin's, nothing else.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; style-src 'self'; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// The rule for one listener.
#[derive(Debug, Clone)]
pub struct Access {
    /// Required from addresses that are not loopback; `None` where only loopback can connect.
    pub token: Option<Arc<str>>,
}

/// A fresh token of 128 bits, for a listener beyond loopback without one in its settings.
pub fn new_token() -> std::io::Result<String> {
    use std::io::Read;
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

/// Lets a request pass or answers 401. Scrapes and probes (`/metrics`, `/-/healthy`, `/-/ready`) never need
/// the token, as Prometheus and a balancer expect; requests that a foreign page sends through a browser on
/// this machine are refused by their `Host`.
pub async fn guard(State(access): State<Access>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let path = request.uri().path().to_owned();
    if !allowed(&access, peer, &path, request.headers(), request.uri().query().unwrap_or("")) {
        let message = "unauthorized: send 'Authorization: Bearer TOKEN', or open the page with ?token=TOKEN; \
                       the agent printed the token when it started\n";
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], message).into_response();
    }
    let cookie = query_token(request.uri().query().unwrap_or("")).map(str::to_owned);
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Some(token) = cookie
        && let Ok(value) =
            HeaderValue::from_str(&format!("sightline={token}; HttpOnly; SameSite=Strict; Path=/"))
    {
        headers.insert(header::SET_COOKIE, value);
    }
    response
}

fn allowed(access: &Access, peer: Option<IpAddr>, path: &str, headers: &HeaderMap, query: &str) -> bool {
    if matches!(path, "/metrics" | "/-/healthy" | "/-/ready") {
        return true;
    }
    let Some(token) = &access.token else {
        return local_host(headers);
    };
    if peer.is_some_and(|ip| ip.is_loopback()) && local_host(headers) {
        return true;
    }
    let header = |name| headers.get(name).and_then(|v| v.to_str().ok());
    let given = header(header::AUTHORIZATION)
        .and_then(|v| v.strip_prefix("Bearer "))
        .or_else(|| query_token(query))
        .or_else(|| header(header::COOKIE)?.split("; ").find_map(|c| c.strip_prefix("sightline=")));
    given.is_some_and(|given| same(given.as_bytes(), token.as_bytes()))
}

/// On loopback the `Host` must be a name of this machine: a page elsewhere that rebinds its own name to
/// 127.0.0.1 is refused here.
fn local_host(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|v| v.to_str().ok()) else { return true };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn query_token(query: &str) -> Option<&str> {
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix("token="))
        .filter(|token| !token.is_empty() && token.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// Takes the same time wherever the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |acc, (x, y)| acc | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::{Access, allowed};
    use axum::http::{HeaderMap, HeaderValue};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (k.parse().unwrap(), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn asks_for_the_token_beyond_loopback() {
        let access = Access { token: Some("abc".into()) };
        let (far, near) = (Some([10, 0, 0, 9].into()), Some([127, 0, 0, 1].into()));
        assert!(!allowed(&access, far, "/", &headers(&[]), ""));
        assert!(!allowed(&access, far, "/", &headers(&[("authorization", "Bearer abd")]), ""));
        assert!(allowed(&access, far, "/", &headers(&[("authorization", "Bearer abc")]), ""));
        assert!(allowed(&access, far, "/", &headers(&[("cookie", "a=b; sightline=abc")]), ""));
        assert!(allowed(&access, far, "/", &headers(&[]), "x=1&token=abc"));
        assert!(allowed(&access, far, "/metrics", &headers(&[]), ""));
        assert!(allowed(&access, near, "/", &headers(&[("host", "localhost:9102")]), ""));
        assert!(!allowed(&access, near, "/", &headers(&[("host", "evil.example")]), ""));
    }

    #[test]
    fn refuses_rebound_names_on_loopback() {
        let access = Access { token: None };
        for (host, ok) in [("127.0.0.1:9102", true), ("[::1]:9102", true), ("evil.example:9102", false)] {
            let headers =
                HeaderMap::from_iter([("host".parse().unwrap(), HeaderValue::from_str(host).unwrap())]);
            assert_eq!(allowed(&access, None, "/api/v1/query", &headers, ""), ok, "{host}");
        }
    }
}
