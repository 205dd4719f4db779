//! Why the consumer ends. Every variant means: end the process, look, start again; the durable positions make it safe.

use std::time::Duration;

use crate::topic::TopicPartition;

/// Why [`crate::run`] ended without being asked to.
#[derive(Debug, thiserror::Error)]
pub enum ConsumerError {
    /// Settings that contradict each other, all at once.
    #[error("consumer settings: {}", .0.join("; "))]
    Config(Vec<String>),
    /// A topic to read is missing.
    #[error("topic {0} does not exist: create it first")]
    NoTopic(String),
    /// librdkafka refuses a property or a call.
    #[error("kafka client refuses to {doing} ({reason}): check the consumer's settings and permissions")]
    Client {
        /// What we were about to do.
        doing: &'static str,
        /// librdkafka's words.
        reason: String,
    },
    /// Retention has passed the position, or the topic was made anew.
    #[error(
        "{at} has no offset {position} any more (it holds {low} to {high}): messages are lost to us; restore the topic, \
         or move the position knowingly"
    )]
    PositionGone {
        /// The partition.
        at: TopicPartition,
        /// The offset that we wanted.
        position: i64,
        /// Oldest offset kept.
        low: i64,
        /// Next offset to be written.
        high: i64,
    },
    /// Kafka has no message at a position, but does not say at which.
    #[error("kafka refused one of the positions {0}: compare them with the topics' offsets")]
    PositionRefused(String),
    /// Messages came that the client cannot read.
    #[error("messages at one of {positions} cannot be read ({reason}): check codecs and the topic")]
    Unreadable {
        /// Partitions and the offsets from which they are read.
        positions: String,
        /// librdkafka's words.
        reason: String,
    },
    /// A worker said that going on would do harm.
    #[error("{at} cannot go on: {cause}")]
    Fatal {
        /// The partition.
        at: TopicPartition,
        /// The worker's words.
        cause: String,
    },
    /// One call of a worker took longer than `stall`, or its task died.
    #[error("{at} makes no progress: {call} has run for more than {limit:?}; ending, to start again from the position")]
    Stalled {
        /// The partition.
        at: TopicPartition,
        /// Which call.
        call: &'static str,
        /// The setting `stall`.
        limit: Duration,
    },
    /// A worker panicked.
    #[error("worker of {0} is gone without a word: look for a panic above")]
    WorkerGone(TopicPartition),
    /// Leaving the group did not end.
    #[error("closing the consumer took longer than {0:?}: end the process")]
    CloseHung(Duration),
}

impl ConsumerError {
    /// Whether calling `run` again in the same process can help: never. Start the process again.
    pub fn is_retryable(&self) -> bool {
        false
    }
}
