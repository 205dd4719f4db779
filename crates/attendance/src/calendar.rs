//! School calendars: which days a school means to be open, its terms, its school weeks.
//!
//! A calendar says only what to expect: a mark on a day that it calls closed counts all the same.

use crate::day::{Day, easter};
use crate::{Half, SchoolYear, Session, Urn};
use std::collections::BTreeMap;

/// A school's open days and terms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    /// The first day of each term.
    term_starts: Vec<Day>,
    open: Vec<Day>,
    /// The Mondays of weeks with an open day.
    weeks: Vec<Day>,
    reach: Reach,
}

/// How far a calendar tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reach {
    /// To the end of its last year.
    #[default]
    Whole,
    /// As far as something was seen.
    Seen,
}

/// Days before 31 July on which no year ends.
const SUMMER: i32 = 45;

/// School days of a year, where a calendar does not tell: by law schools open for 380 sessions.
const DAYS_A_YEAR: usize = 190;

impl Calendar {
    /// A calendar of open days and of the first days of its terms, both in any order.
    pub fn new(term_starts: impl IntoIterator<Item = Day>, open: impl IntoIterator<Item = Day>) -> Self {
        let sorted = |mut days: Vec<Day>| {
            days.sort_unstable();
            days.dedup();
            days
        };
        let open = sorted(open.into_iter().collect());
        let weeks = sorted(open.iter().map(|day| day.monday()).collect());
        Self { term_starts: sorted(term_starts.into_iter().collect()), open, weeks, reach: Reach::Whole }
    }

    /// A calendar of days that were seen to be open, with the DfE's census terms: 1 August to 31 December,
    /// 1 January to Easter Sunday, Easter Monday to 31 July ("Pupil absence statistics: methodology").
    pub fn observed(open: impl IntoIterator<Item = Day>) -> Self {
        let mut calendar = Self::new([], open);
        if let (Some(first), Some(last)) = (calendar.open.first(), calendar.open.last()) {
            let years = SchoolYear::of(*first).first_calendar_year()..=SchoolYear::of(*last).first_calendar_year();
            calendar.term_starts = years.flat_map(census_terms).collect();
        }
        calendar.reach = Reach::Seen;
        calendar
    }

    /// Whether the school means to be open.
    pub fn is_open(&self, day: Day) -> bool {
        self.open.binary_search(&day).is_ok()
    }

    /// The open days, in order.
    pub fn open_days(&self) -> &[Day] {
        &self.open
    }

    /// The first day of each term, in order.
    pub fn term_starts(&self) -> &[Day] {
        &self.term_starts
    }

    /// The first day of a day's term; none before the first term. Holidays belong to the term before them.
    pub fn term_start(&self, day: Day) -> Option<Day> {
        let begun = self.term_starts.partition_point(|start| *start <= day);
        begun.checked_sub(1).and_then(|last| self.term_starts.get(last)).copied()
    }

    /// Sessions on open days after `session` in its school year. A calendar of what was seen tells nothing of days to come, and what it
    /// has of them is not looked at: there the year is taken to have 190 days. Of a year of which it has no day at all a part of
    /// these 190 is to come, by the weekdays from September to 20 July.
    pub fn rest(&self, session: Session) -> u32 {
        let year = SchoolYear::of(session.day());
        let place = |day: Day| self.open.partition_point(|open| *open <= day);
        let before = place(year.first_day().plus(-1));
        let so_far = place(session.day());
        let days = match self.reach {
            Reach::Whole if !self.knows(year) => {
                weekdays_left(session.day()) * DAYS_A_YEAR / weekdays_left(year.first_day())
            }
            Reach::Whole => place(year.last_day()) - so_far,
            Reach::Seen => DAYS_A_YEAR.saturating_sub(so_far - before),
        };
        let afternoon = u32::from(session.half() == Half::Am);
        u32::try_from(days).unwrap_or(0) * 2 + afternoon
    }

