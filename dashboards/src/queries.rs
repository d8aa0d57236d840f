//! Runs every question that is shipped against the real back ends: panels, marks, filters, rules, searches, charts.
//!
//! An error fails. So does an empty answer, unless [`allowed`] says why it may be empty. So does a metric that is asked
//! for and that nobody emits.

mod allowed;
mod collect;
mod elasticsearch;
mod prometheus;

use std::fmt;

use collect::{Asked, Question};

/// How one question went.
#[derive(Debug)]
pub struct Finding {
    /// Where it is asked: a dashboard and its panel, a rule, a saved search.
    pub place: String,
    /// The question, with its variables filled in.
    pub question: String,
    /// What came of it.
    pub result: Outcome,
}

/// What came of a question.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// So many series or records.
    Answered(usize),
    /// Nothing, and why that is fine.
    AllowedEmpty(&'static str),
    /// Nothing.
    Empty,
    /// It could not be asked.
    Failed(String),
}

impl Finding {
    /// Whether the run fails because of it.
    pub fn is_bad(&self) -> bool {
        matches!(self.result, Outcome::Empty | Outcome::Failed(_))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.result {
            Outcome::Answered(n) => write!(f, "ok       {}: {n}", self.place),
            Outcome::AllowedEmpty(why) => write!(f, "empty    {}: {why}", self.place),
            Outcome::Empty => write!(f, "EMPTY    {}\n         {}", self.place, self.question),
            Outcome::Failed(why) => write!(f, "FAILED   {}: {why}\n         {}", self.place, self.question),
        }
    }
}

/// Asks everything. Either address may be left out; its questions are then not asked.
///
/// # Errors
/// When the committed settings are not valid or a server cannot be reached at all.
pub async fn run(
    prometheus_url: Option<&str>,
    elasticsearch_url: Option<&str>,
) -> anyhow::Result<Vec<Finding>> {
    let client = reqwest::Client::builder().timeout(std::time::Duration::from_secs(30)).build()?;
    let mut findings = Vec::new();
    let emitted = match prometheus_url {
        Some(url) => prometheus::names(&client, url).await?,
        None => Vec::new(),
    };
    for Asked { place, question, alert } in collect::all()? {
        let (text, answer) = match (&question, prometheus_url, elasticsearch_url) {
            (Question::Metrics(query), Some(url), _) => {
                let unknown = prometheus::unknown(query, &emitted);
                let answer = match unknown.first() {
                    Some(name) if allowed::metric(name).is_none() => Err(format!("nobody emits {name}")),
                    _ => prometheus::ask(&client, url, query).await,
                };
                (query.clone(), answer)
            }
            (Question::Records(search), _, Some(url)) => {
                (search.to_string(), elasticsearch::ask(&client, url, search).await)
            }
            _ => continue,
        };
        let result = match answer {
            Err(why) => Outcome::Failed(why),
            Ok(0) if alert => Outcome::AllowedEmpty("an alert that does not fire"),
            Ok(0) => allowed::empty(&place, &text).map_or(Outcome::Empty, Outcome::AllowedEmpty),
            Ok(n) => Outcome::Answered(n),
        };
        findings.push(Finding { place, question: text, result });
    }
    Ok(findings)
}
