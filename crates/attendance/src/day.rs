//! A calendar day as a number of days, so that arithmetic on it is arithmetic.

use jiff::civil::{Date, date};
use std::fmt;

/// A day: days since 1 January 1970.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Day(i32);

/// Days from 1 March of the year 0 to 1 January 1970 in the proleptic Gregorian calendar.
const BEFORE_1970: i32 = 719_468;

/// What is wrong with a date's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no date; write it as 2025-09-03")]
pub struct DayError(String);

impl Day {
    /// Years outside of 1900 to 2199 are taken for slips of the pen.
    const YEARS: std::ops::RangeInclusive<i16> = 1900..=2199;

    /// The day that is `days` after 1 January 1970.
    pub const fn from_days(days: i32) -> Self {
        Self(days)
    }

    /// Days since 1 January 1970.
    pub const fn days(self) -> i32 {
        self.0
    }

    /// The day of a calendar date.
    pub fn from_date(date: Date) -> Self {
        Self::first_of(date.year(), date.month()).plus(i32::from(date.day()) - 1)
    }

    /// The first day of a year's month (1 to 12).
    pub(crate) const fn first_of(year: i16, month: i8) -> Self {
        // Years that begin in March have their leap day at the end.
        let (year, month) =
            if month > 2 { (year as i32, month as i32 - 3) } else { (year as i32 - 1, month as i32 + 9) };
        let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
        Self(365 * year + leaps + (153 * month + 2) / 5 - BEFORE_1970)
    }

    /// The day of a year, month (1 to 12) and day of the month, where there is one.
    pub fn of(year: i16, month: i8, day: i8) -> Option<Self> {
        Date::new(year, month, day).ok().map(Self::from_date)
    }

    /// Reads `YYYY-MM-DD`.
    pub fn parse(text: &str) -> Result<Self, DayError> {
        let wrong = || DayError(text.chars().take(32).collect());
        let bytes = text.as_bytes();
        let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = bytes else { return Err(wrong()) };
        let number = |digits: &[u8]| {
            digits.iter().try_fold(0_i16, |sum, b| b.is_ascii_digit().then(|| sum * 10 + i16::from(b - b'0')))
        };
        let year = number(&[y1, y2, y3, y4]).filter(|y| Self::YEARS.contains(y)).ok_or_else(wrong)?;
        let month = number(&[m1, m2]).and_then(|m| i8::try_from(m).ok()).ok_or_else(wrong)?;
        let day = number(&[d1, d2]).and_then(|d| i8::try_from(d).ok()).ok_or_else(wrong)?;
        Self::of(year, month, day).ok_or_else(wrong)
    }

    /// The calendar date.
    pub fn date(self) -> Date {
        let (year, month, day) = self.parts();
        Date::new(year, month, day).unwrap_or(Date::ZERO)
    }

    /// The year and month (1 to 12) of its date.
    pub(crate) fn month(self) -> (i16, i8) {
        let (year, month, _) = self.parts();
        (year, month)
    }

    fn parts(self) -> (i16, i8, i8) {
        let z = i64::from(self.0) + i64::from(BEFORE_1970);
        let era = z.div_euclid(146_097);
        let of_era = z.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let parts = (i16::try_from(year), i8::try_from(month), i8::try_from(day));
        match parts {
            (Ok(year), Ok(month), Ok(day)) => (year, month, day),
            _ => (0, 1, 1),
        }
    }

    /// The Monday of this day's week.
    pub fn monday(self) -> Self {
        // 1 January 1970 was a Thursday.
        Self(self.0 - (self.0 + 3).rem_euclid(7))
    }

    /// Monday is 0, Sunday 6.
    pub fn weekday(self) -> u8 {
        u8::try_from((self.0 + 3).rem_euclid(7)).unwrap_or(0)
    }

    /// As people say it: "2 September".
    pub(crate) fn spoken(self) -> String {
        let date = self.date();
        let month = match date.month() {
            1 => "January",
            2 => "February",
            3 => "March",
            4 => "April",
            5 => "May",
            6 => "June",
            7 => "July",
            8 => "August",
            9 => "September",
            10 => "October",
            11 => "November",
            _ => "December",
        };
        format!("{} {month}", date.day())
    }

    /// The day `days` later.
    pub fn plus(self, days: i32) -> Self {
        Self(self.0.saturating_add(days))
    }
}

/// Easter Sunday of a year (Gregorian computus, after Meeus, "Astronomical Algorithms", chapter 8).
#[expect(clippy::many_single_char_names, reason = "the computus is published with these names")]
pub fn easter(year: i16) -> Day {
    let y = i32::from(year);
    let (a, b, c) = (y % 19, y / 100, y % 100);
    let (d, e) = (b / 4, b % 4);
    let g = (8 * b + 13) / 25;
    let h = (19 * a + b - d - g + 15) % 30;
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k) % 7;
    let m = (a + 11 * h + 19 * l) / 433;
    let month = (h + l - 7 * m + 90) / 25;
    let day = (h + l - 7 * m + 33 * month + 19) % 32;
    let date = match (i8::try_from(month), i8::try_from(day)) {
        (Ok(month), Ok(day)) => Date::new(year, month, day).unwrap_or(date(year, 4, 1)),
        _ => date(year, 4, 1),
    };
    Day::from_date(date)
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.date(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_agree_over_three_centuries() {
        let mut expected = date(1900, 1, 1);
        let first = Day::from_date(expected);
        for days in 0..109_573 {
            let day = first.plus(days);
            assert_eq!(day.date(), expected);
            assert_eq!(Day::from_date(expected), day);
            assert_eq!(i32::from(day.weekday()), i32::from(expected.weekday().to_monday_zero_offset()));
            expected = expected.tomorrow().unwrap();
        }
    }

    #[test]
    fn only_whole_real_dates_are_read() {
        assert_eq!(Day::parse("2025-09-03").unwrap().to_string(), "2025-09-03");
        for text in ["2025-02-29", "2025-9-3", "03/09/2025", "2025-13-01", "0025-09-03", "2025-09-03 ", ""] {
            assert!(Day::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn easter_falls_where_the_almanac_says() {
        for (year, text) in [
            (2020, "2020-04-12"),
            (2024, "2024-03-31"),
            (2025, "2025-04-20"),
            (2026, "2026-04-05"),
            (2038, "2038-04-25"),
        ] {
            assert_eq!(easter(year).to_string(), text);
        }
    }

    #[test]
    fn weeks_begin_on_monday() {
        let wednesday = Day::parse("2025-09-03").unwrap();
        assert_eq!(wednesday.monday().to_string(), "2025-09-01");
        assert_eq!(wednesday.monday().monday(), wednesday.monday());
    }
}
