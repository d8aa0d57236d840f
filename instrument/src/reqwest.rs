//! Calls through the reqwest client.

use crate::client::Call;
use crate::current::Scoped;
use reqwest::{Error, RequestBuilder, Response};
use std::future::Future;

/// Sends a request as an instrumented call.
///
/// ```no_run
/// use sightline_instrument::SendAs;
///
/// async fn kittens(client: &reqwest::Client) -> Result<String, reqwest::Error> {
///     client.get("http://kittens:8080/kittens").send_as("kittens").await?.text().await
/// }
/// ```
pub trait SendAs {
    /// Sends it; the call is timed and counted as `service.http.<segment>.…` up to the answer's head, is a client span, and
    /// carries the ids of the current request. The segment names the service that is called. A retry is a call of its own.
    fn send_as(self, segment: &str) -> impl Future<Output = Result<Response, Error>> + Send;
}

impl SendAs for RequestBuilder {
    async fn send_as(self, segment: &str) -> Result<Response, Error> {
        let (client, request) = self.build_split();
        let mut request = request?;
        let uri: http::Uri = request.url().as_str().parse().unwrap_or_default();
        let method = request.method().clone();
        let Some(call) = Call::start(segment, &method, &uri, request.headers_mut()) else {
            return client.execute(request).await;
        };
        let result = Scoped::new(Some(call.scope()), client.execute(request)).await;
        match &result {
            Ok(response) => call.answered(response.status().as_u16(), response.version(), response.headers()),
            Err(error) => call.failed(kind(error), error),
        }
        result
    }
}

fn kind(error: &Error) -> &'static str {
    match () {
        () if error.is_timeout() => "timeout",
        () if error.is_connect() => "connect",
        () if error.is_redirect() => "redirect",
        () if error.is_body() => "body",
        () => "_OTHER",
    }
}
