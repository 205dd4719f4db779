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
use ingest::parse::blocks::{BLOCK, Block, Blocks};
use ingest::parse::columns::{FileError, RefusedRow};
use ingest::parse::pupils_csv::PupilsCsv;
use ingest::parse::registers_csv::{LastYear, RegisterRow, RegistersCsv};
use ingest::validate::Admission;
use rustc_hash::FxHashMap;
use simulator::SchoolDay;
use simulator::roster::write_rows;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

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
    pub(crate) rosters: FxHashMap<Upn, Roster>,
    /// How many rows of registers there were, the refused ones too.
    rows: u64,
    /// Rows that were refused for their school year.
    later: BTreeMap<SchoolYear, u64>,
}

impl Input {
    /// Takes a file of registers in, newer than those before it; refused rows go to `rejected`. All cores read it, a block each.
    pub(crate) fn registers(
        &mut self,
        path: &Path,
        taken: Taken<'_>,
        rejected: &mut RejectedFile,
    ) -> anyhow::Result<()> {
        let name = || path.display().to_string();
        let (file, bar) = open(path)?;
        let length = bar.length().unwrap_or(0);
        let blocks = Mutex::new(Blocks::new(file));
        let before = self.rows;
        let threads = thread::available_parallelism().map_or(1, usize::from);
        // So many wait for one that is before them.
        let (sender, receiver) = mpsc::sync_channel(2 * threads);
        thread::scope(|scope| {
            for _ in 0..threads {
                let (blocks, sender) = (&blocks, sender.clone());
                scope.spawn(move || {
                    while let Some((number, read)) = next(blocks, before, taken) {
                        if sender.send((number, read)).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            let (mut early, mut turn) = (BTreeMap::new(), 0);
            for (number, read) in receiver {
                early.insert(number, read);
                while let Some(read) = early.remove(&turn) {
                    let read = read.with_context(name)?;
                    let unknown = match &read {
                        Piece::Rows(_, unknown) => unknown,
                        Piece::Rest(rest) => rest.unknown_columns(),
                    };
                    for column in unknown.iter().filter(|_| turn == 0) {
                        eprintln!("warning: {}: registers have no column {column:?}; it is passed over", name());
                    }
                    turn += 1;
                    match read {
                        Piece::Rows(rows, _) => {
                            if turn == 1 {
                                self.make_room(length, &rows);
                            }
                            self.take(rows, path, rejected)?;
                        }
                        Piece::Rest(mut rest) => loop {
                            let rows = and_more(SomeRows::default(), &mut rest).with_context(name)?;
                            let is_last = rows.is_last;
                            self.take(rows, path, rejected)?;
                            if is_last {
                                break;
                            }
                        },
                    }
                }
            }
            anyhow::Ok(())
        })?;
        bar.finish_and_clear();
        if self.rows == before {
            eprintln!("warning: {}: there is no row below the header; export the registers once more", name());
        }
        Ok(())
    }

    /// Makes room at once for what a file of so many bytes will hold if it goes on like its first block. Growing a county's year little by
    /// little would copy it several times.
    fn make_room(&mut self, length: u64, first: &SomeRows) {
        let blocks = usize::try_from(length).unwrap_or(0) / BLOCK + 1;
        self.marks.reserve(first.marks.len().saturating_mul(blocks));
    }

    fn take(&mut self, rows: SomeRows, path: &Path, rejected: &mut RejectedFile) -> anyhow::Result<()> {
        for refused in &rows.refused {
            rejected.add(path, refused)?;
        }
        for ((school, session), at) in rows.heard {
            self.heard(school, session, at);
        }
        self.marks.extend(rows.marks);
        self.rows = self.rows.max(rows.number);
        for (year, rows) in rows.later {
            *self.later.entry(year).or_default() += rows;
        }
        Ok(())
    }

    fn heard(&mut self, school: Urn, session: Session, at: Timestamp) {
        let first = self.registers.entry((school, session)).or_insert(at);
        *first = at.min(*first);
    }

    fn mark(&mut self, mark: Mark) {
        let at = mark.revision.revised_at.max(mark.session.begins());
        self.heard(mark.school, mark.session, at);
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

/// What a thread has read.
enum Piece<'a> {
    /// Rows, and the columns that registers do not have.
    Rows(SomeRows, Vec<String>),
    /// All that is left of the file: to be read in its turn, some rows at once.
    Rest(Box<Registers<'a>>),
}

type Registers<'a> = RegistersCsv<'a, Box<dyn Read + Send>>;

/// Rows that follow each other.
#[derive(Default)]
struct SomeRows {
    marks: Vec<Known>,
    /// When each register was first heard of; some twice.
    heard: Vec<((Urn, Session), Timestamp)>,
    refused: Vec<RefusedRow>,
    later: BTreeMap<SchoolYear, u64>,
    /// The number of the last row.
    number: u64,
    is_last: bool,
}

/// Rows read at once where the rest of a file is read as a whole.
const ROWS: usize = 100_000;

/// The next block of a file that is newer than `before` rows, with its number.
fn next<'a>(
    blocks: &Mutex<Blocks<Box<dyn Read + Send>>>,
    before: u64,
    taken: Taken<'a>,
) -> Option<(usize, Result<Piece<'a>, FileError>)> {
    let mut blocks = blocks.lock().unwrap_or_else(PoisonError::into_inner);
    let block = match blocks.next_block() {
        Ok(block) => block?,
        Err(error) => return Some((blocks.given(), Err(error))),
    };
    drop(blocks);
    let (number, is_rest, count) = (block.number, block.is_rest, usize::try_from(block.rows).unwrap_or(0));
    let block = Block { rows_before: block.rows_before + before, ..block };
    let rows = RegistersCsv::of_block(block, taken.admission).map(|rows| rows.until(taken.last_year));
    let read = rows.and_then(|mut rows| {
        if is_rest {
            return Ok(Piece::Rest(Box::new(rows)));
        }
        let mut read = SomeRows { marks: Vec::with_capacity(count), ..SomeRows::default() };
        while !read.is_last {
            read = and_more(read, &mut rows)?;
        }
        Ok(Piece::Rows(read, rows.unknown_columns().to_vec()))
    });
    Some((number, read))
}

/// Reads some further rows.
fn and_more(mut read: SomeRows, rows: &mut Registers<'_>) -> Result<SomeRows, FileError> {
    let mut last: Option<((Urn, Session), Timestamp)> = None;
    for _ in 0..ROWS {
        let Some(row) = rows.next_row()? else {
            read.is_last = true;
            break;
        };
        match row {
            Err(refused) => read.refused.push(refused),
            Ok(RegisterRow { mark, .. }) => {
                // A register's rows stand together: when its session begins is worked out once.
                let register = (mark.school, mark.session);
                let begins = match last {
                    Some((before, begins)) if before == register => begins,
                    _ => mark.session.begins(),
                };
                let at = mark.revision.revised_at.max(begins);
                match read.heard.last_mut() {
                    Some((heard, first)) if last.is_some() && *heard == register => *first = at.min(*first),
                    _ => read.heard.push((register, at)),
                }
                last = Some((register, begins));
                read.marks.push(Known { at, mark });
            }
        }
    }
    read.number = rows.number();
    for (year, count) in rows.take_later_years() {
        *read.later.entry(year).or_default() += count;
    }
    Ok(read)
}

/// Opens a file; its bar is on the terminal of who watches.
fn open(path: &Path) -> anyhow::Result<(Box<dyn Read + Send>, ProgressBar)> {
    let length = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
    let bar = followed::bar(length);
    bar.set_message(path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()));
    Ok((followed::open(path, &bar)?, bar))
}
