//! The rules service on the backlog: from the assignment of its partitions until every position is committed at the topic's end and every
//! alert is published.

use crate::county::County;
use crate::ground::{EVENTS, Ground, Measured, PARTITIONS, Rules, now, seconds};
use anyhow::{Context, bail};
use attendance::Timestamp;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use store::{Options, Store, outbox, position, published};
use tokio::task::JoinSet;
use transport::{ProduceError, Producer, ProducerConfig};

/// What a run gave.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// Seconds from the first message to all done.
    pub(crate) seconds: f64,
    /// Seconds from the start of the process to the first message.
    pub(crate) start: f64,
    pub(crate) peak_mib: u64,
    /// Pupils whose last level is not the oracle's.
    pub(crate) wrong: usize,
}

/// An installation whose backlog was worked off.
pub(crate) struct Done {
    pub(crate) run: Run,
    pub(crate) database: String,
    pub(crate) folder: PathBuf,
}

/// Works the backlog off with so many processes; then stops in order.
pub(crate) async fn backlog(ground: &Ground, county: &County, rules: Rules, processes: usize) -> anyhow::Result<Done> {
    let (database, folder) = ground.install(county, rules).await?;
    let store = Store::open(&database, &Options::named("bench")).await?;
    let ends = ground.ends(EVENTS).await?;
    let start =
        |number| Measured::start(ground.command(&database, &folder).arg("rules"), folder.join(format!("log-{number}")));
    let mut processes: Vec<Measured> = (0..processes).map(start).collect::<anyhow::Result<_>>()?;
    let limit = Instant::now() + Duration::from_mins(10);
    while !is_done(&store, EVENTS, &ends).await? {
        for process in &mut processes {
            process.runs()?;
            if Instant::now() > limit {
                bail!("it does not come to an end:\n{}", process.said()?);
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let done = now();
    let (mut first, mut peak_mib) = (done, 0);
    for process in &processes {
        first = first.min(first_reading(&process.said()?).unwrap_or(done));
        peak_mib += process.peak_mib()?;
    }
    let begun = processes.iter().map(|process| process.begun).min().context("no process")?;
    let start = seconds(begun, first);
    let seconds = seconds(first, done);
    for process in processes {
        process.stop()?;
    }
    let wrong = if rules == Rules::One { wrong(&store, county).await? } else { 0 };
    Ok(Done { run: Run { seconds, start, peak_mib, wrong }, database, folder })
}

/// Whether a topic's reader has committed all of it, and every alert is published.
pub(crate) async fn is_done(store: &Store, topic: &str, ends: &BTreeMap<u32, i64>) -> anyhow::Result<bool> {
    let rows = position::list(store, topic).await?;
    let reached = |row: &position::Position| {
        u32::try_from(row.part).ok().and_then(|part| ends.get(&part)).is_some_and(|end| row.next_offset == *end)
    };
    Ok(rows.len() == ends.len() && rows.iter().all(reached) && outbox::backlog(store).await?.is_empty())
}

/// When the first partition was read from: by the service's own log.
fn first_reading(log: &str) -> anyhow::Result<Timestamp> {
    let line = log.lines().find(|line| line.contains("reading at=")).context("it never read")?;
    moment(line)
}

fn moment(line: &str) -> anyhow::Result<Timestamp> {
    let text = line.split(' ').next().unwrap_or_default();
    Timestamp::parse(text).map_err(|error| anyhow::anyhow!("{text:?}: {error}"))
}

/// Pupils whose published level is not the oracle's.
async fn wrong(store: &Store, county: &County) -> anyhow::Result<usize> {
    let mut found = BTreeMap::new();
    for part in 0..i32::try_from(county.partitions)? {
        for row in published::load_partition(store, part).await?.into_iter().filter(|row| row.level > 0) {
            found.insert(u64::try_from(row.upn)?, u8::try_from(row.level)?);
        }
    }
    Ok(differences(&found, &county.levels()?))
}

/// In how many pupils two tables of levels differ.
pub(crate) fn differences(found: &BTreeMap<u64, u8>, wanted: &BTreeMap<u64, u8>) -> usize {
    let missing = wanted.iter().filter(|(upn, level)| found.get(upn) != Some(level)).count();
    missing + found.keys().filter(|upn| !wanted.contains_key(upn)).count()
}

/// Seconds of a start with all records in the database: from the start of the process, and from the assignment, until every partition
/// is read from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    pub(crate) from_start: f64,
    pub(crate) from_assignment: f64,
}

/// Starts the service again on what a run left, and measures until it is ready; it is killed then.
pub(crate) async fn ready(ground: &Ground, done: &Done) -> anyhow::Result<Ready> {
    let log = done.folder.join("ready");
    until_ready(Measured::start(ground.command(&done.database, &done.folder).arg("rules"), log)?).await
}

/// Kills the service (`kill -9`) while further marks of every pupil come in, and measures as [`ready`] does.
pub(crate) async fn after_kill(ground: &Ground, county: &County, done: &Done) -> anyhow::Result<Ready> {
    let command = || {
        let mut command = ground.command(&done.database, &done.folder);
        command.arg("rules");
        command
    };
    let mut process = Measured::start(&mut command(), done.folder.join("before-kill"))?;
    process.says("reading at=", usize::try_from(county.partitions)?).await?;
    let load = load(ground, county)?;
    tokio::time::sleep(LOADED).await;
    process.runs()?;
    drop(process);
    let ready = until_ready(Measured::start(&mut command(), done.folder.join("after-kill"))?).await?;
    drop(load);
    Ok(ready)
}

/// How long the load lasts before the kill.
pub(crate) const LOADED: Duration = Duration::from_secs(4);

/// Sends the session after the county's again and again, a message at a time, until what it gives is dropped.
pub(crate) fn load(ground: &Ground, county: &County) -> anyhow::Result<JoinSet<Result<(), ProduceError>>> {
    let producer = Producer::new(&ProducerConfig::new(ground.connection()))?;
    let number = county.size.sessions;
    let session = county.next_session()?;
    let messages = county.messages(number, session, EVENTS);
    let mut sending = JoinSet::new();
    sending.spawn(async move {
        for message in messages.into_iter().cycle() {
            producer.send_all(vec![message]).await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    });
    Ok(sending)
}

async fn until_ready(mut process: Measured) -> anyhow::Result<Ready> {
    process.says("reading at=", usize::try_from(PARTITIONS)?).await?;
    let said = process.said()?;
    let assigned = said.lines().find(|line| line.contains("rebalance ")).context("it had no assignment")?;
    let last = said.lines().rfind(|line| line.contains("reading at=")).context("nothing was read")?;
    let last = moment(last)?;
    Ok(Ready { from_start: seconds(process.begun, last), from_assignment: seconds(moment(assigned)?, last) })
}
