//! The records as they are, for who looks from outside: position row, stored records, then the events up to the position,
//! folded without taking over or writing. The state is that of `next_offset`, which comes with it.

use crate::effects::Passing;
use crate::memory::{Memory, Named};
use crate::pupil::PublishedAlert;
use attendance::alert::{Change, Direction};
use attendance::enrolment::Roster;
use attendance::judge::{Fold, History};
use attendance::record::Record;
use attendance::{SchoolYear, Session, Upn};
use installation::InForce;
use proto::{ContractError, Event};
use std::collections::BTreeMap;
use store::position::Position;
use store::record::RecordRow;
use store::{Store, StoreError, enrolment, position, published, record};
use transport::{Connection, ReadError, Topic, read_range};

/// Why records could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Kafka.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A row of published alerts does not read.
    #[error("a published row of partition {part} has {what}; restore the table from a backup")]
    Published {
        /// The partition.
        part: u32,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A stored row or an event does not decode.
    #[error("{what} does not decode: {error}; its pupil is held or about to be, see `earlybell dead-letters list`")]
    Contract {
        /// What it is.
        what: String,
        /// What is wrong with it.
        error: ContractError,
    },
}

/// The pupils of a partition.
#[derive(Debug)]
pub struct Snapshot {
    /// The offset up to which events are folded; 0 where none was yet.
    pub next_offset: i64,
    memory: Memory,
}

impl Snapshot {
    /// Reads the records of a partition: of some school years, and of one pupil where one is named.
    pub async fn read(
        store: &Store,
        connection: &Connection,
        part: u32,
        years: &[SchoolYear],
        only: Option<Upn>,
    ) -> Result<Self, SnapshotError> {
        let events = Topic::events();
        let native = i32::try_from(part).unwrap_or(i32::MAX);
        let position = position::read(store, events.as_str(), native).await?;
        let mut snapshot = Self { next_offset: 0, memory: Memory::new(years.to_vec()) };
        snapshot.load(store, native, years, only).await?;
        if let Some(Position { checkpoint_offset, next_offset, .. }) = position {
            snapshot.next_offset = next_offset;
            for message in read_range(connection, events.as_str(), part, checkpoint_offset..next_offset).await? {
                let folded = Event::of_slice(&message.payload).map_err(|error| {
                    let what = format!("offset {} of partition {part}", message.offset);
                    SnapshotError::Contract { what, error }
                })?;
                for event in &folded {
                    snapshot.fold(event, only);
                }
            }
        }
        Ok(snapshot)
    }

    /// Every pupil with its record.
    pub fn records(&self) -> impl Iterator<Item = (Upn, &Record)> {
        self.memory.pupils.iter().map(|(upn, pupil)| (*upn, &pupil.record))
    }

    /// A pupil's record and roster.
    pub fn pupil(&self, upn: Upn) -> Option<(&Record, &Roster)> {
        self.memory.pupils.get(&upn).map(|pupil| (&pupil.record, &pupil.roster))
    }

    /// How many alert changes another policy would make in a school year when `as_of` is the newest session known, by what would happen.
    /// Nothing is written.
    ///
    /// # Errors
    /// As the database answers; a row of published alerts does not read.
    pub async fn would_change(
        &mut self,
        store: &Store,
        part: u32,
        (year, as_of): (SchoolYear, Session),
        policy: &InForce,
    ) -> Result<BTreeMap<Change, u64>, SnapshotError> {
        let native = i32::try_from(part).unwrap_or(i32::MAX);
        for row in published::load_partition(store, native).await? {
            let upn = u64::try_from(row.upn).ok().and_then(Upn::from_number);
            let Some(pupil) = upn.and_then(|upn| self.memory.pupils.get_mut(&upn)) else { continue };
            let wrong = |what| SnapshotError::Published { part, what };
            pupil.publish(PublishedAlert::of_row(&row).map_err(wrong)?);
        }
        let mut changes = BTreeMap::new();
        let as_of = self.memory.as_of(as_of);
        for pupil in self.memory.pupils.values_mut() {
            for wanted in pupil.judge((year, as_of), policy, (Direction::Any, Passing::Told), &[]) {
                *changes.entry(wanted.difference.change).or_default() += 1;
            }
        }
        Ok(changes)
    }

