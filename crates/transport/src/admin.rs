//! Looks after topics: takes what a topic should be, makes it if it is missing, and otherwise says in what it differs. An
//! existing topic is never changed. Keeps nothing.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::Client;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::time::Instant;

use crate::connection::{Connection, forward_log};
use crate::topic::native;

/// Between two questions whether a new topic is known.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// What a topic should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Full name.
    pub name: Arc<str>,
    /// At least 1; fixed for the topic's life.
    pub partitions: u32,
    /// Copies of each partition, at least 1.
    pub replication: u32,
    /// Copies that must have a message before it is acknowledged.
    pub min_in_sync: u32,
    /// How long messages are kept.
    pub retention: Duration,
    /// Span of one segment file: what retention deletes at a time.
    pub segment: Duration,
}

impl TopicSpec {
    /// The settings of the design: 28 days in segments of a day, all copies but one in sync (of one copy, that one).
    pub fn new(name: impl Into<Arc<str>>, partitions: u32, replication: u32) -> Self {
        const DAY: Duration = Duration::from_hours(24);
        let min_in_sync = replication.saturating_sub(1).max(1);
        Self { name: name.into(), partitions, replication, min_in_sync, retention: 28 * DAY, segment: DAY }
    }

    /// The topic's settings as Kafka names them, besides partitions and copies.
    fn settings(&self) -> [(&'static str, String); 5] {
        [
            ("cleanup.policy", "delete".to_owned()),
            ("min.insync.replicas", self.min_in_sync.to_string()),
            ("retention.ms", self.retention.as_millis().to_string()),
            ("segment.ms", self.segment.as_millis().to_string()),
            ("unclean.leader.election.enable", "false".to_owned()),
        ]
    }
}

/// What [`Admin::ensure_topic`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ensured {
    /// It was missing and is there now.
    Created,
    /// It is as it should be.
    AsWanted,
    /// It is there, otherwise; nothing was changed.
    Different(Vec<Difference>),
}

/// One difference between a topic and its specification.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// Another number of partitions: pupils would be looked for in the wrong one.
    #[error("{found} partitions instead of {wanted}: make a new topic, drain this one, switch")]
    Partitions {
        /// By the specification.
        wanted: u32,
        /// By the brokers.
        found: u32,
    },
    /// Another number of copies.
    #[error("{found} replicas instead of {wanted}: reassign the partitions with Kafka's own tool")]
    Replication {
        /// By the specification.
        wanted: u32,
        /// The fewest of any partition.
        found: u32,
    },
    /// Another value of a setting.
    #[error("{name} is {found} instead of {wanted}: change it with Kafka's own tool")]
    Setting {
        /// Kafka's name of the setting.
        name: &'static str,
        /// By the specification.
        wanted: String,
        /// By the brokers; `unset` if they name none.
        found: String,
    },
}

/// The offsets that a partition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// From 0.
    pub partition: u32,
    /// Offset of the oldest message still kept.
    pub low: i64,
    /// Offset that the next message will get.
    pub high: i64,
}

/// Why a question about topics has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// The topic does not exist.
    #[error("topic {0} does not exist: create it first")]
    NoTopic(Arc<str>),
    /// The brokers refuse to make the topic.
    #[error("topic {topic} cannot be created ({reason}): check its replication and our permissions")]
    NotCreated {
        /// The topic's full name.
        topic: Arc<str>,
        /// The broker's words.
        reason: String,
    },
    /// The brokers did not answer, or not in time.
    #[error("kafka does not answer ({reason}): check its address and that it runs")]
    Unavailable {
        /// librdkafka's words.
        reason: String,
    },
}

impl AdminError {
    /// Whether asking again can help.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    fn unavailable(error: impl std::fmt::Display) -> Self {
        Self::Unavailable { reason: error.to_string() }
    }
}

/// Sends the client's words to `tracing`.
struct Logged;

impl ClientContext for Logged {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        forward_log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, "admin client: {reason}");
    }
}

/// Partitions and copies of an existing topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    partitions: u32,
    replication: u32,
}

/// Asks and instructs the brokers; clones share the client.
#[derive(Clone)]
pub struct Admin {
    client: Arc<AdminClient<Logged>>,
    timeout: Duration,
}

