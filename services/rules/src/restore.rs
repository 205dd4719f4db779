//! Taking a partition over: load the records, then fold the events from the checkpoint to the position without effects or
//! judging, mark all that they name as to be written and as due now. Also the loading of single records later on.

use crate::batch::{Decoded, nothing_of, parts_of};
use crate::commit::{claim, row_upn};
use crate::effects::{Effects, Held, Rows};
use crate::memory::{Memory, Named};
use crate::partition::{Memorised, Partition, work_error};
use crate::pupil::PublishedAlert;
use attendance::{SchoolYear, Timestamp, Upn};
use proto::Event;
use std::collections::BTreeSet;
use store::published::PublishedRow;
use store::record::RecordRow;
use store::{enrolment, held, outbox, published, record};
use transport::consumer::{Start, WorkError};

/// Outbox rows read at once.
const OUTBOX_PAGE: u32 = 1_000;

impl Partition {
    /// Takes the partition over and loads it. Reading goes on at the checkpoint.
    pub(crate) async fn take_over(&mut self) -> Result<Start, WorkError> {
        let now = self.shared.clock.wall_now();
        let position = claim(&self.shared.store, &self.shared.events, self.part, now).await?;
        let present = self.shared.clock.present_year();
        self.memory = Memory::new(vec![present.previous(), present]);
        self.undecoded.clear();
        self.memorised = Memorised::UpToPosition;
        self.folded = position.checkpoint_offset;
        let first = position.next_offset == 0 && position.checkpoint_offset == 0;
        let start = if first { Start::Beginning } else { Start::At(position.checkpoint_offset) };
        self.position = Some(position);
        self.load_held().await?;
        for year in [present.previous(), present] {
            self.load_year(year).await?;
        }
        self.load_rosters().await?;
        let rows = published::load_partition(&self.shared.store, self.part).await.map_err(work_error)?;
        for row in &rows {
            self.put_published(row)?;
        }
        self.load_outbox().await?;
        self.judged_version = 0;
        (self.years_ended_before, self.looked_on) = (None, None);
        (self.last_pass, self.end) = (now, None);
        service::fault::point("rules.restore.after_load");
        Ok(start)
    }

