//! A batch: slices are folded, every pupil that they name is judged, and one transaction makes the effects real.
//!
//! Every pupil named is judged and marked as to be written, changed or not: after a failed commit, or over a record that
//! was stored ahead, folding again changes nothing and the alert is still owed.

use crate::commit::row_upn;
use crate::effects::{Effects, Held, Moment};
use crate::judging::judge;
use crate::memory::{Named, Taken};
use crate::partition::{Memorised, Partition};
use attendance::Upn;
use installation::InForce;
use proto::{Event, MarksPart};
use std::collections::BTreeSet;
use std::sync::Arc;
use store::dead_letter::NewDeadLetter;
use transport::Message;
use transport::consumer::WorkError;

/// Holds older than this, in microseconds, no longer count.
const HOLDS_WITHIN: i64 = 3_600_000_000;

/// Where an event stands: its number within the message.
#[derive(Clone, Copy)]
struct At<'a> {
    message: &'a Message,
    number: usize,
}

/// A message's events.
pub(crate) struct Decoded<'a> {
    pub(crate) message: &'a Message,
    pub(crate) events: Vec<Event>,
}

impl Partition {
    /// Takes messages: those below the position are folded without effects, the others with.
    pub(crate) async fn take(&mut self, messages: &[Message]) -> Result<(), WorkError> {
        service::fault::point("rules.batch.after_poll");
        let decoded = messages.iter().map(decode).collect::<Result<Vec<_>, _>>()?;
        let next_offset = self.position()?.next_offset;
        let known = decoded.partition_point(|decoded| decoded.message.offset < next_offset);
        let (known, new) = decoded.split_at(known);
        if !known.is_empty() {
            self.fold_silently(known).await?;
        }
        let Some(last) = new.last() else { return Ok(()) };
        self.load_missing(new).await?;
        self.judge_older(new).await?;
        let mut effects = Effects::default();
        let mut named = Named::default();
        self.memorised = Memorised::BeyondPosition;
        for decoded in new {
            for (number, event) in decoded.events.iter().enumerate() {
                let at = At { message: decoded.message, number };
                self.fold(at, event, &mut named, &mut effects);
            }
        }
        self.judge_named(named, new, &mut effects)?;
        service::fault::point("rules.batch.before_commit");
        let next_offset = last.message.offset + 1;
        self.commit(next_offset, effects).await?;
        self.folded = next_offset;
        self.relay().await
    }

    /// Folds one event, with its effects beside judging.
    fn fold(&mut self, at: At<'_>, event: &Event, named: &mut Named, effects: &mut Effects) {
        match event {
            Event::Marks(part) => {
                let folded = self.memory.fold_marks(part, named);
                self.shared.metrics.folded(&folded);
                if let Some(held_back) = folded.held_back {
                    let clock = self.shared.clock.wall_now().micros();
                    let held: BTreeSet<Upn> = held_back.marks.iter().map(|(upn, _)| *upn).collect();
                    let event = Event::Marks(held_back);
                    let letter = |upn| of_pupil(upn, &event).map(|part| dead_letter(at, upn, &part, clock));
                    effects.dead_letters.extend(held.into_iter().filter_map(letter));
                }
            }
            Event::Enrolment(upn, entry) => {
                if self.memory.fold_enrolment(*upn, entry, named) == Taken::HeldBack {
                    let clock = self.shared.clock.wall_now().micros();
                    effects.dead_letters.push(dead_letter(at, *upn, event, clock));
                }
            }
            Event::Erasure(upn) => {
                self.memory.erase(*upn);
                self.memory.held.remove(upn);
                named.remove(upn);
                // What came before it in this batch is erased too.
                effects.dead_letters.retain(|letter| letter.upn != Some(row_upn(*upn)));
                effects.erased.push(*upn);
            }
            // Loading it has lifted the hold in memory, or not: what is stored of the pupil still does not decode.
            Event::Replay(upn, _) if self.memory.held.contains_key(upn) => {
                let clock = self.shared.clock.wall_now().micros();
                effects.dead_letters.push(dead_letter(at, *upn, event, clock));
            }
            Event::Replay(upn, parts) => {
                effects.lifted.push(*upn);
                // Judged without any part too: time, or a panic that is mended, may be all that there was.
                named.entry(*upn).or_default();
                for part in parts {
                    self.fold(at, part, named, effects);
                }
            }
        }
    }

