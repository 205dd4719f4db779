//! The loop on one partition of registers: a batch's events are produced and acknowledged, then one transaction moves the
//! position, by compare-and-set, with the registers received and the dead letters. A crash in between repeats events, which
//! the fold of rules does not mind.

use crate::intake::{Intake, Reading};
use crate::metrics::Metrics;
use crate::silent_school::Watching;
use crate::{accept::Moment, slice};
use installation::InForce;
use service::clock::{Clock, NewestSession};
use service::fault;
use std::sync::Arc;
use store::position::{self, Position, Settled, Written};
use store::{CommitError, Store, StoreError, Tx, dead_letter, register};
use tokio::sync::watch;
use transport::consumer::{End, Next, Release, Start, WorkError, Worker};
use transport::{Admin, Connection, Message, Producer, TopicPartition};
use uuid::Uuid;

/// What all partitions of a process share.
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) connection: Connection,
    pub(crate) producer: Producer,
    pub(crate) in_force: watch::Receiver<Arc<InForce>>,
    pub(crate) clock: Clock,
    pub(crate) newest: NewestSession,
    pub(crate) metrics: Metrics,
    pub(crate) namespace: Uuid,
    pub(crate) events: Arc<str>,
    /// Partitions of the events.
    pub(crate) partitions: u32,
    pub(crate) admin: Admin,
}

impl Shared {
    /// What is checked now is checked against this.
    pub(crate) fn moment(&self) -> Moment {
        Moment { now: self.clock.wall_now(), present: self.clock.present_year() }
    }
}

/// One partition.
pub(crate) struct Partition {
    pub(crate) shared: Arc<Shared>,
    topic: Arc<str>,
    part: i32,
    supplier: Option<String>,
    /// The position row as we last wrote or read it; none before the take-over.
    position: Option<Position>,
    /// What a commit that was not answered wrote, if it was done.
    pending: Option<Written>,
    /// What the owner of the first partition remembers of schools.
    pub(crate) watching: Watching,
}

impl Partition {
    /// A partition that is to be taken over.
    pub(crate) fn new(shared: Arc<Shared>, place: &TopicPartition) -> Self {
        let supplier = place.topic.strip_prefix("attendance.registers.").and_then(|rest| rest.strip_suffix(".v1"));
        Self {
            shared,
            topic: Arc::clone(&place.topic),
            part: i32::try_from(place.partition).unwrap_or(i32::MAX),
            supplier: supplier.map(str::to_owned),
            position: None,
            pending: None,
            watching: Watching::default(),
        }
    }

    /// Whether this partition's owner watches the schools: of all processes one.
    fn watches(&self) -> bool {
        self.part == 0 && self.supplier.is_none()
    }

    pub(crate) fn position(&mut self) -> Result<&mut Position, WorkError> {
        self.position.as_mut().ok_or_else(|| WorkError::Fatal("used before it was taken over".into()))
    }

    /// Finds out what became of a commit that was not answered.
    async fn settle(&mut self) -> Result<(), WorkError> {
        let Some(written) = self.pending else { return Ok(()) };
        let found = position::read(&self.shared.store, &self.topic, self.part).await.map_err(work_error)?;
        let fenced = self.fenced();
        let held = self.position()?;
        match (position::settle(held, found.as_ref(), written), found) {
            (Settled::Done, Some(found)) => *held = found,
            (Settled::NotDone, _) => {}
            (Settled::Done | Settled::Fenced, _) => return Err(fenced),
        }
        self.pending = None;
        Ok(())
    }

    pub(crate) fn fenced(&self) -> WorkError {
        WorkError::Fenced(format!("{}-{}'s position row has another version", self.topic, self.part).into())
    }

    fn read(&self, messages: &[Message]) -> Intake {
        let in_force = Arc::clone(&self.shared.in_force.borrow());
        let reading = Reading {
            policy: &in_force.policy,
            moment: self.shared.moment(),
            namespace: self.shared.namespace,
            supplier: self.supplier.as_deref(),
        };
        let mut intake = Intake::default();
        for message in messages {
            reading.message(message, &mut intake);
        }
        intake
    }

    async fn produce(&self, intake: &mut Intake) -> Result<(), WorkError> {
        let events = std::mem::take(&mut intake.events);
        if events.is_empty() {
            return Ok(());
        }
        let messages = slice::cut(events, self.shared.partitions, &self.shared.events);
        self.shared.producer.send_all(messages).await.map_err(|error| match error.retry_after() {
            Some(_) => WorkError::Unavailable(error.into()),
            None => WorkError::Fatal(error.into()),
        })
    }

