//! The Kafka that librdkafka itself ships, for the demonstration and for tests: the same client code speaks to it over TCP.
//!
//! Keeps its topics in memory until the process ends, 5 MiB a partition, the oldest going first without a word: whoever
//! writes must not run further ahead than that. It has no administration: topics are made here.

use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

/// Bytes that a partition keeps (librdkafka, `rdkafka_mock.c`).
pub const PARTITION_BYTES: u64 = 5 << 20;

/// The broker could not be started, or refuses a topic.
#[derive(Debug, thiserror::Error)]
#[error("the embedded broker fails ({0}); it needs memory and a free local port")]
pub struct EmbeddedError(#[from] KafkaError);

/// A broker in this process.
pub struct Embedded {
    /// Never destroyed: a client that is still closing would hang.
    cluster: &'static MockCluster<'static, DefaultProducerContext>,
}

impl Embedded {
    /// Starts it.
    pub fn start() -> Result<Self, EmbeddedError> {
        Ok(Self { cluster: Box::leak(Box::new(MockCluster::new(1)?)) })
    }

    /// Where it listens: `host:port`.
    pub fn brokers(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    /// Makes a topic.
    pub fn create_topic(&self, name: &str, partitions: u32) -> Result<(), EmbeddedError> {
        let partitions = i32::try_from(partitions).unwrap_or(i32::MAX);
        Ok(self.cluster.create_topic(name, partitions, 1)?)
    }
}
