//! New records as they are committed, as server-sent events.
//!
//! An event `record` is a hit as `_search` has it; `skipped` says how many matched and were not sent because too many
//! came at once. The id of an event is a place in the order of arrival: a client that reconnects goes on from there.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::stream::{self, Stream};
use serde_json::{Value, json};
use tantivy::Term;
use tantivy::query::{BooleanQuery, RangeQuery};
use tokio::sync::watch;

use super::{Parameters, query_of};
use crate::store::api::{Api, Refusal};
use crate::store::events::{EventStore, Events, Hit, Search, SearchError, Sort};
use crate::store::query::Node;

/// Tails at once.
const MOST_TAILS: usize = 32;
/// Records sent for one commit.
const MOST_AT_ONCE: usize = 500;

static OPEN: AtomicUsize = AtomicUsize::new(0);

/// Counts an open tail for as long as it lives.
struct Place;

impl Place {
    fn take() -> Option<Self> {
        OPEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| {
            (open < MOST_TAILS).then_some(open + 1)
        })
        .ok()
        .map(|_| Place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Tail {
    api: Api,
    node: Arc<Node>,
    next: u64,
    commits: watch::Receiver<u64>,
    ready: VecDeque<Event>,
    _place: Place,
}

pub(super) async fn tail(
    State(api): State<Api>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    let node = query_of(&parameters)?;
    // The query has to be refused now, not in the middle of the stream.
    api.events.logs.select(&node, None, None)?;
    let place = Place::take()
        .ok_or_else(|| Refusal::busy("too many live tails are open; close one and try again"))?;
    let commits = api.events.logs.commits();
    let last: Option<u64> = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let next = last.map_or(*commits.borrow(), |last| last + 1);
    let mut commits = commits;
    commits.mark_changed();
    let tail = Tail { api, node: Arc::new(node), next, commits, ready: VecDeque::new(), _place: place };
    let events = stream::unfold(tail, |mut tail| async move {
        let event = tail.event().await?;
        Some((Ok(event), tail))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

impl Tail {
    /// The next event; `None` when the store is closed.
    async fn event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            self.commits.changed().await.ok()?;
            let end = *self.commits.borrow_and_update();
            if end <= self.next {
                continue;
            }
            let (node, from) = (Arc::clone(&self.node), self.next);
            match self.api.run(move |events| arrived(events, &node, from, end)).await {
                Ok(Ok((hits, matched))) => {
                    let skipped = matched.saturating_sub(hits.len() as u64);
                    if skipped > 0 {
                        self.ready.push_back(Event::default().event("skipped").data(skipped.to_string()));
                    }
                    self.ready.extend(hits.iter().map(event));
                    self.next = end;
                }
                Ok(Err(error)) => {
                    self.ready.push_back(Event::default().event("error").data(error.to_string()))
                }
                // Busy for a moment: the next commit tries again from the same place.
                Err(_) => {}
            }
        }
    }
}

/// The newest of the records that arrived in a range of places, oldest first, and how many there were.
fn arrived(events: &Events, node: &Node, from: u64, end: u64) -> Result<(Vec<Hit>, u64), SearchError> {
    let lane = &events.logs;
    let selection = lane.select_with(None, None, |scope| {
        let place = |order| Term::from_field_u64(scope.fields.order, order);
        let range = RangeQuery::new(Bound::Included(place(from)), Bound::Excluded(place(end)));
        Ok(Box::new(BooleanQuery::intersection(vec![scope.compile(node)?, Box::new(range)])))
    })?;
    let matched = lane.count(&selection).value;
    let sort = Sort::Time { descending: true };
    let mut hits =
        lane.search(&Search { selection, limit: MOST_AT_ONCE, offset: 0, sort, after: None }).value;
    hits.sort_by_key(|hit| hit.order);
    Ok((hits, matched))
}

fn event(hit: &Hit) -> Event {
    Event::default().event("record").id(hit.order.to_string()).data(shown(hit).to_string())
}

/// A hit as `_search` shows it.
pub(super) fn shown(hit: &Hit) -> Value {
    let source: Value = serde_json::from_slice(&hit.source).unwrap_or_default();
    json!({ "_index": hit.stream, "_id": hit.id, "_source": source, "sort": [hit.at_ms, hit.order] })
}
