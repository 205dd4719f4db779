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
#[derive(Clone, Debug)]
pub struct YearRecord {
    year: SchoolYear,
    /// The number of its first session.
    first: i32,
    schools: Vec<Urn>,
    entries: Vec<Packed>,
    /// What some of the entries have elsewhere.
    rest: Vec<Rest>,
}

/// An entry in 8 bytes: a county's records stay in memory. From the highest bit on: the session since 1 August (10 bits), the school's place
/// (3), the code (8), whether the rest is elsewhere (1), and when it was revised, in microseconds after [`EARLY`] days before the session's
/// day (42: until six weeks after it), or the place of the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Packed(u64);

/// The rest of an entry with minutes late, of a ninth school, or that was revised long before or after its session.
#[derive(Clone, Copy, Debug)]
struct Rest {
    revised_at: Timestamp,
    school: u16,
    minutes_late: Option<MinutesLate>,
}

/// A school's place and the time of revision have so many bits.
const SCHOOL_BITS: u32 = 3;
const CODE_BITS: u32 = 8;
const TIME_BITS: u32 = 42;

/// A mark may be made so many days before its session, as those of leave are.
const EARLY: i32 = 7;

/// Entries that a record makes room for at a time: it is held for a year, and grows by one a session.
const ROOM: usize = 16;

impl Packed {
    fn new(session: u16, school: u16, code: Code, time: Result<u64, usize>) -> Self {
        let place = u64::from(school.min((1 << SCHOOL_BITS) - 1));
        let (elsewhere, time) = match time {
            Ok(time) => (0, time),
            Err(rest) => (1, u64::try_from(rest).unwrap_or(u64::MAX)),
        };
        let code = u64::from(code.number()) << 1 | elsewhere;
        let place = (u64::from(session) << SCHOOL_BITS | place) << (CODE_BITS + 1) | code;
        Self(place << TIME_BITS | time)
    }

    fn session(self) -> u16 {
        u16::try_from(self.0 >> (TIME_BITS + 1 + CODE_BITS + SCHOOL_BITS)).unwrap_or(u16::MAX)
    }

    fn school(self) -> u16 {
        u16::try_from(self.0 >> (TIME_BITS + 1 + CODE_BITS)).unwrap_or(u16::MAX) & ((1 << SCHOOL_BITS) - 1)
    }

    fn code(self) -> Code {
        let [_, .., number] = (self.0 >> (TIME_BITS + 1)).to_be_bytes();
        Code::from_number(number).unwrap_or(Code::NotTaken)
    }

    /// The time, or the place of the rest.
    fn time(self) -> Result<u64, usize> {
        let time = self.0 & ((1 << TIME_BITS) - 1);
        if self.0 >> TIME_BITS & 1 == 0 { Ok(time) } else { Err(usize::try_from(time).unwrap_or(usize::MAX)) }
    }
}

/// Two records are equal that hold the same.
impl PartialEq for YearRecord {
    fn eq(&self, other: &Self) -> bool {
        (self.year, &self.schools) == (other.year, &other.schools) && self.entries().eq(other.entries())
    }
}

impl Eq for YearRecord {}

impl YearRecord {
    /// An empty record of a school year.
    pub fn new(year: SchoolYear) -> Self {
        let first = year.first_day().days() * 2;
        Self { year, first, schools: Vec::new(), entries: Vec::new(), rest: Vec::new() }
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

    /// The newest session.
    pub fn newest(&self) -> Option<Session> {
        self.entries().next_back().map(|entry| entry.session)
    }

    /// The school of an entry.
    pub fn school(&self, entry: Entry) -> Option<Urn> {
        self.schools.get(usize::from(entry.school)).copied()
    }

    /// Counts over the whole year and all schools.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.entries.iter().for_each(|entry| counts.add(entry.code().meaning()));
        counts
    }

    /// Takes a revision in; a session of another school year changes nothing and counts as superseded.
    pub fn apply(&mut self, school: Urn, session: Session, revision: Revision) -> Applied {
        let Some(number) = self.number_of(session) else { return Applied::Superseded };
        let place = (number, self.place_of(school));
        if self.entries.last().is_none_or(|last| self.place(*last) < place) {
            let entry = self.packed(place, revision);
            if self.entries.len() == self.entries.capacity() {
                self.entries.reserve_exact(ROOM);
            }
            self.entries.push(entry);
            return Applied::Changed(session);
        }
        match self.entries.binary_search_by_key(&place, |entry| self.place(*entry)) {
            Err(at) => {
                let entry = self.packed(place, revision);
                self.entries.insert(at, entry);
            }
            Ok(at) => {
                let Some(held) = self.get(at).map(|entry| entry.revision).filter(|held| *held < revision) else {
                    return Applied::Superseded;
                };
                self.replace(at, place, revision);
                if held.code == revision.code {
                    return Applied::Confirmed;
                }
            }
        }
        Applied::Changed(session)
    }

