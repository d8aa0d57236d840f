//! The agent's HTTP port: metrics, query APIs, health and the page.
