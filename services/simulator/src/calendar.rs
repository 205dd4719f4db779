//! The school calendar of a county in the style of Dorset's: three terms, six half terms, 190 days, bank holidays.
//! Takes the year in which the school year starts; keeps its days in order. Single schools' closures are not here.

use jiff::civil::{Date, Weekday, date};
use jiff::{Span, Timestamp};

/// School days in a year (sessions are twice as many).
pub const DAYS: usize = 190;

/// The calendar cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// Bank holidays are known for these years only.
    #[error("school year starting in {0}: only 2020 to 2030 are known, choose one of these")]
    UnknownYear(i16),
}

/// A school year's days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    start_year: i16,
    days: Vec<Date>,
    half_terms: Vec<(Date, Date)>,
}

impl Calendar {
    /// The school year that starts in September of `start_year`, 2020 to 2030.
    pub fn new(start_year: i16) -> Result<Self, CalendarError> {
        if !(2020..=2030).contains(&start_year) {
            return Err(CalendarError::UnknownYear(start_year));
        }
        let holidays = [bank_holidays(start_year), bank_holidays(start_year + 1)].concat();
        let mut days = Vec::with_capacity(DAYS);
        let mut half_terms = Vec::new();
        for (first, last) in spans(start_year) {
            let before = days.len();
            let mut day = first;
            while day <= last && days.len() < DAYS {
                if !is_weekend(day) && !holidays.contains(&day) {
                    days.push(day);
                }
                day = plus(day, 1);
            }
            if let (Some(from), Some(to)) = (days.get(before), days.last()) {
                half_terms.push((*from, *to));
            }
        }
        Ok(Self { start_year, days, half_terms })
    }

    /// The year of its September.
    pub fn start_year(&self) -> i16 {
        self.start_year
    }

    /// The 190 school days, in order.
    pub fn days(&self) -> &[Date] {
        &self.days
    }

    /// First and last day of each of the six half terms.
    pub fn half_terms(&self) -> &[(Date, Date)] {
        &self.half_terms
    }

    /// The school days, then `extra` working days after the last one, on which schools still send corrections.
    pub(crate) fn working_days(&self, extra: usize) -> Vec<Date> {
        let mut all = self.days.clone();
        while all.len() < self.days.len() + extra {
            let mut next = all.last().map_or(date(self.start_year, 9, 1), |last| plus(*last, 1));
            while is_weekend(next) {
                next = plus(next, 1);
            }
            all.push(next);
        }
        all
    }
}

/// First and last day of each half term. The last one is open: it ends with the 190th day.
fn spans(year: i16) -> [(Date, Date); 6] {
    let next = year + 1;
    let monday = |from: Date| on_or_after(from, Weekday::Monday);
    // 1 September is the teachers' day, and so is the first Monday of the second to fourth half term.
    let start = date(year, 9, 2);
    let start = if is_weekend(start) { monday(start) } else { start };
    let october = monday(date(year, 10, 22));
    let christmas = on_or_after(date(year, 12, 17), Weekday::Friday);
    let january = monday(date(next, 1, 3));
    let february = monday(date(next, 2, 12));
    let (easter_from, easter_to) = easter_holiday(next);
    let may = last_monday(date(next, 5, 31));
    [
        (start, plus(october, -3)),
        (plus(october, 8), christmas),
        (plus(january, 1), plus(february, -3)),
        (plus(february, 8), plus(easter_from, -1)),
        (plus(easter_to, 1), plus(may, -3)),
        (plus(may, 7), date(next, 7, 31)),
    ]
}

/// Two weeks about Easter: before it when it is late, after it when it is early, so that terms keep their length.
fn easter_holiday(year: i16) -> (Date, Date) {
    let easter = easter_sunday(year);
    if easter >= date(year, 4, 15) {
        (plus(easter, -13), plus(easter, 1))
    } else if easter <= date(year, 4, 2) {
        (plus(easter, -2), plus(easter, 14))
    } else {
        (plus(easter, -6), plus(easter, 7))
    }
}

/// The bank holidays of England in a calendar year, 2020 to 2031, with the single ones of 2022 and 2023.
pub fn bank_holidays(year: i16) -> Vec<Date> {
    let easter = easter_sunday(year);
    let first_may = if year == 2020 { date(2020, 5, 8) } else { on_or_after(date(year, 5, 1), Weekday::Monday) };
    let spring = if year == 2022 { date(2022, 6, 2) } else { last_monday(date(year, 5, 31)) };
    let mut all = vec![
        not_weekend(date(year, 1, 1)),
        plus(easter, -2),
        plus(easter, 1),
        first_may,
        spring,
        last_monday(date(year, 8, 31)),
    ];
    match year {
        2022 => all.extend([date(2022, 6, 3), date(2022, 9, 19)]),
        2023 => all.push(date(2023, 5, 8)),
        _ => {}
    }
    let christmas = not_weekend(date(year, 12, 25));
    let boxing = not_weekend(date(year, 12, 26));
    // Both fall on a weekend, or one of them moves onto the other: the substitute is the day after.
    let boxing = if boxing <= christmas { plus(christmas, 1) } else { boxing };
    all.extend([christmas, boxing]);
    all
}

