//! The service as a whole: HTTP and the loop, from the same parts, until it is asked to stop.

use crate::http::{App, router};
use crate::in_force::{self, InForce, PolicyError};
use crate::metrics::{Course, Metrics};
use crate::partition::{Partition, Shared};
use attendance::Session;
use service::clock::{Clock, NewestSession};
use service::config::Settings;
use service::lifecycle::{DRAIN, Lifecycle};
use service::readiness::{Check, Readiness};
use std::sync::Arc;
use std::time::Duration;
use store::{Store, StoreError, installation, policy_set};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use transport::{
    Admin, AdminError, Connection, ConsumerConfig, ConsumerError, Load, ProduceError, Producer, ProducerConfig, Topic,
    TopicSpec,
};
use uuid::Uuid;

/// The consumer group of all ingest processes.
const GROUP: &str = "earlybell-ingest";
/// How often the policy in force, the installation's clock and Kafka are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A request waits for it; many at once share a batch.
const LINGER: Duration = Duration::from_millis(5);

/// Why the service ended.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
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
        topic: Topic,
        /// How many it has.
        found: u32,
        /// How many it must have.
        wanted: u32,
    },
    /// The address for schools cannot be had.
    #[error("ingest.listen {0} cannot be had ({1}); is another process there?")]
    Listen(std::net::SocketAddr, std::io::Error),
    /// No policy that can be read.
    #[error(transparent)]
    Policy(#[from] PolicyError),
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
pub async fn run(parts: Parts) -> Result<(), IngestError> {
    let Parts { settings, store, connection, clock, newest, metrics, readiness, lifecycle } = parts;
    let installation = installation::get(&store).await?.ok_or(IngestError::NoInstallation)?;
    let partitions = u32::try_from(installation.event_partitions).unwrap_or(0);
    let admin = Admin::new(&connection, Duration::from_secs(10))?;
    let found = admin.partition_count(Topic::events().as_str()).await?;
    if found != partitions {
        return Err(IngestError::Partitions { topic: Topic::events(), found, wanted: partitions });
    }
    let stop = lifecycle.soft();
    let Some(in_force) = first_policy(&store, &readiness.check("policy"), &stop).await? else { return Ok(()) };
    let topics = topics(&admin, &in_force, &settings, partitions).await?;
    let (sender, receiver) = watch::channel(in_force);
    let producer = ProducerConfig {
        linger: LINGER,
        delivery_timeout: settings.kafka.delivery_timeout,
        ..ProducerConfig::new(connection.clone())
    };
    let shared = Arc::new(Shared {
        store: store.clone(),
        producer: Producer::new(&producer)?,
        in_force: receiver,
        clock,
        newest: newest.clone(),
        metrics: metrics.clone(),
        namespace: Uuid::parse_str(&installation.namespace).map_err(|_| IngestError::Namespace)?,
        events: Topic::events().into(),
        partitions,
    });
    let checks = Checks { policy: readiness.check("policy"), database: readiness.check("database") };
    lifecycle.run("policy", keep_fresh(store, sender, newest, checks, stop.clone()));
    lifecycle.run("kafka", watch_kafka(admin, readiness.check("kafka"), stop.clone()));
    listen(&settings, Arc::clone(&shared), &lifecycle).await?;
    let consumer = consumer_config(&settings, connection, topics);
    let factory = move |place: &transport::TopicPartition| Partition::new(Arc::clone(&shared), place);
    transport::run(consumer, factory, stop, Course(metrics)).await?;
    Ok(())
}

async fn listen(settings: &Settings, shared: Arc<Shared>, lifecycle: &Lifecycle) -> Result<(), IngestError> {
    let address = settings.ingest.listen;
    let failed = |error| IngestError::Listen(address, error);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    tracing::info!(ingest.address = %bound, "schools are served");
    let limits = service::http::Limits {
        header_timeout: settings.ingest.header_timeout,
        connections: usize::try_from(settings.ingest.connections.get()).unwrap_or(usize::MAX),
        // A second is left for the rest.
        drain: DRAIN.saturating_sub(Duration::from_secs(1)),
    };
    let app = Arc::new(App::new(shared, Topic::registers().into(), &settings.ingest));
    let served = service::http::serve(listener, router(app), limits, lifecycle.soft());
    lifecycle.run("http", async move {
        served.await;
        Ok::<_, std::convert::Infallible>(())
    });
    Ok(())
}

/// The topics to read: HTTP's own, and one a supplier of the policy, made where it is missing.
async fn topics(
    admin: &Admin,
    in_force: &InForce,
    settings: &Settings,
    partitions: u32,
) -> Result<Vec<Arc<str>>, IngestError> {
    let mut topics: Vec<Arc<str>> = vec![Topic::registers().into()];
    for name in in_force.policy.suppliers.keys() {
        let Ok(topic) = Topic::supplier(name) else { continue };
        let mut spec = TopicSpec::new(topic.as_str(), partitions, u32::from(settings.kafka.replication.get()));
        spec.min_in_sync = u32::from(settings.kafka.min_insync.get());
        admin.ensure_topic(&spec).await?;
        topics.push(topic.into());
    }
    Ok(topics)
}

fn consumer_config(settings: &Settings, connection: Connection, topics: Vec<Arc<str>>) -> ConsumerConfig {
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
        stall: consumer.stall,
        ..ConsumerConfig::new(connection, GROUP, topics)
    }
}

