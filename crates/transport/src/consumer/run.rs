//! The loop that owns the consumer: takes settings, a maker of workers and a signal to stop, gives the reason why it
//! ended. Keeps nothing: what it held is in the workers' database, what it read is in Kafka.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::consumer::config::ConsumerConfig;
use crate::consumer::context::{Context, Signal};
use crate::consumer::desk::Report;
use crate::consumer::error::ConsumerError;
use crate::consumer::floor::{Floor, client_error};
use crate::consumer::observer::Observer;
use crate::consumer::worker::Worker;
use crate::message::Message;
use crate::topic::{TopicPartition, native};

/// The most that one round of reading takes before the loop looks at everything else.
const ROUND_MESSAGES: usize = 256;
const ROUND_BYTES: usize = 4 << 20;
/// How long the brokers may take to name topics and offsets.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause between questions while Kafka does not answer at the start.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// How often a topic must be missing before it counts as missing: a broker learns of a new topic a little late.
const ASK_TIMES: u32 = 3;

type Client = StreamConsumer<Context>;
type Round = Vec<Result<Message, KafkaError>>;

/// Reads the group's share of the topics until `shutdown`, each partition by a worker that `factory` makes. Leaves the
/// group before it returns. An error means: end the process.
///
/// Waits for Kafka at the start; later, Kafka being away is no error either.
pub async fn run<F, W, O>(
    config: ConsumerConfig,
    factory: F,
    shutdown: CancellationToken,
    observer: O,
) -> Result<(), ConsumerError>
where
    F: FnMut(&TopicPartition) -> W + Send,
    W: Worker,
    O: Observer,
{
    let problems = config.problems();
    if !problems.is_empty() {
        return Err(ConsumerError::Config(problems));
    }
    let (context, signals) = Context::new();
    let consumer = Client::from_config_and_context(&config.client_config(), context);
    let consumer = Arc::new(consumer.map_err(|error| client_error("be made", &error))?);
    if !topics_exist(&consumer, &config, &shutdown).await? {
        return close_client(consumer, config.session_timeout).await;
    }
    let topics: Vec<&str> = config.topics.iter().map(|topic| &**topic).collect();
    consumer.subscribe(&topics).map_err(|error| client_error("subscribe", &error))?;

    let (reporting, reports) = mpsc::unbounded_channel();
    let floor = Floor::new(Arc::clone(&consumer), config.clone(), factory, observer, reporting);
    let mut house = House { signals, config, consumer, floor, reports };
    let result = house.work(&shutdown).await;
    if let Err(error) = &result {
        tracing::error!(%error, "the consumer ends");
    }
    let closed = house.close().await;
    result.and(closed)
}

/// The loop's belongings.
struct House<F, O> {
    /// First, so that it is dropped before the client: the client's last callbacks then know that nobody listens.
    signals: mpsc::UnboundedReceiver<Signal>,
    config: ConsumerConfig,
    consumer: Arc<Client>,
    floor: Floor<F, O>,
    reports: mpsc::UnboundedReceiver<Report>,
}

/// What woke the loop.
enum Wake {
    Shutdown,
    Report(Report),
    Signal(Signal),
    Due,
    Read(Round),
}

