//! The transaction that makes effects real: compare-and-set on the position row first, then all the rest, or nothing.
//!
//! What judging remembers (published levels, the rule set that judged) moves in memory only when the commit is known to be
//! done (invariant I-3).

use crate::effects::{Effects, Held};
use crate::partition::{Memorised, Partition, work_error};
use crate::pupil::Pupil;
use attendance::{Timestamp, Upn};
use std::collections::BTreeMap;
use store::held::HeldRow;
use store::outbox::OutboxRow;
use store::position::{self, Position, Settled, Written};
use store::published::PublishedRow;
use store::{
    CommitError, Store, StoreError, Tx, dead_letter, enrolment, held, outbox, published, pupil_school, record,
};
use transport::consumer::WorkError;

/// What a transaction did, to be remembered once it is known to be done.
#[derive(Debug)]
pub(crate) enum Done {
    /// A batch or a step of what was due.
    Effects { effects: Effects, next_offset: i64, rows: Vec<OutboxRow> },
    /// A chunk of a pass: these pupils are written; the checkpoint stands here now.
    Chunk { written: Vec<Upn>, checkpoint: Option<(i64, i64)>, relayed: Option<i64> },
}

impl Done {
    /// What it wrote into the row held.
    fn written(&self, held: &Position) -> Written {
        match self {
            Self::Effects { next_offset, rows, .. } => {
                let outbox_number = rows.last().map_or(held.outbox_number, |row| row.number);
                Written::Advanced { next_offset: *next_offset, outbox_number }
            }
            Self::Chunk { checkpoint: Some((offset, at)), .. } => Written::Checkpoint { offset: *offset, at: *at },
            Self::Chunk { checkpoint: None, .. } => Written::Touched,
        }
    }
}

/// A transaction whose outcome is not known.
#[derive(Debug)]
pub(crate) struct Pending(Done);

impl Partition {
    /// Finds out what became of a commit that was not answered. Where what we wrote cannot be told from a take-over by
    /// somebody else, the partition is taken over anew.
    pub(crate) async fn settle(&mut self) -> Result<(), WorkError> {
        let Some(Pending(done)) = self.pending.take() else { return Ok(()) };
        let found = match position::read(&self.shared.store, &self.shared.events, self.part).await {
            Ok(found) => found,
            Err(error) => {
                self.pending = Some(Pending(done));
                return Err(work_error(error));
            }
        };
        let held = self.position()?;
        match position::settle(held, found.as_ref(), done.written(held)) {
            Settled::Done => self.remember(done),
            Settled::NotDone => {
                tracing::info!(partition = self.part, "a commit that was not answered had not been done");
                Ok(())
            }
            Settled::Fenced => Err(fenced(self.part)),
        }
    }

    /// Makes effects real and moves the position to `next_offset`.
    pub(crate) async fn commit(&mut self, next_offset: i64, effects: Effects) -> Result<(), WorkError> {
        let position = self.position()?.clone();
        let now = self.shared.clock.wall_now();
        let rows = outbox_rows(&position, now, &effects);
        let number = rows.last().map_or(position.outbox_number, |row| row.number);
        let relayed = self.relayed;
        let mut tx = self.shared.store.begin().await.map_err(work_error)?;
        if !position::advance(&mut tx, position.fence(), next_offset, number).await.map_err(work_error)? {
            return Err(fenced(self.part));
        }
        service::fault::point("rules.commit.after_compare_and_set");
        write(&mut tx, self.part, now, &effects, &rows).await.map_err(work_error)?;
        if let Some(relayed) = relayed {
            outbox::delete_through(&mut tx, self.part, relayed).await.map_err(work_error)?;
        }
        service::fault::point("rules.commit.before_commit");
        if service::fault::fails("rules.commit.refused") {
            return Err(WorkError::Unavailable("a fault that a test asked for".into()));
        }
        self.finish(tx, Done::Effects { effects, next_offset, rows }).await?;
        service::fault::point("rules.commit.after_commit");
        Ok(())
    }

    /// Commits; an unknown outcome waits for [`Partition::settle`].
    pub(crate) async fn finish(&mut self, tx: Tx, done: Done) -> Result<(), WorkError> {
        match tx.commit().await {
            Ok(()) => self.remember(done),
            Err(CommitError::Failed(error)) => Err(work_error(error)),
            Err(CommitError::Unknown(error)) => {
                self.pending = Some(Pending(done));
                Err(WorkError::Unavailable(error.into()))
            }
        }
    }

    fn remember(&mut self, done: Done) -> Result<(), WorkError> {
        let Some(position) = self.position.as_mut() else {
            return Err(WorkError::Fatal("committed before it was taken over".into()));
        };
        position.version += 1;
        match done {
            Done::Effects { effects, next_offset, rows } => {
                if position.next_offset < next_offset {
                    self.memorised = Memorised::UpToPosition;
                }
                position.next_offset = next_offset;
                position.outbox_number = rows.last().map_or(position.outbox_number, |row| row.number);
                self.relayed = None;
                self.remember_effects(effects);
                self.waiting.extend(rows);
            }
            Done::Chunk { written, checkpoint, relayed } => {
                if let Some((offset, at)) = checkpoint {
                    (position.checkpoint_offset, position.checkpoint_at) = (offset, at);
                }
                if self.relayed == relayed {
                    self.relayed = None;
                }
                self.remember_written(&written);
            }
        }
        Ok(())
    }

