//! From a mark that is due at the producer until a consumer has the alert that it causes, at a steady rate.

use crate::county::{County, Size};
use crate::ground::{EVENTS, Ground, Measured, Rules};
use crate::peer;
use anyhow::{Context, bail};
use attendance::mark::Revision;
use attendance::{Code, Day, Half, Session, Timestamp, Upn, Urn};
use prost::Message as _;
use proto::{Event, MarksPart, Origin, v1};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use transport::{Outgoing, Producer, ProducerConfig, partition_of};

pub(crate) const ALERTS: &str = "attendance.alerts.v1";

/// Marks a second.
const RATE: u32 = 2_000;
/// Between two sendings.
const TICK: Duration = Duration::from_millis(10);
/// Of so many marks one causes an alert: a pupil's first, which is an absence.
const ONE_OF: u32 = 20;
/// What comes before is warming up.
const WARM: Duration = Duration::from_secs(15);
const MEASURED: Duration = Duration::from_secs(30);

/// Latencies in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) most: f64,
    pub(crate) alerts: usize,
}

/// How an alert's message names its pupils.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ours,
    Peers,
}

/// Of ours, then of the peer's with its store in memory, on a topic that was empty.
pub(crate) async fn compare(
    program: &Path,
    partitions: u32,
    classes: Option<&str>,
) -> anyhow::Result<Vec<(String, Latency)>> {
    // The rule says something of a pupil's first session.
    let county = County::new(Size { pupils: 1, sessions: 1, minimum: 1 }, partitions)?;
    let mut found = Vec::new();
    let ground = Ground::start(program)?;
    let (database, folder) = ground.install(&county, Rules::One).await?;
    let mut process = Measured::start(ground.command(&database, &folder).arg("rules"), folder.join("log"))?;
    process.says("reading at=", usize::try_from(partitions)?).await?;
    let latency = measure(&ground, &mut process, (ALERTS, Kind::Ours), partitions).await?;
    found.push(("ours".to_owned(), latency));
    process.stop()?;
    if let Some(classes) = classes {
        let ground = Ground::start(program)?;
        ground.install(&county, Rules::One).await?;
        let output = peer::topic(&ground, &county, "memory").await?;
        let mut process = peer::start(&ground, &county, classes, "memory")?;
        process.says("state RUNNING", 1).await?;
        let latency = measure(&ground, &mut process, (&output, Kind::Peers), partitions).await?;
        found.push(("Kafka Streams, memory".to_owned(), latency));
        process.stop()?;
    }
    Ok(found)
}

/// Sends, and measures until each alert has come. The service runs already; `topic` is where its alerts come.
async fn measure(
    ground: &Ground,
    process: &mut Measured,
    (topic, kind): (&str, Kind),
    partitions: u32,
) -> anyhow::Result<Latency> {
    let come: Arc<Mutex<FxHashMap<u64, Instant>>> = Arc::default();
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let consumer = at_end(ground, topic).await?;
    let (seen, ended) = (Arc::clone(&come), Arc::clone(&stop));
    let listening = std::thread::spawn(move || {
        while !ended.load(std::sync::atomic::Ordering::Relaxed) {
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) {
                use rdkafka::message::Message;
                let now = Instant::now();
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                for upn in pupils(kind, message.key(), message.payload()) {
                    seen.entry(upn).or_insert(now);
                }
            }
        }
    });
    let producer =
        Producer::new(&ProducerConfig { linger: Duration::ZERO, ..ProducerConfig::new(ground.connection()) })?;
    let due = send(&producer, partitions).await?;
    let limit = Instant::now() + Duration::from_secs(20);
    while Instant::now() < limit && come.lock().unwrap_or_else(PoisonError::into_inner).len() < due.len() {
        process.runs()?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    listening.join().map_err(|_| anyhow::anyhow!("the consumer panicked"))?;
    let come = come.lock().unwrap_or_else(PoisonError::into_inner);
    let begun = due.values().min().copied().context("nothing was sent")?;
    let mut millis = Vec::new();
    for (upn, due) in due.iter().filter(|(_, due)| **due >= begun + WARM) {
        let Some(arrived) = come.get(upn) else { bail!("an alert never came") };
        millis.push(arrived.duration_since(*due).as_secs_f64() * 1_000.0);
    }
    of_millis(millis)
}

