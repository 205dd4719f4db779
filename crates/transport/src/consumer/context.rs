//! librdkafka's callbacks. They report and return: nothing may wait or panic in them. The one exception is closing: then
//! the loop no longer runs, and an event without an answer would keep the close from ending, so they answer themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::statistics::{Partition, Statistics, Topic};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, TopicPartitionList};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::connection::forward_log;
use crate::consumer::assignment::{Change, Event};
use crate::topic::TopicPartition;

/// What the callbacks report to the loop.
#[derive(Debug)]
pub(crate) enum Signal {
    Rebalance(Event),
    /// High watermarks, and the moment of librdkafka's statistics that told them.
    High(Vec<High>, Instant),
    Error(String),
}

/// A partition's high watermark, as its leader told it last.
#[derive(Debug)]
pub(crate) struct High {
    pub(crate) at: TopicPartition,
    pub(crate) offset: i64,
    /// Whether the leader answers: else there may be more by now.
    pub(crate) answers: bool,
}

/// A leader that has not answered for so long may have more than we know. It answers a fetch at least every `fetch_wait`.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

pub(crate) struct Context {
    signals: mpsc::UnboundedSender<Signal>,
    events: AtomicU64,
    closing: AtomicBool,
}

impl Context {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Signal>) {
        let (signals, received) = mpsc::unbounded_channel();
        (Self { signals, events: AtomicU64::new(0), closing: AtomicBool::new(false) }, received)
    }

    /// From now on the callbacks answer themselves.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    fn send(&self, signal: Signal) {
        if self.signals.send(signal).is_err() {
            tracing::debug!("the consumer's loop has ended, nobody hears this signal");
        }
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        forward_log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.send(Signal::Error(format!("{error}: {reason}")));
    }

    fn stats(&self, statistics: Statistics) {
        self.send(Signal::High(highs(&statistics), Instant::now()));
    }
}

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, code: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let gained = code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        // Without a listener, as when the loop's future is dropped, nobody else would answer either.
        if self.closing.load(Ordering::Acquire) || self.signals.is_closed() {
            // Who leaves begins nothing: a gain is acknowledged without a partition.
            let result = if gained {
                consumer.incremental_assign(&TopicPartitionList::new())
            } else {
                unassign(consumer, &partitions(list))
            };
            if let Err(error) = result {
                tracing::warn!(%error, "answering the group while closing");
            }
            return;
        }
        let change = match (gained, consumer.assignment_lost()) {
            (true, _) => Change::Gained,
            (false, true) => Change::Lost,
            (false, false) => Change::Taken,
        };
        let number = self.events.fetch_add(1, Ordering::Relaxed) + 1;
        self.send(Signal::Rebalance(Event { number, change, partitions: partitions(list) }));
    }
}

/// The high watermarks that are known.
fn highs(statistics: &Statistics) -> Vec<High> {
    let is_lately = |idle: i64| u128::try_from(idle).is_ok_and(|idle| idle < ANSWERS_WITHIN.as_micros());
    let answers = |leader: i32| {
        let mut brokers = statistics.brokers.values();
        brokers.any(|broker| broker.nodeid == leader && broker.state == "UP" && is_lately(broker.rxidle))
    };
    let of_topic = |(name, topic): (&String, &Topic)| {
        let name: Arc<str> = name.as_str().into();
        let high = |partition: &Partition| {
            let number = u32::try_from(partition.partition).ok()?;
            let known = partition.hi_offset >= 0;
            known.then(|| High {
                at: TopicPartition::new(Arc::clone(&name), number),
                offset: partition.hi_offset,
                answers: answers(partition.leader),
            })
        };
        topic.partitions.values().filter_map(high).collect::<Vec<_>>()
    };
    statistics.topics.iter().flat_map(of_topic).collect()
}

/// Gives up those of the partitions that librdkafka has: it refuses a list with any other as a whole, and then waits for
/// ever. If it refuses all the same, giving up everything brings both sides together again.
pub(crate) fn unassign<C: ConsumerContext>(
    consumer: &impl Consumer<C>,
    gone: &[TopicPartition],
) -> Result<(), KafkaError> {
    let held = consumer.assignment().map(|held| partitions(&held)).unwrap_or_default();
    let mut list = TopicPartitionList::new();
    for at in gone.iter().filter(|at| held.contains(at)) {
        list.add_partition(&at.topic, crate::topic::native(at.partition));
    }
    consumer.incremental_unassign(&list).or_else(|error| {
        tracing::warn!(%error, "giving up single partitions failed: giving up all");
        consumer.unassign()
    })
}

/// Our names for a list of librdkafka's.
pub(crate) fn partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    // An event without partitions is common, and librdkafka's list is then a null pointer that must not be walked.
    if list.count() == 0 {
        return Vec::new();
    }
    let ours = |(topic, partition): (String, i32)| {
        u32::try_from(partition).ok().map(|partition| TopicPartition::new(topic, partition))
    };
    let mut all: Vec<TopicPartition> = list.to_topic_map().into_keys().filter_map(ours).collect();
    all.sort();
    all
}
