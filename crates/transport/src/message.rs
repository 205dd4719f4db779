//! A message as we own it: takes librdkafka's borrowed message, gives one that is cheap to clone and outlives the
//! client. Keeps no meaning of the bytes.

use std::sync::Arc;

use rdkafka::message::{BorrowedMessage, Headers, Message as _, OwnedHeaders};

use crate::topic::TopicPartition;

/// A header: a name and, unless it is null, bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Not empty by custom; Kafka does not check.
    pub name: Arc<str>,
    /// `None` is Kafka's null.
    pub value: Option<Arc<[u8]>>,
}

impl Header {
    /// A header with a value.
    pub fn new(name: impl Into<Arc<str>>, value: impl Into<Arc<[u8]>>) -> Self {
        Self { name: name.into(), value: Some(value.into()) }
    }
}

/// A message that was read. Clones share the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The topic's full name.
    pub topic: Arc<str>,
    /// From 0.
    pub partition: u32,
    /// From 0, ascending within a partition, not always without gaps.
    pub offset: i64,
    /// Milliseconds since 1970 (UTC), the producer's or the broker's by the topic's setting.
    pub timestamp_ms: Option<i64>,
    /// `None` if the producer gave no key.
    pub key: Option<Arc<[u8]>>,
    /// In the producer's order; names can repeat.
    pub headers: Vec<Header>,
    /// The bytes; a null value is given as empty.
    pub payload: Arc<[u8]>,
}

impl Message {
    /// Bytes that the message holds in memory, roughly: key, payload and headers, not the structure itself.
    pub fn bytes(&self) -> usize {
        let headers = self.headers.iter().map(|h| h.name.len() + h.value.as_ref().map_or(0, |v| v.len()));
        self.key.as_ref().map_or(0, |k| k.len()) + self.payload.len() + headers.sum::<usize>()
    }

    /// The first header of that name, if it has a value.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|h| &*h.name == name).and_then(|h| h.value.as_deref())
    }

    /// Where the message was read.
    pub fn place(&self) -> TopicPartition {
        TopicPartition { topic: Arc::clone(&self.topic), partition: self.partition }
    }

    /// Copies what librdkafka lends; `topic` is its name, already shared.
    pub(crate) fn from_borrowed(borrowed: &BorrowedMessage<'_>, topic: Arc<str>) -> Self {
        let headers = borrowed.headers().map_or_else(Vec::new, |headers| {
            headers.iter().map(|h| Header { name: h.key.into(), value: h.value.map(Into::into) }).collect()
        });
        Self {
            topic,
            partition: u32::try_from(borrowed.partition()).unwrap_or_default(),
            offset: borrowed.offset(),
            timestamp_ms: borrowed.timestamp().to_millis(),
            key: borrowed.key().map(Into::into),
            headers,
            payload: borrowed.payload().unwrap_or_default().into(),
        }
    }
}

/// Headers as librdkafka takes them.
pub(crate) fn native_headers(headers: &[Header]) -> Option<OwnedHeaders> {
    if headers.is_empty() {
        return None;
    }
    let empty = OwnedHeaders::new_with_capacity(headers.len());
    Some(headers.iter().fold(empty, |all, header| {
        all.insert(rdkafka::message::Header { key: &header.name, value: header.value.as_deref() })
    }))
}
