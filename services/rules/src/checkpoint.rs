//! Writing records: a pass takes all that was to be written when it began, chunk by chunk, then moves the checkpoint to
//! where the position stood when it **began**: a stored record may be ahead of the checkpoint, never behind.

use crate::commit::{Done, fenced, row_upn};
use crate::effects::Rows;
use crate::partition::{Busy, Partition, Pass, work_error};
use crate::pupil::Unwritten;
use attendance::{Half, Session, Upn, Urn};
use std::time::Duration;
use store::enrolment::EnrolmentRow;
use store::position::{self, Position};
use store::pupil_school::PupilSchool;
use store::record::RecordRow;
use store::{Tx, enrolment, outbox, pupil_school, record};
use transport::consumer::{Next, WorkError};

/// The longest that letting go writes records: what is left the next owner folds again.
const LAST_PASS: Duration = Duration::from_secs(3);

impl Partition {
    /// Goes on with the pass under way, or begins one where it is time.
    pub(crate) async fn checkpoint(&mut self, busy: Busy) -> Result<Next, WorkError> {
        if self.pass.is_none() && !self.is_time_for_pass(busy) {
            return self.tidy().await;
        }
        self.chunk().await
    }

    /// Lets go with a whole pass, as far as time allows.
    pub(crate) async fn last_checkpoint(&mut self) -> Result<(), WorkError> {
        if !self.is_caught_up() {
            return Ok(());
        }
        let begun = self.shared.clock.wall_now();
        let is_late = |now: attendance::Timestamp| micros(LAST_PASS) < now.micros() - begun.micros();
        while self.pass.is_some() && !is_late(self.shared.clock.wall_now()) {
            self.chunk().await?;
        }
        while self.is_behind() && !is_late(self.shared.clock.wall_now()) {
            self.chunk().await?;
        }
        self.tidy().await.map(drop)
    }

    /// Whether a checkpoint would move or a record would be written.
    fn is_behind(&self) -> bool {
        let lags = self.position.as_ref().is_some_and(|position| position.checkpoint_offset < position.next_offset);
        lags || self.pass.is_some() || !self.memory.unwritten.is_empty()
    }

    fn is_time_for_pass(&self, busy: Busy) -> bool {
        let settings = &self.shared.settings;
        let pause = if busy == Busy::Yes { settings.backlog_checkpoint_every } else { settings.checkpoint_every };
        let since = self.shared.clock.wall_now().micros() - self.last_pass.micros();
        self.is_behind() && since >= micros(pause)
    }

    /// Writes one chunk; with the last of a pass the checkpoint moves.
    async fn chunk(&mut self) -> Result<Next, WorkError> {
        let position = self.position()?.clone();
        let mut pass = self.pass.take().unwrap_or_else(|| Pass {
            begun: position.next_offset,
            todo: std::mem::take(&mut self.memory.unwritten).into_iter().collect(),
        });
        let at =
            pass.todo.len().saturating_sub(usize::try_from(self.shared.settings.chunk.get()).unwrap_or(usize::MAX));
        let written = pass.todo.split_off(at);
        let last = pass.todo.is_empty();
        let outcome = self.write_chunk(&position, written.clone(), last.then_some(pass.begun)).await;
        if outcome.is_err() {
            // Written again, whatever became of this transaction: that changes nothing.
            pass.todo.extend(written);
            self.pass = Some(pass);
            return outcome.map(|()| Next::Again);
        }
        service::fault::point("rules.checkpoint.after_chunk");
        self.shared.metrics.records_written_total.inc_by(u64::try_from(written.len()).unwrap_or(0));
        if last {
            service::fault::point("rules.checkpoint.after_pass");
            self.last_pass = self.shared.clock.wall_now();
            self.memory.forget_before(self.present_year().previous());
            return Ok(Next::Idle);
        }
        self.pass = Some(pass);
        Ok(Next::Again)
    }

    async fn write_chunk(
        &mut self,
        position: &Position,
        written: Vec<Upn>,
        checkpoint: Option<i64>,
    ) -> Result<(), WorkError> {
        let rows = self.rows(&written);
        let (now, relayed) = (self.shared.clock.wall_now().micros(), self.relayed);
        if !rows.records.is_empty() {
            service::fault::point("rules.checkpoint.before_chunk");
        }
        let mut tx = self.shared.store.begin().await.map_err(work_error)?;
        let held = position.fence();
        let ours = match checkpoint {
            Some(offset) => position::move_checkpoint(&mut tx, held, offset, now).await,
            None => position::touch(&mut tx, held).await,
        };
        if !ours.map_err(work_error)? {
            return Err(fenced(self.part));
        }
        service::fault::point("rules.checkpoint.in_chunk");
        rows.write(&mut tx).await.map_err(work_error)?;
        if let Some(relayed) = relayed {
            outbox::delete_through(&mut tx, self.part, relayed).await.map_err(work_error)?;
        }
        self.finish(tx, Done::Chunk { written, checkpoint: checkpoint.map(|offset| (offset, now)), relayed }).await
    }

    /// What is to be written of pupils.
    pub(crate) fn rows(&self, upns: &[Upn]) -> Rows {
        let (mut rows, present) = (Rows::default(), self.present_year());
        for upn in upns {
            let Some(pupil) = self.memory.pupils.get(upn) else { continue };
            let (upn, part) = (row_upn(*upn), self.part);
            for record in pupil.unwritten.iter().filter_map(|year| pupil.record.year(*year)) {
                rows.records.push(RecordRow {
                    upn,
                    school_year: record.year().first_calendar_year(),
                    part,
                    body: proto::year_to_bytes(record),
                    due_at: pupil
                        .due
                        .filter(|_| record.year() == present)
                        .map(|day| Session::new(day, Half::Am).begins().micros()),
                    judged_with: pupil.judged_with,
                });
            }
            if pupil.roster_unwritten == Unwritten::Yes {
                rows.rosters.push(EnrolmentRow { upn, part, body: proto::roster_to_bytes(&pupil.roster) });
            }
            let new = pupil.schools().filter(|school| !pupil.placed.contains(school));
            rows.schools.extend(new.filter_map(|school| Some(PupilSchool { urn: row_urn(school)?, upn })));
        }
        rows
    }

    /// Pupils are written: nothing was folded since their rows were made.
    pub(crate) fn remember_written(&mut self, written: &[Upn]) {
        for upn in written {
            if let Some(pupil) = self.memory.pupils.get_mut(upn) {
                pupil.unwritten.clear();
                pupil.roster_unwritten = Unwritten::No;
                pupil.placed = pupil.schools().collect();
                pupil.placed.dedup();
            }
        }
    }

    /// Deletes what was relayed, where no other transaction has.
    async fn tidy(&mut self) -> Result<Next, WorkError> {
        if self.relayed.is_some() {
            let position = self.position()?.clone();
            self.write_chunk(&position, Vec::new(), None).await?;
        }
        Ok(Next::Idle)
    }
}

impl Rows {
    /// Writes them; again, it changes nothing.
    pub(crate) async fn write(&self, tx: &mut Tx) -> Result<(), store::StoreError> {
        if !self.records.is_empty() {
            record::upsert_many(tx, &self.records).await?;
        }
        if !self.rosters.is_empty() {
            enrolment::upsert_many(tx, &self.rosters).await?;
        }
        if !self.schools.is_empty() {
            pupil_school::insert_many(tx, &self.schools).await?;
        }
        Ok(())
    }
}

fn row_urn(school: Urn) -> Option<i32> {
    i32::try_from(school.number()).ok()
}

pub(crate) fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
