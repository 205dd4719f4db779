//! An entry of a roster from its named fields, whatever the format they came in. A missing field changes nothing, an empty
//! one takes the value back. Names and birth dates come out apart from the rest: they never travel with it.

use crate::reason::{Reason, Rejected};
use crate::roll::row_urn;
use attendance::enrolment::{Field, Groups, Kind, RosterEntry, YearGroup};
use attendance::{Day, Timestamp, Upn, Urn};
use std::borrow::Cow;
use std::fmt::Display;
use store::person::PersonRow;

/// The names of the fields.
pub(crate) const NAMES: [&str; 14] = [
    "upn",
    "school_urn",
    "year_group",
    "enrolment",
    "from",
    "to",
    "groups",
    "home_locality",
    "household_id",
    "revised_at",
    "given_name",
    "family_name",
    "birth_date",
    "part_time_review",
];

/// The longest name, household or locality, in bytes.
const LONGEST: usize = 200;

/// Who a pupil is. `None` says nothing, empty takes back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) given_name: Option<String>,
    pub(crate) family_name: Option<String>,
    pub(crate) birth_date: Option<String>,
}

/// A line of a roster.
pub struct RosterLine {
    /// The pupil.
    pub upn: Upn,
    /// What it says of an enrolment.
    pub entry: RosterEntry,
    pub(crate) person: Person,
    /// Whether the line had no time of revision.
    pub(crate) stamped: bool,
}

impl RosterLine {
    /// The birth date; none where it says nothing of it.
    pub(crate) fn born(&self) -> Option<Day> {
        self.person.birth_date.as_deref().and_then(|text| Day::parse(text).ok())
    }

    /// What it says of names and the birth date, for their table; none where it says nothing.
    pub fn person_row(&self) -> Option<PersonRow> {
        let Person { given_name, family_name, birth_date } = self.person.clone();
        if given_name.is_none() && family_name.is_none() && birth_date.is_none() {
            return None;
        }
        Some(PersonRow {
            upn: i64::try_from(self.upn.number()).unwrap_or(i64::MAX),
            urn: row_urn(self.entry.school),
            given_name,
            family_name,
            birth_date,
            revised_at: self.entry.revised_at.micros(),
        })
    }
}

/// Reads a line. `given` gives the field of a column of [`NAMES`]; without a time of revision it is `stamp`.
pub(crate) fn line<'a>(
    given: impl Fn(usize) -> Option<Cow<'a, str>>,
    stamp: Timestamp,
) -> Result<RosterLine, Rejected> {
    let upn = Upn::parse(&given(0).unwrap_or_default()).map_err(|e| Rejected::new(Reason::Upn, e))?;
    let school = Urn::parse(&given(1).unwrap_or_default()).map_err(|e| Rejected::new(Reason::SchoolUrn, e))?;
    let kind = Kind::parse(&given(3).unwrap_or_default()).map_err(|e| Rejected::new(Reason::Enrolment, e))?;
    let own = given(9).filter(|text| !text.is_empty());
    let own = own.map(|text| Timestamp::parse(&text).map_err(|e| Rejected::new(Reason::RevisedAt, e))).transpose()?;
    let entry = RosterEntry {
        school,
        kind,
        revised_at: own.unwrap_or(stamp),
        year_group: optional(2, &given, Reason::YearGroup, YearGroup::parse)?,
        from: optional(4, &given, Reason::Days, Day::parse)?,
        to: optional(5, &given, Reason::Days, Day::parse)?,
        groups: optional(6, &given, Reason::Group, Groups::parse)?,
        home_locality: optional(7, &given, Reason::HomeLocality, short)?,
        household: optional(8, &given, Reason::Form, short)?,
        part_time_review: optional(13, &given, Reason::Days, Day::parse)?,
    };
    let said = |field| match field {
        Field::Missing => None,
        Field::Empty => Some(String::new()),
        Field::Value(value) => Some(value),
    };
    let birth_date = |text: &str| Day::parse(text).map(|day| day.to_string());
    let person = Person {
        given_name: said(optional(10, &given, Reason::Form, short)?),
        family_name: said(optional(11, &given, Reason::Form, short)?),
        birth_date: said(optional(12, &given, Reason::BirthDate, birth_date)?),
    };
    Ok(RosterLine { upn, entry, person, stamped: own.is_none() })
}

fn short(text: &str) -> Result<String, String> {
    if text.len() > LONGEST || text.contains('\0') {
        return Err(format!("it has {} bytes or a null in it; {LONGEST} bytes at most", text.len()));
    }
    Ok(text.to_owned())
}

fn optional<'a, T, E: Display>(
    column: usize,
    given: impl Fn(usize) -> Option<Cow<'a, str>>,
    reason: Reason,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Field<T>, Rejected> {
    let name = NAMES.get(column).copied().unwrap_or_default();
    match given(column) {
        None => Ok(Field::Missing),
        Some(text) if text.is_empty() => Ok(Field::Empty),
        Some(text) => parse(&text).map(Field::Value).map_err(|error| Rejected::of_field(reason, name, error)),
    }
}
