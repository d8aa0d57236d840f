//! Who speaks, in the forms in which it is written over and over.

use crate::settings::{Settings, StatsdStyle};
use crate::wire;

#[derive(Debug)]
pub(crate) struct Identity {
    /// `service.` or `environment.host.service.`
    pub(crate) metric_prefix: String,
    /// `environment:dev,host:web-1`, or nothing in the long style.
    pub(crate) metric_tags: String,
    /// The service as part of a dotted name.
    #[cfg(feature = "pull")]
    pub(crate) service: String,
    /// `,"service.name":…` to `"event.dataset":"service.`, as each log record has it.
    pub(crate) log_members: Vec<u8>,
}

impl Identity {
    pub(crate) fn new(settings: &Settings) -> Self {
        let service = wire::part(&settings.service);
        let (environment, host) = (wire::part(&settings.environment), wire::part(&settings.host));
        let (metric_prefix, metric_tags) = match settings.statsd_style {
            StatsdStyle::Tagged => (
                format!("{service}."),
                format!("{}:{environment},{}:{host}", wire::label::ENVIRONMENT, wire::label::HOST),
            ),
            StatsdStyle::Long => (format!("{environment}.{host}.{service}."), String::new()),
        };
        let mut log_members = Vec::with_capacity(160);
        for (key, value) in [
            (wire::field::SERVICE_NAME, &settings.service),
            (wire::field::SERVICE_VERSION, &settings.version),
            (wire::field::SERVICE_ENVIRONMENT, &settings.environment),
            (wire::field::HOST_NAME, &settings.host),
        ] {
            crate::json::member(&mut log_members, key, value);
        }
        crate::json::key(&mut log_members, wire::field::EVENT_DATASET);
        log_members.extend_from_slice(format!("\"{service}.").as_bytes());
        Identity {
            metric_prefix,
            metric_tags,
            #[cfg(feature = "pull")]
            service,
            log_members,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_long_style_puts_place_before_service() {
        let mut settings = Settings::new("kittenserver");
        settings.statsd_style = StatsdStyle::Long;
        settings.environment = "prod".into();
        settings.host = "server1.example.org".into();
        let identity = Identity::new(&settings);
        assert_eq!(identity.metric_prefix, "prod.server1_example_org.kittenserver.");
        assert_eq!(identity.metric_tags, "");
    }
}
