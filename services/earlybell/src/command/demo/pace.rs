//! How far the pipeline is, by topics and tables alone: when everything sent is processed, and, with the embedded broker, how far
//! sending may run ahead of it. That broker keeps a few megabytes and then forgets: what is not yet in a written record must
//! never come near them.

use super::super::installation::admin;
use super::ground::Ground;
use crate::pipeline::{Pipeline, Reached};
use anyhow::bail;
use std::time::Duration;
use store::{delivery, outbox};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use transport::{Topic, Watermarks};

/// Marks that may be on their way while the broker is the embedded one. A mark is some 25 bytes of a topic whose partitions keep
/// 5 MiB each (`transport::PARTITION_BYTES`), and all may lie in one: 150,000 fill less than 4 MiB of it.
const MOST_AHEAD: u64 = 150_000;
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// After so long without any progress it is told what stands still.
const PATIENCE: Duration = Duration::from_mins(1);

/// Follows the pipeline.
pub(crate) struct Pace<'a> {
    ground: &'a Ground,
    pipeline: Pipeline,
    /// Marks sent when a mark was set, and the ends that the topics had then.
    set: Option<Set>,
    /// Marks that are known to be in written records.
    written: u64,
}

struct Set {
    marks: u64,
    registers: Vec<Watermarks>,
    /// The events' ends once the registers were all cut.
    events: Option<Vec<Watermarks>>,
}

impl<'a> Pace<'a> {
    pub(crate) fn new(ground: &'a Ground) -> anyhow::Result<Self> {
        let admin = admin(&ground.connection)?;
        let pipeline = Pipeline { store: ground.store.clone(), admin };
        Ok(Self { ground, pipeline, set: None, written: 0 })
    }

    /// Waits until more may be sent after `marks` marks; at once with a real broker.
    pub(crate) async fn room(&mut self, marks: u64, stop: &CancellationToken) -> anyhow::Result<()> {
        if self.ground.kind == super::ground::Kind::Real {
            return Ok(());
        }
        let begun = Instant::now();
        loop {
            self.look(marks).await?;
            if marks.saturating_sub(self.written) <= MOST_AHEAD || stop.is_cancelled() {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                bail!("{} marks are on their way and none arrives: {}", marks - self.written, self.missing().await?);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Follows one set of ends from the registers to the written records, then takes the next.
    async fn look(&mut self, marks: u64) -> anyhow::Result<()> {
        let Some(set) = &mut self.set else {
            let registers = self.pipeline.ends(&Topic::registers()).await?;
            self.set = Some(Set { marks, registers, events: None });
            return Ok(());
        };
        let pipeline = &self.pipeline;
        let events = match &set.events {
            Some(events) => events,
            None if pipeline.behind(&Topic::registers(), &set.registers, Reached::Position).await? > 0 => return Ok(()),
            None => set.events.insert(pipeline.ends(&Topic::events()).await?),
        };
        if pipeline.behind(&Topic::events(), events, Reached::Checkpoint).await? == 0 {
            self.written = set.marks;
            self.set = None;
        }
        Ok(())
    }

    /// Waits until everything sent is processed, written and delivered.
    pub(crate) async fn drained(&self, stop: &CancellationToken) -> anyhow::Result<()> {
        let (mut last, mut since) = (String::new(), Instant::now());
        loop {
            let missing = self.missing().await?;
            if missing.is_empty() {
                return Ok(());
            }
            if stop.is_cancelled() {
                bail!("ended before everything was processed: {missing}");
            }
            if missing != last {
                (last, since) = (missing, Instant::now());
            } else if since.elapsed() > PATIENCE {
                bail!("the pipeline stands still for {} s: {missing}", PATIENCE.as_secs());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What is still on its way, in words; empty where nothing is.
    async fn missing(&self) -> anyhow::Result<String> {
        let store = &self.ground.store;
        let stages = [
            (Topic::registers(), Reached::Position),
            (Topic::events(), Reached::Checkpoint),
            (Topic::alerts(), Reached::Position),
        ];
        for (topic, reached) in stages {
            let ends = self.pipeline.ends(&topic).await?;
            let behind = self.pipeline.behind(&topic, &ends, reached).await?;
            if behind > 0 {
                return Ok(format!("{behind} messages of {topic}"));
            }
            if topic == Topic::events() {
                let waiting = outbox::backlog(store).await?;
                if !waiting.is_empty() {
                    return Ok("alert changes that Kafka has not got yet".to_owned());
                }
            }
        }
        let owed: i64 = delivery::owed(store).await?.iter().map(|owed| owed.count).sum();
        Ok(if owed > 0 { format!("{owed} deliveries") } else { String::new() })
    }
}
