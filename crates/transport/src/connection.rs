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