/// Easter Sunday by the Gregorian rule (Meeus, Jones, Butcher).
fn easter_sunday(year: i16) -> Date {
    let year_number = i32::from(year);
    let (golden, century, of_century) = (year_number % 19, year_number / 100, year_number % 100);
    let moon_shift = (8 * century + 13) / 25;
    let epact = (19 * golden + century - century / 4 - moon_shift + 15) % 30;
    let weekday = (32 + 2 * (century % 4) + 2 * (of_century / 4) - epact - of_century % 4) % 7;
    let late = (golden + 11 * epact + 22 * weekday) / 451;
    plus(date(year, 3, 22), i64::from(epact + weekday - 7 * late))
}

/// The microseconds-exact moment of a local time of day in England, in UTC.
pub(crate) fn london(day: Date, seconds: u32, micros: u32) -> Timestamp {
    let summer_from = last_sunday(date(day.year(), 3, 31));
    let summer_to = last_sunday(date(day.year(), 10, 31));
    // School hours are far from the hour of the change.
    let offset = if day >= summer_from && day < summer_to { 3600 } else { 0 };
    let epoch_days = i64::from(day.since(date(1970, 1, 1)).map_or(0, |span| span.get_days()));
    let second = epoch_days * 86_400 + i64::from(seconds) - offset;
    Timestamp::from_microsecond(second * 1_000_000 + i64::from(micros)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Whole days from `a` to `b`.
pub(crate) fn days_between(a: Date, b: Date) -> i32 {
    b.since(a).map_or(0, |span| span.get_days())
}

/// The date `days` later (or earlier).
pub(crate) fn plus(day: Date, days: i64) -> Date {
    day.saturating_add(Span::new().days(days))
}

pub(crate) fn is_weekend(day: Date) -> bool {
    matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
}

fn not_weekend(day: Date) -> Date {
    if is_weekend(day) { on_or_after(day, Weekday::Monday) } else { day }
}

fn on_or_after(mut day: Date, weekday: Weekday) -> Date {
    while day.weekday() != weekday {
        day = plus(day, 1);
    }
    day
}

fn last_monday(end_of_month: Date) -> Date {
    on_or_after(plus(end_of_month, -6), Weekday::Monday)
}

fn last_sunday(end_of_month: Date) -> Date {
    on_or_after(plus(end_of_month, -6), Weekday::Sunday)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_year_has_190_weekdays_in_six_half_terms_that_end_in_july() {
        for year in 2020..=2030 {
            let calendar = Calendar::new(year).unwrap();
            assert_eq!(calendar.days().len(), DAYS, "{year}");
            assert_eq!(calendar.half_terms().len(), 6, "{year}");
            assert!(calendar.days().windows(2).all(|pair| pair[0] < pair[1]), "{year}");
            let last = *calendar.days().last().unwrap();
            assert!(last >= date(year + 1, 7, 8) && last <= date(year + 1, 7, 27), "{year}: {last}");
            for (from, to) in calendar.half_terms() {
                assert!((18..=60).contains(&days_between(*from, *to)), "{year}: {from} to {to}");
            }
        }
        assert_eq!(Calendar::new(2019), Err(CalendarError::UnknownYear(2019)));
    }

    #[test]
    fn the_year_2025_26_has_dorsets_holidays() {
        let calendar = Calendar::new(2025).unwrap();
        assert_eq!(calendar.days()[0], date(2025, 9, 2));
        for closed in [date(2025, 10, 27), date(2025, 12, 22), date(2026, 2, 16), date(2026, 4, 3), date(2026, 5, 4)] {
            assert!(!calendar.days().contains(&closed), "{closed}");
        }
        for open in [date(2025, 10, 24), date(2025, 12, 19), date(2026, 3, 27), date(2026, 4, 14), date(2026, 6, 2)] {
            assert!(calendar.days().contains(&open), "{open}");
        }
    }

    #[test]
    fn bank_holidays_are_those_the_government_lists() {
        let listed_2022 = [
            date(2022, 1, 3),
            date(2022, 4, 15),
            date(2022, 4, 18),
            date(2022, 5, 2),
            date(2022, 6, 2),
            date(2022, 8, 29),
            date(2022, 6, 3),
            date(2022, 9, 19),
            date(2022, 12, 27),
            date(2022, 12, 26),
        ];
        let mut got = bank_holidays(2022);
        let mut want = listed_2022.to_vec();
        got.sort_unstable();
        want.sort_unstable();
        assert_eq!(got, want);
        assert!(bank_holidays(2021).contains(&date(2021, 12, 27)) && bank_holidays(2021).contains(&date(2021, 12, 28)));
    }

    #[test]
    fn local_times_become_utc_by_summer_time() {
        assert_eq!(london(date(2025, 9, 3), 9 * 3600, 5).to_string(), "2025-09-03T08:00:00.000005Z");
        assert_eq!(london(date(2025, 11, 3), 9 * 3600, 0).to_string(), "2025-11-03T09:00:00Z");
    }
}
