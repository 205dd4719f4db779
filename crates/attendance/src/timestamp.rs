//! A moment in microseconds: the precision in which registers say when they were last changed.

use crate::day::Day;
use jiff::tz::TimeZone;
use std::fmt;
use std::sync::LazyLock;

/// Microseconds since 1 January 1970, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// What is wrong with a timestamp's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time with a zone; write it as 2025-09-03T08:52:10Z")]
pub struct TimestampError(String);

/// Time zone rules come with the program: school times must not depend on a machine's files.
static LONDON: LazyLock<TimeZone> = LazyLock::new(|| TimeZone::get("Europe/London").unwrap_or(TimeZone::UTC));

impl Timestamp {
    /// The moment `micros` microseconds after 1 January 1970, UTC.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1 January 1970, UTC.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339 with a zone; digits beyond the microsecond are cut off.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        let read: Result<jiff::Timestamp, _> = text.parse();
        let moment = read.map_err(|_| TimestampError(text.chars().take(40).collect()))?;
        Ok(Self(moment.as_microsecond()))
    }

    /// The moment of `hour` o'clock on `day` in London.
    pub fn in_london(day: Day, hour: i8) -> Self {
        let local = day.date().at(hour, 0, 0, 0);
        let moment = LONDON.to_timestamp(local);
        Self(moment.map_or(i64::from(day.days()) * 86_400_000_000, jiff::Timestamp::as_microsecond))
    }

    /// The day that London's calendars show.
    pub fn day_in_london(self) -> Day {
        Day::from_date(LONDON.to_datetime(self.moment()).date())
    }

    /// The moment `micros` microseconds later.
    pub fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    fn moment(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.moment(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microseconds_are_kept_and_nothing_below() {
        let moment = Timestamp::parse("2025-09-03T08:52:10.123456789Z").unwrap();
        assert_eq!(moment.to_string(), "2025-09-03T08:52:10.123456Z");
        assert_eq!(Timestamp::parse("2025-09-03T09:52:10.123456+01:00").unwrap(), moment);
    }

    #[test]
    fn a_time_without_a_zone_is_refused() {
        for text in ["2025-09-03T08:52:10", "2025-09-03", "", "yesterday"] {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_late_evening_in_summer_belongs_to_londons_day() {
        let moment = Timestamp::parse("2025-06-30T23:30:00Z").unwrap();
        assert_eq!(moment.day_in_london().to_string(), "2025-07-01");
    }
}