    /// Judges the pupils named, in the order of their UPNs; one whose judging fails is held, and its part of the messages
    /// goes to the dead letters.
    fn judge_named(&mut self, named: Named, new: &[Decoded<'_>], effects: &mut Effects) -> Result<(), WorkError> {
        let in_force = self.in_force();
        let next_offset = new.last().map_or(self.folded, |decoded| decoded.message.offset + 1);
        let moment = self.moment(&in_force, next_offset);
        effects.judged_with = in_force.version;
        let present = self.present_year();
        let mut pupils: Vec<_> = named.into_iter().collect();
        pupils.sort_unstable_by_key(|(upn, _)| *upn);
        for pupil in pupils {
            if let Err(reason) = judge(&mut self.memory, moment, present, pupil, effects) {
                let offset = new.first().map_or(0, |decoded| decoded.message.offset);
                let held = self.held(pupil.0, reason, offset);
                let now = self.shared.clock.wall_now().micros();
                effects.dead_letters.extend(parts_of(held.upn, offset, new, now));
                effects.lifted.retain(|upn| *upn != held.upn);
                effects.held.push(held);
            }
        }
        self.mind_holds(effects.held.len())
    }

    /// Where and when it is judged what was folded before an offset.
    pub(crate) fn moment<'a>(&self, in_force: &'a InForce, next_offset: i64) -> Moment<'a> {
        let passing = self.passing(next_offset);
        Moment { in_force, namespace: self.shared.namespace, as_of: self.as_of(), passing }
    }

    /// A pupil that is passed over from `offset` on, with what memory holds of it.
    pub(crate) fn held(&self, upn: Upn, reason: String, offset: i64) -> Held {
        tracing::error!(partition = self.part, reason, "a pupil is held; the others go on");
        Held { upn, reason, offset, rows: self.rows(&[upn]) }
    }

    /// Many pupils held within an hour mean a bad release: the service stops. Those of this transaction count for good once it is
    /// known to be done: while the database is away, the same ones are found again at every attempt.
    pub(crate) fn mind_holds(&self, new: usize) -> Result<(), WorkError> {
        let now = self.shared.clock.wall_now().micros();
        let count = new + self.held_lately.iter().filter(|at| now - **at < HOLDS_WITHIN).count();
        let most = usize::try_from(self.shared.settings.max_held.get()).unwrap_or(usize::MAX);
        if count > most {
            return Err(WorkError::Fatal(
                format!("{count} pupils had to be held within an hour: a bad release?").into(),
            ));
        }
        Ok(())
    }

    /// Pupils are held now.
    pub(crate) fn count_holds(&mut self, new: usize) {
        let now = self.shared.clock.wall_now().micros();
        self.held_lately.retain(|at| now - at < HOLDS_WITHIN);
        self.held_lately.extend(std::iter::repeat_n(now, new));
    }
}

/// An event of our own that does not decode means a bad release: the service stops rather than divert a whole topic.
pub(crate) fn decode(message: &Message) -> Result<Decoded<'_>, WorkError> {
    let decoded = Event::of_slice(&message.payload);
    let events = decoded.map_err(|error| WorkError::Fatal(format!("offset {}: {error}", message.offset).into()))?;
    Ok(Decoded { message, events })
}

/// What the messages from `offset` on hold of one pupil, a dead letter an event. What comes before an erasure is erased.
pub(crate) fn parts_of(upn: Upn, offset: i64, messages: &[Decoded<'_>], now: i64) -> Vec<NewDeadLetter> {
    let mut letters = Vec::new();
    for decoded in messages.iter().filter(|decoded| decoded.message.offset >= offset) {
        for (number, event) in decoded.events.iter().enumerate() {
            if *event == Event::Erasure(upn) {
                letters.clear();
            } else if let Some(part) = of_pupil(upn, event) {
                let at = At { message: decoded.message, number };
                letters.push(dead_letter(at, upn, &part, now));
            }
        }
    }
    letters
}

/// What lets a replay lift the hold of a pupil of whom no event was passed over.
pub(crate) fn nothing_of(upn: Upn, topic: &Arc<str>, part: i32, offset: i64, now: i64) -> NewDeadLetter {
    let event = Event::Replay(upn, Vec::new());
    NewDeadLetter {
        topic: topic.to_string(),
        part,
        message_offset: offset,
        message_at: now,
        place: format!("due, pupil {}", upn.number()),
        ..letter(upn, &event, now)
    }
}

fn of_pupil(upn: Upn, event: &Event) -> Option<Event> {
    match event {
        Event::Marks(part) => {
            let marks: Vec<_> = part.marks.iter().copied().filter(|(pupil, _)| *pupil == upn).collect();
            (!marks.is_empty()).then(|| Event::Marks(MarksPart { marks, ..part.clone() }))
        }
        Event::Enrolment(pupil, _) | Event::Replay(pupil, _) => (*pupil == upn).then(|| event.clone()),
        Event::Erasure(_) => None,
    }
}

fn dead_letter(At { message, number }: At<'_>, upn: Upn, event: &Event, now: i64) -> NewDeadLetter {
    NewDeadLetter {
        topic: message.topic.to_string(),
        part: i32::try_from(message.partition).unwrap_or(i32::MAX),
        message_offset: message.offset,
        message_at: message.timestamp_ms.unwrap_or(0) * 1_000,
        place: format!("event {number}, pupil {}", upn.number()),
        ..letter(upn, event, now)
    }
}

/// A dead letter without its place.
fn letter(upn: Upn, event: &Event, now: i64) -> NewDeadLetter {
    let urn = match event {
        Event::Marks(part) => i32::try_from(part.school.number()).ok(),
        Event::Enrolment(_, entry) => i32::try_from(entry.school.number()).ok(),
        Event::Erasure(_) | Event::Replay(..) => None,
    };
    NewDeadLetter {
        source: "rules".to_owned(),
        topic: String::new(),
        part: 0,
        message_offset: 0,
        message_at: 0,
        headers: "{}".to_owned(),
        place: String::new(),
        reason: "held".to_owned(),
        detail: "the pupil is held; `earlybell dead-letters replay` folds it and lifts the hold".to_owned(),
        urn,
        upn: Some(row_upn(upn)),
        payload: Event::to_slice(std::slice::from_ref(event)),
        created_at: now,
    }
}
