//! Fixed ids of data sources and dashboards. Provisioning, links, alerts and bookmarks hold them: never change one.

/// The Prometheus data source.
pub const PROMETHEUS: &str = "prometheus";
/// The Elasticsearch data source of the logs.
pub const LOGS: &str = "logs";
/// The Zipkin data source.
pub const ZIPKIN: &str = "zipkin";

/// Services, the home page.
pub const HOME: &str = "sightline-home";
/// One service.
pub const SERVICE: &str = "sightline-service";
/// One handler.
pub const HANDLER: &str = "sightline-handler";
/// What leaves the process.
pub const DEPENDENCIES: &str = "sightline-dependencies";
/// Panics.
pub const PANICS: &str = "sightline-panics";
/// Health checks.
pub const HEALTH: &str = "sightline-health";
/// Deploys and trends.
pub const TRENDS: &str = "sightline-trends";
/// Sign-ins and refusals.
pub const SECURITY: &str = "sightline-security";
/// The agent itself.
pub const AGENT: &str = "sightline-agent";
/// Log records.
pub const LOG_SEARCH: &str = "sightline-logs";
/// Traces.
pub const TRACES: &str = "sightline-traces";
