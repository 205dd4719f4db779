//! One partition of `alerts`: what the consumer calls. A batch is one transaction: the compare-and-set on the position row
//! first, then cases, alerts and deliveries, or nothing. Keeps only the position row as last written or read.

use crate::apply::{Applying, Tally, store_error};
use crate::change::row_upn;
use crate::metrics::{IntakeLabel, Metrics};
use crate::random::Random;
use attendance::Timestamp;
use installation::InForce;
use prost::Message as _;
use proto::v1;
use service::clock::Clock;
use std::sync::Arc;
use store::position::{self, Position, Settled, Written};
use store::{CommitError, Store, casework};
use tokio::sync::watch;
use transport::{End, Message, Next, Release, Start, WorkError, Worker};
use uuid::Uuid;

/// A gap older than this, in microseconds, is an error in the log.
const ALARM_AFTER: i64 = 60_000_000;
/// How often gaps are looked at, in microseconds.
const LOOK_AT_GAPS_EVERY: i64 = 10_000_000;

/// What all partitions of a process share.
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) in_force: watch::Receiver<Arc<InForce>>,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) namespace: Uuid,
    pub(crate) metrics: Metrics,
    pub(crate) topic: Arc<str>,
    /// Wakes whoever delivers; carries no data.
    pub(crate) wake: watch::Sender<()>,
}

/// One partition.
pub(crate) struct Partition {
    shared: Arc<Shared>,
    part: i32,
    position: Option<Position>,
    /// A commit that was not answered: where the position stands and what it did, if it was done.
    pending: Option<(i64, Tally)>,
    gaps_looked_at: Timestamp,
}

impl Partition {
    pub(crate) fn new(shared: Arc<Shared>, part: u32) -> Self {
        let part = i32::try_from(part).unwrap_or(i32::MAX);
        Self { shared, part, position: None, pending: None, gaps_looked_at: Timestamp::from_micros(0) }
    }

    fn position(&self) -> Result<&Position, WorkError> {
        self.position.as_ref().ok_or_else(|| WorkError::Fatal("used before it was taken over".into()))
    }

    fn fenced(&self) -> WorkError {
        WorkError::Fenced(format!("partition {}'s position row has another version than ours", self.part).into())
    }

    /// Finds out what became of a commit that was not answered.
    async fn settle(&mut self) -> Result<(), WorkError> {
        let Some((next_offset, tally)) = self.pending.take() else { return Ok(()) };
        let found = match position::read(&self.shared.store, &self.shared.topic, self.part).await {
            Ok(found) => found,
            Err(error) => {
                self.pending = Some((next_offset, tally));
                return Err(store_error(error));
            }
        };
        let written = Written::Advanced { next_offset, outbox_number: 0 };
        match position::settle(self.position()?, found.as_ref(), written) {
            Settled::Done => {
                self.position = found;
                self.count(&tally);
                Ok(())
            }
            Settled::NotDone => Ok(()),
            Settled::Fenced => Err(self.fenced()),
        }
    }