    async fn commit(&mut self, next_offset: i64, intake: &Intake) -> Result<(), WorkError> {
        let held = self.position()?.clone();
        let mut tx = self.shared.store.begin().await.map_err(work_error)?;
        if !position::advance(&mut tx, held.fence(), next_offset, held.outbox_number).await.map_err(work_error)? {
            return Err(self.fenced());
        }
        register::upsert_many(&mut tx, &intake.rows).await.map_err(work_error)?;
        if !intake.letters.is_empty() {
            dead_letter::insert_many(&mut tx, &intake.letters).await.map_err(work_error)?;
        }
        if let Some(newest) = intake.newest {
            store::installation::forward(&mut tx, newest.number()).await.map_err(work_error)?;
        }
        fault::point("ingest.batch.before_commit");
        self.finish(tx, next_offset, held.outbox_number).await
    }

    /// Commits a transaction that has written these into the position row.
    pub(crate) async fn finish(&mut self, tx: Tx, next_offset: i64, outbox_number: i64) -> Result<(), WorkError> {
        match tx.commit().await {
            Ok(()) => {
                let position = self.position()?;
                position.version += 1;
                (position.next_offset, position.outbox_number) = (next_offset, outbox_number);
                Ok(())
            }
            Err(CommitError::Failed(error)) => Err(work_error(error)),
            Err(CommitError::Unknown(error)) => {
                self.pending = Some(Written::Advanced { next_offset, outbox_number });
                Err(WorkError::Unavailable(error.into()))
            }
        }
    }
}

impl Worker for Partition {
    async fn claim(&mut self) -> Result<Start, WorkError> {
        let now = self.shared.clock.wall_now().micros();
        let mut tx = self.shared.store.begin().await.map_err(work_error)?;
        let position = position::claim(&mut tx, &self.topic, self.part, now).await.map_err(work_error)?;
        // After an unknown outcome claiming again only adds one to the version.
        tx.commit().await.map_err(|error| work_error(error.into_cause()))?;
        let start = if position.next_offset == 0 { Start::Beginning } else { Start::At(position.next_offset) };
        self.position = Some(position);
        Ok(start)
    }

    async fn batch(&mut self, messages: Vec<Message>) -> Result<(), WorkError> {
        fault::point("ingest.batch.after_poll");
        self.settle().await?;
        let done = self.position()?.next_offset;
        let known = messages.partition_point(|message| message.offset < done);
        let Some((_, new)) = messages.split_at_checked(known) else { return Ok(()) };
        let Some(last) = new.last() else { return Ok(()) };
        let mut intake = self.read(new);
        let marks: usize =
            intake.events.iter().map(|e| if let proto::Event::Marks(p) = e { p.marks.len() } else { 0 }).sum();
        self.produce(&mut intake).await?;
        fault::point("ingest.batch.after_produce");
        self.commit(last.offset + 1, &intake).await?;
        fault::point("ingest.batch.after_commit");
        if let Some(newest) = intake.newest {
            self.shared.newest.advance(newest);
        }
        let metrics = &self.shared.metrics;
        metrics.events_marks_total.inc_by(u64::try_from(marks).unwrap_or(0));
        metrics.dead_letters_total.inc_by(u64::try_from(intake.letters.len()).unwrap_or(0));
        intake.reasons.iter().for_each(|reason| metrics.rejected_total.of(*reason).inc());
        Ok(())
    }

    async fn tick(&mut self, _end: Option<End>) -> Result<Next, WorkError> {
        self.settle().await?;
        if !self.watches() {
            return Ok(Next::Idle);
        }
        match self.watch_schools().await {
            // Registers go on: what was not done now is done at the next tick, or, where it is not known, settled first.
            Err(WorkError::Unavailable(error)) => {
                tracing::warn!(%error, "schools whose registers are missing cannot be told now");
                self.watch_later();
                Ok(Next::Idle)
            }
            watched => watched.map(|()| Next::Idle),
        }
    }

    async fn release(&mut self, why: Release) -> Result<(), WorkError> {
        if self.watches() {
            self.watch_no_more();
        }
        if why == Release::Lost { Ok(()) } else { self.settle().await }
    }
}

/// A database error as the consumer understands it.
pub(crate) fn work_error(error: StoreError) -> WorkError {
    if error.is_retryable() { WorkError::Unavailable(error.into()) } else { WorkError::Fatal(error.into()) }
}
