//! Reading a part of a partition once, without a group: for who looks at an installation from outside.

use crate::connection::Connection;
use crate::message::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The longest wait for a next message.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why a part of a partition could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Kafka did not answer, or not with what was asked for.
    #[error(
        "{topic}/{partition} cannot be read from offset {offset} on ({reason}); look at the brokers and the topic's retention"
    )]
    Unreadable {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: u32,
        /// The offset.
        offset: i64,
        /// librdkafka's words.
        reason: String,
    },
}

impl ReadError {
    /// Whether asking again can help.
    pub fn is_retryable(&self) -> bool {
        true
    }
}

/// The messages of a partition whose offsets lie in the range; the end must be one that the partition has reached.
pub async fn read_range(
    connection: &Connection,
    topic: impl Into<Arc<str>>,
    partition: u32,
    offsets: Range<i64>,
) -> Result<Vec<Message>, ReadError> {
    let (connection, topic) = (connection.clone(), topic.into());
    if offsets.is_empty() {
        return Ok(Vec::new());
    }
    let (name, start) = (Arc::clone(&topic), offsets.start);
    let read = tokio::task::spawn_blocking(move || read(&connection, &topic, partition, offsets)).await;
    let unreadable = |offset, reason| ReadError::Unreadable { topic: name, partition, offset, reason };
    match read {
        Ok(Ok(messages)) => Ok(messages),
        Ok(Err((offset, error))) => Err(unreadable(offset, error)),
        Err(error) => Err(unreadable(start, error.to_string())),
    }
}

/// The messages of partitions from an offset each to their ends, those of a partition in order, with one consumer; none where there
/// are more than `most`. Ends as they are while it reads: what comes meanwhile may be in it.
pub async fn read_to_ends(
    connection: &Connection,
    topic: impl Into<Arc<str>>,
    starts: Vec<(u32, i64)>,
    most: usize,
) -> Result<Option<Vec<Message>>, ReadError> {
    let (connection, topic) = (connection.clone(), topic.into());
    let (name, first) = (Arc::clone(&topic), starts.first().copied().unwrap_or_default());
    let read = tokio::task::spawn_blocking(move || to_ends(&connection, &topic, &starts, most)).await;
    let unreadable = |reason| ReadError::Unreadable { topic: name, partition: first.0, offset: first.1, reason };
    read.map_err(|error| error.to_string()).and_then(|read| read).map_err(unreadable)
}

fn to_ends(
    connection: &Connection,
    topic: &Arc<str>,
    starts: &[(u32, i64)],
    most: usize,
) -> Result<Option<Vec<Message>>, String> {
    let consumer = assigned(connection, topic, starts).map_err(|error| error.to_string())?;
    let (mut messages, mut ends, mut waited) = (Vec::new(), 0, Instant::now());
    while ends < starts.len() {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) if messages.len() < most => {
                messages.push(Message::from_borrowed(&message, Arc::clone(topic)));
                waited = Instant::now();
            }
            Some(Ok(_)) => return Ok(None),
            Some(Err(KafkaError::PartitionEOF(_))) => ends += 1,
            Some(Err(error)) if waited.elapsed() > PATIENCE => return Err(error.to_string()),
            None if waited.elapsed() > PATIENCE => return Err("no answer in time".to_owned()),
            Some(Err(_)) | None => {}
        }
    }
    Ok(Some(messages))
}

/// A consumer without a group that reads partitions, each from an offset, and tells their ends.
fn assigned(connection: &Connection, topic: &Arc<str>, starts: &[(u32, i64)]) -> Result<BaseConsumer, KafkaError> {
    let mut config = connection.client_config();
    config
        .set("group.id", "earlybell-reader")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error")
        .set("enable.partition.eof", "true")
        .set("fetch.queue.backoff.ms", "2");
    let consumer: BaseConsumer = config.create()?;
    let mut list = TopicPartitionList::new();
    for (partition, start) in starts {
        let native = i32::try_from(*partition).unwrap_or(i32::MAX);
        list.add_partition_offset(topic, native, Offset::Offset(*start))?;
    }
    consumer.assign(&list)?;
    Ok(consumer)
}

type Failure = (i64, String);

fn read(
    connection: &Connection,
    topic: &Arc<str>,
    partition: u32,
    offsets: Range<i64>,
) -> Result<Vec<Message>, Failure> {
    let failed = |error: KafkaError| (offsets.start, error.to_string());
    let consumer = assigned(connection, topic, &[(partition, offsets.start)]).map_err(failed)?;
    let mut messages: Vec<Message> = Vec::new();
    let mut waited = Instant::now();
    loop {
        let next = messages.last().map_or(offsets.start, |last| last.offset + 1);
        if next >= offsets.end {
            return Ok(messages);
        }
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let message = Message::from_borrowed(&message, Arc::clone(topic));
                if message.offset >= offsets.end {
                    return Ok(messages);
                }
                messages.push(message);
                waited = Instant::now();
            }
            // Offsets without a message at the very end of the log.
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(messages),
            Some(Err(error)) if waited.elapsed() > PATIENCE => return Err((next, error.to_string())),
            None if waited.elapsed() > PATIENCE => return Err((next, "no answer in time".to_owned())),
            Some(Err(_)) | None => {}
        }
    }
}
