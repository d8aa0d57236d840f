//! Tells PagerDuty of deploys: a change event when a known service shows a version that it did not have before.
//!
//! Change events page nobody; they stand beside an incident as what changed before it. Off unless a file with the routing
//! key is named. PagerDuty takes each event as another change, whoever sent it before, so one agent has to speak for all: it
//! asks Prometheus, which sees what every agent sees. Without an address of Prometheus it tells of what it receives itself.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::task::JoinHandle;

use super::http::{self, Client, SettingsError};
use crate::logs::timestamp;
use crate::metrics::Registry;
use crate::units::Span;

mod versions;

#[cfg(test)]
mod tests;

pub use versions::{Deploy, Versions};

const PATH: &str = "/v2/change/enqueue";
/// Events that wait at most; beyond, the oldest is given up.
const WAITING: usize = 64;
/// How often one event is tried, and the longest pause between two tries.
const TRIES: u32 = 10;
const LONGEST: Duration = Duration::from_secs(300);
/// PagerDuty's own bound on a summary, in characters.
const SUMMARY: usize = 1_024;

/// Change events for PagerDuty.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// File that holds the integration key of a PagerDuty service (Events API v2); read at each event. Without it, or
    /// while it is empty, nothing is sent.
    pub routing_key_file: Option<PathBuf>,
    /// Where PagerDuty takes events; `https://events.eu.pagerduty.com` for accounts in the EU.
    pub url: String,
    /// Address of a Prometheus that scrapes all agents; asked for versions in place of what this agent receives. With many
    /// agents set this section on one of them, with this address: each that has it sends an event of its own.
    pub prometheus: Option<String>,
    /// How often to look for new versions.
    pub interval: Span,
    /// Address that the event links to; `{service}` and `{environment}` are filled in.
    pub link: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            routing_key_file: None,
            url: "https://events.pagerduty.com".to_owned(),
            prometheus: None,
            interval: Span::secs(10),
            link: None,
        }
    }
}

/// Checks the addresses; reaches none.
///
/// # Errors
/// The first address that is none.
pub fn verify(settings: &Settings) -> Result<(), SettingsError> {
    let urls = [Some(&settings.url), settings.prometheus.as_ref()];
    urls.into_iter().flatten().try_for_each(|url| client(url).map(drop))
}

/// Starts looking, if the settings name a key's file. `data` is where known versions are kept.
///
/// # Errors
/// When the address is none.
pub fn start(
    settings: &Settings,
    registry: &Arc<Registry>,
    data: &Path,
) -> Result<Option<JoinHandle<()>>, SettingsError> {
    let Some(key) = settings.routing_key_file.clone() else { return Ok(None) };
    let source = match &settings.prometheus {
        Some(url) => Source::Prometheus(client(url)?),
        None => Source::Registry(Arc::clone(registry)),
    };
    let teller = Teller {
        client: client(&settings.url)?,
        key,
        link: settings.link.clone(),
        state: data.join("versions.json"),
        waiting: VecDeque::new(),
        pause: Duration::from_secs(1),
    };
    let interval = settings.interval.0.max(Duration::from_millis(100));
    Ok(Some(tokio::spawn(teller.run(source, interval))))
}

fn client(url: &str) -> Result<Client, SettingsError> {
    Client::new(&http::Settings {
        urls: vec![url.to_owned()],
        auth: http::Auth::default(),
        tls: http::Tls::default(),
        gzip: false,
        timeout: Duration::from_secs(10),
    })
}

/// Who knows what runs.
enum Source {
    /// This agent, of what it receives.
    Registry(Arc<Registry>),
    /// Prometheus, of what all agents receive.
    Prometheus(Client),
}

impl Source {
    async fn versions(&self) -> Result<Versions, String> {
        let client = match self {
            Source::Registry(registry) => return Ok(Versions::of(registry)),
            Source::Prometheus(client) => client,
        };
        // Nothing in it but the spaces needs a form's encoding.
        let body = format!("query={}", versions::QUERY.replace(' ', "+"));
        let reply = client
            .post("/api/v1/query", "application/x-www-form-urlencoded", Bytes::from(body))
            .await
            .map_err(|error| error.to_string())?;
        if !reply.status.is_success() {
            return Err(reply.reason());
        }
        serde_json::from_slice(&reply.body)
            .ok()
            .as_ref()
            .and_then(Versions::of_answer)
            .ok_or_else(|| "it answers something else than a result".to_owned())
    }
}

#[derive(Debug)]
struct Teller {
    client: Client,
    key: PathBuf,
    link: Option<String>,
    state: PathBuf,
    waiting: VecDeque<Event>,
    /// After the first failure; doubled from failure to failure.
    pause: Duration,
}