    /// Moves what judging remembers.
    pub(crate) fn remember_effects(&mut self, effects: Effects) {
        let version = effects.judged_with;
        let (present, today) = (self.present_year(), self.as_of().day());
        self.count_holds(effects.held.len());
        for held in &effects.held {
            self.memory.hold(held.upn, held.offset);
        }
        for (upn, due) in effects.judged {
            self.memory.due.remove(&upn);
            let pupil = self.memory.pupils.get_mut(&upn);
            let moved = |pupil: &&mut Pupil| pupil.judged_with != version || pupil.due != due;
            let Some(pupil) = pupil.filter(moved) else { continue };
            pupil.due = due;
            if pupil.is_due(today) {
                // Told later: it is looked for again.
                self.looked_on = None;
            }
            if pupil.record.year(present).is_some() {
                // The stored row tells the next owner which rule set judged, and when time alone calls for it again.
                pupil.judged_with = version;
                if !pupil.unwritten.contains(&present) {
                    pupil.unwritten.push(present);
                }
                self.memory.unwritten.insert(upn);
            }
        }
        self.shared.metrics.committed(&effects.decided);
        // A line a register, not a change: a backlog's batch may hold thousands.
        let mut registers: BTreeMap<&[u8], usize> = BTreeMap::new();
        for decided in &effects.decided {
            *registers.entry(&decided.message.register_id).or_default() += 1;
        }
        for (id, changes) in registers {
            let id = uuid::Uuid::from_slice(id).map(|id| id.to_string()).unwrap_or_default();
            tracing::info!(register.id = id, changes, "alert changes are committed");
        }
        for decided in effects.decided {
            if let Some(pupil) = self.memory.pupils.get_mut(&decided.upn) {
                pupil.publish(decided.published);
            }
        }
        self.shared.metrics.held(self.part, self.memory.held.len());
    }
}

/// The position row was moved by somebody else.
pub(crate) fn fenced(part: i32) -> WorkError {
    WorkError::Fenced(format!("partition {part}'s position row has another version than the one we hold").into())
}

fn outbox_rows(position: &Position, now: Timestamp, effects: &Effects) -> Vec<OutboxRow> {
    let numbers = position.outbox_number + 1..;
    let row = |(number, payload)| OutboxRow { part: position.part, number, put_at: now.micros(), payload };
    numbers.zip(effects.outbox()).map(row).collect()
}

async fn write(
    tx: &mut Tx,
    part: i32,
    now: Timestamp,
    effects: &Effects,
    rows: &[OutboxRow],
) -> Result<(), StoreError> {
    // Erasures first: what is decided for an erased pupil rests on marks that came after.
    for upn in &effects.erased {
        let upn = row_upn(*upn);
        record::delete(tx, upn).await?;
        enrolment::delete(tx, upn).await?;
        pupil_school::delete(tx, upn).await?;
        dead_letter::delete_of_pupil(tx, upn).await?;
        published::delete(tx, upn).await?;
        held::lift(tx, upn).await?;
    }
    let published: Vec<PublishedRow> = effects.decided.iter().map(|decided| published_row(part, decided)).collect();
    if !published.is_empty() {
        published::upsert_many(tx, &published).await?;
    }
    for upn in &effects.lifted {
        held::lift(tx, row_upn(*upn)).await?;
    }
    for Held { upn, reason, offset, rows } in &effects.held {
        let (upn, reason) = (row_upn(*upn), reason.clone());
        held::put(tx, &HeldRow { upn, part, reason, since: now.micros(), event_offset: *offset }).await?;
        rows.write(tx).await?;
    }
    if !effects.dead_letters.is_empty() {
        dead_letter::insert_many(tx, &effects.dead_letters).await?;
    }
    for row in rows {
        outbox::put(tx, row).await?;
    }
    Ok(())
}

fn published_row(part: i32, decided: &crate::effects::Decided) -> PublishedRow {
    let alert = &decided.published;
    let number = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    PublishedRow {
        upn: row_upn(decided.upn),
        school_year: alert.year.first_calendar_year(),
        rule: alert.rule.text().to_owned(),
        part,
        alert_id: alert.alert.to_string(),
        episode: number(alert.published.episode),
        version: number(alert.published.version),
        level: alert.published.level.map_or(0, |level| i16::from(level.number())),
        since: alert.published.since.number(),
        raised_at: decided.as_of.number(),
        body: alert.place.clone(),
    }
}

/// A UPN as the tables hold it: 48 bits always fit.
pub(crate) fn row_upn(upn: Upn) -> i64 {
    i64::try_from(upn.number()).unwrap_or(i64::MAX)
}

/// Takes a partition over: version + 1, then read. An old owner is out at its next transaction.
pub(crate) async fn claim(store: &Store, topic: &str, part: i32, now: Timestamp) -> Result<Position, WorkError> {
    let mut tx = store.begin().await.map_err(work_error)?;
    let position = position::claim(&mut tx, topic, part, now.micros()).await.map_err(work_error)?;
    match tx.commit().await {
        Ok(()) => Ok(position),
        // Claiming again only adds one to the version.
        Err(CommitError::Failed(error) | CommitError::Unknown(error)) => Err(work_error(error)),
    }
}
