//! `settings.yml`: addresses that links use, and what the services promise.

use serde::Deserialize;

/// The settings that the files are generated from; part of the program, so that a drift test needs no arguments.
const TEXT: &str = include_str!("../settings.yml");

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Addresses that people can open.
    pub links: Links,
    /// What the services promise.
    pub objectives: Objectives,
}

/// Addresses without a slash at their end.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Links {
    /// Where Grafana is.
    pub grafana: String,
    /// Where Kibana is.
    pub kibana: String,
    /// Where Zipkin is.
    pub zipkin: String,
    /// Folder of the runbooks.
    pub runbooks: String,
}

/// Promises to users.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objectives {
    /// Of every service that is not in `services`.
    pub default: Promise,
    /// Of some.
    #[serde(default)]
    pub services: Vec<ServicePromise>,
}

/// A promise.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promise {
    /// Per cent of requests in 30 days that must not fail.
    pub success: f64,
    /// Seconds within which 99 of 100 requests are answered.
    pub p99_seconds: f64,
}

/// A promise of one service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServicePromise {
    /// Its name.
    pub service: String,
    /// Where; everywhere if absent.
    #[serde(default)]
    pub environment: Option<String>,
    /// Per cent of requests in 30 days that must not fail.
    pub success: f64,
    /// Seconds within which 99 of 100 requests are answered.
    pub p99_seconds: f64,
}

impl Settings {
    /// The committed settings.
    ///
    /// # Errors
    /// When the file is not what is described here, or a promise is not one that can be kept or broken.
    pub fn committed() -> anyhow::Result<Self> {
        Self::parse(TEXT)
    }

    /// Reads settings from YAML.
    ///
    /// # Errors
    /// As for [`Settings::committed`].
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let settings: Settings = serde_saphyr::from_str(text)?;
        let named =
            settings.objectives.services.iter().map(|s| (s.service.as_str(), s.success, s.p99_seconds));
        let default = settings.objectives.default;
        for (name, success, seconds) in named.chain([("default", default.success, default.p99_seconds)]) {
            anyhow::ensure!(
                (0.0..100.0).contains(&success),
                "objectives of {name}: success is a percentage below 100, not {success}: 100 leaves nothing to spend"
            );
            anyhow::ensure!(
                seconds > 0.0,
                "objectives of {name}: p99_seconds has to be above 0, not {seconds}"
            );
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::Settings;

    #[test]
    fn refuses_promises_that_cannot_be_kept_and_unknown_keys() {
        assert!(Settings::committed().is_ok());
        let with =
            |from: &str, to: &str| Settings::parse(&super::TEXT.replace(from, to)).map_err(|e| e.to_string());
        assert!(with("success: 99.9", "success: 100").unwrap_err().contains("below 100"));
        assert!(with("p99_seconds: 0.5 }\n  #", "p99_seconds: 0 }\n  #").unwrap_err().contains("above 0"));
        assert!(with("success: 99.9", "succes: 99.9").unwrap_err().contains("succes"));
    }
}
