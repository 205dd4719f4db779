//! Names of topics and the partition of a key. Takes supplier names and keys, gives `attendance.<name>.v1` and the same
//! partition as Java's default partitioner. Keeps nothing.

use std::fmt;
use std::sync::Arc;

/// The longest name Kafka allows for a topic, in characters.
const LONGEST_NAME: usize = 249;

/// A topic of ours: `attendance.<name>.v1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Arc<str>);

/// A supplier whose name cannot be part of a topic's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// Kafka allows letters, digits, `-` and `_`; a dot would begin a new part of the name.
    #[error("supplier `{0}` cannot name a topic: use 1 to 200 of a to z, 0 to 9, `-`, `_`")]
    Supplier(String),
}

impl Topic {
    /// Registers that came over HTTP.
    pub fn registers() -> Self {
        Self::of("registers")
    }

    /// Registers that one supplier writes itself.
    pub fn supplier(name: &str) -> Result<Self, TopicError> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        let longest = LONGEST_NAME - "attendance.registers..v1".len();
        if name.is_empty() || name.len() > longest.min(200) || !name.chars().all(allowed) {
            return Err(TopicError::Supplier(name.to_owned()));
        }
        Ok(Self::of(&format!("registers.{name}")))
    }

    /// Everything that changes a pupil, in slices.
    pub fn events() -> Self {
        Self::of("events")
    }

    /// Changes of alerts.
    pub fn alerts() -> Self {
        Self::of("alerts")
    }

    /// The name as Kafka knows it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of(name: &str) -> Self {
        Self(format!("attendance.{name}.v1").into())
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Topic> for Arc<str> {
    fn from(topic: Topic) -> Self {
        topic.0
    }
}

/// One partition of one topic. Its text form is `topic-partition`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's full name.
    pub topic: Arc<str>,
    /// From 0.
    pub partition: u32,
}

impl TopicPartition {
    /// The partition `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: u32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// librdkafka's number of a partition: it counts in `i32`, where -1 means "any".
pub(crate) fn native(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

/// The partition of `key` among `partitions` (at least 1; 0 counts as 1), as Java's default partitioner and librdkafka's
/// `murmur2_random` choose it: `toPositive(murmur2(key)) % partitions`.
pub fn partition_of(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partitions.max(1)
}

/// Kafka's murmur2, seed and all (`org.apache.kafka.common.utils.Utils.murmur2`).
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    // The length enters modulo 2^32, as Java's `int` does.
    #[expect(clippy::cast_possible_truncation, reason = "keys are far below 4 GiB, and wrapping is what Java does")]
    let mut h = SEED ^ data.len() as u32;
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0_u32, |tail, byte| (tail << 8) | u32::from(*byte));
        h = (h ^ tail).wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_gives_what_java_gives() {
        // The vectors of Kafka's own `UtilsTest.testMurmur2`.
        let vectors: [(&str, i32); 6] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (key, hash) in vectors {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    #[test]
    fn a_partition_is_within_the_topic_even_if_the_hash_is_negative() {
        assert_eq!(partition_of(b"21", 64), (-973_932_308_i32).cast_unsigned() % 0x8000_0000 % 64);
        assert_eq!(partition_of(b"anything", 1), 0);
        assert_eq!(partition_of(b"anything", 0), 0);
    }

    #[test]
    fn topics_are_named_by_one_pattern() {
        assert_eq!(Topic::registers().as_str(), "attendance.registers.v1");
        assert_eq!(Topic::events().as_str(), "attendance.events.v1");
        assert_eq!(Topic::alerts().as_str(), "attendance.alerts.v1");
        assert_eq!(Topic::supplier("acme_mis").unwrap().as_str(), "attendance.registers.acme_mis.v1");
    }

    #[test]
    fn a_supplier_that_kafka_could_not_name_is_refused() {
        for name in ["", "a.b", "Acme", "a b", &"x".repeat(201)] {
            assert!(Topic::supplier(name).is_err(), "{name}");
        }
    }
}