    /// The session and the school's place of an entry.
    fn place(&self, entry: Packed) -> (u16, u16) {
        let school = match entry.time() {
            Ok(_) => entry.school(),
            Err(rest) => self.rest.get(rest).map_or(0, |rest| rest.school),
        };
        (entry.session(), school)
    }

    /// The moment from which an entry's time of revision is counted.
    fn origin(&self, session: u16) -> i64 {
        let day = i64::from(self.first + i32::from(session)).div_euclid(2) - i64::from(EARLY);
        day * 86_400_000_000
    }

    fn packed(&mut self, (session, school): (u16, u16), revision: Revision) -> Packed {
        let Revision { revised_at, code, minutes_late } = revision;
        let time = u64::try_from(revised_at.micros().saturating_sub(self.origin(session))).ok();
        let time = time.filter(|time| *time < 1 << TIME_BITS && minutes_late.is_none() && school < 1 << SCHOOL_BITS);
        let time = time.ok_or_else(|| {
            self.rest.push(Rest { revised_at, school, minutes_late });
            self.rest.len() - 1
        });
        Packed::new(session, school, code, time)
    }

    /// Puts another revision in an entry's place; what it had elsewhere goes.
    fn replace(&mut self, at: usize, place: (u16, u16), revision: Revision) {
        let Some(held) = self.entries.get(at).copied() else { return };
        if let Err(gone) = held.time() {
            self.rest.swap_remove(gone);
            let last = self.rest.len();
            // The last has taken its place.
            if let Some(moved) = self.entries.iter_mut().find(|entry| entry.time() == Err(last)) {
                *moved = Packed::new(moved.session(), moved.school(), moved.code(), Err(gone));
            }
        }
        let entry = self.packed(place, revision);
        if let Some(held) = self.entries.get_mut(at) {
            *held = entry;
        }
    }

    fn unpacked(&self, packed: Packed) -> Entry {
        let number = packed.session();
        let session = Session::from_number(self.first + i32::from(number));
        let (school, revised_at, minutes_late) = match packed.time() {
            Ok(time) => {
                let time = i64::try_from(time).unwrap_or_default();
                (packed.school(), Timestamp::from_micros(self.origin(number) + time), None)
            }
            Err(rest) => self
                .rest
                .get(rest)
                .map_or((0, Timestamp::default(), None), |rest| (rest.school, rest.revised_at, rest.minutes_late)),
        };
        Entry { session, school, revision: Revision { revised_at, code: packed.code(), minutes_late } }
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
                let place = u16::try_from(at).unwrap_or(u16::MAX);
                // Those of later schools are packed anew: rare, and a place may need more room.
                let entries: Vec<Entry> = if at < self.schools.len() { self.entries().collect() } else { Vec::new() };
                self.schools.insert(at, school);
                if !entries.is_empty() {
                    self.entries.clear();
                    self.rest.clear();
                }
                for entry in entries {
                    let number = u16::try_from(entry.session.number() - self.first).unwrap_or(u16::MAX);
                    let school = if entry.school >= place { entry.school + 1 } else { entry.school };
                    let packed = self.packed((number, school), entry.revision);
                    self.entries.push(packed);
                }
                at
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

    /// Whatever does not fit into eight bytes is held all the same, and found again after corrections and with more schools.
    #[test]
    fn every_entry_is_held_as_it_came() {
        let day = Day::parse("2026-02-09").unwrap();
        let origin = Timestamp::in_london(day, 0).micros();
        let times = [0, 1, -8, -7, 35, 36, 400, -400].map(|days| origin + days * 86_400_000_000 + days);
        let minutes = [None, Some(MinutesLate::new(0).unwrap()), Some(MinutesLate::new(999).unwrap())];
        let mut record = YearRecord::new(SchoolYear::beginning(2025));
        let mut held = std::collections::BTreeMap::new();
        // Schools come from the greatest URN to the least, so that all places move; each mark is corrected once.
        for (number, urn) in (900_001..900_021).rev().enumerate() {
            for round in [0, 1] {
                for half in [Half::Am, Half::Pm] {
                    let (session, school) = (Session::new(day, half), Urn::new(urn).unwrap());
                    let code = Code::ALL[(number * 5 + round + usize::from(half == Half::Pm)) % Code::ALL.len()];
                    let (time, minutes_late) =
                        (times[(number + round) % times.len()], minutes[(number + round * 2) % 3]);
                    let revision = Revision { revised_at: Timestamp::from_micros(time), code, minutes_late };
                    record.apply(school, session, revision);
                    let kept = held.entry((session, school)).or_insert(revision);
                    *kept = revision.max(*kept);
                }
            }
        }
        let found: Vec<_> = record.entries().map(|e| ((e.session, record.school(e).unwrap()), e.revision)).collect();
        assert_eq!(found, held.into_iter().collect::<Vec<_>>());
        let mut again = YearRecord::new(SchoolYear::beginning(2025));
        for ((session, school), revision) in &found {
            again.apply(*school, *session, *revision);
        }
        assert_eq!(again, record, "however it came about");
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
