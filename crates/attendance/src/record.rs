//! One pupil's marks: for each school, session and school year the newest revision.
//!
//! A record is a fold of marks that minds neither order nor repetition: whatever the order in which the same marks
//! arrive, and however often, the record ends the same (invariant I-2). Two records are equal when they hold the same.

use crate::mark::{MinutesLate, Revision};
use crate::rate::Counts;
use crate::{Code, Mark, SchoolYear, Session, Timestamp, Urn};

/// What a mark did to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is what counts now, for the session given.
    Changed(Session),
    /// It is newer than what was there and says the same code: nothing is to be judged anew.
    Confirmed,
    /// A revision as new or newer was there already.
    Superseded,
}

/// What counts for one school and session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The session.
    pub session: Session,
    /// The place of the school in [`YearRecord::schools`].
    pub school: u16,
    /// What it says.
    pub revision: Revision,
}

/// A pupil's marks of one school year, in the order of the calendar; of one session in the order of the schools' URNs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YearRecord {
    year: SchoolYear,
    /// The number of its first session.
    first: i32,
    schools: Vec<Urn>,
    entries: Vec<Packed>,
}

/// An entry in 16 bytes: a county's records stay in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Packed {
    revised_at: Timestamp,
    /// Sessions since 1 August.
    session: u16,
    school: u16,
    /// [`NO_MINUTES`] for none.
    minutes_late: u16,
    code: Code,
}

const NO_MINUTES: u16 = u16::MAX;

impl Packed {
    fn revision(self) -> Revision {
        let minutes_late = MinutesLate::fitting(self.minutes_late);
        Revision { revised_at: self.revised_at, code: self.code, minutes_late }
    }
}

impl YearRecord {
    /// An empty record of a school year.
    pub fn new(year: SchoolYear) -> Self {
        let first = year.first_day().days() * 2;
        Self { year, first, schools: Vec::new(), entries: Vec::new() }
    }

    /// The school year.
    pub fn year(&self) -> SchoolYear {
        self.year
    }

    /// The schools that sent marks, by URN.
    pub fn schools(&self) -> &[Urn] {
        &self.schools
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry at a place in the order of the calendar.
    pub fn get(&self, at: usize) -> Option<Entry> {
        self.entries.get(at).map(|packed| self.unpacked(*packed))
    }

    /// All entries in the order of the calendar.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = Entry> + '_ {
        self.entries.iter().map(|packed| self.unpacked(*packed))
    }

    /// The school of an entry.
    pub fn school(&self, entry: Entry) -> Option<Urn> {
        self.schools.get(usize::from(entry.school)).copied()
    }

    /// Counts over the whole year and all schools.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.entries.iter().for_each(|entry| counts.add(entry.code.meaning()));
        counts
    }

    /// Takes a revision in; a session of another school year changes nothing and counts as superseded.
    pub fn apply(&mut self, school: Urn, session: Session, revision: Revision) -> Applied {
        let Some(number) = self.number_of(session) else { return Applied::Superseded };
        let school = self.place_of(school);
        let entry = Packed {
            revised_at: revision.revised_at,
            session: number,
            school,
            minutes_late: revision.minutes_late.map_or(NO_MINUTES, MinutesLate::minutes),
            code: revision.code,
        };
        if self.entries.last().is_none_or(|last| (last.session, last.school) < (number, school)) {
            self.entries.push(entry);
            return Applied::Changed(session);
        }
        match self.entries.binary_search_by_key(&(number, school), |e| (e.session, e.school)) {
            Err(at) => self.entries.insert(at, entry),
            Ok(at) => match self.entries.get_mut(at) {
                Some(held) if held.revision() < revision => {
                    let same = held.code == entry.code;
                    *held = entry;
                    if same {
                        return Applied::Confirmed;
                    }
                }
                _ => return Applied::Superseded,
            },
        }
        Applied::Changed(session)
    }

    fn unpacked(&self, packed: Packed) -> Entry {
        let session = Session::from_number(self.first + i32::from(packed.session));
        Entry { session, school: packed.school, revision: packed.revision() }
    }

    fn number_of(&self, session: Session) -> Option<u16> {
        let number = u16::try_from(session.number() - self.first).ok()?;
        (session.day() <= self.year.last_day()).then_some(number)
    }

    /// The school's place; a new school is put where its URN belongs, so that equal records are equal values.
    fn place_of(&mut self, school: Urn) -> u16 {
        let at = match self.schools.binary_search(&school) {
            Ok(at) => at,
            Err(at) => {
                self.schools.insert(at, school);
                let at = u16::try_from(at).unwrap_or(u16::MAX);
                for entry in self.entries.iter_mut().filter(|entry| entry.school >= at) {
                    entry.school += 1;
                }
                usize::from(at)
            }
        };
        u16::try_from(at).unwrap_or(u16::MAX)
    }
}

