//! What is learnt late is not news: whether a change makes a message at all.
//!
//! Measured from the newest session known when the change was made, not from now: what was news then is still owed after
//! an outage of the notifier.

use attendance::calendar::Calendar;
use attendance::{Day, Session};

/// Whether a change makes a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It does.
    New,
    /// It is caused by a session that is too long ago, or by an import of history.
    Old,
}

/// Judges a change by the session that caused it; one that no session caused (time, another rule set that the policy wants to be told of) is always new.
pub(crate) fn judge(calendar: &Calendar, newer_than: u32, as_of: Session, caused_by: Option<Session>) -> News {
    match (caused_by, oldest_day(calendar, newer_than, as_of.day())) {
        (Some(caused_by), Some(oldest)) if caused_by.day() < oldest => News::Old,
        _ => News::New,
    }
}

/// The `count`-th school day before a day; none where the calendar does not reach back so far.
fn oldest_day(calendar: &Calendar, count: u32, day: Day) -> Option<Day> {
    let open = calendar.open_days();
    let before = open.partition_point(|open| *open < day);
    let place = before.checked_sub(usize::try_from(count).ok()?)?;
    open.get(place).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use attendance::Half;

    #[test]
    fn a_change_caused_more_than_ten_school_days_ago_is_old() {
        let day = |text: &str| Day::parse(text).unwrap();
        let weekdays = (0..60).map(|days| day("2025-09-01").plus(days)).filter(|day| day.weekday() < 5);
        let calendar = Calendar::observed(weekdays);
        let session = |text: &str| Session::new(day(text), Half::Am);
        let judge = |caused: &str| judge(&calendar, 10, session("2025-10-01"), Some(session(caused)));
        assert_eq!(judge("2025-09-17"), News::New, "ten school days");
        assert_eq!(judge("2025-09-16"), News::Old, "eleven");
        assert_eq!(judge("2025-10-01"), News::New);
        let none = super::judge(&calendar, 10, session("2025-10-01"), None);
        assert_eq!(none, News::New, "time or a rule set");
        let early = super::judge(&calendar, 10, session("2025-09-04"), Some(session("2025-09-01")));
        assert_eq!(early, News::New, "the calendar does not reach back so far");
    }
}
