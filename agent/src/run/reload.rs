//! Reading the mapping rules again while running: by SIGHUP or `POST /-/reload`. The last good rules stay in force.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;

use crate::metrics::Registry;
use crate::metrics::naming::Rules;

/// Reloads, or says what is wrong with the rules.
pub(super) type Reload = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Puts what `read` gives in force.
pub(super) fn new(
    registry: Arc<Registry>,
    read: impl Fn() -> Result<Rules, String> + Send + Sync + 'static,
) -> Reload {
    Arc::new(move || match read() {
        Ok(rules) => {
            registry.set_rules(rules);
            metrics::counter!("sightline_reloads_total", "outcome" => "success").increment(1);
            tracing::info!("mapping rules reloaded");
            Ok(())
        }
        Err(note) => {
            metrics::counter!("sightline_reloads_total", "outcome" => "failure").increment(1);
            tracing::warn!(note, "mapping rules not reloaded, those in force stay");
            Err(note)
        }
    })
}

/// `POST /-/reload`: 200, or 422 with the mistake and its place.
pub(super) fn router(reload: Reload) -> Router {
    let answer = move || {
        let reload = Arc::clone(&reload);
        async move {
            // Rules come from a file: the disk is not for the threads that serve connections.
            match tokio::task::spawn_blocking(move || reload()).await {
                Ok(Ok(())) => (StatusCode::OK, "reloaded\n".to_owned()),
                Ok(Err(note)) => (StatusCode::UNPROCESSABLE_ENTITY, format!("{note}\n")),
                Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
            }
        }
    };
    Router::new().route("/-/reload", post(answer.clone()).put(answer))
}

#[cfg(test)]
mod tests {
    use super::new;
    use crate::metrics::naming::source::Source;
    use crate::metrics::{Registry, Settings};
    use std::sync::Arc;

    #[test]
    fn a_mistake_keeps_the_rules_in_force() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("m.yaml");
        std::fs::write(&file, "mappings:\n- {match: a, name: first}\n").unwrap();
        let source = Source { file: file.clone(), ..Source::default() };
        let registry = Arc::new(Registry::new(&Settings::default(), source.read().unwrap(), &[]));
        let reload = new(Arc::clone(&registry), move || source.read().map_err(|note| note.to_string()));
        std::fs::write(&file, "mappings:\n- {match: a, nam: second}\n").unwrap();
        assert!(reload().unwrap_err().contains("nam"));
        assert_eq!(registry.rules().mapping.as_ref().unwrap().rules().len(), 1);
        std::fs::write(&file, "mappings:\n- {match: a, name: b}\n- {match: c, name: d}\n").unwrap();
        reload().unwrap();
        assert_eq!(registry.rules().mapping.as_ref().unwrap().rules().len(), 2);
    }
}
