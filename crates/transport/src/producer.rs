//! The producer: takes batches of messages, answers once all of a batch are acknowledged by all in-sync replicas. Keeps a
//! bounded queue in librdkafka; full or late is an error that says when to try again.
//!
//! A batch has one completion: each message carries the same counter, the last delivery report wakes the caller. A future
//! a message, as `FutureProducer` makes, costs four times the processor time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::connection::{Connection, forward_log};
use crate::message::{Header, native_headers};
use crate::topic::native;

/// How long a batch that has filled the queue itself waits before it tries the next message again.
const QUEUE_PAUSE: Duration = Duration::from_millis(2);

/// Compression of what is sent. All three are built in: lz4 is part of librdkafka, zstd is linked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Fast; the default.
    #[default]
    Lz4,
    /// Smaller, slower.
    Zstd,
    /// For payloads that are dense already.
    None,
}

impl Compression {
    fn name(self) -> &'static str {
        match self {
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
            Self::None => "none",
        }
    }
}

/// Settings of a producer. Idempotence, `acks=all` and the partitioner are not settings: the design rests on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerConfig {
    /// Where Kafka is.
    pub connection: Connection,
    /// How long a message waits for company: 5 ms suits alerts, 20 to 50 ms bulk.
    pub linger: Duration,
    /// Codec of whole batches.
    pub compression: Compression,
    /// After this a message that is not acknowledged counts as late.
    pub delivery_timeout: Duration,
    /// Messages that may wait for their acknowledgement.
    pub queue_messages: u32,
    /// Kibibytes that may wait for their acknowledgement.
    pub queue_kib: u32,
    /// The largest message with its key and headers, in bytes; the topic's own limit must not be smaller.
    pub message_bytes: u32,
}

impl ProducerConfig {
    /// The settings of the design for this connection.
    pub fn new(connection: Connection) -> Self {
        Self {
            connection,
            linger: Duration::from_millis(5),
            compression: Compression::default(),
            delivery_timeout: Duration::from_secs(10),
            queue_messages: 100_000,
            queue_kib: 64 * 1024,
            message_bytes: 1_000_000,
        }
    }
}

/// A message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The topic's full name.
    pub topic: Arc<str>,
    /// `None`: by the key, as [`crate::partition_of`] says; without a key any.
    pub partition: Option<u32>,
    /// `None` is Kafka's null.
    pub key: Option<Vec<u8>>,
    /// The bytes.
    pub payload: Vec<u8>,
    /// In this order.
    pub headers: Vec<Header>,
    /// Milliseconds since 1970 (UTC); `None`: the time of sending.
    pub timestamp_ms: Option<i64>,
}

impl Outgoing {
    /// A message with a key, without headers, timed when it is sent.
    pub fn keyed(topic: impl Into<Arc<str>>, key: impl Into<Vec<u8>>, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            topic: topic.into(),
            partition: None,
            key: Some(key.into()),
            payload: payload.into(),
            headers: Vec::new(),
            timestamp_ms: None,
        }
    }
}

/// Why a batch is not known to be safe. Some of its messages can be in Kafka all the same: sending again repeats them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProduceError {
    /// The brokers take messages more slowly than they come.
    #[error("queue to Kafka is full at topic {topic}: send again later")]
    QueueFull {
        /// Topic of the message that found no room.
        topic: Arc<str>,
    },
    /// Not acknowledged within `delivery_timeout`.
    #[error(
        "topic {topic} acknowledged too late ({reason}): send again later, look at the brokers and in-sync replicas"
    )]
    Late {
        /// Topic of the first late message.
        topic: Arc<str>,
        /// librdkafka's words.
        reason: String,
    },
    /// Larger than `message_bytes` or the topic's limit: cut the message.
    #[error("message of {bytes} bytes for topic {topic} is too large: cut it")]
    TooLarge {
        /// Its topic.
        topic: Arc<str>,
        /// Payload and key.
        bytes: usize,
    },
    /// Sending again would not help: unknown topic or partition, no permission, a null byte in a name.
    #[error("topic {topic} refuses the message ({reason}): check that it exists and that we may write to it")]
    Refused {
        /// Its topic.
        topic: Arc<str>,
        /// librdkafka's words.
        reason: String,
    },
    /// The producer cannot go on: end the process and start again.
    #[error("producer failed for good ({reason}): restart the process")]
    Fatal {
        /// librdkafka's words.
        reason: String,
    },
}

