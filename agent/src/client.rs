//! A small HTTP client for the commands that ask a running agent: `health`, `top`, `tap`.

use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// The most that an answer may hold.
const CAP: usize = 64 << 20;

/// Where the running agent is, and what it may ask for.
#[derive(Debug, Clone, clap::Args)]
pub struct Target {
    /// The agent's HTTP port
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9102", env = "SIGHTLINE_URL")]
    pub url: String,
    /// The token of an agent beyond loopback
    #[arg(long, env = "SIGHTLINE_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

impl Target {
    /// Status and body of `path`.
    pub async fn get(&self, path: &str) -> anyhow::Result<(u16, Bytes)> {
        let response = self.send(path).await?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), CAP).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("{}{path}: {error}", self.url))?;
        Ok((status, body.to_bytes()))
    }

    /// The body of `path` piece by piece, for streams that do not end.
    pub async fn stream(
        &self,
        path: &str,
        mut each: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let response = self.send(path).await?;
        if !response.status().is_success() {
            bail!("{}{path}: the agent answered {}", self.url, response.status());
        }
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            if let Some(data) = frame.with_context(|| format!("{}{path}", self.url))?.data_ref() {
                each(data)?;
            }
        }
        Ok(())
    }

    async fn send(&self, path: &str) -> anyhow::Result<http::Response<Incoming>> {
        let client: Client<HttpConnector, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let url = format!("{}{path}", self.url.trim_end_matches('/'));
        let mut request = http::Request::get(&url);
        if let Some(token) = &self.token {
            request = request.header(http::header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Empty::new()).with_context(|| format!("'{url}' is not an address"))?;
        match tokio::time::timeout(Duration::from_secs(10), client.request(request)).await {
            Ok(answer) => answer.with_context(|| format!("no agent answers at {}; is it running?", self.url)),
            Err(_) => bail!("the agent at {} did not answer within 10 s", self.url),
        }
    }
}
