//! Limits: the same topic read and thrown away; the fold and the judge alone; the same records written by a bare loop.

use crate::county::County;
use crate::ground::{EVENTS, Ground, Rules};
use anyhow::Context;
use attendance::judge::{Fold, History};
use attendance::profile::Profile;
use attendance::record::Record;
use attendance::{Mark, Upn};
use policy::Policy;
use proto::Event;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use rustc_hash::FxHashMap;
use std::time::{Duration, Instant};
use store::record::{self, RecordRow};
use store::{Options, Store};

/// Seconds in which a bare consumer reads the topic and throws it away.
pub(crate) async fn consume(ground: &Ground) -> anyhow::Result<f64> {
    let ends = ground.ends(EVENTS).await?;
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", ground.kafka.brokers())
        .set("group.id", "bare")
        .set("enable.partition.eof", "true")
        .set("fetch.queue.backoff.ms", "2");
    let consumer: BaseConsumer = config.create()?;
    let mut partitions = TopicPartitionList::new();
    for partition in ends.keys() {
        partitions.add_partition_offset(EVENTS, i32::try_from(*partition)?, Offset::Beginning)?;
    }
    consumer.assign(&partitions)?;
    // From the first message on, as with the others.
    let (mut begun, mut left, mut bytes) = (Instant::now(), ends.len(), 0);
    while left > 0 {
        match consumer.poll(Duration::from_secs(30)).context("no answer")? {
            Ok(message) => {
                if bytes == 0 {
                    begun = Instant::now();
                }
                bytes += message.payload_len();
            }
            Err(KafkaError::PartitionEOF(_)) => left -= 1,
            Err(error) => return Err(error.into()),
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    anyhow::ensure!(bytes > 0, "the topic is empty");
    Ok(seconds)
}

/// A pupil in memory.
#[derive(Default)]
struct Pupil {
    record: Record,
    fold: Fold,
}

/// What the domain alone took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Folded {
    pub(crate) seconds: f64,
    /// Bytes of memory a pupil, by the growth of the process.
    pub(crate) memory: u64,
    /// Bytes a pupil as the database stores them.
    pub(crate) stored: u64,
}

/// Decodes, folds and judges in one thread, each pupil once a session.
pub(crate) fn fold(county: &County, rules: Rules) -> anyhow::Result<Folded> {
    let (policy, _) = Policy::read(&rules.policy(county)).map_err(|problems| anyhow::anyhow!("{problems}"))?;
    let standard = policy.standard();
    let mut slices = Vec::new();
    for (number, session) in (0..).zip(county.sessions()?) {
        slices.extend(county.messages(number, session, EVENTS).into_iter().map(|message| message.payload));
    }
    let before = resident()?;
    let mut pupils: FxHashMap<Upn, Pupil> = FxHashMap::default();
    let (begun, mut levels) = (Instant::now(), 0_u64);
    // The slices stay until memory is measured: what they leave would be used again.
    for slice in &slices {
        for event in Event::of_slice(slice)? {
            let Event::Marks(part) = event else { continue };
            for (upn, revision) in part.marks {
                let pupil = pupils.entry(upn).or_default();
                pupil.record.apply(&Mark { upn, school: part.school, session: part.session, revision });
                let Some(present) = pupil.record.year(part.session.school_year()) else { continue };
                let history = History { previous: None, present, profile: Profile::default() };
                pupil.fold.advance(&history, standard, |_| {});
                levels += u64::from(pupil.fold.findings(standard.rules).any(|finding| finding.level.is_some()));
            }
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    std::hint::black_box(levels);
    let grown = resident()?.saturating_sub(before);
    drop(slices);
    let years = pupils.values().flat_map(|pupil| pupil.record.years());
    let stored: usize = years.map(|year| proto::year_to_bytes(year).len()).sum();
    let count = u64::from(county.size.pupils);
    Ok(Folded { seconds, memory: grown / count, stored: u64::try_from(stored)? / count })
}

/// This process's memory, in bytes.
fn resident() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1_024)
}

/// What a bare loop took to write all records once, in seconds, and the bytes of a record in the database.
pub(crate) async fn upsert(ground: &Ground, from: &str) -> anyhow::Result<(f64, u64)> {
    let source = Store::open(from, &Options::named("bench")).await?;
    let mut rows: Vec<RecordRow> = Vec::new();
    for part in 0..512 {
        let mut pages = record::load_partition(&source, part, &[2025]);
        while let Some(page) = pages.next().await? {
            rows.extend(page);
        }
    }
    let bytes: usize = rows.iter().map(|row| row.body.len()).sum();
    let store = Store::connect(&ground.postgres.create_database().await?, &Options::named("bench")).await?;
    store.migrate().await?;
    let begun = Instant::now();
    for chunk in rows.chunks(20_000) {
        let mut tx = store.begin().await?;
        record::upsert_many(&mut tx, chunk).await?;
        tx.commit().await.map_err(store::CommitError::into_cause)?;
    }
    Ok((begun.elapsed().as_secs_f64(), u64::try_from(bytes / rows.len().max(1))?))
}
