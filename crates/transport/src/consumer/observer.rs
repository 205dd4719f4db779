//! What the consumer tells while it runs, for metrics. Takes nothing back: an observer cannot change the course.

use crate::consumer::budget::Load;
use crate::consumer::worker::{Release, Start};
use crate::topic::TopicPartition;

/// Hears what happens; every method does nothing by default. Called from the loop: must not block.
pub trait Observer: Send + Sync + 'static {
    /// The group names us for the partition.
    fn assigned(&self, _at: &TopicPartition) {}
    /// A worker has taken it over and reading begins here.
    fn claimed(&self, _at: &TopicPartition, _start: Start) {}
    /// We no longer have it.
    fn revoked(&self, _at: &TopicPartition, _why: Release) {}
    /// Nobody here works on it any more: what was told of it holds no longer.
    fn vacated(&self, _at: &TopicPartition) {}
    /// A batch is durable.
    fn batch(&self, _at: &TopicPartition, _load: Load) {}
    /// A worker was refused; it will take over again if the group still names us.
    fn fenced(&self, _at: &TopicPartition, _cause: &str) {}
    /// A call failed for now and will be repeated.
    fn retrying(&self, _at: &TopicPartition, _cause: &str) {}
    /// Messages in the partition that are not durable with us yet.
    fn lag(&self, _at: &TopicPartition, _messages: u64) {}
    /// Kafka reported an error that passes by itself.
    fn broker_error(&self, _reason: &str) {}
}

/// An observer that does nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {}
