//! Calls into a data store, with what OpenTelemetry wants to know of them on the span. Needs no data store's crate: it wraps
//! the future or the closure that asks.

use crate::current::{self, Scoped};
use crate::timed::{Running, said};
use crate::traces::span::Role;
use std::cell::RefCell;
use std::fmt::Display;
use std::future::Future;

/// Of a statement, at most.
const STATEMENT: usize = 1_024;

/// A query under way to its store; see [`query`].
///
/// ```
/// let count: sightline_instrument::Query<'_> = sightline_instrument::query("sqlite", "count_kittens");
/// let kittens = count.run_blocking(|| Ok::<_, std::io::Error>(3)).unwrap();
/// assert_eq!(kittens, 3);
/// ```
#[derive(Debug, Clone)]
#[must_use = "a query does nothing until it is run"]
pub struct Query<'a> {
    system: &'static str,
    segment: &'a str,
    statement: Option<&'a str>,
    namespace: Option<&'a str>,
}

/// A query of the store `system` (`sqlite`, `postgresql`, `mysql`, `redis`, …), named `segment` by what it does. It is timed
/// and counted as `service.<system>.<segment>.…` and is a client span with the attributes `db.*`.
///
/// With rusqlite:
///
/// ```
/// use sightline_instrument::query;
/// let store = rusqlite::Connection::open_in_memory()?;
/// const SQL: &str = "SELECT 1 + ?1";
/// let three: u32 = query("sqlite", "add").statement(SQL).run_blocking(|| {
///     store.query_row(SQL, [2], |row| row.get(0))
/// })?;
/// assert_eq!(three, 3);
/// # Ok::<_, rusqlite::Error>(())
/// ```
///
/// With sqlx, and whatever else gives a future; a stand-in for `sqlx::query_as(SQL).fetch_all(&pool)` here, since sqlx is none
/// of this crate's dependencies:
///
/// ```
/// # async fn fetch_all(_: &str) -> Result<Vec<String>, std::io::Error> { Ok(vec!["Felix".to_owned()]) }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # const SQL: &str = "SELECT name FROM kittens";
/// use sightline_instrument::query;
/// let kittens = query("postgresql", "select_kittens").statement(SQL).run(fetch_all(SQL)).await?;
/// # assert_eq!(kittens, ["Felix"]);
/// # Ok::<_, std::io::Error>(())
/// # }).unwrap();
/// ```
pub fn query<'a>(system: &'static str, segment: &'a str) -> Query<'a> {
    Query { system, segment, statement: None, namespace: None }
}

impl<'a> Query<'a> {
    /// Its text, for the span. Numbers and quoted texts in it are blanked: they may be somebody's data.
    ///
    /// ```
    /// let select = sightline_instrument::query("mysql", "select_kittens").statement("SELECT * FROM kittens");
    /// # let _ = select;
    /// ```
    pub fn statement(mut self, statement: &'a str) -> Self {
        self.statement = Some(statement);
        self
    }

    /// The database within the store, for the span.
    ///
    /// ```
    /// let select = sightline_instrument::query("mysql", "select_kittens").namespace("cattery");
    /// # let _ = select;
    /// ```
    pub fn namespace(mut self, namespace: &'a str) -> Self {
        self.namespace = Some(namespace);
        self
    }

    /// Runs a query that is a future.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use sightline_instrument::query;
    /// let kittens = query("redis", "get_kittens").run(async { Ok::<_, std::io::Error>(3) }).await.unwrap();
    /// assert_eq!(kittens, 3);
    /// # });
    /// ```
    ///
    /// # Errors
    /// Those of the query, unchanged.
    pub async fn run<T, E: Display>(self, future: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let Some(running) = self.start() else { return future.await };
        let result = Scoped::new(Some(running.scope.clone()), future).await;
        running.finish(result.as_ref().err().map(|e| said(e)));
        result
    }

    /// Runs a query that blocks.
    ///
    /// ```
    /// use sightline_instrument::query;
    /// let kittens = query("sqlite", "count_kittens").run_blocking(|| Ok::<_, std::io::Error>(3)).unwrap();
    /// assert_eq!(kittens, 3);
    /// ```
    ///
    /// # Errors
    /// Those of the query, unchanged.
    pub fn run_blocking<T, E: Display>(self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let Some(running) = self.start() else { return work() };
        let result = {
            let _entered = current::enter(Some(running.scope.clone()));
            work()
        };
        running.finish(result.as_ref().err().map(|e| said(e)));
        result
    }