impl<F, W, O> House<F, O>
where
    F: FnMut(&TopicPartition) -> W + Send,
    W: Worker,
    O: Observer,
{
    async fn work(&mut self, shutdown: &CancellationToken) -> Result<(), ConsumerError> {
        loop {
            match self.wake(shutdown).await {
                Wake::Shutdown => return Ok(()),
                Wake::Report(report) => {
                    self.floor.report(report)?;
                    while let Ok(report) = self.reports.try_recv() {
                        self.floor.report(report)?;
                    }
                }
                Wake::Signal(signal) => self.floor.signal(signal),
                Wake::Due => {}
                Wake::Read(round) => self.read(round).await?,
            }
            self.floor.settle()?;
        }
    }

    /// The order is what keeps every part from starving: reports are no more than what reading brought in, signals come
    /// from reading only, what is due is due seldom; so reading, which is always ready under load, comes last.
    async fn wake(&mut self, shutdown: &CancellationToken) -> Wake {
        let due = self.floor.next_due();
        tokio::select! {
            biased;
            () = shutdown.cancelled() => Wake::Shutdown,
            Some(report) = self.reports.recv() => Wake::Report(report),
            Some(signal) = self.signals.recv() => Wake::Signal(signal),
            () = sleep_until(due) => Wake::Due,
            round = read_round(&self.consumer, &self.config.topics) => Wake::Read(round),
        }
    }

    async fn read(&mut self, round: Round) -> Result<(), ConsumerError> {
        for read in round {
            match read {
                Ok(message) => self.floor.deliver(message),
                Err(error) => self.read_error(&error).await?,
            }
        }
        Ok(())
    }

    /// What librdkafka says instead of a message. Most of it passes: it goes on trying by itself.
    async fn read_error(&mut self, error: &KafkaError) -> Result<(), ConsumerError> {
        use RDKafkaErrorCode as Code;
        if let KafkaError::MessageConsumptionFatal(_) = error {
            return Err(client_error("read on", error));
        }
        match error.rdkafka_error_code() {
            Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => Err(self.gone().await),
            Some(Code::BadMessage | Code::BadCompression | Code::NotImplemented) => {
                Err(ConsumerError::Unreadable { positions: self.positions(), reason: error.to_string() })
            }
            Some(
                Code::TopicAuthorizationFailed | Code::GroupAuthorizationFailed | Code::ClusterAuthorizationFailed,
            ) => Err(client_error("read", error)),
            _ => {
                self.floor.signal(Signal::Error(error.to_string()));
                Ok(())
            }
        }
    }

    /// Finds the position that Kafka refused: librdkafka does not say which it was.
    async fn gone(&self) -> ConsumerError {
        let positions = self.floor.positions();
        let consumer = Arc::clone(&self.consumer);
        let find = move || {
            positions.into_iter().find_map(|(at, position)| {
                let position = position?;
                let (low, high) = consumer.fetch_watermarks(&at.topic, native(at.partition), ASK_TIMEOUT).ok()?;
                let inside = (low..=high).contains(&position);
                (!inside).then_some(ConsumerError::PositionGone { at, position, low, high })
            })
        };
        let found = tokio::task::spawn_blocking(find).await.ok().flatten();
        found.unwrap_or_else(|| ConsumerError::PositionRefused(self.positions()))
    }

    fn positions(&self) -> String {
        let text = |(at, position): &(TopicPartition, Option<i64>)| match position {
            Some(offset) => format!("{at}-{offset}"),
            None => format!("{at}-beginning"),
        };
        self.floor.positions().iter().map(text).collect::<Vec<_>>().join(", ")
    }

    /// Lets every worker go, waits for them at most the drain time, leaves the group.
    async fn close(mut self) -> Result<(), ConsumerError> {
        self.consumer.context().close();
        while let Ok(signal) = self.signals.try_recv() {
            self.floor.signal(signal);
        }
        self.floor.close();
        let limit = self.config.drain();
        let deadline = Instant::now() + limit;
        let mut result = Ok(());
        while let Some(at) = self.floor.at_work() {
            tokio::select! {
                biased;
                Some(report) = self.reports.recv() => {
                    // The first word counts; what follows is told, and the others may still let go in order.
                    if let Err(error) = self.floor.report(report) {
                        tracing::error!(%error, "while closing");
                        result = result.and(Err(error));
                    }
                }
                () = sleep_until(deadline) => {
                    result = result.and(Err(ConsumerError::Stalled { at, call: "release", limit }));
                    break;
                }
                // Reading goes on, for the group's sake; nobody takes the messages any more.
                _ = read_round(&self.consumer, &self.config.topics) => {}
            }
        }
        drop(self.consumer);
        let closed = close_client(self.floor.into_consumer(), self.config.session_timeout).await;
        result.and(closed)
    }
}

/// Dropping the client closes it, which polls until the group is left: not on a thread of the runtime's.
async fn close_client(consumer: Arc<Client>, limit: Duration) -> Result<(), ConsumerError> {
    consumer.context().close();
    let closing = tokio::task::spawn_blocking(move || drop(consumer));
    match timeout(limit, closing).await {
        Ok(_) => Ok(()),
        Err(_) => Err(ConsumerError::CloseHung(limit)),
    }
}

/// Waits for a message, then takes what is there already. Loses nothing when dropped: after the first message it does
/// not wait.
async fn read_round(consumer: &Client, topics: &[Arc<str>]) -> Round {
    let mut bytes = 0;
    let mut round = vec![own(consumer.recv().await, topics)];
    while round.len() < ROUND_MESSAGES && bytes < ROUND_BYTES {
        let mut next = pin!(consumer.recv());
        let now = poll_fn(|task| match next.as_mut().poll(task) {
            Poll::Ready(read) => Poll::Ready(Some(own(read, topics))),
            Poll::Pending => Poll::Ready(None),
        });
        let Some(read) = now.await else { break };
        bytes += read.as_ref().map_or(0, Message::bytes);
        round.push(read);
    }
    round
}

fn own(read: Result<BorrowedMessage<'_>, KafkaError>, topics: &[Arc<str>]) -> Result<Message, KafkaError> {
    let message = read?;
    let known = topics.iter().find(|topic| ***topic == *message.topic());
    let topic = known.map_or_else(|| message.topic().into(), Arc::clone);
    Ok(Message::from_borrowed(&message, topic))
}

/// Whether to go on: false if the process is to stop before Kafka has answered.
async fn topics_exist(
    consumer: &Arc<Client>,
    config: &ConsumerConfig,
    shutdown: &CancellationToken,
) -> Result<bool, ConsumerError> {
    let mut asked_times = 0;
    loop {
        let client = Arc::clone(consumer);
        // All topics: asking for one by name can make the broker create it.
        let asked = tokio::task::spawn_blocking(move || {
            let metadata = client.fetch_metadata(None, ASK_TIMEOUT)?;
            Ok::<Vec<String>, KafkaError>(metadata.topics().iter().map(|topic| topic.name().to_owned()).collect())
        });
        match asked.await {
            Ok(Ok(found)) => {
                let missing = config.topics.iter().find(|topic| !found.iter().any(|name| **name == ***topic));
                let Some(topic) = missing else { return Ok(true) };
                asked_times += 1;
                if asked_times == ASK_TIMES {
                    return Err(ConsumerError::NoTopic(topic.to_string()));
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "kafka does not answer, waiting for it"),
            Err(error) => tracing::warn!(%error, "asking for topics"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(false),
            () = sleep(ASK_AGAIN) => {}
        }
    }
}
