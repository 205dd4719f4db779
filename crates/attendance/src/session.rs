//! Sessions (half a school day) and school years.

use crate::day::Day;
use crate::timestamp::Timestamp;
use std::fmt;

/// The half of a school day that a register is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Half {
    /// The morning session.
    Am,
    /// The afternoon session.
    Pm,
}

/// What is wrong with the text of a session's half.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no session; write AM or PM")]
pub struct HalfError(String);

impl Half {
    /// Reads `AM` or `PM`, small letters too.
    pub fn parse(text: &str) -> Result<Self, HalfError> {
        match text {
            "AM" | "am" => Ok(Self::Am),
            "PM" | "pm" => Ok(Self::Pm),
            _ => Err(HalfError(text.chars().take(16).collect())),
        }
    }

    /// `AM` or `PM`.
    pub fn text(self) -> &'static str {
        match self {
            Self::Am => "AM",
            Self::Pm => "PM",
        }
    }
}

/// A session of a day, in the order of the calendar.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Session(i32);

impl Session {
    /// The session of `day` in its `half`.
    pub const fn new(day: Day, half: Half) -> Self {
        Self(day.days() * 2 + half as i32)
    }

    /// The session of a stored number: days since 1970 times two, and one for the afternoon.
    pub const fn from_number(number: i32) -> Self {
        Self(number)
    }

    /// The number that databases and messages carry.
    pub const fn number(self) -> i32 {
        self.0
    }

    /// The session's day.
    pub const fn day(self) -> Day {
        Day::from_days(self.0.div_euclid(2))
    }

    /// Morning or afternoon.
    pub const fn half(self) -> Half {
        if self.0.rem_euclid(2) == 0 { Half::Am } else { Half::Pm }
    }

    /// The newest session that has begun at a moment, on any day of the week.
    pub fn at(moment: Timestamp) -> Self {
        let afternoon = Self::new(moment.day_in_london(), Half::Pm);
        // Midnight in London lies at most one session before the afternoon's beginning.
        let begun = (0..3).map(|back| Self(afternoon.0 - back)).find(|session| session.begins() <= moment);
        begun.unwrap_or(Self(afternoon.0 - 3))
    }

    /// The school year that holds the session.
    pub fn school_year(self) -> SchoolYear {
        SchoolYear::of(self.day())
    }

    /// When the session is taken to begin, for ordering what is known: 9:00 or 13:00, time of Europe/London.
    pub fn begins(self) -> Timestamp {
        let hour = if self.half() == Half::Am { 9 } else { 13 };
        Timestamp::in_london(self.day(), hour)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.day(), self.half().text())
    }
}

/// A school year, from 1 August to 31 July, by the calendar year in which it begins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchoolYear(i16);

/// What is wrong with a school year's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no school year; write it as 2025/26")]
pub struct SchoolYearError(String);

impl SchoolYear {
    /// The school year that begins in August of `year`.
    pub const fn beginning(year: i16) -> Self {
        Self(year)
    }

    /// The school year that holds `day`.
    pub fn of(day: Day) -> Self {
        let (year, month) = day.month();
        Self(if month >= 8 { year } else { year - 1 })
    }

    /// Reads `2025/26`.
    pub fn parse(text: &str) -> Result<Self, SchoolYearError> {
        let wrong = || SchoolYearError(text.chars().take(16).collect());
        let (first, second) = text.split_once('/').ok_or_else(wrong)?;
        let year: i16 = first.parse().map_err(|_| wrong())?;
        let known = (1900..=2199).contains(&year);
        if known && Self(year).to_string() == format!("{first}/{second}") { Ok(Self(year)) } else { Err(wrong()) }
    }

    /// The calendar year in which it begins.
    pub const fn first_calendar_year(self) -> i16 {
        self.0
    }

    /// Its 1 August.
    pub const fn first_day(self) -> Day {
        Day::first_of(self.0, 8)
    }

    /// Its 31 July.
    pub fn last_day(self) -> Day {
        self.next().first_day().plus(-1)
    }

    /// The school year before.
    pub const fn previous(self) -> Self {
        Self(self.0 - 1)
    }

    /// The school year after.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Debug for SchoolYear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SchoolYear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:02}", self.0, (self.0 + 1).rem_euclid(100))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_school_year_runs_from_august_to_july() {
        let year = |text| SchoolYear::of(Day::parse(text).unwrap()).to_string();
        assert_eq!(year("2025-07-31"), "2024/25");
        assert_eq!(year("2025-08-01"), "2025/26");
        assert_eq!(year("2026-01-01"), "2025/26");
        assert_eq!(SchoolYear::beginning(1999).to_string(), "1999/00");
        assert_eq!(SchoolYear::parse("2025/26"), Ok(SchoolYear::beginning(2025)));
        assert!(SchoolYear::parse("2025/27").is_err());
        assert_eq!(SchoolYear::beginning(2025).last_day().to_string(), "2026-07-31");
    }

    #[test]
    fn sessions_are_ordered_as_the_calendar_orders_them() {
        let day = Day::parse("2025-09-03").unwrap();
        let (am, pm) = (Session::new(day, Half::Am), Session::new(day, Half::Pm));
        assert!(am < pm && pm < Session::new(day.plus(1), Half::Am));
        assert_eq!((pm.day(), pm.half()), (day, Half::Pm));
        assert_eq!(Session::from_number(am.number()), am);
    }

    #[test]
    fn the_session_of_a_moment_is_the_newest_that_has_begun() {
        let at = |text| Session::at(Timestamp::parse(text).unwrap()).to_string();
        assert_eq!(at("2025-09-03T08:00:00Z"), "2025-09-03 AM");
        assert_eq!(at("2025-09-03T07:59:59Z"), "2025-09-02 PM");
        assert_eq!(at("2025-09-03T23:30:00Z"), "2025-09-03 PM", "half past midnight in London");
        assert_eq!(at("2025-12-03T13:00:00Z"), "2025-12-03 PM");
    }

    #[test]
    fn a_session_begins_by_the_clock_of_london() {
        let begins = |text, half| Session::new(Day::parse(text).unwrap(), half).begins().to_string();
        assert_eq!(begins("2025-09-03", Half::Am), "2025-09-03T08:00:00Z", "summer time");
        assert_eq!(begins("2025-12-03", Half::Pm), "2025-12-03T13:00:00Z");
    }
}
