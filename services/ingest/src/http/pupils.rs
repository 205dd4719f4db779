//! `POST /v1/pupils`: bytes in, entries of a roster and names apart from them out. What needs Kafka and the database comes
//! after.

use crate::accept::check_locality;
use crate::http::answer::Answer;
use crate::http::body::Format;
use crate::http::problem::Problem;
use crate::http::registers::Sending;
use crate::parse::columns::FileError;
use crate::parse::json::{JsonEntry, one_or_many};
use crate::parse::pupils_csv::PupilsCsv;
use crate::parse::roster::{self, NAMES, RosterLine};
use crate::reason::{Reason, Rejected};
use attendance::enrolment::{Field, RosterEntry};
use attendance::{Upn, Urn};
use proto::RosterPart;
use std::borrow::Cow;
use std::collections::BTreeMap;
use store::person::PersonRow;
use uuid::Uuid;

/// Entries of a message, at most.
const PART: usize = 1_000;

/// What a roster says.
#[derive(Default)]
pub(crate) struct Roster {
    entries: BTreeMap<Urn, Vec<(Upn, RosterEntry)>>,
    pub(crate) persons: Vec<PersonRow>,
}

/// Reads the roster of a body.
pub(crate) fn read(bytes: &[u8], format: Format, sending: Sending<'_>) -> Result<(Roster, Answer), Problem> {
    let (mut roster, mut answer) = (Roster::default(), Answer::default());
    match format {
        Format::Json => {
            let read = one_or_many::<JsonEntry>(bytes);
            let read = read.map_err(|error| Problem::bad_request(format!("the body is no roster as JSON: {error}")))?;
            for (number, entry) in read.into_iter().enumerate() {
                let line = of_json(&entry, sending);
                roster.take(&format!("pupils[{number}]"), line, sending, &mut answer)?;
            }
        }
        Format::Csv => {
            let broken = |error: FileError| Problem::bad_request(format!("the CSV cannot be read: {error}"));
            let mut rows = PupilsCsv::new(bytes).map_err(broken)?;
            for column in rows.unknown_columns() {
                answer.warn("line 1", &format!("rosters have no column {column:?}; it is passed over"));
            }
            while let Some(row) = rows.next_line(sending.moment.now).map_err(broken)? {
                let place = format!("line {}", rows.line());
                roster.take(&place, row.map_err(|refused| refused.rejected), sending, &mut answer)?;
            }
        }
    }
    Ok((roster, answer))
}

fn of_json(entry: &JsonEntry, sending: Sending<'_>) -> Result<RosterLine, Rejected> {
    if let Some(name) = entry.keys().find(|name| !NAMES.contains(&name.as_str())) {
        let name: String = name.chars().take(32).collect();
        return Err(Rejected::new(Reason::Form, format!("rosters have no field {name:?}; take it out")));
    }
    let given =
        |column: usize| NAMES.get(column).and_then(|name| entry.get(*name)).map(|field| Cow::from(field.0.trim()));
    roster::line(given, sending.moment.now)
}

impl Roster {
    fn take(
        &mut self,
        place: &str,
        line: Result<RosterLine, Rejected>,
        sending: Sending<'_>,
        answer: &mut Answer,
    ) -> Result<(), Problem> {
        if let Ok(line) = &line {
            sending.access.check(line.entry.school)?;
        }
        let line = match line.and_then(|line| check(&line, sending).map(|()| line)) {
            Ok(line) => line,
            Err(rejected) => {
                answer.reject(place, rejected);
                return Ok(());
            }
        };
        if line.stamped && answer.revised_at.is_none() {
            answer.stamped(sending.moment.now);
        }
        answer.look_at(place, line.upn, sending.policy.code);
        answer.accepted.pupils += 1;
        self.persons.extend(line.person_row());
        self.entries.entry(line.entry.school).or_default().push((line.upn, line.entry));
        Ok(())
    }

    /// The messages, each with its school.
    pub(crate) fn messages(self, sending: Sending<'_>) -> Vec<(Urn, RosterPart)> {
        let mut messages = Vec::new();
        for (school, entries) in self.entries {
            for entries in entries.chunks(PART) {
                let mut part = RosterPart { id: [0; 16], received_at: sending.moment.now, entries: entries.to_vec() };
                part.id = *Uuid::new_v5(&sending.namespace, &part.to_bytes()).as_bytes();
                messages.push((school, part));
            }
        }
        messages
    }
}

fn check(line: &RosterLine, sending: Sending<'_>) -> Result<(), Rejected> {
    let school = line.entry.school;
    if !sending.policy.schools.contains_key(&school) {
        let what = format!("schools.csv names no school {school}");
        return Err(Rejected::of_field(Reason::UnknownSchool, "school_urn", what));
    }
    if let Field::Value(locality) = &line.entry.home_locality {
        check_locality(locality, sending.policy)?;
    }
    if let (Field::Value(from), Field::Value(to)) = (&line.entry.from, &line.entry.to)
        && to < from
    {
        let what = format!("to, {to}, lies before from, {from}; an enrolment ends on or after its first day");
        return Err(Rejected::of_field(Reason::Days, "to", what));
    }
    let today = sending.moment.now.day_in_london();
    if line.born().is_some_and(|born| born > today) {
        return Err(Rejected::of_field(Reason::BirthDate, "birth_date", "it lies ahead; look at the year"));
    }
    sending.moment.check_stamp(line.entry.revised_at)
}