    /// The last school year of which a day is told, and its last open day, where that lies before 16 June: then the summer is missing.
    pub fn told_in_part(&self) -> Option<(SchoolYear, Day)> {
        let last = *self.open.last()?;
        let year = SchoolYear::of(last);
        (last.plus(SUMMER) < year.last_day()).then_some((year, last))
    }

    /// Whether any day of a school year is told.
    fn knows(&self, year: SchoolYear) -> bool {
        let from = self.open.partition_point(|open| *open < year.first_day());
        self.open.get(from).is_some_and(|open| *open <= year.last_day())
    }

    /// How many open days lie between two days, the later one counting; weekdays in a school year of which no day is told.
    pub fn days_between(&self, before: Day, day: Day) -> usize {
        if !self.knows(SchoolYear::of(day)) {
            return weekdays(before.plus(1), day);
        }
        let place = |day: Day| self.open.partition_point(|open| *open <= day);
        place(day).saturating_sub(place(before))
    }

    /// The first day of a school year on which [`Calendar::days_between`] comes to `count`; none where the year ends before. A calendar
    /// that does not tell the year, or only of what was seen, does not tell of days to come.
    pub fn days_after(&self, before: Day, count: usize, year: SchoolYear) -> Option<Day> {
        if self.reach == Reach::Seen || !self.knows(year) {
            return None;
        }
        let rest = before.plus(1).max(year.first_day()).days()..=year.last_day().days();
        rest.map(Day::from_days).find(|day| self.days_between(before, *day) >= count)
    }

    /// The Monday from which `count` school weeks (weeks with an open day) end with the week of `day`. The week of
    /// `day` itself always counts: there is a mark in it. Where the calendar reaches no further back, weeks are the
    /// calendar's.
    pub fn weeks_back(&self, day: Day, count: u16) -> Day {
        let monday = day.monday();
        let before = self.weeks.partition_point(|week| *week < monday);
        let Some(further) = usize::from(count).checked_sub(1) else { return monday };
        if further == 0 {
            return monday;
        }
        if let Some(week) = before.checked_sub(further).and_then(|at| self.weeks.get(at)) {
            return *week;
        }
        let known = i32::try_from(before).unwrap_or(0);
        let first = self.weeks.first().copied().filter(|first| *first < monday).unwrap_or(monday);
        first.plus(-7 * (i32::try_from(further).unwrap_or(0) - known))
    }
}

/// Weekdays from one day to another, both included.
fn weekdays(from: Day, to: Day) -> usize {
    (from.days()..=to.days()).map(Day::from_days).filter(|day| day.weekday() < 5).count()
}

/// Weekdays after a day from 1 September to 20 July of its school year.
fn weekdays_left(day: Day) -> usize {
    let year = SchoolYear::of(day).first_calendar_year();
    let (Some(first), Some(last)) = (Day::of(year, 9, 1), Day::of(year + 1, 7, 20)) else { return 0 };
    weekdays(day.plus(1).max(first), last)
}

fn census_terms(year: i16) -> [Day; 3] {
    let autumn = SchoolYear::beginning(year).first_day();
    let spring = Day::of(year + 1, 1, 1).unwrap_or(autumn);
    [autumn, spring, easter(year + 1).plus(1)]
}

/// The authority's calendar and those of the schools that keep another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendars {
    default: Calendar,
    by_school: BTreeMap<Urn, Calendar>,
}

impl Calendars {
    /// The authority's calendar for all schools.
    pub fn new(default: Calendar) -> Self {
        Self { default, by_school: BTreeMap::new() }
    }

    /// Gives a school a calendar of its own.
    pub fn set(&mut self, school: Urn, calendar: Calendar) {
        self.by_school.insert(school, calendar);
    }

    /// The authority's, then those of schools that keep another.
    pub fn all(&self) -> impl Iterator<Item = (Option<Urn>, &Calendar)> {
        let own = self.by_school.iter().map(|(school, calendar)| (Some(*school), calendar));
        std::iter::once((None, &self.default)).chain(own)
    }

