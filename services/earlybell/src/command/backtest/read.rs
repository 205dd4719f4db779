//! Reading the files of a backtest into memory.

use super::write::RejectedFile;
use crate::command::followed;
use anyhow::{Context, anyhow};
use attendance::backtest::{Known, Newest};
use attendance::calendar::{Calendar, Calendars};
use attendance::enrolment::Roster;
use attendance::mark::{MinutesLate, Revision};
use attendance::{Day, Mark, SchoolYear, Session, Timestamp, Upn, Urn};
use indicatif::ProgressBar;
use ingest::parse::pupils_csv::PupilsCsv;
use ingest::parse::registers_csv::{LastYear, RegistersCsv};
use ingest::validate::Admission;
use rustc_hash::FxHashMap;
use simulator::SchoolDay;
use simulator::roster::write_rows;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::Path;

/// Which registers are taken.
#[derive(Clone, Copy)]
pub(crate) struct Taken<'a> {
    pub(crate) admission: Admission<'a>,
    pub(crate) last_year: LastYear,
}

/// Everything that was read.
#[derive(Default)]
pub(crate) struct Input {
    pub(crate) marks: Vec<Known>,
    /// When each school's session was first heard of.
    registers: FxHashMap<(Urn, Session), Timestamp>,
    /// When each session begins.
    begins: FxHashMap<Session, Timestamp>,
    pub(crate) rosters: FxHashMap<Upn, Roster>,
    /// How many rows of registers there were, the refused ones too.
    rows: u64,
    /// Rows that were refused for their school year.
    later: BTreeMap<SchoolYear, u64>,
}

impl Input {
    /// Takes a file of registers in, newer than those before it; refused rows go to `rejected`.
    pub(crate) fn registers(
        &mut self,
        path: &Path,
        taken: Taken<'_>,
        rejected: &mut RejectedFile,
    ) -> anyhow::Result<()> {
        let name = || path.display().to_string();
        let (file, bar) = open(path)?;
        let rows = RegistersCsv::new(file, taken.admission).with_context(name)?;
        let mut rows = rows.until(taken.last_year).after(self.rows);
        for column in rows.unknown_columns() {
            eprintln!("warning: {}: registers have no column {column:?}; it is passed over", name());
        }
        while let Some(row) = rows.next_row().with_context(name)? {
            let mark = match row {
                Ok(row) => row.mark,
                Err(refused) => {
                    rejected.add(path, &refused)?;
                    continue;
                }
            };
            self.mark(mark);
        }
        bar.finish_and_clear();
        if rows.number() == self.rows {
            eprintln!("warning: {}: there is no row below the header; export the registers once more", name());
        }
        self.rows = rows.number();
        for (year, rows) in rows.later_years() {
            *self.later.entry(*year).or_default() += rows;
        }
        Ok(())
    }

    fn mark(&mut self, mark: Mark) {
        let begins = *self.begins.entry(mark.session).or_insert_with(|| mark.session.begins());
        let at = mark.revision.revised_at.max(begins);
        match self.registers.entry((mark.school, mark.session)) {
            Entry::Occupied(mut first) => {
                if at < *first.get() {
                    first.insert(at);
                }
            }
            Entry::Vacant(place) => _ = place.insert(at),
        }
        self.marks.push(Known { at, mark });
    }

    /// Takes a simulated day in, as it was sent.
    pub(crate) fn day(&mut self, day: &SchoolDay) -> anyhow::Result<()> {
        let mut roster = Vec::new();
        write_rows(&day.roster, &mut roster)?;
        let mut rows = PupilsCsv::new(roster.as_slice())?;
        while let Some(row) = rows.next_row()? {
            let (upn, entry) = row.map_err(|refused| anyhow!("the simulated roster: {refused}"))?;
            self.rosters.entry(upn).or_default().apply(entry);
        }
        for register in day.sendings.iter().map(|sending| &sending.register) {
            let school = Urn::new(register.school_urn)?;
            let session = Session::new(Day::parse(&register.date.to_string())?, register.session);
            let revised_at = Timestamp::from_micros(register.revised_at.as_microsecond());
            for mark in &register.marks {
                let minutes_late = mark.minutes_late.map(|minutes| MinutesLate::new(minutes.into())).transpose()?;
                let revision = Revision { revised_at, code: mark.code, minutes_late };
                self.mark(Mark { upn: mark.upn, school, session, revision });
            }
        }
        Ok(())
    }

    /// Takes a roster in; refused rows go to `rejected`.
    pub(crate) fn pupils(&mut self, path: &Path, rejected: &mut RejectedFile) -> anyhow::Result<()> {
        let name = || path.display().to_string();
        let (file, bar) = open(path)?;
        let mut rows = PupilsCsv::new(file).with_context(name)?;
        for column in rows.unknown_columns() {
            eprintln!("warning: {}: rosters have no column {column:?}; it is passed over", name());
        }
        let mut count = 0_u64;
        while let Some(row) = rows.next_row().with_context(name)? {
            count += 1;
            match row {
                Ok((upn, entry)) => _ = self.rosters.entry(upn).or_default().apply(entry),
                Err(refused) => rejected.add(path, &refused)?,
            }
        }
        bar.finish_and_clear();
        if count == 0 {
            eprintln!("warning: {}: there is no row below the header; export the roster once more", name());
        }
        Ok(())
    }

    /// How many registers there were: a school's sessions.
    pub(crate) fn register_count(&self) -> usize {
        self.registers.len()
    }

    /// The last school year that holds a mark.
    pub(crate) fn last_year(&self) -> Option<SchoolYear> {
        self.registers.keys().map(|(_, session)| *session).max().map(Session::school_year)
    }

    /// The days of a school year for which there is a register, in order.
    pub(crate) fn days(&self, year: SchoolYear) -> Vec<Day> {
        let days = self.registers.keys().map(|(_, session)| session.day());
        days.filter(|day| SchoolYear::of(*day) == year).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Whether a school year holds a mark.
    pub(crate) fn has_marks(&self, year: SchoolYear) -> bool {
        self.registers.keys().any(|(_, session)| session.school_year() == year)
    }

    /// How many rows of registers there were.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// The school years of all rows whose year is known, with their numbers, those refused for it too.
    pub(crate) fn years(&self) -> BTreeMap<SchoolYear, u64> {
        let mut years = self.later.clone();
        for known in &self.marks {
            *years.entry(known.mark.session.school_year()).or_default() += 1;
        }
        years
    }

    /// The newest session known at each moment.
    pub(crate) fn newest(&self) -> Newest {
        Newest::of(self.registers.iter().map(|((_, session), at)| (*at, *session)))
    }

    /// Each school open on the days for which it sent registers.
    pub(crate) fn observed_calendars(&self) -> Calendars {
        let mut days: FxHashMap<Urn, Vec<_>> = FxHashMap::default();
        for (school, session) in self.registers.keys() {
            days.entry(*school).or_default().push(session.day());
        }
        let mut calendars = Calendars::default();
        for (school, days) in days {
            calendars.set(school, Calendar::observed(days));
        }
        calendars
    }
}

/// Opens a file; its bar is on the terminal of who watches.
fn open(path: &Path) -> anyhow::Result<(Box<dyn Read + Send>, ProgressBar)> {
    let length = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
    let bar = followed::bar(length);
    bar.set_message(path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()));
    Ok((followed::open(path, &bar)?, bar))
}
