//! Where a child is, by its roster: what an alert was last published with, so that a move is told without any mark.

use attendance::enrolment::Roster;
use attendance::{Day, Urn};

/// Where a child is, by its roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    school: Option<Urn>,
    home: String,
    off_roll_since: Option<Day>,
}

impl Place {
    /// On a day; none where no roster names the child: then nothing is known to have changed.
    pub(crate) fn of(roster: &Roster, day: Day) -> Option<Self> {
        if roster.enrolments().is_empty() {
            return None;
        }
        Some(Self {
            school: roster.school(day),
            home: roster.home_locality(day).unwrap_or_default().to_owned(),
            off_roll_since: roster.off_roll_since(day),
        })
    }

    /// As the published row holds it; nothing where it is not known.
    pub(crate) fn to_bytes(place: Option<&Self>) -> Vec<u8> {
        let Some(Self { school, home, off_roll_since }) = place else { return Vec::new() };
        let school = school.map_or(0, Urn::number).to_le_bytes();
        let since = off_roll_since.map_or(0, Day::days).to_le_bytes();
        [&school[..], &since, home.as_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_that_differ_are_other_bytes_and_none_is_none() {
        let place = |school: u32, home: &str, since: Option<&str>| Place {
            school: Urn::new(school).ok(),
            home: home.to_owned(),
            off_roll_since: since.map(|day| Day::parse(day).unwrap()),
        };
        let places = [
            place(900_001, "", None),
            place(900_002, "", None),
            place(900_001, "North", None),
            place(900_001, "", Some("2025-10-01")),
        ];
        let bytes: std::collections::BTreeSet<_> = places.iter().map(|place| Place::to_bytes(Some(place))).collect();
        assert_eq!(bytes.len(), places.len());
        assert!(bytes.iter().all(|bytes| !bytes.is_empty()) && Place::to_bytes(None).is_empty());
    }
}