impl ProduceError {
    /// When sending again can help; `None`: never.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::QueueFull { .. } => Some(Duration::from_secs(1)),
            Self::Late { .. } => Some(Duration::from_secs(5)),
            Self::TooLarge { .. } | Self::Refused { .. } | Self::Fatal { .. } => None,
        }
    }

    fn of(error: &KafkaError, topic: Arc<str>, bytes: usize) -> Self {
        use RDKafkaErrorCode as Code;
        let reason = error.to_string();
        match error.rdkafka_error_code() {
            Some(Code::QueueFull) => Self::QueueFull { topic },
            Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize) => Self::TooLarge { topic, bytes },
            Some(Code::Fatal | Code::Fenced | Code::PurgeQueue | Code::PurgeInflight) => Self::Fatal { reason },
            Some(
                Code::MessageTimedOut
                | Code::OperationTimedOut
                | Code::RequestTimedOut
                | Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::NotEnoughReplicas
                | Code::NotEnoughReplicasAfterAppend
                | Code::LeaderNotAvailable
                | Code::NotLeaderForPartition,
            ) => Self::Late { topic, reason },
            _ => Self::Refused { topic, reason },
        }
    }
}

/// What a batch still waits for.
struct Tally {
    /// Messages without a report, and one more while the batch is being queued.
    open: AtomicUsize,
    result: Mutex<Outcome>,
}

struct Outcome {
    first_error: Option<ProduceError>,
    waiting: Option<oneshot::Sender<Result<(), ProduceError>>>,
}

impl Tally {
    fn new(messages: usize) -> (Arc<Self>, oneshot::Receiver<Result<(), ProduceError>>) {
        let (waiting, done) = oneshot::channel();
        let result = Mutex::new(Outcome { first_error: None, waiting: Some(waiting) });
        (Arc::new(Self { open: AtomicUsize::new(messages + 1), result }), done)
    }

    /// Closes `count` of the open places; the last one answers.
    fn close(&self, count: usize, error: Option<ProduceError>) {
        // Written before the counter falls, so that whoever takes it to zero sees it.
        if let Some(error) = error {
            let mut outcome = self.result.lock().unwrap_or_else(PoisonError::into_inner);
            outcome.first_error.get_or_insert(error);
        }
        if self.open.fetch_sub(count, Ordering::AcqRel) == count {
            let mut outcome = self.result.lock().unwrap_or_else(PoisonError::into_inner);
            let answer = outcome.first_error.take().map_or(Ok(()), Err);
            if let Some(waiting) = outcome.waiting.take()
                && waiting.send(answer).is_err()
            {
                tracing::debug!("nobody waits for this batch any more");
            }
        }
    }
}

struct Context;

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        forward_log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, "producer: {reason}");
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Arc<Tally>;

    fn delivery(&self, report: &DeliveryResult<'_>, tally: Self::DeliveryOpaque) {
        let error = report.as_ref().err().map(|(error, message)| {
            let bytes = message.payload_len() + message.key_len();
            ProduceError::of(error, message.topic().into(), bytes)
        });
        tally.close(1, error);
    }
}

/// A producer; clones share it.
#[derive(Clone)]
pub struct Producer {
    inner: ThreadedProducer<Context>,
    patience: Duration,
}

impl Producer {
    /// Makes a producer; connects in the background. Errors: a property that librdkafka refuses.
    pub fn new(config: &ProducerConfig) -> Result<Self, ProduceError> {
        let mut client = config.connection.client_config();
        client
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("partitioner", "murmur2_random")
            .set("delivery.timeout.ms", config.delivery_timeout.as_millis().to_string())
            // A topic that is missing is to be told from brokers that are away, so before the message is late.
            .set("topic.metadata.propagation.max.ms", (config.delivery_timeout / 2).as_millis().to_string())
            .set("linger.ms", config.linger.as_millis().to_string())
            .set("compression.type", config.compression.name())
            .set("queue.buffering.max.messages", config.queue_messages.to_string())
            .set("queue.buffering.max.kbytes", config.queue_kib.to_string())
            .set("message.max.bytes", config.message_bytes.to_string());
        let inner = ThreadedProducer::from_config_and_context(&client, Context)
            .map_err(|error| ProduceError::Fatal { reason: error.to_string() })?;
        Ok(Self { inner, patience: config.delivery_timeout })
    }