impl Admin {
    /// Makes the client; connects in the background. `timeout` holds for each question.
    pub fn new(connection: &Connection, timeout: Duration) -> Result<Self, AdminError> {
        let client = AdminClient::from_config_and_context(&connection.client_config(), Logged)
            .map_err(AdminError::unavailable)?;
        Ok(Self { client: Arc::new(client), timeout })
    }

    /// Makes the topic if it is missing; otherwise compares. Never changes an existing topic.
    pub async fn ensure_topic(&self, spec: &TopicSpec) -> Result<Ensured, AdminError> {
        if self.shape(&spec.name).await?.is_none() {
            let created = self.create(spec).await?;
            self.until_known(&spec.name).await?;
            if created {
                return Ok(Ensured::Created);
            }
        }
        let differences = self.differences(spec).await?;
        Ok(if differences.is_empty() { Ensured::AsWanted } else { Ensured::Different(differences) })
    }

    /// In what an existing topic differs from its specification.
    pub async fn differences(&self, spec: &TopicSpec) -> Result<Vec<Difference>, AdminError> {
        let shape = self.shape(&spec.name).await?.ok_or_else(|| AdminError::NoTopic(Arc::clone(&spec.name)))?;
        let mut differences = shape_differences(spec, shape);
        let options = self.options();
        let topic = [ResourceSpecifier::Topic(&spec.name)];
        let answers = self.client.describe_configs(&topic, &options).await.map_err(AdminError::unavailable)?;
        let answer = answers.into_iter().next();
        let resource = answer.ok_or_else(|| AdminError::unavailable("no answer about the topic's settings"))?;
        let resource = resource.map_err(AdminError::unavailable)?;
        let found = |name: &str| resource.get(name).and_then(|entry| entry.value.clone());
        differences.extend(setting_differences(spec, found));
        Ok(differences)
    }

    /// How many brokers there are.
    pub async fn brokers(&self) -> Result<usize, AdminError> {
        let timeout = self.timeout;
        self.blocking(move |client| Ok(client.fetch_metadata(None, timeout)?.brokers().len())).await
    }

    /// How many members a consumer group has.
    pub async fn members(&self, group: &str) -> Result<usize, AdminError> {
        let (group, timeout) = (group.to_owned(), self.timeout);
        let members = self.blocking(move |client| {
            let list = client.fetch_group_list(Some(&group), timeout)?;
            Ok(list.groups().iter().map(|group| group.members().len()).sum())
        });
        members.await
    }

    /// Number of partitions. Errors: [`AdminError::NoTopic`] too.
    pub async fn partition_count(&self, topic: &str) -> Result<u32, AdminError> {
        let shape = self.shape(topic).await?.ok_or_else(|| AdminError::NoTopic(topic.into()))?;
        Ok(shape.partitions)
    }

    /// The offsets that each partition holds, in the order of partitions.
    pub async fn watermarks(&self, topic: &str) -> Result<Vec<Watermarks>, AdminError> {
        let partitions = self.partition_count(topic).await?;
        let name: Arc<str> = topic.into();
        let timeout = self.timeout;
        self.blocking(move |client| {
            let of = |partition| {
                let (low, high) = client.fetch_watermarks(&name, native(partition), timeout)?;
                Ok(Watermarks { partition, low, high })
            };
            (0..partitions).map(of).collect()
        })
        .await
    }

    /// True: made; false: somebody else was quicker.
    async fn create(&self, spec: &TopicSpec) -> Result<bool, AdminError> {
        let settings = spec.settings();
        let replication = TopicReplication::Fixed(native(spec.replication));
        let topic = NewTopic::new(&spec.name, native(spec.partitions), replication);
        let topic = settings.iter().fold(topic, |topic, (name, value)| topic.set(name, value));
        let options = self.options().operation_timeout(Some(self.timeout));
        let results = self.client.create_topics([&topic], &options).await.map_err(AdminError::unavailable)?;
        match results.into_iter().next() {
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(false),
            Some(Err((_, code))) => {
                Err(AdminError::NotCreated { topic: Arc::clone(&spec.name), reason: code.to_string() })
            }
            Some(Ok(_)) | None => Ok(true),
        }
    }

