//! What is due without an event: pupils that a take-over folded, all that an older rule set judged, alerts of a school year that is
//! over, children who move by their roster's days, and those of whom time alone changes what is judged. Taken a step at a time, through the same judge and the same kind of transaction.
//!
//! What another rule set changes is told apart from news: before marks are folded into pupils whom an older one judged last, those are
//! judged as they stand.

use crate::batch::{Decoded, nothing_of};
use crate::effects::{Effects, Passing, decide};
use crate::judging::judge;
use crate::memory::Cause;
use crate::partition::{Memorised, Partition};
use crate::pupil::Pupil;
use attendance::Upn;
use proto::Event;
use std::collections::BTreeSet;
use transport::consumer::{Next, WorkError};

/// Pupils judged in one step.
const STEP: usize = 500;

impl Partition {
    /// Judges a step of what is due. Without changes there is nothing to commit.
    pub(crate) async fn judge_due(&mut self) -> Result<Next, WorkError> {
        self.note_rule_set();
        let present = self.present_year();
        if self.years_ended_before != Some(present) {
            let open = self.memory.pupils.iter().filter(|(_, pupil)| pupil.has_open_before(present));
            self.memory.due.extend(open.map(|(upn, _)| *upn).collect::<Vec<_>>());
            self.years_ended_before = Some(present);
        }
        // Once a day: a child whose last day on a roll has passed, or whose first has come, moves without an event; a session that stood
        // too long today does so whether or not a mark comes.
        let today = self.as_of().day();
        if self.passing(self.folded) == Passing::Later {
            self.looked_on = None;
        } else if self.looked_on != Some(today) {
            let is_due = |pupil: &Pupil| pupil.is_due(today) || pupil.has_moved(present, today);
            let due = self.memory.pupils.iter().filter(|(_, pupil)| is_due(pupil));
            self.memory.due.extend(due.map(|(upn, _)| *upn).collect::<Vec<_>>());
            self.looked_on = Some(today);
        }
        let step: Vec<Upn> = self.memory.due.iter().copied().take(STEP).collect();
        if step.is_empty() {
            return Ok(Next::Idle);
        }
        self.judge_step(&step).await?;
        Ok(Next::Again)
    }

    /// Judges those of whom these messages bring news and whom an older rule set judged last, before the news. Not where memory is
    /// ahead of the position: what a failed commit left there is not to be judged but with the batch that brought it.
    pub(crate) async fn judge_older(&mut self, news: &[Decoded<'_>]) -> Result<(), WorkError> {
        self.note_rule_set();
        if self.memory.due.is_empty() || self.memorised == Memorised::BeyondPosition {
            return Ok(());
        }
        let mut named = BTreeSet::new();
        for event in news.iter().flat_map(|decoded| &decoded.events) {
            match event {
                Event::Marks(part) => named.extend(part.marks.iter().map(|(upn, _)| *upn)),
                Event::Enrolment(upn, _) => _ = named.insert(*upn),
                // They begin anew.
                Event::Erasure(_) | Event::Replay(..) => {}
            }
        }
        let version = self.judged_version;
        let pupils = &self.memory.pupils;
        let is_older =
            |upn: &Upn| pupils.get(upn).is_some_and(|pupil| pupil.judged_with != 0 && pupil.judged_with != version);
        let older: Vec<Upn> = named.into_iter().filter(is_older).collect();
        for step in older.chunks(STEP) {
            self.judge_step(step).await?;
        }
        Ok(())
    }

    /// Where another rule set has come into force, all that an older one judged is due.
    fn note_rule_set(&mut self) {
        let version = self.in_force().version;
        if self.judged_version != version {
            let older = self.memory.pupils.iter().filter(|(_, pupil)| pupil.judged_with != version);
            self.memory.due.extend(older.map(|(upn, _)| *upn).collect::<Vec<_>>());
            self.judged_version = version;
        }
    }

    async fn judge_step(&mut self, step: &[Upn]) -> Result<(), WorkError> {
        let (in_force, present) = (self.in_force(), self.present_year());
        let moment = self.moment(&in_force, self.folded);
        let mut effects = Effects { judged_with: in_force.version, ..Effects::default() };
        for upn in step {
            let pupil = self.memory.pupils.get(upn);
            let judged_with = pupil.map_or(0, |pupil| pupil.judged_with);
            let in_time =
                moment.passing == Passing::Told && pupil.is_some_and(|pupil| pupil.is_due(moment.as_of.day()));
            let older = judged_with != 0 && judged_with != in_force.version;
            let cause = Cause { rule_set: older, in_time, ..Cause::default() };
            if let Err(reason) = judge(&mut self.memory, moment, present, (*upn, cause), &mut effects) {
                let (next, now) = (self.position()?.next_offset, self.shared.clock.wall_now().micros());
                effects.dead_letters.push(nothing_of(*upn, &self.shared.events, self.part, next, now));
                effects.held.push(self.held(*upn, reason, next));
                continue;
            }
            // Whatever was open when a school year ended ends with it.
            if let Some(pupil) = self.memory.pupils.get(upn) {
                let ended = pupil.end_years_before(present).into_iter();
                effects.decided.extend(ended.map(|wanted| decide(moment, *upn, pupil, wanted, Cause::default())));
            }
        }
        self.mind_holds(effects.held.len())?;
        if effects.is_durable() {
            let next = self.position()?.next_offset;
            self.commit(next, effects).await?;
            self.relay().await?;
        } else {
            self.remember_effects(effects);
        }
        Ok(())
    }
}
