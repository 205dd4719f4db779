//! The service as a whole: HTTP and the loop, from the same parts, until it is asked to stop.

use crate::http::{App, router};
use crate::metrics::{Course, Metrics};
use crate::partition::{Partition, Shared};
use installation::{Begun, InForce, Parts, StartError};
use service::config::Settings;
use service::lifecycle::{HTTP_DRAIN, Lifecycle};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use transport::{
    Admin, AdminError, ConsumerConfig, ConsumerError, ProduceError, Producer, ProducerConfig, Topic, TopicSpec,
};

/// The consumer group of all ingest processes.
pub const GROUP: &str = "earlybell-ingest";
/// A request waits for it; many at once share a batch.
const LINGER: Duration = Duration::from_millis(5);

/// Why the service ended.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// It could not begin.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The address for schools cannot be had.
    #[error("ingest.listen {0} cannot be had ({1}); is another process there?")]
    Listen(SocketAddr, std::io::Error),
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

/// Runs until the lifecycle's soft token is cancelled. Schools are served on `listener`, or where there is none on the
/// settings' address.
pub async fn run(parts: Parts, metrics: Metrics, listener: Option<TcpListener>) -> Result<(), IngestError> {
    let begun = parts.begin(&[Topic::events(), Topic::registers()]).await?;
    let Some(Begun { partitions, namespace, in_force, admin }) = begun else { return Ok(()) };
    let producer = ProducerConfig {
        linger: LINGER,
        delivery_timeout: parts.settings.kafka.delivery_timeout,
        ..ProducerConfig::new(parts.connection.clone())
    };
    let shared = Arc::new(Shared {
        store: parts.store.clone(),
        connection: parts.connection.clone(),
        producer: Producer::new(&producer)?,
        in_force: in_force.clone(),
        clock: parts.clock.clone(),
        newest: parts.newest.clone(),
        metrics: metrics.clone(),
        namespace,
        events: Topic::events().into(),
        partitions,
        admin: admin.clone(),
    });
    let listener = match listener {
        Some(listener) => listener,
        None => bind(parts.settings.ingest.listen).await?,
    };
    listen(listener, &parts.settings, Arc::clone(&shared), &parts.lifecycle);
    let stop = parts.lifecycle.soft();
    while !stop.is_cancelled() {
        // Until the policy names other suppliers: then their topics are read from where each stands.
        let round = stop.child_token();
        let now = Arc::clone(&in_force.borrow());
        let Some(topics) = stop.run_until_cancelled(topics(&admin, &now, &parts.settings, partitions)).await else {
            break;
        };
        let consumer = consumer(&parts, topics);
        let loop_parts = Arc::clone(&shared);
        let factory = move |place: &transport::TopicPartition| Partition::new(Arc::clone(&loop_parts), place);
        let (changed, ended) = (other_suppliers(in_force.clone(), now, round.clone()), round.clone());
        parts.lifecycle.run("suppliers", changed);
        let read = transport::run(consumer, factory, round, Course(metrics.clone())).await;
        ended.cancel();
        read?;
    }
    Ok(())
}

fn consumer(parts: &Parts, topics: Vec<Arc<str>>) -> ConsumerConfig {
    parts.consumer(GROUP, topics, parts.settings.consumer.batch_messages.get())
}

/// Ends the round once the policy names other suppliers than `then`.
async fn other_suppliers(
    mut in_force: watch::Receiver<Arc<InForce>>,
    then: Arc<InForce>,
    round: CancellationToken,
) -> Result<(), std::convert::Infallible> {
    let same = |now: &Arc<InForce>| now.policy.suppliers.keys().eq(then.policy.suppliers.keys());
    tokio::select! {
        () = round.cancelled() => {}
        changed = in_force.wait_for(|now| !same(now)) => if changed.is_ok() {
            tracing::info!("the policy names other suppliers: their topics are read from now on");
            round.cancel();
        },
    }
    Ok(())
}

async fn bind(address: SocketAddr) -> Result<TcpListener, IngestError> {
    TcpListener::bind(address).await.map_err(|error| IngestError::Listen(address, error))
}

fn listen(listener: TcpListener, settings: &Settings, shared: Arc<Shared>, lifecycle: &Lifecycle) {
    if let Ok(address) = listener.local_addr() {
        tracing::info!(ingest.address = %address, "schools are served");
    }
    let limits = service::http::Limits {
        header_timeout: settings.ingest.header_timeout,
        connections: usize::try_from(settings.ingest.connections.get()).unwrap_or(usize::MAX),
        drain: HTTP_DRAIN,
    };
    let app = Arc::new(App::new(shared, Topic::registers().into(), &settings.ingest));
    let served = service::http::serve(listener, router(app), limits, lifecycle.soft());
    lifecycle.run("http", async move {
        served.await;
        Ok::<_, std::convert::Infallible>(())
    });
}

/// The topics to read: HTTP's own, and one a supplier of the policy, made where it is missing.
async fn topics(admin: &Admin, in_force: &InForce, settings: &Settings, partitions: u32) -> Vec<Arc<str>> {
    let mut topics: Vec<Arc<str>> = vec![Topic::registers().into()];
    for name in in_force.policy.suppliers.keys() {
        let Ok(topic) = Topic::supplier(name) else { continue };
        let mut spec = TopicSpec::new(topic.as_str(), partitions, u32::from(settings.kafka.replication.get()));
        spec.min_in_sync = u32::from(settings.kafka.min_insync.get());
        // Schools go on being served: while Kafka is away HTTP tells them so.
        loop {
            match admin.ensure_topic(&spec).await {
                Ok(_) => break topics.push(topic.into()),
                Err(error) if error.is_retryable() => {
                    tracing::warn!(topic = topic.as_str(), %error, "a supplier's topic cannot be looked at; trying again");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(error) => {
                    break tracing::error!(topic = topic.as_str(), %error, "this supplier is not read until the next start");
                }
            }
        }
    }
    topics
}
