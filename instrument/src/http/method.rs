//! Methods as OpenTelemetry writes them. A client can make up others, so they are one `_OTHER` with what was sent beside it,
//! and `HTTP` in the name of a span.

use http::Method;

/// Those that are told apart: RFC 9110's and PATCH, or the list of `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Methods(Option<Vec<String>>);

impl Methods {
    /// Of a list with commas; case matters.
    pub(crate) fn parse(list: &str) -> Self {
        Methods(Some(list.split(',').map(|m| m.trim().to_owned()).filter(|m| !m.is_empty()).collect()))
    }

    fn know(&self, method: &Method) -> bool {
        match &self.0 {
            None => [
                Method::GET,
                Method::POST,
                Method::PUT,
                Method::DELETE,
                Method::HEAD,
                Method::OPTIONS,
                Method::PATCH,
                Method::CONNECT,
                Method::TRACE,
            ]
            .contains(method),
            Some(list) => list.iter().any(|known| known == method.as_str()),
        }
    }

    /// For `http.request.method`.
    pub(crate) fn known<'a>(&self, method: &'a Method) -> &'a str {
        if self.know(method) { method.as_str() } else { "_OTHER" }
    }

    /// For the name of a span.
    pub(crate) fn in_name<'a>(&self, method: &'a Method) -> &'a str {
        if self.know(method) { method.as_str() } else { "HTTP" }
    }

    /// For `http.request.method_original`: what [`Methods::known`] hides.
    pub(crate) fn original<'a>(&self, method: &'a Method) -> Option<&'a str> {
        (!self.know(method)).then(|| method.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_makes_up_is_one_of_a_kind() {
        let methods = Methods::default();
        assert_eq!((methods.known(&Method::PATCH), methods.original(&Method::PATCH)), ("PATCH", None));
        for made_up in ["get", "PROPFIND", "MEOW-0815"] {
            let method = Method::from_bytes(made_up.as_bytes()).unwrap();
            let seen = (methods.known(&method), methods.in_name(&method), methods.original(&method));
            assert_eq!(seen, ("_OTHER", "HTTP", Some(made_up)));
        }
        let webdav = Methods::parse("GET, PROPFIND");
        assert_eq!(webdav.known(&Method::from_bytes(b"PROPFIND").unwrap()), "PROPFIND");
        assert_eq!(webdav.known(&Method::POST), "_OTHER");
    }
}
