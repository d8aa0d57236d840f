//! The data store: kittens and users in SQLite.

use rusqlite::{Connection, OptionalExtension, Row};
use serde::Serialize;
use sightline_instrument::{query, spawn_blocking};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// A kitten as clients see it.
#[derive(Debug, Serialize)]
pub(crate) struct Kitten {
    /// Its name.
    pub(crate) name: String,
    /// Its breed.
    pub(crate) breed: String,
    /// In grams.
    pub(crate) weight: u32,
}

/// One connection, used by one request at a time.
#[derive(Debug, Clone)]
pub(crate) struct Store(Arc<Mutex<Connection>>);

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS kittens (name TEXT PRIMARY KEY, breed TEXT NOT NULL, weight INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS users (name TEXT PRIMARY KEY, password TEXT NOT NULL);
    INSERT OR IGNORE INTO kittens VALUES
        ('Felix', 'tabby', 1230), ('Fat Freddy''s Cat', 'ginger', 2000), ('Garfield', 'persian', 3500),
        ('Minka', 'siamese', 980), ('Socks', 'tuxedo', 1410);
    INSERT OR IGNORE INTO users VALUES ('nic', 'whiskers'), ('anna', 'purr');";

impl Store {
    /// Opens the file, or a store in memory, and fills it if it is new.
    pub(crate) fn open(path: Option<&Path>) -> rusqlite::Result<Self> {
        let connection = match path {
            Some(path) => Connection::open(path)?,
            None => Connection::open_in_memory()?,
        };
        connection.execute_batch(SCHEMA)?;
        Ok(Store(Arc::new(Mutex::new(connection))))
    }

    /// All kittens by name.
    pub(crate) async fn kittens(&self) -> rusqlite::Result<Vec<Kitten>> {
        const SQL: &str = "SELECT name, breed, weight FROM kittens ORDER BY name";
        let select = self.with(|c| {
            let kitten =
                |row: &Row<'_>| Ok(Kitten { name: row.get(0)?, breed: row.get(1)?, weight: row.get(2)? });
            c.prepare_cached(SQL)?.query_map([], kitten)?.collect()
        });
        query("sqlite", "select_kittens").statement(SQL).run(select).await
    }

    /// Whether this is the user's password; `None` for users not known.
    pub(crate) async fn knows(&self, user: String, password: String) -> rusqlite::Result<Option<bool>> {
        const SQL: &str = "SELECT password = ?2 FROM users WHERE name = ?1";
        let select = self
            .with(move |c| c.prepare_cached(SQL)?.query_row([user, password], |row| row.get(0)).optional());
        query("sqlite", "select_user").statement(SQL).run(select).await
    }

    /// Whether the store answers.
    pub(crate) async fn ping(&self) -> rusqlite::Result<()> {
        self.with(|c| c.query_row("SELECT 1", [], |_| Ok(()))).await
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> rusqlite::Result<T> {
        let connection = self.0.clone();
        let done = spawn_blocking(move || {
            // A panic of another request does not spoil SQLite's own state.
            work(&connection.lock().unwrap_or_else(PoisonError::into_inner))
        });
        match done.await {
            Ok(result) => result,
            // The work panicked: so does the request.
            Err(error) => match error.try_into_panic() {
                Ok(payload) => std::panic::resume_unwind(payload),
                Err(_) => Err(rusqlite::Error::InvalidQuery),
            },
        }
    }
}
