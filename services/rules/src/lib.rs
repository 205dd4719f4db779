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
mod in_force;
mod judging;
mod memory;
mod metrics;
mod partition;
mod pupil;
mod relay;
mod restore;
pub mod snapshot;

pub use in_force::{InForce, InForceError, load as load_in_force};
pub use metrics::Metrics;

use crate::metrics::Course;
use crate::partition::{Partition, Shared};
use attendance::Session;
use service::clock::{Clock, NewestSession};
use service::config::Settings;
use service::lifecycle::Lifecycle;
use service::readiness::{Check, Readiness};
use std::sync::Arc;
use std::time::Duration;
use store::{Store, StoreError, installation};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use transport::{
    Admin, AdminError, Connection, ConsumerConfig, ConsumerError, Load, ProduceError, Producer, ProducerConfig, Topic,
};
use uuid::Uuid;

/// The consumer group of all rules processes.
const GROUP: &str = "earlybell-rules";
/// How often the rule set in force and the installation's clock are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Alerts do not wait for company.
const LINGER: Duration = Duration::from_millis(5);

/// Why the service ended.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// Nothing was founded yet.
    #[error("the database holds no installation; run `earlybell migrate`")]
    NoInstallation,
    /// The row was written by something else.
    #[error("the installation's namespace is no UUID; restore the row from a backup")]
    Namespace,
    /// The topic and the database disagree.
    #[error(
        "topic {topic} has {found} partitions, the installation was founded with {wanted}: a pupil's events would change \
         places; make a new topic with {wanted}, drain the old one, then switch"
    )]
    Partitions {
        /// The topic.
        topic: Arc<str>,
        /// How many it has.
        found: u32,
        /// How many it must have.
        wanted: i32,
    },
    /// No policy that can be read.
    #[error(transparent)]
    InForce(#[from] InForceError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Kafka's administration.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// Kafka's producer.
    #[error(transparent)]
    Produce(#[from] ProduceError),
    /// The consumer ended.
    #[error(transparent)]
    Consumer(#[from] ConsumerError),
}

/// What the service works with.
pub struct Parts {
    /// How it runs.
    pub settings: Settings,
    /// The database.
    pub store: Store,
    /// Where Kafka is.
    pub connection: Connection,
    /// The clock, and the handle that moves it where the installation runs by registers.
    pub clock: Clock,
    /// See `clock`.
    pub newest: NewestSession,
    /// What it counts.
    pub metrics: Metrics,
    /// Where it says how it is.
    pub readiness: Readiness,
    /// Its tasks.
    pub lifecycle: Lifecycle,
}

/// Runs until the lifecycle's soft token is cancelled.
pub async fn run(parts: Parts) -> Result<(), RulesError> {
    let Parts { settings, store, connection, clock, newest, metrics, readiness, lifecycle } = parts;
    let installation = installation::get(&store).await?.ok_or(RulesError::NoInstallation)?;
    let (events, alerts) = (Topic::events(), Topic::alerts());
    let (events, alerts): (Arc<str>, Arc<str>) = (events.as_str().into(), alerts.as_str().into());
    let admin = Admin::new(&connection, Duration::from_secs(10))?;
    for topic in [&events, &alerts] {
        let found = admin.partition_count(topic).await?;
        if i32::try_from(found) != Ok(installation.event_partitions) {
            let (topic, wanted) = (Arc::clone(topic), installation.event_partitions);
            return Err(RulesError::Partitions { topic, found, wanted });
        }
    }
    note_clock(&installation, &newest);
    let in_force = first_in_force(&store, &readiness.check("policy"), &lifecycle.soft()).await?;
    let Some(in_force) = in_force else { return Ok(()) };
    let (sender, receiver) = watch::channel(in_force);
    lifecycle.run("policy", keep_fresh(store.clone(), sender, newest, readiness.check("database"), lifecycle.soft()));
    let producer = ProducerConfig { linger: LINGER, ..ProducerConfig::new(connection.clone()) };
    let consumer = consumer_config(&settings, connection, &events);
    let shared = Arc::new(Shared {
        store,
        producer: Producer::new(&producer)?,
        in_force: receiver,
        clock,
        settings: settings.rules,
        metrics: metrics.clone(),
        namespace: Uuid::parse_str(&installation.namespace).map_err(|_| RulesError::Namespace)?,
        events,
        alerts,
    });
    readiness.check("policy").set_ok();
    let factory = move |place: &transport::TopicPartition| Partition::new(Arc::clone(&shared), place.partition);
    transport::run(consumer, factory, lifecycle.soft(), Course(metrics)).await?;
    Ok(())
}

fn consumer_config(settings: &Settings, connection: Connection, events: &Arc<str>) -> ConsumerConfig {
    let consumer = &settings.consumer;
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let batch =
        Load { messages: count(consumer.batch_messages.get().into()), bytes: count(consumer.batch_bytes.bytes()) };
    let budget = Load { messages: batch.messages * 100, bytes: count(consumer.budget_bytes.bytes()) };
    let partition = Load { messages: batch.messages * 4, bytes: (batch.bytes * 4).min(budget.bytes) };
    ConsumerConfig {
        session_timeout: consumer.session_timeout,
        batch,
        partition_budget: partition,
        total_budget: budget,
        tick: settings.rules.tick,
        stall: consumer.stall,
        ..ConsumerConfig::new(connection, GROUP, [Arc::clone(events)])
    }
}

/// Waits for a policy; none where the service is asked to stop before there is one.
async fn first_in_force(
    store: &Store,
    check: &Check,
    stop: &CancellationToken,
) -> Result<Option<Arc<InForce>>, InForceError> {
    loop {
        match in_force::load(store).await {
            Ok(in_force) => return Ok(Some(in_force)),
            Err(error) if error.is_retryable() => check.set_failed(error.to_string()),
            Err(error) => return Err(error),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stop.cancelled() => return Ok(None),
        }
    }
}

/// Looks at the rule set in force and the clock again and again.
async fn keep_fresh(
    store: Store,
    sender: watch::Sender<Arc<InForce>>,
    newest: NewestSession,
    check: Check,
    stop: CancellationToken,
) -> Result<(), InForceError> {
    while !stop.is_cancelled() {
        let held = Arc::clone(&sender.borrow());
        let looked = match in_force::refresh(&store, &held).await {
            Ok(found) => {
                if let Some(in_force) = found {
                    tracing::info!(policy.version = in_force.version, "another policy is in force");
                    sender.send_replace(in_force);
                }
                installation::get(&store).await.map_err(InForceError::from)
            }
            Err(error) => Err(error),
        };
        match looked {
            Ok(Some(installation)) => {
                note_clock(&installation, &newest);
                check.set_ok();
            }
            Ok(None) => check.set_failed("the database holds no installation any more"),
            Err(error) if error.is_retryable() => check.set_failed(error.to_string()),
            Err(error) => return Err(error),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stop.cancelled() => {}
        }
    }
    Ok(())
}

fn note_clock(installation: &installation::Installation, newest: &NewestSession) {
    if let Some(session) = installation.clock_session {
        newest.advance(Session::from_number(session));
    }
}