/// Waits for a policy; none where the service is asked to stop before there is one.
async fn first_policy(
    store: &Store,
    check: &Check,
    stop: &CancellationToken,
) -> Result<Option<Arc<InForce>>, PolicyError> {
    loop {
        match in_force::load(store).await {
            Ok(in_force) => {
                check.set_ok();
                return Ok(Some(in_force));
            }
            Err(error) if error.is_retryable() => check.set_failed(error.to_string()),
            Err(error) => return Err(error),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stop.cancelled() => return Ok(None),
        }
    }
}

struct Checks {
    policy: Check,
    database: Check,
}

/// Looks at the policy in force and the clock again and again.
async fn keep_fresh(
    store: Store,
    sender: watch::Sender<Arc<InForce>>,
    newest: NewestSession,
    checks: Checks,
    stop: CancellationToken,
) -> Result<(), PolicyError> {
    while !stop.is_cancelled() {
        let held = Arc::clone(&sender.borrow());
        match refresh(&store, &held, &newest).await {
            Ok(found) => {
                checks.database.set_ok();
                checks.policy.set_ok();
                if let Some(found) = found {
                    tracing::info!(policy.version = found.version, "another policy is in force");
                    if !found.policy.suppliers.keys().eq(held.policy.suppliers.keys()) {
                        tracing::warn!("the policy names other suppliers: start ingest again to read their topics");
                    }
                    sender.send_replace(found);
                }
            }
            Err(error) if error.is_retryable() => checks.database.set_failed(error.to_string()),
            Err(error) => return Err(error),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stop.cancelled() => {}
        }
    }
    Ok(())
}

async fn refresh(store: &Store, held: &InForce, newest: &NewestSession) -> Result<Option<Arc<InForce>>, PolicyError> {
    let version = policy_set::version(store).await?;
    if let Some(session) = installation::get(store).await?.and_then(|installation| installation.clock_session) {
        newest.advance(Session::from_number(session));
    }
    if version == Some(held.version) { Ok(None) } else { in_force::load(store).await.map(Some) }
}

/// Says whether Kafka answers.
async fn watch_kafka(admin: Admin, check: Check, stop: CancellationToken) -> Result<(), std::convert::Infallible> {
    while !stop.is_cancelled() {
        match admin.partition_count(Topic::registers().as_str()).await {
            Ok(_) => check.set_ok(),
            Err(error) => check.set_failed(error.to_string()),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stop.cancelled() => {}
        }
    }
    Ok(())
}
