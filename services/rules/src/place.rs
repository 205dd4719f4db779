//! Where a child is, by its roster: what an alert was last published with, so that a move is told without any mark.

use attendance::enrolment::Roster;
use attendance::{Day, Urn};

/// Schools, home and roll on a day, as the published row holds them; nothing where no roster names the child: then nothing is known
/// to have changed.
pub(crate) fn of(roster: &Roster, day: Day) -> Vec<u8> {
    if roster.enrolments().is_empty() {
        return Vec::new();
    }
    let school = roster.school(day).map_or(0, Urn::number).to_le_bytes();
    let off_roll_since = roster.off_roll_since(day).map_or(0, Day::days).to_le_bytes();
    let others = roster.other_schools(day);
    let count = u8::try_from(others.len()).unwrap_or(u8::MAX);
    let others: Vec<u8> = others.into_iter().flat_map(|urn| urn.number().to_le_bytes()).collect();
    [&school[..], &off_roll_since, &[count], &others, roster.home_locality(day).unwrap_or_default().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use attendance::Timestamp;
    use attendance::enrolment::{Field, Kind, RosterEntry};
    use std::collections::BTreeSet;

    #[test]
    fn places_that_differ_are_other_bytes_and_none_is_none() {
        let day = |text: &str| Day::parse(text).unwrap();
        let entry = |school: u32, home: Field<String>, to: Field<Day>| RosterEntry {
            from: Field::Value(day("2025-09-01")),
            to,
            home_locality: home,
            ..RosterEntry::new(Urn::new(school).unwrap(), Kind::Main, Timestamp::from_micros(1))
        };
        let with = |mut roster: Roster, entry: RosterEntry| {
            roster.apply(entry);
            roster
        };
        let place = |school: u32, home: Field<String>, to: Field<Day>| {
            of(&with(Roster::default(), entry(school, home, to)), day("2025-11-03"))
        };
        let places = [
            place(900_001, Field::Missing, Field::Missing),
            place(900_002, Field::Missing, Field::Missing),
            place(900_001, Field::Value("North".to_owned()), Field::Missing),
            place(900_001, Field::Missing, Field::Value(day("2025-09-30"))),
        ];
        let second = RosterEntry { kind: Kind::Subsidiary, ..entry(900_002, Field::Missing, Field::Missing) };
        let twice = [entry(900_001, Field::Missing, Field::Missing), second].into_iter().fold(Roster::default(), with);
        let places = [&places[..], &[of(&twice, day("2025-11-03"))]].concat();
        assert_eq!(places.iter().collect::<BTreeSet<_>>().len(), places.len());
        assert!(places.iter().all(|place| !place.is_empty()));
        assert!(of(&Roster::default(), day("2025-11-03")).is_empty());
    }
}