#[derive(Debug)]
struct Event {
    deploy: Deploy,
    at: SystemTime,
    tries: u32,
    next: tokio::time::Instant,
}

/// What became of one try.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Sent,
    /// No key is set, which is how one switches it off.
    Off,
    Refused(String),
    Later(String),
}

impl Teller {
    async fn run(mut self, source: Source, interval: Duration) {
        let mut known = Versions::load(&self.state);
        let mut trouble = None;
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let before = known.clone();
            let seen = source.versions().await;
            if let Err(reason) = &seen
                && trouble.as_ref() != Some(reason)
            {
                tracing::warn!(
                    reason,
                    "prometheus does not say which versions run; until it does, a deploy is not noticed"
                );
            }
            trouble = seen.as_ref().err().cloned();
            for deploy in known.learn(seen.unwrap_or_default()) {
                self.wait(deploy);
            }
            if known != before
                && let Err(error) = known.save(&self.state)
            {
                tracing::warn!(%error, path = %self.state.display(), "known versions are not kept; a restart may forget a deploy");
            }
            self.send().await;
        }
    }

    fn wait(&mut self, deploy: Deploy) {
        if self.waiting.len() >= WAITING {
            count("dropped");
            self.waiting.pop_front();
        }
        let (at, next) = (SystemTime::now(), tokio::time::Instant::now());
        self.waiting.push_back(Event { deploy, at, tries: 0, next });
    }

    /// Tries each event whose time has come.
    async fn send(&mut self) {
        for mut event in std::mem::take(&mut self.waiting) {
            if event.next > tokio::time::Instant::now() {
                self.waiting.push_back(event);
                continue;
            }
            event.tries += 1;
            match self.tell(&event).await {
                Told::Sent => count("sent"),
                Told::Off => tracing::info!(
                    service = event.deploy.service,
                    version = event.deploy.version,
                    "a new version; without a routing key pagerduty is not told"
                ),
                Told::Refused(reason) => {
                    count("refused");
                    tracing::error!(
                        reason,
                        service = event.deploy.service,
                        "pagerduty refused a change event"
                    );
                }
                Told::Later(reason) if event.tries >= TRIES => {
                    count("dropped");
                    tracing::error!(
                        reason,
                        service = event.deploy.service,
                        "a change event did not reach pagerduty"
                    );
                }
                Told::Later(reason) => {
                    count("retried");
                    tracing::warn!(reason, tries = event.tries, "a change event has to be sent again");
                    event.next = tokio::time::Instant::now()
                        + self.pause.saturating_mul(1 << event.tries.min(10)).min(LONGEST);
                    self.waiting.push_back(event);
                }
            }
        }
    }

    async fn tell(&self, event: &Event) -> Told {
        let key = match std::fs::read_to_string(&self.key) {
            Ok(key) if key.trim().is_empty() => return Told::Off,
            Ok(key) => key.trim().to_owned(),
            Err(error) => return Told::Later(format!("{}: {error}", self.key.display())),
        };
        let body = body(&key, event, self.link.as_deref()).to_string();
        match self.client.post(PATH, "application/json", Bytes::from(body)).await {
            Ok(reply) if reply.status.as_u16() == 202 => Told::Sent,
            Ok(reply) if reply.is_retryable() => Told::Later(reply.reason()),
            Ok(reply) => Told::Refused(reply.reason()),
            Err(error) => Told::Later(error.to_string()),
        }
    }
}

/// The event as PagerDuty's Events API v2 takes it.
fn body(key: &str, event: &Event, link: Option<&str>) -> serde_json::Value {
    let Deploy { environment, service, version, before } = &event.deploy;
    let summary = format!("{service} {version} in {environment} (was {})", before.join(", "));
    let nanos = event.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
    let mut at = Vec::new();
    timestamp::write(&mut at, i64::try_from(nanos).unwrap_or_default());
    let mut body = json!({
        "routing_key": key,
        "payload": {
            "summary": summary.chars().take(SUMMARY).collect::<String>(),
            "source": service,
            "timestamp": String::from_utf8_lossy(&at),
            "custom_details": {
                "environment": environment, "service": service, "version": version, "before": before,
            },
        },
    });
    if let Some(link) = link {
        let href = link.replace("{service}", service).replace("{environment}", environment);
        body["links"] = json!([{ "href": href, "text": "Dashboard" }]);
    }
    body
}

fn count(result: &'static str) {
    metrics::counter!("sightline_change_events_total", "result" => result).increment(1);
}
