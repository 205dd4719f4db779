//! How every client reaches Kafka: takes the brokers and extra properties, gives a `ClientConfig` to build on, and sends
//! librdkafka's log lines to `tracing`. Keeps nothing.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

/// Where Kafka is, and who we say we are.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Connection {
    /// `host:port`, several separated by commas.
    pub bootstrap: String,
    /// Shown by the brokers in logs and quotas.
    pub client_id: String,
    /// Further librdkafka properties (security above all). What a client sets itself wins over these.
    pub properties: BTreeMap<String, String>,
}

/// The properties ask for what this build of librdkafka cannot do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this program was built without {feature}; take the image, or build it with `--features kafka-tls`")]
pub struct UnsupportedError {
    feature: &'static str,
}

impl UnsupportedError {
    /// Never: the same program cannot do it the next time either.
    pub fn is_retryable(&self) -> bool {
        false
    }
}

/// Names of properties only: values may be passwords.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.properties.keys().collect();
        let mut shown = f.debug_struct("Connection");
        shown
            .field("bootstrap", &self.bootstrap)
            .field("client_id", &self.client_id)
            .field("properties", &names)
            .finish()
    }
}

impl Connection {
    /// A connection without extra properties.
    pub fn new(bootstrap: impl Into<String>, client_id: impl Into<String>) -> Self {
        Self { bootstrap: bootstrap.into(), client_id: client_id.into(), properties: BTreeMap::new() }
    }

    /// Whether this build of librdkafka can connect so. Without this check a client would be refused much later, or would
    /// fail to connect for ever, in words that name no remedy.
    pub fn check(&self) -> Result<(), UnsupportedError> {
        let built_with = ClientConfig::new().create_native_config().and_then(|config| config.get("builtin.features"));
        let built_with = built_with.unwrap_or_default();
        let missing =
            self.needs().into_iter().find(|need| !built_with.split(',').any(|feature| feature.trim() == *need));
        missing.map_or(Ok(()), |feature| Err(UnsupportedError { feature }))
    }

    /// Features of librdkafka, by its own names, that the properties ask for.
    fn needs(&self) -> Vec<&'static str> {
        let property = |name: &str| self.properties.get(name).map_or("", String::as_str);
        let protocol = property("security.protocol");
        let mut needs = Vec::new();
        if protocol.ends_with("ssl") {
            needs.push("ssl");
        }
        if protocol.starts_with("sasl") && property("sasl.mechanism").starts_with("SCRAM") {
            needs.push("sasl_scram");
        }
        needs
    }

    pub(crate) fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.bootstrap).set("client.id", &self.client_id);
        config.set_log_level(RDKafkaLogLevel::Warning);
        config
    }
}

pub(crate) fn forward_log(level: RDKafkaLogLevel, facility: &str, line: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
            tracing::error!(facility, "librdkafka: {line}");
        }
        RDKafkaLogLevel::Warning => tracing::warn!(facility, "librdkafka: {line}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => tracing::info!(facility, "librdkafka: {line}"),
        RDKafkaLogLevel::Debug => tracing::debug!(facility, "librdkafka: {line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(properties: &[(&str, &str)]) -> Connection {
        let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Connection { properties, ..Connection::new("localhost:9092", "test") }
    }

    #[test]
    fn tls_and_scram_are_refused_in_a_build_without_them_and_only_there() {
        let tls = cfg!(feature = "kafka-tls");
        for (protocol, mechanism, always) in [
            ("plaintext", "", true),
            ("sasl_plaintext", "PLAIN", true),
            ("sasl_plaintext", "SCRAM-SHA-512", false),
            ("ssl", "", false),
            ("sasl_ssl", "PLAIN", false),
        ] {
            let checked = connection(&[("security.protocol", protocol), ("sasl.mechanism", mechanism)]).check();
            assert_eq!(checked.is_ok(), always || tls, "{protocol} {mechanism}: {checked:?}");
        }
        assert_eq!(connection(&[]).check(), Ok(()));
    }
}