/// What milliseconds come to.
pub(crate) fn of_millis(mut millis: Vec<f64>) -> anyhow::Result<Latency> {
    millis.sort_by(f64::total_cmp);
    let most = millis.last().copied().context("no alert")?;
    let at = |hundredth: usize| millis.get(millis.len() * hundredth / 100).copied().unwrap_or(most);
    Ok(Latency { p50: at(50), p99: at(99), most, alerts: millis.len() })
}

/// A consumer that has reached the topic's ends.
pub(crate) async fn at_end(ground: &Ground, topic: &str) -> anyhow::Result<BaseConsumer> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", ground.kafka.brokers())
        .set("group.id", "latency")
        .set("isolation.level", "read_committed")
        .set("fetch.wait.max.ms", "500")
        .set("fetch.queue.backoff.ms", "1");
    let consumer: BaseConsumer = config.create()?;
    let mut partitions = TopicPartitionList::new();
    for (partition, end) in ground.ends(topic).await? {
        partitions.add_partition_offset(topic, i32::try_from(partition)?, Offset::Offset(end))?;
    }
    consumer.assign(&partitions)?;
    Ok(consumer)
}

fn pupils(kind: Kind, key: Option<&[u8]>, payload: Option<&[u8]>) -> Vec<u64> {
    match kind {
        Kind::Ours => {
            let batch = payload.and_then(|payload| v1::AlertBatch::decode(payload).ok()).unwrap_or_default();
            batch.changes.iter().map(|change| change.upn).collect()
        }
        Kind::Peers => key.and_then(|key| key.try_into().ok()).map(u64::from_be_bytes).into_iter().collect(),
    }
}

/// Sends at the rate; gives when each mark that causes an alert was due.
async fn send(producer: &Producer, partitions: u32) -> anyhow::Result<BTreeMap<u64, Instant>> {
    let a_tick = RATE / u32::try_from(1_000 / TICK.as_millis())?;
    let (begun, mut due, mut sent) = (Instant::now(), BTreeMap::new(), 0_u32);
    let session = Session::new(Day::parse("2025-09-01")?, Half::Am);
    let school = Urn::new(100_000)?;
    let mut ticks = tokio::time::interval(TICK);
    let mut under_way = tokio::task::JoinSet::new();
    let producer = Arc::new(producer.clone());
    while begun.elapsed() < WARM + MEASURED {
        let at = ticks.tick().await.into_std();
        let mut slices: BTreeMap<u32, Vec<(Upn, Revision)>> = BTreeMap::new();
        for _ in 0..a_tick {
            let upn = Upn::given(901, sent).context("no such UPN")?;
            let code = if sent.is_multiple_of(ONE_OF) { Code::I } else { Code::Present };
            if code == Code::I {
                due.insert(upn.number(), at);
            }
            let revised_at = session.begins();
            let partition = partition_of(upn.text().as_bytes(), partitions);
            slices.entry(partition).or_default().push((upn, Revision { revised_at, code, minutes_late: None }));
            sent += 1;
        }
        let message = |(partition, marks)| {
            let received_at = Timestamp::from_micros(1);
            let part = MarksPart { register: [1; 16], received_at, school, session, origin: Origin::Live, marks };
            let payload = Event::to_slice(&[Event::Marks(part)]);
            Outgoing { partition: Some(partition), ..Outgoing::keyed(EVENTS, Vec::new(), payload) }
        };
        let messages: Vec<Outgoing> = slices.into_iter().map(message).collect();
        let producer = Arc::clone(&producer);
        under_way.spawn(async move { producer.send_all(messages).await });
        while let Some(done) = under_way.try_join_next() {
            done??;
        }
    }
    while let Some(done) = under_way.join_next().await {
        done??;
    }
    Ok(due)
}
