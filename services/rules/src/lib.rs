//! The rules service: takes slices of events, gives alert changes about pupils, keeps one record a pupil and school year
//! in memory, checkpointed in the database.
//!
//! Scales by consumer group: a partition has one owner. What makes its effects exactly-once is the position row of the
//! partition, with a version that every transaction compares and sets (docs/invariants.md).
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod batch;
mod checkpoint;
mod commit;
mod due;
mod effects;
mod judging;
mod memory;
mod metrics;
mod partition;
mod place;
mod pupil;
mod relay;
mod restore;
pub mod snapshot;

pub use metrics::Metrics;

use crate::metrics::Course;
use crate::partition::{Partition, Shared};
use installation::{Begun, Parts, StartError};
use std::sync::Arc;
use std::time::Duration;
use transport::{ConsumerConfig, ConsumerError, ProduceError, Producer, ProducerConfig, Topic};

/// The consumer group of all rules processes.
pub const GROUP: &str = "earlybell-rules";
/// Alerts do not wait for company.
const LINGER: Duration = Duration::from_millis(5);

/// Why the service ended.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// It could not begin.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Kafka's producer.
    #[error(transparent)]
    Produce(#[from] ProduceError),
    /// The consumer ended.
    #[error(transparent)]
    Consumer(#[from] ConsumerError),
}

/// Runs until the lifecycle's soft token is cancelled.
pub async fn run(parts: Parts, metrics: Metrics) -> Result<(), RulesError> {
    let begun = parts.begin(&[Topic::events(), Topic::alerts()]).await?;
    let Some(Begun { namespace, in_force, .. }) = begun else { return Ok(()) };
    let (events, alerts): (Arc<str>, Arc<str>) = (Topic::events().into(), Topic::alerts().into());
    let producer = ProducerConfig { linger: LINGER, ..ProducerConfig::new(parts.connection.clone()) };
    let settings = &parts.settings;
    let consumer = ConsumerConfig {
        tick: settings.rules.tick,
        ..parts.consumer(GROUP, [Arc::clone(&events)], settings.consumer.batch_messages.get())
    };
    let shared = Arc::new(Shared {
        store: parts.store,
        producer: Producer::new(&producer)?,
        in_force,
        clock: parts.clock,
        settings: parts.settings.rules,
        metrics: metrics.clone(),
        namespace,
        events,
        alerts,
    });
    let factory = move |place: &transport::TopicPartition| Partition::new(Arc::clone(&shared), place.partition);
    transport::run(consumer, factory, parts.lifecycle.soft(), Course(metrics)).await?;
    Ok(())
}
