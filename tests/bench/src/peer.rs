//! The peer: a Kafka Streams application (`peer/Peer.java`) on the same topic, from its first record until all of it is committed.

use crate::county::County;
use crate::ground::{EVENTS, Ground, Measured, now, seconds};
use crate::ours::{self, Ready, Run, differences};
use anyhow::{Context, bail};
use attendance::{Code, Timestamp};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The peer's stores, each a run.
pub(crate) const STORES: [&str; 3] = ["memory", "memory-cached", "rocksdb-cached"];

/// Libraries and classes, made where they are missing; gives the class path.
pub(crate) fn prepare() -> anyhow::Result<String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tools = here.join("../../.tools/peer");
    let (lib, classes) = (tools.join("lib"), tools.join("classes"));
    if !lib.is_dir() {
        let output = format!("-DoutputDirectory={}", lib.display());
        let pom = here.join("peer/pom.xml");
        run(Command::new("mvn").args(["-q", "-B", "-f"]).arg(pom).args(["dependency:copy-dependencies", &output]))?;
    }
    let jars = format!("{}/*", lib.display());
    run(Command::new("javac").args(["-cp", &jars, "-d"]).arg(&classes).arg(here.join("peer/Peer.java")))?;
    Ok(format!("{}:{jars}", classes.display()))
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("{command:?}; a JDK 17 and Maven are needed"))?;
    if status.success() { Ok(()) } else { bail!("{command:?} ended with {status}") }
}

/// Makes the topic of its alerts, and gives its name.
pub(crate) async fn topic(ground: &Ground, county: &County, store: &str) -> anyhow::Result<String> {
    let output = output(store);
    ground.kafka.create_topic(&output, i32::try_from(county.partitions)?).await?;
    Ok(output)
}

fn output(store: &str) -> String {
    format!("peer.{store}")
}

/// Starts it with one of its stores.
pub(crate) fn start(ground: &Ground, county: &County, classes: &str, store: &str) -> anyhow::Result<Measured> {
    let (application, output) = (format!("peer-{store}"), output(store));
    let numbers = |codes: &[Code]| codes.iter().map(|code| code.number().to_string()).collect::<Vec<_>>().join(",");
    let state = ground.folder.path().join(&application);
    let mut command = Command::new("java");
    command
        .args([
            "-Xms6g",
            "-Xmx6g",
            "-XX:+UseParallelGC",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp",
            classes,
        ])
        .args(["Peer", ground.kafka.brokers(), &application, EVENTS, &output, store])
        .args([county.size.minimum.to_string(), numbers(&[Code::Present]), numbers(&[Code::I])])
        .arg(&state);
    Measured::start(&mut command, log(ground, &application))
}

/// Works the backlog off with one of its stores.
pub(crate) async fn backlog(ground: &Ground, county: &County, classes: &str, store: &str) -> anyhow::Result<Run> {
    let ends = ground.ends(EVENTS).await?;
    let output = topic(ground, county, store).await?;
    let mut process = start(ground, county, classes, store)?;
    let watcher = watcher(ground, &format!("peer-{store}"), &ends)?;
    let limit = Instant::now() + Duration::from_mins(15);
    while !watcher.is_done(&ends) {
        process.runs()?;
        if Instant::now() > limit {
            bail!("the peer does not come to an end:\n{}", process.said()?);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let done = now();
    let said = process.said()?;
    let begun = said.lines().find_map(|line| line.strip_prefix("begun ")).context("the peer never began")?;
    let first = Timestamp::from_micros(begun.trim().parse::<i64>()? * 1_000);
    let peak_mib = process.peak_mib()?;
    let (seconds, start) = (seconds(first, done), seconds(process.begun, first));
    process.stop()?;
    let wrong = differences(&levels(ground, &output).await?, &county.levels()?);
    Ok(Run { seconds, start, peak_mib, wrong })
}

/// Kills the peer (`kill -9`) while further marks of every pupil come in, starts it again, and measures until it runs; from the
/// assignment means from the first restore of a store to the end of the last.
pub(crate) async fn after_kill(ground: &Ground, county: &County, classes: &str, store: &str) -> anyhow::Result<Ready> {
    let mut process = start(ground, county, classes, store)?;
    process.says("state RUNNING", 1).await?;
    let load = ours::load(ground, county)?;
    tokio::time::sleep(ours::LOADED).await;
    drop(process);
    let mut process = start(ground, county, classes, store)?;
    process.says("state RUNNING", 1).await?;
    drop(load);
    let said = process.said()?;
    let at = |begins: &str, last: bool| {
        let mut lines = said.lines().filter_map(|line| line.strip_prefix(begins)?.trim().parse::<i64>().ok());
        let found = if last { lines.next_back() } else { lines.next() };
        found.map(|millis| Timestamp::from_micros(millis * 1_000)).with_context(|| format!("it never said {begins:?}"))
    };
    let running = at("state RUNNING ", false)?;
    let from_assignment = seconds(at("restoring ", false)?, at("restored ", true)?);
    Ok(Ready { from_start: seconds(process.begun, running), from_assignment })
}

fn log(ground: &Ground, application: &str) -> PathBuf {
    ground.folder.path().join(format!("{application}.log"))
}

/// Looks at what a group has committed.
struct Watcher {
    consumer: BaseConsumer,
    partitions: TopicPartitionList,
}

fn watcher(ground: &Ground, group: &str, ends: &BTreeMap<u32, i64>) -> anyhow::Result<Watcher> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", ground.kafka.brokers()).set("group.id", group);
    let mut partitions = TopicPartitionList::new();
    for partition in ends.keys() {
        partitions.add_partition(EVENTS, i32::try_from(*partition)?);
    }
    Ok(Watcher { consumer: config.create()?, partitions })
}

impl Watcher {
    fn is_done(&self, ends: &BTreeMap<u32, i64>) -> bool {
        let list = self.partitions.clone();
        let Ok(committed) = self.consumer.committed_offsets(list, Duration::from_secs(10)) else { return false };
        let reached = |(partition, end): (&u32, &i64)| {
            let found = i32::try_from(*partition).ok().and_then(|part| committed.find_partition(EVENTS, part));
            found.is_some_and(|found| matches!(found.offset(), Offset::Offset(offset) if offset >= *end))
        };
        ends.iter().all(reached)
    }
}

/// The last level that it told of each pupil who has one.
async fn levels(ground: &Ground, output: &str) -> anyhow::Result<BTreeMap<u64, u8>> {
    let starts = ground.ends(output).await?.into_keys().map(|partition| (partition, 0)).collect();
    let messages = transport::read_to_ends(&ground.connection(), output, starts, usize::MAX).await?;
    let mut levels = BTreeMap::new();
    for message in messages.context("the peer's alerts were not read")? {
        let upn = message.key.as_deref().and_then(|key| key.try_into().ok()).map(u64::from_be_bytes);
        if let (Some(upn), Some(level)) = (upn, message.payload.get(8)) {
            levels.insert(upn, *level);
        }
    }
    levels.retain(|_, level| *level > 0);
    Ok(levels)
}