    async fn take(&mut self, messages: &[Message]) -> Result<(), WorkError> {
        service::fault::point("notifier.intake.after_poll");
        let position = self.position()?.clone();
        let new: Vec<&Message> = messages.iter().filter(|message| message.offset >= position.next_offset).collect();
        let Some(last) = new.last() else { return Ok(()) };
        let next_offset = last.offset + 1;
        let shared = Arc::clone(&self.shared);
        let in_force = Arc::clone(&shared.in_force.borrow());
        let (part, now) = (self.part, shared.clock.wall_now());
        let applying = Applying { in_force: &in_force, random: &shared.random, namespace: shared.namespace, part, now };
        let mut tally = Tally::default();
        let mut tx = shared.store.begin().await.map_err(store_error)?;
        if !position::advance(&mut tx, position.fence(), next_offset, 0).await.map_err(store_error)? {
            return Err(self.fenced());
        }
        // A run of changes is applied together; an erasure and an import's end come in between, in order.
        let mut run = Vec::new();
        for message in new {
            let at = |error| WorkError::Fatal(format!("offset {}: no alert batch: {error}", message.offset).into());
            let batch = v1::AlertBatch::decode(&*message.payload).map_err(at)?;
            for change in batch.changes {
                if change.change() == v1::Change::Erased {
                    applying.apply(&mut tx, std::mem::take(&mut run), &mut tally).await?;
                    applying.erase(&mut tx, row_upn(change.upn), &mut tally).await?;
                } else {
                    run.push(change);
                }
            }
            if !batch.schools.is_empty() {
                tally.deliveries += applying.schools(&mut tx, &batch.schools).await?;
            }
            if let Some(done) = batch.import_done {
                applying.apply(&mut tx, std::mem::take(&mut run), &mut tally).await?;
                tally.deliveries += applying.sum_up(&mut tx, &done.import_id).await?;
            }
        }
        applying.apply(&mut tx, run, &mut tally).await?;
        service::fault::point("notifier.intake.before_commit");
        match tx.commit().await {
            Ok(()) => {
                service::fault::point("notifier.intake.after_commit");
                self.position = Some(Position { version: position.version + 1, next_offset, ..position });
                self.count(&tally);
                Ok(())
            }
            Err(CommitError::Failed(error)) => Err(store_error(error)),
            Err(CommitError::Unknown(error)) => {
                self.pending = Some((next_offset, tally));
                Err(WorkError::Unavailable(error.into()))
            }
        }
    }

    fn count(&self, tally: &Tally) {
        for label in &tally.changes {
            self.shared.metrics.changes_total.of(*label).inc();
        }
        self.shared.metrics.unclaimed_total.inc_by(tally.unclaimed);
        if tally.changes.contains(&IntakeLabel::Gap) {
            tracing::warn!(partition = self.part, "a change came before the one that it follows: kept aside");
        }
        if tally.deliveries > 0 {
            self.shared.wake.send_replace(());
        }
    }

    async fn look_at_gaps(&mut self) -> Result<(), WorkError> {
        let now = self.shared.clock.wall_now();
        if now.micros() - self.gaps_looked_at.micros() < LOOK_AT_GAPS_EVERY {
            return Ok(());
        }
        self.gaps_looked_at = now;
        let (count, oldest) = casework::gaps(&self.shared.store, self.part).await.map_err(store_error)?;
        let age = if count == 0 { 0 } else { now.micros() - oldest };
        let label = self.part.to_string();
        self.shared.metrics.gaps.with_label_values(&[&label]).set(count);
        self.shared.metrics.gap_age_seconds.with_label_values(&[&label]).set(age / 1_000_000);
        if age > ALARM_AFTER {
            tracing::error!(
                partition = self.part,
                gaps = count,
                age.seconds = age / 1_000_000,
                "alert changes wait for one that does not come: alerts were lost or came out of order; compare the topic"
            );
        }
        Ok(())
    }
}

impl Worker for Partition {
    async fn claim(&mut self) -> Result<Start, WorkError> {
        let shared = &self.shared;
        let mut tx = shared.store.begin().await.map_err(store_error)?;
        let now = shared.clock.wall_now().micros();
        let position = position::claim(&mut tx, &shared.topic, self.part, now).await.map_err(store_error)?;
        match tx.commit().await {
            Ok(()) => {}
            // Claiming again only adds one to the version.
            Err(CommitError::Failed(error) | CommitError::Unknown(error)) => return Err(store_error(error)),
        }
        let start = if position.next_offset == 0 { Start::Beginning } else { Start::At(position.next_offset) };
        self.position = Some(position);
        Ok(start)
    }

    async fn batch(&mut self, messages: Vec<Message>) -> Result<(), WorkError> {
        self.settle().await?;
        self.take(&messages).await
    }

    async fn tick(&mut self, _end: Option<End>) -> Result<Next, WorkError> {
        self.settle().await?;
        self.look_at_gaps().await?;
        Ok(Next::Idle)
    }

    async fn release(&mut self, why: Release) -> Result<(), WorkError> {
        if why == Release::Lost { Ok(()) } else { self.settle().await }
    }
}
