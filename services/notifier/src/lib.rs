//! The notifier: takes alert changes, gives messages to the receivers that the routes name, and cases to readers; keeps
//! cases, alerts, deliveries and attempts.
//!
//! Scales by consumer group for what it takes in ([`intake`](self)), and by leases for what it sends. A change is applied
//! to its case exactly once (position row and alert version); a message is sent at least once, always with the same id.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod access;
mod api;
mod apply;
mod deliver;
mod dispatch;
mod in_force;
mod intake;
mod message;
mod metrics;
mod news;
mod problem;
mod random;
mod receiver;

pub use access::{Localities, new_token};
pub use dispatch::NoRandomness;
pub use in_force::InForceError;
pub use message::{Message, TemplateError, level_words};
pub use metrics::{IntakeLabel, KindLabel, Metrics, OutcomeLabel};
pub use random::{Random, of_system};

use crate::api::Api;
use crate::deliver::Deliverer;
use crate::dispatch::Dispatch;
use crate::intake::{Partition, Shared};
use crate::metrics::Course;
use service::clock::{Clock, NewestSession};
use service::config::Settings;
use service::egress::Egress;
use service::http::{self, Limits};
use service::lifecycle::Lifecycle;
use service::readiness::Readiness;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use store::{Store, StoreError, installation};
use tokio::net::TcpListener;
use tokio::sync::watch;
use transport::{Connection, ConsumerConfig, ConsumerError, Load, Topic};
use uuid::Uuid;

/// The consumer group of all notifier processes.
const GROUP: &str = "earlybell-notifier";
/// Alert batches in one transaction: each change is several statements, and a batch has to end well within `stall`.
const BATCH: usize = 20;
/// What readers may use up.
const LIMITS: Limits =
    Limits { header_timeout: Duration::from_secs(10), connections: 128, drain: Duration::from_secs(2) };

/// Why the service ended.
#[derive(Debug, thiserror::Error)]
pub enum NotifierError {
    /// Nothing was founded yet.
    #[error("the database holds no installation; run `earlybell migrate`")]
    NoInstallation,
    /// The row was written by something else.
    #[error("the installation's namespace is no UUID; restore the row from a backup")]
    Namespace,
    /// The TLS library refuses its own defaults.
    #[error("no TLS client can be made ({0}); report it")]
    Tls(String),
    /// The readers' address.
    #[error("address {address} cannot be used: {source}; free it or set another as notifier.listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// No policy that can be read.
    #[error(transparent)]
    InForce(#[from] InForceError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
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
    /// The clock.
    pub clock: Clock,
    /// What moves it where the installation runs by registers.
    pub newest: NewestSession,
    /// What it counts.
    pub metrics: Metrics,
    /// Where it says how it is.
    pub readiness: Readiness,
    /// Its tasks.
    pub lifecycle: Lifecycle,
    /// Where references and jitter come from.
    pub random: Random,
}

/// Runs until the lifecycle's soft token is cancelled.
pub async fn run(parts: Parts) -> Result<(), NotifierError> {
    let Parts { settings, store, connection, clock, newest, metrics, readiness, lifecycle, random } = parts;
    let row = installation::get(&store).await?.ok_or(NotifierError::NoInstallation)?;
    let namespace = Uuid::parse_str(&row.namespace).map_err(|_| NotifierError::Namespace)?;
    let stop = lifecycle.soft();
    let Some(first) = in_force::first(&store, &readiness.check("policy"), &stop).await? else { return Ok(()) };
    let (sender, in_force) = watch::channel(first);
    let fresh = in_force::keep_fresh(store.clone(), sender, newest, readiness.check("database"), lifecycle.soft());
    lifecycle.run("policy", fresh);
    let address = settings.notifier.listen;
    let listener = TcpListener::bind(address).await.map_err(|source| NotifierError::Listen { address, source })?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(listen.address = %address, "cases can be read");
    }
    let api = Api { store: store.clone(), clock: clock.clone(), in_force: in_force.clone(), metrics: metrics.clone() };
    lifecycle.serve("cases", move |stop| http::serve(listener, api::router(api), LIMITS, stop));
    let (wake, woken) = watch::channel(());
    let deliverer = Deliverer {
        store: store.clone(),
        egress: Egress::new().map_err(|error| NotifierError::Tls(error.to_string()))?,
        clock: clock.clone(),
        metrics: metrics.clone(),
        settings: settings.notifier.clone(),
    };
    let dispatching = Dispatch {
        deliverer,
        in_force: in_force.clone(),
        wake: woken,
        random: Arc::clone(&random),
        stop: stop.clone(),
    };
    lifecycle.run("deliveries", dispatch::run(dispatching));
    let topic: Arc<str> = Topic::alerts().as_str().into();
    let consumer = consumer_config(&settings, connection, &topic);
    let course = Course(metrics.clone());
    let shared = Arc::new(Shared { store, in_force, clock, random, namespace, metrics, topic, wake });
    let factory = move |place: &transport::TopicPartition| Partition::new(Arc::clone(&shared), place.partition);
    transport::run(consumer, factory, stop, course).await?;
    Ok(())
}

fn consumer_config(settings: &Settings, connection: Connection, alerts: &Arc<str>) -> ConsumerConfig {
    let consumer = &settings.consumer;
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let batch = Load { messages: BATCH, bytes: count(consumer.batch_bytes.bytes()) };
    let budget = Load { messages: batch.messages * 100, bytes: count(consumer.budget_bytes.bytes()) };
    let partition = Load { messages: batch.messages * 4, bytes: (batch.bytes * 4).min(budget.bytes) };
    ConsumerConfig {
        session_timeout: consumer.session_timeout,
        batch,
        partition_budget: partition,
        total_budget: budget,
        tick: settings.notifier.tick,
        stall: consumer.stall,
        ..ConsumerConfig::new(connection, GROUP, [Arc::clone(alerts)])
    }
}
