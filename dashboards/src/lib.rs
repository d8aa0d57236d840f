//! One typed source for what a person looks at: Grafana dashboards, rules and alerts, Kibana content.
//!
//! `sightline-dashboards write` renders it all into this package's folders, where it is committed; a test fails when
//! what is committed differs from what would be written.

pub mod boards;
pub mod elasticsearch;
pub mod files;
pub mod grafana;
pub mod kibana;
pub mod names;
pub mod promql;
pub mod queries;
pub mod rules;
pub mod settings;
pub mod uid;