    /// Waits until the broker that we ask knows a topic that the controller has made: its own view lags a little.
    async fn until_known(&self, topic: &str) -> Result<(), AdminError> {
        let deadline = Instant::now() + self.timeout;
        while self.shape(topic).await?.is_none() {
            if Instant::now() >= deadline {
                return Err(AdminError::unavailable(format!(
                    "topic {topic} was made, but the broker does not know it"
                )));
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
        Ok(())
    }

    /// Asks for all topics: to ask for one by name can make the broker create it.
    async fn shape(&self, topic: &str) -> Result<Option<Shape>, AdminError> {
        let name: Arc<str> = topic.into();
        let timeout = self.timeout;
        self.blocking(move |client| {
            let metadata = client.fetch_metadata(None, timeout)?;
            let found = metadata.topics().iter().find(|t| t.name() == &*name && t.error().is_none());
            Ok(found.map(|topic| Shape {
                partitions: u32::try_from(topic.partitions().len()).unwrap_or(u32::MAX),
                replication: fewest(topic.partitions().iter().map(|p| p.replicas().len())),
            }))
        })
        .await
    }

    async fn blocking<T, F>(&self, ask: F) -> Result<T, AdminError>
    where
        T: Send + 'static,
        F: FnOnce(&Client<Logged>) -> Result<T, KafkaError> + Send + 'static,
    {
        let client = Arc::clone(&self.client);
        let answered = tokio::task::spawn_blocking(move || ask(client.inner())).await;
        answered.map_err(AdminError::unavailable)?.map_err(AdminError::unavailable)
    }

    fn options(&self) -> AdminOptions {
        AdminOptions::new().request_timeout(Some(self.timeout))
    }
}

fn fewest(counts: impl Iterator<Item = usize>) -> u32 {
    u32::try_from(counts.min().unwrap_or(0)).unwrap_or(u32::MAX)
}

fn shape_differences(spec: &TopicSpec, found: Shape) -> Vec<Difference> {
    let mut differences = Vec::new();
    if found.partitions != spec.partitions {
        differences.push(Difference::Partitions { wanted: spec.partitions, found: found.partitions });
    }
    if found.replication != spec.replication {
        differences.push(Difference::Replication { wanted: spec.replication, found: found.replication });
    }
    differences
}

fn setting_differences(spec: &TopicSpec, found: impl Fn(&str) -> Option<String>) -> Vec<Difference> {
    let differs = |(name, wanted): (&'static str, String)| {
        let found = found(name).unwrap_or_else(|| "unset".to_owned());
        (found != wanted).then_some(Difference::Setting { name, wanted, found })
    };
    spec.settings().into_iter().filter_map(differs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_copy_needs_itself_and_three_copies_need_two() {
        assert_eq!(TopicSpec::new("t", 8, 1).min_in_sync, 1);
        assert_eq!(TopicSpec::new("t", 8, 3).min_in_sync, 2);
    }

    #[test]
    fn every_difference_is_named_with_both_values() {
        let spec = TopicSpec::new("t", 8, 3);
        let shape = shape_differences(&spec, Shape { partitions: 4, replication: 1 });
        assert_eq!(
            shape,
            [Difference::Partitions { wanted: 8, found: 4 }, Difference::Replication { wanted: 3, found: 1 }]
        );
        let found = |name: &str| match name {
            "cleanup.policy" => Some("compact".to_owned()),
            "retention.ms" => None,
            _ => spec.settings().into_iter().find(|(n, _)| *n == name).map(|(_, value)| value),
        };
        let lines: Vec<String> = setting_differences(&spec, found).iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "cleanup.policy is compact instead of delete: change it with Kafka's own tool",
                "retention.ms is unset instead of 2419200000: change it with Kafka's own tool",
            ]
        );
    }

    #[test]
    fn a_topic_as_wanted_has_no_differences() {
        let spec = TopicSpec::new("t", 8, 3);
        assert_eq!(shape_differences(&spec, Shape { partitions: 8, replication: 3 }), []);
        let found = |name: &str| spec.settings().into_iter().find(|(n, _)| *n == name).map(|(_, value)| value);
        assert_eq!(setting_differences(&spec, found), []);
    }
}