    /// The calendar that holds for a school.
    pub fn of(&self, school: Urn) -> &Calendar {
        self.by_school.get(&school).unwrap_or(&self.default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    #[test]
    fn census_terms_change_at_new_year_and_at_easter() {
        let calendar = Calendar::observed([day("2025-09-03"), day("2026-07-20")]);
        let starts = ["2025-07-31", "2025-09-03", "2025-12-31", "2026-01-01", "2026-04-05", "2026-04-06"]
            .map(|d| calendar.term_start(day(d)).map(|start| start.to_string()).unwrap_or_default());
        assert_eq!(starts, ["", "2025-08-01", "2025-08-01", "2026-01-01", "2026-01-01", "2026-04-06"]);
    }

    #[test]
    fn school_weeks_pass_over_holidays() {
        let open = ["2025-10-13", "2025-10-20", "2025-11-03", "2025-11-11"].map(day);
        let calendar = Calendar::new([], open);
        assert_eq!(calendar.weeks_back(day("2025-11-12"), 1), day("2025-11-10"));
        assert_eq!(calendar.weeks_back(day("2025-11-12"), 3), day("2025-10-20"));
        assert_eq!(calendar.weeks_back(day("2025-11-12"), 4), day("2025-10-13"));
    }

    #[test]
    fn before_the_calendar_begins_weeks_are_the_calendars() {
        let calendar = Calendar::new([], [day("2025-11-03")]);
        assert_eq!(calendar.weeks_back(day("2025-11-12"), 3), day("2025-10-27"));
        assert_eq!(Calendar::default().weeks_back(day("2025-11-12"), 3), day("2025-10-27"));
    }

    #[test]
    fn a_marked_week_counts_though_the_calendar_calls_it_closed() {
        let calendar = Calendar::new([], [day("2025-10-20"), day("2025-11-03")]);
        assert_eq!(calendar.weeks_back(day("2025-10-29"), 2), day("2025-10-20"), "half term, but a mark came");
    }

    #[test]
    fn what_is_to_come_is_counted_and_of_years_that_are_not_told_taken_by_weekdays() {
        let session = |text: &str, half| Session::new(day(text), half);
        let autumn = (0..80).map(|days| day("2025-09-01").plus(days)).filter(|day| day.weekday() < 5);
        let told = Calendar::new([], autumn.clone());
        assert_eq!(told.rest(session("2025-11-18", Half::Am)), 3, "the afternoon, and Wednesday");
        assert_eq!(told.days_between(day("2025-09-05"), day("2025-09-09")), 2, "over a weekend");
        // Of the year before it knows nothing.
        assert_eq!(told.rest(session("2024-08-30", Half::Pm)), 380);
        let half_way = told.rest(session("2025-02-07", Half::Pm));
        assert!((170..210).contains(&half_way), "{half_way}");
        assert_eq!(told.rest(session("2025-07-20", Half::Pm)), 0);
        assert_eq!(told.days_between(day("2025-02-07"), day("2025-02-11")), 2);
        let in_part = told.told_in_part().map(|(year, last)| (year.to_string(), last.to_string()));
        assert_eq!(in_part, Some(("2025/26".to_owned(), "2025-11-19".to_owned())));
        assert_eq!(Calendar::new([], [day("2026-06-17")]).told_in_part(), None);
        // What was seen says nothing of days to come, though it holds them.
        let seen = Calendar::observed(autumn);
        assert_eq!(seen.rest(session("2025-09-05", Half::Pm)), 2 * (190 - 5));
    }

    #[test]
    fn a_school_without_a_calendar_keeps_the_authoritys() {
        let mut calendars = Calendars::new(Calendar::new([], [day("2025-09-03")]));
        let own = Urn::new(900_001).unwrap();
        calendars.set(own, Calendar::new([], [day("2025-09-04")]));
        assert!(calendars.of(own).is_open(day("2025-09-04")));
        assert!(calendars.of(Urn::new(900_002).unwrap()).is_open(day("2025-09-03")));
    }
}
