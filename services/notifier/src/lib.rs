//! The notifier: takes alert changes, gives messages to the receivers that the routes name, and cases to readers; keeps
//! cases, alerts, deliveries and attempts.
//!
//! Scales by consumer group for what it takes in ([`intake`](self)), and by leases for what it sends. A change is applied
//! to its case exactly once (position row and alert version); a message is sent at least once, always with the same id.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod access;
mod api;
mod apply;
mod change;
mod deliver;
mod dispatch;
mod history;
mod intake;
mod message;
mod metrics;
mod moved;
mod news;
mod order;
mod problem;
mod random;
mod receiver;
mod schools;
mod storm;
mod tell;

pub use access::{Localities, new_token};
pub use dispatch::NoRandomness;
pub use message::{Digest, Message, OpenCases, Said, Summary, TemplateError, Told, level_words};
pub use metrics::{IntakeLabel, Metrics, OutcomeLabel};
pub use random::{Random, of_system};

use crate::api::Api;
use crate::deliver::Deliverer;
use crate::dispatch::Dispatch;
use crate::intake::{Partition, Shared};
use crate::metrics::Course;
use installation::{Begun, Parts, StartError};
use service::egress::Egress;
use service::http::{self, Limits};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use transport::{ConsumerConfig, ConsumerError, Topic};

/// The consumer group of all notifier processes.
pub const GROUP: &str = "earlybell-notifier";
/// Alert batches in one transaction: up to some thousand changes, so that it ends well within `stall`.
const BATCH: u32 = 20;
/// What readers may use up.
const LIMITS: Limits =
    Limits { header_timeout: Duration::from_secs(10), connections: 128, drain: Duration::from_secs(2) };

/// Why the service ended.
#[derive(Debug, thiserror::Error)]
pub enum NotifierError {
    /// It could not begin.
    #[error(transparent)]
    Start(#[from] StartError),
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
    /// The consumer ended.
    #[error(transparent)]
    Consumer(#[from] ConsumerError),
}

/// Runs until the lifecycle's soft token is cancelled. References and jitter are drawn from `random`.
pub async fn run(parts: Parts, metrics: Metrics, random: Random) -> Result<(), NotifierError> {
    let Some(Begun { namespace, in_force, .. }) = parts.begin(&[Topic::alerts()]).await? else { return Ok(()) };
    let settings = &parts.settings.notifier;
    let address = settings.listen;
    let listener = TcpListener::bind(address).await.map_err(|source| NotifierError::Listen { address, source })?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(listen.address = %address, "cases can be read");
    }
    let (store, clock) = (parts.store.clone(), parts.clock.clone());
    let api = Api { store: store.clone(), clock: clock.clone(), in_force: in_force.clone(), metrics: metrics.clone() };
    parts.lifecycle.serve("cases", move |stop| http::serve(listener, api::router(api), LIMITS, stop));
    let (wake, woken) = watch::channel(());
    let deliverer = Deliverer {
        store: store.clone(),
        egress: Egress::new().map_err(|error| NotifierError::Tls(error.to_string()))?,
        clock: clock.clone(),
        metrics: metrics.clone(),
        settings: settings.clone(),
    };
    let dispatching = Dispatch {
        deliverer,
        in_force: in_force.clone(),
        wake: woken,
        random: Arc::clone(&random),
        namespace,
        stop: parts.lifecycle.soft(),
    };
    parts.lifecycle.run("deliveries", dispatch::run(dispatching));
    let topic: Arc<str> = Topic::alerts().into();
    let consumer = ConsumerConfig { tick: settings.tick, ..parts.consumer(GROUP, [Arc::clone(&topic)], BATCH) };
    let course = Course(metrics.clone());
    let shared = Arc::new(Shared { store, in_force, clock, random, namespace, metrics, topic, wake });
    let factory = move |place: &transport::TopicPartition| Partition::new(Arc::clone(&shared), place.partition);
    transport::run(consumer, factory, parts.lifecycle.soft(), course).await?;
    Ok(())
}