    async fn load(
        &mut self,
        store: &Store,
        part: i32,
        years: &[SchoolYear],
        only: Option<Upn>,
    ) -> Result<(), SnapshotError> {
        let first_years: Vec<i16> = years.iter().map(|year| year.first_calendar_year()).collect();
        if let Some(upn) = only {
            let number = crate::commit::row_upn(upn);
            for year in first_years {
                if let Some(row) = record::load(store, number, year).await? {
                    self.put(&row)?;
                }
            }
            if let Some(row) = enrolment::load(store, number).await? {
                self.put_roster(row.upn, &row.body)?;
            }
            return Ok(());
        }
        let mut pages = record::load_partition(store, part, &first_years);
        while let Some(rows) = pages.next().await? {
            rows.iter().try_for_each(|row| self.put(row))?;
        }
        for row in enrolment::load_partition(store, part).await? {
            self.put_roster(row.upn, &row.body)?;
        }
        Ok(())
    }

    fn put(&mut self, row: &RecordRow) -> Result<(), SnapshotError> {
        let year = SchoolYear::beginning(row.school_year);
        let wrong = |error| SnapshotError::Contract { what: format!("a stored record of {year}"), error };
        let record = proto::year_from_bytes(year, &row.body).map_err(wrong)?;
        if let Some(upn) = u64::try_from(row.upn).ok().and_then(Upn::from_number) {
            self.memory.newest = self.memory.newest.max(record.newest());
            self.memory.pupils.entry(upn).or_default().record.put(record);
        }
        Ok(())
    }

    fn put_roster(&mut self, upn: i64, body: &[u8]) -> Result<(), SnapshotError> {
        let wrong = |error| SnapshotError::Contract { what: "a stored roster".to_owned(), error };
        let roster = proto::roster_from_bytes(body).map_err(wrong)?;
        if let Some(upn) = u64::try_from(upn).ok().and_then(Upn::from_number) {
            self.memory.pupils.entry(upn).or_default().roster = roster;
        }
        Ok(())
    }

    fn fold(&mut self, event: &Event, only: Option<Upn>) {
        let wanted = |upn: &Upn| only.is_none_or(|only| only == *upn);
        let mut named = Named::default();
        match event {
            Event::Marks(part) => {
                let marks = part.marks.iter().copied().filter(|(upn, _)| wanted(upn)).collect();
                self.memory.fold_marks(&proto::MarksPart { marks, ..part.clone() }, &mut named);
            }
            Event::Enrolment(upn, entry) if wanted(upn) => {
                self.memory.fold_enrolment(*upn, entry, &mut named);
            }
            Event::Erasure(upn) if wanted(upn) => self.memory.erase(*upn),
            Event::Replay(upn, parts) if wanted(upn) => {
                for part in parts {
                    self.fold(part, only);
                }
            }
            Event::Enrolment(..) | Event::Erasure(_) | Event::Replay(..) => {}
        }
    }
}

/// A pupil's school year as the rules in force judge it.
#[derive(Debug)]
pub struct Findings<'a> {
    /// What is judged.
    pub history: History<'a>,
    /// The rules' states.
    pub fold: Fold,
}

/// A pupil's school year, judged when `as_of` is the newest session known; none where there is no mark of it.
pub fn findings<'a>(
    record: &'a Record,
    roster: &Roster,
    (year, as_of): (SchoolYear, Session),
    in_force: &InForce,
) -> Option<Findings<'a>> {
    let present = record.year(year)?;
    let profile = in_force.policy.profile(roster, present);
    let history = History { previous: record.year(year.previous()), present, profile };
    let mut fold = Fold::default();
    fold.advance(&history, in_force.standard(), |_| {});
    fold.wait(as_of, &history, in_force.standard(), |_| {});
    Some(Findings { history, fold })
}
