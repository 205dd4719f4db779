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

type Failure = (i64, String);

fn read(
    connection: &Connection,
    topic: &Arc<str>,
    partition: u32,
    offsets: Range<i64>,
) -> Result<Vec<Message>, Failure> {
    let failed = |offset: i64| move |error: KafkaError| (offset, error.to_string());
    let mut config = connection.client_config();
    config
        .set("group.id", "earlybell-reader")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error")
        .set("enable.partition.eof", "true")
        .set("fetch.queue.backoff.ms", "2");
    let consumer: BaseConsumer = config.create().map_err(failed(offsets.start))?;
    let mut list = TopicPartitionList::new();
    let native = i32::try_from(partition).unwrap_or(i32::MAX);
    list.add_partition_offset(topic, native, Offset::Offset(offsets.start)).map_err(failed(offsets.start))?;
    consumer.assign(&list).map_err(failed(offsets.start))?;
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
