//! Enrolments on the wire and a pupil's roster as stored.

use crate::v1;
use crate::{ContractError, decode};
use attendance::enrolment::{Dates, Enrolment, Field, Groups, Kind, Newest, Roster, RosterEntry, YearGroup};
use attendance::{Day, Timestamp, Upn, Urn};
use prost::Message;

/// Year groups as numbers: -2 and -1 nursery, 0 reception, then the years.
fn year_group_number(year_group: YearGroup) -> i32 {
    match year_group {
        YearGroup::N1 => -2,
        YearGroup::N2 => -1,
        YearGroup::Reception => 0,
        YearGroup::Year(year) => i32::from(year),
    }
}

fn year_group(number: i32) -> Option<YearGroup> {
    match number {
        -2 => Some(YearGroup::N1),
        -1 => Some(YearGroup::N2),
        0 => Some(YearGroup::Reception),
        1..=14 => u8::try_from(number).ok().map(YearGroup::Year),
        _ => None,
    }
}

fn groups(number: i32) -> Option<Groups> {
    u8::try_from(number).ok().map(Groups::from_number).filter(|groups| i32::from(groups.number()) == number)
}

/// Days of the years that dates are read of: 1900 to 2199.
fn day(number: i32) -> Option<Day> {
    (-25_567..84_006).contains(&number).then(|| Day::from_days(number))
}

pub(crate) fn raw_entry(upn: Upn, entry: &RosterEntry) -> v1::Enrolment {
    v1::Enrolment {
        upn: upn.number(),
        school_urn: entry.school.number(),
        subsidiary: entry.kind == Kind::Subsidiary,
        revised_at: entry.revised_at.micros(),
        year_group: number_field(&entry.year_group, |value| year_group_number(*value)),
        from: number_field(&entry.from, |value| value.days()),
        to: number_field(&entry.to, |value| value.days()),
        groups: number_field(&entry.groups, |value| i32::from(value.number())),
        home_locality: text_field(&entry.home_locality),
        household: text_field(&entry.household),
        part_time_review: number_field(&entry.part_time_review, |value| value.days()),
    }
}

pub(crate) fn parse_entry(raw: v1::Enrolment) -> Result<RosterEntry, ContractError> {
    let wrong = |field| ContractError::value("Enrolment", field);
    let text = |field: Option<v1::TextField>| match field {
        None => Field::Missing,
        Some(v1::TextField { value: None }) => Field::Empty,
        Some(v1::TextField { value: Some(value) }) => Field::Value(value),
    };
    Ok(RosterEntry {
        school: Urn::new(raw.school_urn).map_err(|_| wrong("school_urn"))?,
        kind: kind(raw.subsidiary),
        revised_at: Timestamp::from_micros(raw.revised_at),
        year_group: field(raw.year_group, year_group).ok_or_else(|| wrong("year_group"))?,
        from: field(raw.from, day).ok_or_else(|| wrong("from"))?,
        to: field(raw.to, day).ok_or_else(|| wrong("to"))?,
        groups: field(raw.groups, groups).ok_or_else(|| wrong("groups"))?,
        home_locality: text(raw.home_locality),
        household: text(raw.household),
        part_time_review: field(raw.part_time_review, day).ok_or_else(|| wrong("part_time_review"))?,
    })
}

fn kind(subsidiary: bool) -> Kind {
    if subsidiary { Kind::Subsidiary } else { Kind::Main }
}

fn number_field<T>(field: &Field<T>, number: impl Fn(&T) -> i32) -> Option<v1::NumberField> {
    match field {
        Field::Missing => None,
        Field::Empty => Some(v1::NumberField { value: None }),
        Field::Value(value) => Some(v1::NumberField { value: Some(number(value)) }),
    }
}

fn text_field(field: &Field<String>) -> Option<v1::TextField> {
    match field {
        Field::Missing => None,
        Field::Empty => Some(v1::TextField { value: None }),
        Field::Value(value) => Some(v1::TextField { value: Some(value.clone()) }),
    }
}

/// None for a number that is no such value.
fn field<T>(raw: Option<v1::NumberField>, parse: impl Fn(i32) -> Option<T>) -> Option<Field<T>> {
    match raw {
        None => Some(Field::Missing),
        Some(v1::NumberField { value: None }) => Some(Field::Empty),
        Some(v1::NumberField { value: Some(number) }) => parse(number).map(Field::Value),
    }
}