    fn start(&self) -> Option<Running> {
        let mut running = Running::start(self.system, self.segment, Role::Client)?;
        if running.recorded() {
            running.attributes.text("db.system.name", self.system);
            running.attributes.text("db.query.summary", self.segment);
            if let Some(namespace) = self.namespace {
                running.attributes.text("db.namespace", namespace);
            }
            if let Some(statement) = self.statement {
                known(statement, |text| running.attributes.text("db.query.text", text));
            }
        }
        Some(running)
    }
}

/// Statements of which a thread remembers what they come to; most services have a handful.
const KNOWN: usize = 32;

thread_local! {
    static BLANKED: RefCell<Vec<(String, String)>> = const { RefCell::new(Vec::new()) };
}

/// Calls `with` with the statement [`blanked`], which takes long enough to be remembered.
fn known(statement: &str, with: impl FnOnce(&str)) {
    let mut with = Some(with);
    let found = BLANKED.try_with(|all| {
        let mut all = all.try_borrow_mut().ok()?;
        let at = all.iter().position(|(of, _)| of == statement);
        let at = match at {
            Some(at) => at,
            // A service that writes its statements anew each time must not turn this over again and again.
            None if all.len() < KNOWN && statement.len() <= STATEMENT => {
                all.push((statement.to_owned(), blanked(statement)));
                all.len() - 1
            }
            None => return None,
        };
        with.take().map(|with| with(&all[at].1))
    });
    if let (Ok(None) | Err(_), Some(with)) = (found, with) {
        with(&blanked(statement));
    }
}

/// The statement with `?` for each number and quoted text.
fn blanked(statement: &str) -> String {
    let statement = crate::json::cut(statement, STATEMENT);
    let mut out = String::with_capacity(statement.len());
    let mut rest = statement.chars().peekable();
    let mut in_word = false;
    while let Some(c) = rest.next() {
        match c {
            '\'' => {
                // Two quotes in a row are one within the text.
                while let Some(c) = rest.next() {
                    if c == '\'' && rest.next_if_eq(&'\'').is_none() {
                        break;
                    }
                }
                out.push('?');
            }
            c if c.is_ascii_digit() && !in_word => {
                while rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '.').is_some() {}
                out.push('?');
            }
            c => out.push(c),
        }
        // `t1`, `$1` and `?1` are names.
        in_word = c.is_alphanumeric() || matches!(c, '_' | '$' | '?' | ':' | '@' | '"');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Capture;

    #[test]
    fn a_query_is_a_span_without_anybodys_data() {
        let capture = Capture::new("svc");
        capture.call(|| {
            let sql =
                "SELECT name FROM kittens WHERE owner = 'O''Brien' AND weight > 1.5 AND t1.id = ?1 LIMIT 10";
            let select = query("sqlite", "select_kittens").statement(sql).namespace("main");
            assert_eq!(select.run_blocking(|| Err::<(), _>("locked")), Err("locked"));
        });
        let span = &capture.spans()[0];
        assert_eq!((span.name.as_str(), span.kind), ("sqlite select_kittens", "client"));
        assert_eq!(span.error.as_deref(), Some("locked"));
        assert_eq!(
            span.attributes["db.query.text"],
            "SELECT name FROM kittens WHERE owner = ? AND weight > ? AND t1.id = ?1 LIMIT ?"
        );
        assert_eq!(span.attributes["db.system.name"], "sqlite");
        assert_eq!(span.attributes["db.namespace"], "main");
        assert_eq!(capture.counter("sqlite.select_kittens.failed"), Some(1));
    }

    #[test]
    fn what_is_remembered_is_what_is_said_anew() {
        for n in 0..2 * KNOWN {
            for _ in 0..2 {
                let statement = format!("SELECT {n} FROM t{n}");
                known(&statement, |text| assert_eq!(text, format!("SELECT ? FROM t{n}")));
            }
        }
        BLANKED.with_borrow(|all| assert_eq!(all.len(), KNOWN));
    }
}