    /// Sends all messages and returns after every one is acknowledged; the first error if one is not. Dropping the future
    /// does not take messages back.
    pub async fn send_all(&self, messages: Vec<Outgoing>) -> Result<(), ProduceError> {
        let (tally, done) = Tally::new(messages.len());
        let mut unsent = messages.len();
        for message in messages {
            // Who comes to a full queue is turned away at once. Only a batch that fills the queue itself waits: its own
            // acknowledgements make room.
            let none_queued = tally.open.load(Ordering::Acquire) == unsent + 1;
            let patience = if none_queued { Duration::ZERO } else { self.patience };
            self.enqueue(&message, &tally, patience).await?;
            unsent -= 1;
        }
        tally.close(1, None);
        done.await.unwrap_or_else(|_| Err(ProduceError::Fatal { reason: "producer is gone".to_owned() }))
    }

    async fn enqueue(&self, message: &Outgoing, tally: &Arc<Tally>, patience: Duration) -> Result<(), ProduceError> {
        let deadline = Instant::now() + patience;
        loop {
            let Err(error) = self.try_enqueue(message, tally) else { return Ok(()) };
            let full = matches!(error, ProduceError::QueueFull { .. });
            if !full || Instant::now() >= deadline {
                return Err(error);
            }
            tokio::time::sleep(QUEUE_PAUSE).await;
        }
    }

    fn try_enqueue(&self, message: &Outgoing, tally: &Arc<Tally>) -> Result<(), ProduceError> {
        let record = BaseRecord::<[u8], [u8], Arc<Tally>> {
            topic: &message.topic,
            partition: message.partition.map(native),
            payload: Some(&message.payload),
            key: message.key.as_deref(),
            timestamp: message.timestamp_ms,
            headers: native_headers(&message.headers),
            delivery_opaque: Arc::clone(tally),
        };
        self.inner.send(record).map_err(|(error, _)| {
            let bytes = message.payload.len() + message.key.as_ref().map_or(0, Vec::len);
            ProduceError::of(&error, Arc::clone(&message.topic), bytes)
        })
    }

    /// Waits until what is queued is acknowledged or failed, at most `timeout`. Errors: [`ProduceError::Late`].
    pub async fn flush(&self, timeout: Duration) -> Result<(), ProduceError> {
        let inner = self.inner.clone();
        let flushed = tokio::task::spawn_blocking(move || inner.flush(timeout)).await;
        match flushed {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(ProduceError::Late { topic: "(all)".into(), reason: error.to_string() }),
            Err(error) => Err(ProduceError::Fatal { reason: error.to_string() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_batch_answers_once_after_its_last_report_with_its_first_error() {
        let (tally, mut done) = Tally::new(3);
        tally.close(1, None);
        tally.close(1, Some(ProduceError::QueueFull { topic: "first".into() }));
        tally.close(1, Some(ProduceError::QueueFull { topic: "second".into() }));
        assert!(done.try_recv().is_err(), "the batch is still being queued");
        tally.close(1, None);
        assert_eq!(done.await.unwrap(), Err(ProduceError::QueueFull { topic: "first".into() }));
    }

    #[test]
    fn only_what_can_pass_later_names_a_time() {
        let of = |code| ProduceError::of(&KafkaError::MessageProduction(code), "t".into(), 7);
        assert!(of(RDKafkaErrorCode::QueueFull).retry_after().is_some());
        assert!(of(RDKafkaErrorCode::MessageTimedOut).retry_after().is_some());
        assert!(of(RDKafkaErrorCode::UnknownTopic).retry_after().is_none());
        assert!(of(RDKafkaErrorCode::Fatal).retry_after().is_none());
        assert_eq!(of(RDKafkaErrorCode::MessageSizeTooLarge), ProduceError::TooLarge { topic: "t".into(), bytes: 7 });
    }
}