/// A pupil's record: school years in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    years: Vec<YearRecord>,
}

impl Record {
    /// Takes a mark in, opening its school year where it is the first of it.
    pub fn apply(&mut self, mark: &Mark) -> Applied {
        self.year_mut(mark.session.school_year()).apply(mark.school, mark.session, mark.revision)
    }

    /// The marks of a school year, where there are any.
    pub fn year(&self, year: SchoolYear) -> Option<&YearRecord> {
        self.years.iter().find(|record| record.year() == year)
    }

    /// The school years that hold marks, in order.
    pub fn years(&self) -> impl Iterator<Item = &YearRecord> {
        self.years.iter()
    }

    /// Puts in a school year's record as it was stored; one that is there already is replaced.
    pub fn put(&mut self, record: YearRecord) {
        let year = record.year();
        *self.year_mut(year) = record;
    }

    /// Takes a school year out of memory; true where it was there.
    pub fn forget(&mut self, year: SchoolYear) -> bool {
        let before = self.years.len();
        self.years.retain(|record| record.year() != year);
        self.years.len() < before
    }

    fn year_mut(&mut self, year: SchoolYear) -> &mut YearRecord {
        let at = self.years.partition_point(|record| record.year() < year);
        if self.years.get(at).is_none_or(|record| record.year() != year) {
            self.years.insert(at, YearRecord::new(year));
        }
        #[expect(clippy::indexing_slicing, reason = "the line above made sure of this place")]
        &mut self.years[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Day, Half, Upn};

    fn mark(school: u32, day: &str, code: Code, revised_at: i64) -> Mark {
        Mark {
            upn: Upn::parse("R900001000001").unwrap(),
            school: Urn::new(school).unwrap(),
            session: Session::new(Day::parse(day).unwrap(), Half::Am),
            revision: Revision { revised_at: Timestamp::from_micros(revised_at), code, minutes_late: None },
        }
    }

    #[test]
    fn the_newest_revision_counts_whenever_it_comes() {
        let mut record = Record::default();
        let newer = mark(900_001, "2025-09-03", Code::I, 2);
        assert_eq!(record.apply(&newer), Applied::Changed(newer.session));
        assert_eq!(record.apply(&mark(900_001, "2025-09-03", Code::N, 1)), Applied::Superseded);
        assert_eq!(record.apply(&newer), Applied::Superseded, "a repetition is not newer");
        assert_eq!(record.apply(&mark(900_001, "2025-09-03", Code::I, 3)), Applied::Confirmed);
        assert_eq!(record.year(SchoolYear::beginning(2025)).unwrap().counts().authorised, 1);
    }

    #[test]
    fn of_two_revisions_of_one_moment_the_greater_code_counts() {
        let (one, other) = (mark(900_001, "2025-09-03", Code::I, 1), mark(900_001, "2025-09-03", Code::O, 1));
        let (mut forwards, mut backwards) = (Record::default(), Record::default());
        for m in [one, other] {
            forwards.apply(&m);
        }
        for m in [other, one] {
            backwards.apply(&m);
        }
        assert_eq!(forwards, backwards);
        assert_eq!(forwards.year(SchoolYear::beginning(2025)).unwrap().counts().unauthorised, 1);
    }

    #[test]
    fn a_newer_no_mark_takes_the_mark_back() {
        let mut record = Record::default();
        record.apply(&mark(900_001, "2025-09-03", Code::O, 1));
        record.apply(&mark(900_001, "2025-09-03", Code::NotTaken, 2));
        assert_eq!(record.year(SchoolYear::beginning(2025)).unwrap().counts(), Counts::default());
    }

    #[test]
    fn two_schools_in_one_session_both_count() {
        let mut record = Record::default();
        record.apply(&mark(900_002, "2025-09-03", Code::O, 1));
        record.apply(&mark(900_001, "2025-09-03", Code::Present, 1));
        let year = record.year(SchoolYear::beginning(2025)).unwrap();
        assert_eq!((year.counts().possible, year.counts().unauthorised), (2, 1));
        let schools: Vec<u32> = year.entries().filter_map(|e| year.school(e)).map(Urn::number).collect();
        assert_eq!(schools, [900_001, 900_002]);
    }

    #[test]
    fn a_mark_belongs_to_the_school_year_of_its_session() {
        let mut record = Record::default();
        record.apply(&mark(900_001, "2025-07-31", Code::O, 1));
        record.apply(&mark(900_001, "2025-08-01", Code::O, 1));
        let years: Vec<String> = record.years().map(|y| y.year().to_string()).collect();
        assert_eq!(years, ["2024/25", "2025/26"]);
    }
}