/// A roster as its stored bytes.
pub fn roster_to_bytes(roster: &Roster) -> Vec<u8> {
    let number = |at: Timestamp, value: Option<i32>| v1::StoredNumber { at: at.micros(), value };
    let text = |newest: &Newest<String>| v1::StoredText { at: newest.at.micros(), value: newest.value.clone() };
    let dates = |dates: &Dates| {
        let day = |field: &Field<Day>| match field {
            Field::Missing => None,
            Field::Empty => Some(v1::StoredDay { value: None }),
            Field::Value(day) => Some(v1::StoredDay { value: Some(day.days()) }),
        };
        v1::StoredDates { at: dates.at.micros(), from: day(&dates.from), to: day(&dates.to) }
    };
    let enrolments = roster.enrolments().iter().map(|enrolment| v1::StoredEnrolment {
        school_urn: enrolment.school.number(),
        subsidiary: enrolment.kind == Kind::Subsidiary,
        year_group: enrolment.year_group.as_ref().map(|n| number(n.at, n.value.map(year_group_number))),
        groups: enrolment.groups.as_ref().map(|n| number(n.at, n.value.map(|value| i32::from(value.number())))),
        home_locality: enrolment.home_locality.as_ref().map(text),
        household: enrolment.household.as_ref().map(text),
        part_time_review: enrolment.part_time_review.as_ref().map(|n| number(n.at, n.value.map(Day::days))),
        dates: enrolment.dates.iter().map(dates).collect(),
    });
    v1::Roster { enrolments: enrolments.collect() }.encode_to_vec()
}

/// A roster of its stored bytes.
pub fn roster_from_bytes(bytes: &[u8]) -> Result<Roster, ContractError> {
    let raw: v1::Roster = decode("Roster", bytes)?;
    let enrolments = raw.enrolments.into_iter().map(parse_stored).collect::<Result<_, _>>()?;
    Ok(Roster::restored(enrolments))
}

fn parse_stored(raw: v1::StoredEnrolment) -> Result<Enrolment, ContractError> {
    let wrong = |field| ContractError::value("StoredEnrolment", field);
    let text = |raw: v1::StoredText| Newest { at: Timestamp::from_micros(raw.at), value: raw.value };
    let dates = |raw: v1::StoredDates| {
        let day = |raw: Option<v1::StoredDay>| match raw {
            None => Field::Missing,
            Some(v1::StoredDay { value: None }) => Field::Empty,
            Some(v1::StoredDay { value: Some(days) }) => Field::Value(Day::from_days(days)),
        };
        Dates { at: Timestamp::from_micros(raw.at), from: day(raw.from), to: day(raw.to) }
    };
    Ok(Enrolment {
        school: Urn::new(raw.school_urn).map_err(|_| wrong("school_urn"))?,
        kind: kind(raw.subsidiary),
        year_group: newest(raw.year_group, year_group).ok_or_else(|| wrong("year_group"))?,
        groups: newest(raw.groups, groups).ok_or_else(|| wrong("groups"))?,
        home_locality: raw.home_locality.map(text),
        household: raw.household.map(text),
        part_time_review: newest(raw.part_time_review, day).ok_or_else(|| wrong("part_time_review"))?,
        dates: raw.dates.into_iter().map(dates).collect(),
    })
}

/// None for a number that is no such value.
#[expect(clippy::option_option, reason = "the outer says whether the number is sound, the inner whether there is one")]
fn newest<T>(raw: Option<v1::StoredNumber>, parse: impl Fn(i32) -> Option<T>) -> Option<Option<Newest<T>>> {
    let Some(raw) = raw else { return Some(None) };
    let value = match raw.value {
        None => None,
        Some(number) => Some(parse(number)?),
    };
    Some(Some(Newest { at: Timestamp::from_micros(raw.at), value }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_roster_survives_its_bytes() {
        let mut roster = Roster::default();
        let entry = |at, to| RosterEntry {
            school: Urn::new(900_001).unwrap(),
            kind: Kind::Main,
            revised_at: Timestamp::from_micros(at),
            year_group: Field::Value(YearGroup::N1),
            from: Field::Value(Day::from_days(20_000)),
            to,
            groups: Field::Empty,
            home_locality: Field::Value("North".into()),
            household: Field::Empty,
            part_time_review: Field::Value(Day::from_days(20_050)),
        };
        roster.apply(entry(1, Field::Empty));
        roster.apply(entry(2, Field::Value(Day::from_days(20_100))));
        roster.apply(RosterEntry { kind: Kind::Subsidiary, ..entry(3, Field::Missing) });
        assert_eq!(roster_from_bytes(&roster_to_bytes(&roster)), Ok(roster));
        assert!(roster_from_bytes(b"\x0A\x02\x08\x01").is_err(), "a school without a URN");
    }

    #[test]
    fn year_groups_survive_their_numbers() {
        for number in -2..=14 {
            assert_eq!(year_group(number).map(year_group_number), Some(number));
        }
        assert_eq!((year_group(15), groups(128)), (None, None));
        assert_eq!(groups(127).map(|groups| groups.iter().count()), Some(7));
    }
}
