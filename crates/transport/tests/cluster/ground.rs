//! Where a story plays: takes the kind of cluster, gives topics, producers and running members of a group. Keeps the mock
//! cluster alive until the story is over.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use transport::{
    Connection, ConsumerConfig, ConsumerError, Embedded, Outgoing, Producer, ProducerConfig, TopicPartition, run,
};

use crate::book::{Book, Clerk, Onlooker};

/// The longest that anything in a story may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

pub(crate) enum Ground {
    Mock(Embedded),
    Real,
}

impl Ground {
    pub(crate) fn mock() -> Self {
        Self::Mock(Embedded::start().expect("mock cluster"))
    }

    pub(crate) async fn real() -> Self {
        tokio::task::spawn_blocking(support::kafka).await.expect("a real Kafka");
        Self::Real
    }

    pub(crate) fn connection(&self) -> Connection {
        let brokers = match self {
            Self::Mock(cluster) => cluster.brokers(),
            Self::Real => support::kafka().brokers().to_owned(),
        };
        Connection::new(brokers, "story")
    }

    pub(crate) async fn topic(&self, name: &str, partitions: u32) -> Arc<str> {
        match self {
            Self::Mock(cluster) => cluster.create_topic(name, partitions).expect("topic"),
            Self::Real => {
                support::kafka().create_topic(name, i32::try_from(partitions).expect("few")).await.expect("topic");
            }
        }
        name.into()
    }

    pub(crate) fn producer(&self) -> Producer {
        Producer::new(&ProducerConfig::new(self.connection())).expect("producer")
    }

    pub(crate) fn config(&self, topic: &Arc<str>) -> ConsumerConfig {
        ConsumerConfig {
            // The mock cluster lets a first join wait 3 s; a shorter session would end in that time.
            session_timeout: Duration::from_secs(6),
            tick: Duration::from_millis(100),
            commit_every: Duration::from_millis(200),
            fetch_wait: Duration::from_millis(50),
            ..ConsumerConfig::new(self.connection(), format!("group-{topic}"), [Arc::clone(topic)])
        }
    }
}

/// A running member of the group.
pub(crate) struct Member {
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: JoinHandle<Result<(), ConsumerError>>,
}

impl Member {
    pub(crate) fn start(config: ConsumerConfig, book: &Book, name: &'static str) -> Self {
        let shutdown = CancellationToken::new();
        let (book, onlooker) = (book.clone(), Onlooker { book: book.clone(), name });
        let factory = move |at: &TopicPartition| Clerk::new(&book, at, name);
        let task = run(config, factory, shutdown.clone(), onlooker);
        // A member is its own service here; nothing else waits for it but the story.
        let task = tokio_util::task::TaskTracker::new().spawn(task);
        Self { shutdown, task }
    }

    /// Stops in order.
    pub(crate) async fn stop(self) -> Result<(), ConsumerError> {
        self.shutdown.cancel();
        self.end().await
    }

    /// Waits for the end.
    pub(crate) async fn end(self) -> Result<(), ConsumerError> {
        tokio::time::timeout(PATIENCE, self.task).await.expect("the member hangs").expect("the member panicked")
    }
}

/// Messages with the payloads `from` to `to`, keyed by ten keys in turn.
pub(crate) fn numbered(topic: &Arc<str>, numbers: std::ops::Range<u32>) -> Vec<Outgoing> {
    let message = |n: u32| Outgoing::keyed(Arc::clone(topic), format!("key {}", n % 10), n.to_string());
    numbers.map(message).collect()
}

/// Makes a story run on both clusters, each with a topic of its own name.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod mock {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::ground::Ground::mock()).await;
            })+
        }
        mod real {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::ground::Ground::real().await).await;
            })+
        }
    };
}
pub(crate) use on_both;