    /// Folds what was folded before, without effects; what it names is due and to be written again. The parts of held
    /// pupils become dead letters, where they are none yet: a hold may have been put a moment before a crash.
    pub(crate) async fn fold_silently(&mut self, known: &[Decoded<'_>]) -> Result<(), WorkError> {
        let Some(last) = known.last() else { return Ok(()) };
        self.load_missing(known).await?;
        let mut named = Named::default();
        for event in known.iter().flat_map(|decoded| &decoded.events) {
            self.fold_event_silently(event, &mut named);
        }
        self.memory.due.extend(named.into_keys());
        let next = last.message.offset + 1;
        let now = self.shared.clock.wall_now().micros();
        let parts = self.memory.held.iter().flat_map(|(upn, offset)| parts_of(*upn, *offset, known, now));
        let effects = Effects { dead_letters: parts.collect(), ..Effects::default() };
        if effects.is_durable() {
            let position = self.position()?.next_offset;
            self.commit(position, effects).await?;
        }
        self.folded = self.folded.max(next);
        service::fault::point("rules.restore.after_fold");
        Ok(())
    }

    fn fold_event_silently(&mut self, event: &Event, named: &mut Named) {
        match event {
            // What is held back here becomes dead letters below.
            Event::Marks(part) => drop(self.memory.fold_marks(part, named)),
            Event::Enrolment(upn, entry) => _ = self.memory.fold_enrolment(*upn, entry, named),
            Event::Erasure(upn) => {
                self.memory.erase(*upn);
                named.remove(upn);
            }
            Event::Replay(upn, parts) => {
                if !self.memory.held.contains_key(upn) {
                    named.entry(*upn).or_default();
                    for part in parts {
                        self.fold_event_silently(part, named);
                    }
                }
            }
        }
    }

    /// Loads what folding these events needs beyond the years in memory, and the pupils whose hold they lift.
    pub(crate) async fn load_missing(&mut self, decoded: &[Decoded<'_>]) -> Result<(), WorkError> {
        let events = || decoded.iter().flat_map(|decoded| &decoded.events);
        // Below the position a replay has had its effect: a hold that is stored was put with it or since.
        let live = self.position()?.next_offset;
        let numbered = decoded.iter().flat_map(|one| one.events.iter().map(|event| (one.message.offset, event)));
        let lifted = numbered.filter_map(|(at, event)| match event {
            Event::Replay(upn, _) if at >= live && self.memory.held.contains_key(upn) => Some(*upn),
            _ => None,
        });
        for upn in lifted.collect::<BTreeSet<_>>() {
            self.load_pupil(upn).await?;
        }
        let newest = events().filter_map(|event| match event {
            Event::Marks(part) => Some(part.session),
            _ => None,
        });
        let present = newest.max().map_or(self.as_of(), |newest| newest.max(self.as_of())).school_year();
        let (recent, older): (Vec<_>, Vec<_>) =
            self.memory.other_years(events()).into_iter().partition(|year| *year >= present.previous());
        // A year that has just begun is loaded whole, which costs little: hardly anything of it is stored.
        for year in recent {
            self.load_year(year).await?;
            self.memory.whole_year(year);
        }
        let missing = if older.is_empty() { BTreeSet::new() } else { self.memory.missing(events()) };
        for (upn, year) in missing {
            let row = record::load(&self.shared.store, row_upn(upn), year.first_calendar_year()).await;
            if let Some(row) = row.map_err(work_error)? {
                self.put_record(&row)?;
            }
            if !self.memory.held.contains_key(&upn) {
                self.memory.pupils.entry(upn).or_default().loaded.push(year);
            }
        }
        self.hold_undecoded().await
    }

    async fn load_held(&mut self) -> Result<(), WorkError> {
        let rows = held::list(&self.shared.store, self.part).await.map_err(work_error)?;
        for row in rows {
            self.memory.held.insert(stored_upn(row.upn)?, row.event_offset);
        }
        self.shared.metrics.held(self.part, self.memory.held.len());
        Ok(())
    }

    async fn load_year(&mut self, year: SchoolYear) -> Result<(), WorkError> {
        let years = [year.first_calendar_year()];
        let store = self.shared.store.clone();
        let mut pages = record::load_partition(&store, self.part, &years);
        while let Some(rows) = pages.next().await.map_err(work_error)? {
            for row in &rows {
                self.put_record(row)?;
            }
        }
        self.hold_undecoded().await
    }

    async fn load_rosters(&mut self) -> Result<(), WorkError> {
        let store = self.shared.store.clone();
        for row in enrolment::load_partition(&store, self.part).await.map_err(work_error)? {
            let upn = stored_upn(row.upn)?;
            self.put_roster(upn, &row.body);
        }
        self.hold_undecoded().await
    }

    /// A held pupil as it was stored, before its parts are folded again. The row may have been mended since; where it still
    /// does not decode, the pupil stays held.
    async fn load_pupil(&mut self, upn: Upn) -> Result<(), WorkError> {
        let number = row_upn(upn);
        let present = self.present_year();
        let mut records = Vec::new();
        for year in [present.previous(), present] {
            let row = record::load(&self.shared.store, number, year.first_calendar_year()).await;
            records.extend(row.map_err(work_error)?);
        }
        let roster = enrolment::load(&self.shared.store, number).await.map_err(work_error)?;
        let alerts = published::load(&self.shared.store, number).await.map_err(work_error)?;
        // Only now that all is here: a hold that is lifted over half a pupil would let the half be written over the whole.
        let offset = self.memory.held.remove(&upn);
        for row in &records {
            self.put_record(row)?;
        }
        if let Some(row) = roster {
            self.put_roster(upn, &row.body);
        }
        for row in &alerts {
            self.put_published(row)?;
        }
        if let (Some(offset), true) = (offset, self.undecoded.remove(&upn)) {
            self.memory.hold(upn, offset);
        }
        Ok(())
    }

    async fn load_outbox(&mut self) -> Result<(), WorkError> {
        self.waiting.clear();
        loop {
            let after = self.waiting.back().map_or(0, |row| row.number);
            let rows = outbox::list(&self.shared.store, self.part, after, OUTBOX_PAGE).await.map_err(work_error)?;
            if rows.is_empty() {
                return Ok(());
            }
            self.waiting.extend(rows);
        }
    }

    fn put_record(&mut self, row: &RecordRow) -> Result<(), WorkError> {
        let upn = stored_upn(row.upn)?;
        let year = SchoolYear::beginning(row.school_year);
        if self.memory.held.contains_key(&upn) {
            return Ok(());
        }
        // Few rows have one, and a county's are read at every start.
        let due = row.due_at.filter(|_| year == self.present_year());
        let pupil = self.memory.pupils.entry(upn).or_default();
        if pupil.loaded.contains(&year) {
            return Ok(());
        }
        match proto::year_from_bytes(year, &row.body) {
            Ok(record) => {
                self.memory.newest = self.memory.newest.max(record.newest());
                pupil.record.put(record);
                // An older year's row tells of its own time.
                if pupil.record.years().all(|known| known.year() <= year) {
                    pupil.judged_with = row.judged_with;
                    pupil.due = due.map(|at| Timestamp::from_micros(at).day_in_london());
                }
            }
            Err(error) => {
                tracing::error!(partition = self.part, %error, "a stored record does not decode; its pupil is held");
                self.undecoded.insert(upn);
            }
        }
        Ok(())
    }

    fn put_roster(&mut self, upn: Upn, body: &[u8]) {
        if self.memory.held.contains_key(&upn) {
            return;
        }
        match proto::roster_from_bytes(body) {
            Ok(roster) => self.memory.pupils.entry(upn).or_default().roster = roster,
            Err(error) => {
                tracing::error!(partition = self.part, %error, "a stored roster does not decode; its pupil is held");
                self.undecoded.insert(upn);
            }
        }
    }

    fn put_published(&mut self, row: &PublishedRow) -> Result<(), WorkError> {
        let upn = stored_upn(row.upn)?;
        if self.memory.held.contains_key(&upn) {
            return Ok(());
        }
        let wrong = |what| WorkError::Fatal(format!("a published row of partition {} has {what}", self.part).into());
        let alert = PublishedAlert::of_row(row).map_err(wrong)?;
        self.memory.pupils.entry(upn).or_default().publish(alert);
        Ok(())
    }

    /// Pupils whose stored row does not decode are held from now on; the row is kept. It holds all that comes before the
    /// checkpoint.
    async fn hold_undecoded(&mut self) -> Result<(), WorkError> {
        let new = std::mem::take(&mut self.undecoded);
        if new.is_empty() {
            return Ok(());
        }
        self.mind_holds(new.len())?;
        let (next, offset) = (self.position()?.next_offset, self.position()?.checkpoint_offset);
        let now = self.shared.clock.wall_now().micros();
        let mut effects = Effects::default();
        // Held in memory already: what is not committed must be tried again, with the next batch or the take-over.
        let again = new.clone();
        for upn in new {
            let reason = "its stored row does not decode".to_owned();
            effects.dead_letters.push(nothing_of(upn, &self.shared.events, self.part, offset, now));
            effects.held.push(Held { upn, reason, offset, rows: Rows::default() });
        }
        self.commit_at_take_over(next, effects).await.inspect_err(|_| self.undecoded = again)
    }

    /// A transaction within the take-over: of unknown outcome, the take-over is begun again.
    async fn commit_at_take_over(&mut self, next: i64, effects: Effects) -> Result<(), WorkError> {
        let done = self.commit(next, effects).await;
        if done.is_err() {
            self.pending = None;
        }
        done
    }
}

fn stored_upn(number: i64) -> Result<Upn, WorkError> {
    let upn = u64::try_from(number).ok().and_then(Upn::from_number);
    upn.ok_or_else(|| WorkError::Fatal("a stored row's UPN is none".into()))
}
