//! Whether a case goes along with a child to another team, and what each of the two is told. Values only.

use attendance::Day;
use store::casework::{CaseChange, KnownCase};

/// What has become of where a child is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Whose the open case was, where it has gone to another.
    pub(crate) from: Option<Owner>,
    /// Whether it is on a roll.
    roll: Roll,
}

/// The locality that a case belongs to; none where nobody claims it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner(pub(crate) Option<String>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Roll {
    #[default]
    AsBefore,
    /// On none any more, since this day.
    OffSince(Day),
    /// Again on one.
    Again,
}

/// Who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Whose the case is now.
    New,
    /// Whose it was, and is no more.
    Old,
}

impl Moved {
    /// By a case as it was and as it is. A closed one moves in silence.
    pub(crate) fn between(before: Option<&KnownCase>, now: &CaseChange) -> Self {
        let Some(before) = before.filter(|before| before.state == "open") else { return Self::default() };
        let from = (before.locality != now.locality).then(|| Owner(before.locality.clone()));
        let roll = match (before.off_roll_since, now.off_roll_since) {
            (before, Some(since)) if before != Some(since) => Roll::OffSince(Day::from_days(since)),
            (Some(_), None) => Roll::Again,
            _ => Roll::AsBefore,
        };
        Self { from, roll }
    }

    /// Whether there is anything to tell.
    pub(crate) fn is_news(&self) -> bool {
        *self != Self::default()
    }

    /// What one side is told; none where there is nothing.
    pub(crate) fn sentence(&self, to: Option<&str>, side: Side) -> Option<String> {
        let named = |locality: Option<&str>| locality.unwrap_or("no locality").to_owned();
        let moved = self.from.as_ref().map(|Owner(from)| match side {
            Side::Old => format!("This child has moved to {}: the case goes along, and is no longer yours.", named(to)),
            Side::New => {
                let from = named(from.as_deref());
                format!("This child has moved here from {from}: the case comes along with its history.")
            }
        });
        let roll = match self.roll {
            Roll::AsBefore => None,
            Roll::OffSince(day) => {
                Some(format!("This child is on no school's roll since {day}: please find out where it is."))
            }
            Roll::Again => Some("This child is on a school's roll again.".to_owned()),
        };
        let both: Vec<String> = moved.into_iter().chain(roll).collect();
        (!both.is_empty()).then(|| both.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(locality: &str, state: &str, off_roll_since: Option<i32>) -> KnownCase {
        KnownCase {
            id: 1,
            upn: 1,
            school_year: 2025,
            reference: "R".into(),
            locality: Some(locality.into()),
            state: state.into(),
            off_roll_since,
        }
    }

    fn now(locality: &str, off_roll_since: Option<i32>) -> CaseChange {
        let (reference, locality) = ("R".into(), Some(locality.into()));
        let seen_by = String::new();
        CaseChange { upn: 1, school_year: 2025, reference, locality, school_urn: 9, off_roll_since, seen_by, at: 1 }
    }

    #[test]
    fn each_side_hears_its_own_and_a_closed_or_new_case_is_silent() {
        let moved = Moved::between(Some(&known("North", "open", None)), &now("East", None));
        let told = |side| moved.sentence(Some("East"), side).unwrap();
        assert!(told(Side::Old).contains("moved to East") && told(Side::New).contains("from North"));
        for before in [None, Some(known("North", "closed", None)), Some(known("East", "open", None))] {
            let moved = Moved::between(before.as_ref(), &now("East", None));
            assert!(!moved.is_news() && moved.sentence(Some("East"), Side::New).is_none());
        }
    }

    #[test]
    fn leaving_every_roll_is_told_once_and_coming_back_too() {
        let day = Day::parse("2025-11-03").unwrap().days();
        let left = Moved::between(Some(&known("North", "open", None)), &now("North", Some(day)));
        assert!(left.sentence(Some("North"), Side::New).unwrap().contains("on no school's roll since 2025-11-03"));
        assert!(!Moved::between(Some(&known("North", "open", Some(day))), &now("North", Some(day))).is_news());
        let back = Moved::between(Some(&known("North", "open", Some(day))), &now("North", None));
        assert!(back.sentence(Some("North"), Side::New).unwrap().contains("roll again"));
    }
}
