//! The roster as CSV: `upn,school_urn,year_group,enrolment,from,to,groups` and optional `given_name,family_name,
//! birth_date,home_locality,household_id,revised_at`; only `upn` and `school_urn` must be there. A missing column changes
//! nothing, an empty field takes the value back. Names and birth dates are passed over here: they never travel with the
//! rest.

use super::columns::{Columns, FileError, RefusedRow, file_error, text};
use crate::reason::{Reason, Rejected};
use attendance::enrolment::{Field, Groups, Kind, RosterEntry, YearGroup};
use attendance::{Day, Timestamp, Upn, Urn};
use csv::ByteRecord;
use std::fmt::Display;
use std::io::Read;

const NAMES: [&str; 13] = [
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
];
const NEEDED: usize = 2;

/// A row: a pupil's entry, or why it is refused.
pub type RosterRow = Result<(Upn, RosterEntry), RefusedRow>;

/// The rows of a file.
pub struct PupilsCsv<R> {
    reader: csv::Reader<R>,
    columns: Columns<13>,
    row: ByteRecord,
    number: i64,
}

impl<R: Read> PupilsCsv<R> {
    /// Reads the header.
    pub fn new(input: R) -> Result<Self, FileError> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(input);
        let header = reader.byte_headers().map_err(|error| file_error(error, 1))?.clone();
        let columns = Columns::find(&header, NAMES, NEEDED)?;
        Ok(Self { reader, columns, row: ByteRecord::new(), number: 0 })
    }

    /// The header's columns that rosters do not have.
    pub fn unknown_columns(&self) -> &[String] {
        self.columns.unknown()
    }

    /// The next row; none at the end. An error ends the reading. Without a time of revision a row is stamped with its
    /// number in microseconds: older than all that schools send, later rows newer.
    pub fn next_row(&mut self) -> Result<Option<RosterRow>, FileError> {
        let line = self.reader.position().line();
        if !self.reader.read_byte_record(&mut self.row).map_err(|error| file_error(error, line))? {
            return Ok(None);
        }
        self.number += 1;
        Ok(Some(self.parse().map_err(|rejected| {
            let line = self.row.position().map_or(line, csv::Position::line);
            RefusedRow { line, rejected, row: self.row.clone() }
        })))
    }

    fn parse(&self) -> Result<(Upn, RosterEntry), Rejected> {
        if self.row.len() != self.columns.fields() {
            let what = format!("the row has {} fields, the header {}", self.row.len(), self.columns.fields());
            return Err(Rejected::new(Reason::Form, what));
        }
        let given = |column| self.columns.field(&self.row, column).map(text);
        let upn = Upn::parse(&given(0).unwrap_or_default()).map_err(|e| Rejected::new(Reason::Upn, e))?;
        let school = Urn::parse(&given(1).unwrap_or_default()).map_err(|e| Rejected::new(Reason::SchoolUrn, e))?;
        let kind = Kind::parse(&given(3).unwrap_or_default()).map_err(|e| Rejected::new(Reason::Enrolment, e))?;
        let revised_at = match given(9).as_deref() {
            None | Some("") => Timestamp::from_micros(self.number),
            Some(text) => Timestamp::parse(text).map_err(|e| Rejected::new(Reason::RevisedAt, e))?,
        };
        let text = |text: &str| Ok::<_, std::convert::Infallible>(text.to_owned());
        let entry = RosterEntry {
            school,
            kind,
            revised_at,
            year_group: self.optional(2, Reason::YearGroup, YearGroup::parse)?,
            from: self.optional(4, Reason::Days, Day::parse)?,
            to: self.optional(5, Reason::Days, Day::parse)?,
            groups: self.optional(6, Reason::Group, Groups::parse)?,
            home_locality: self.optional(7, Reason::HomeLocality, text)?,
            household: self.optional(8, Reason::Form, text)?,
        };
        Ok((upn, entry))
    }

    fn optional<T, E: Display>(
        &self,
        column: usize,
        reason: Reason,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Field<T>, Rejected> {
        let name = NAMES.get(column).copied().unwrap_or_default();
        match self.columns.field(&self.row, column) {
            None => Ok(Field::Missing),
            Some(b"") => Ok(Field::Empty),
            Some(field) => match parse(&text(field)) {
                Ok(value) => Ok(Field::Value(value)),
                Err(error) => Err(Rejected::of_field(reason, name, error)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str) -> Vec<RosterRow> {
        let mut rows = PupilsCsv::new(file.as_bytes()).unwrap();
        std::iter::from_fn(|| rows.next_row().unwrap()).collect()
    }

    #[test]
    fn a_missing_column_says_nothing_and_an_empty_field_takes_back() {
        let (_, entry) = read("upn,school_urn,groups,to\nR900001000001,900001,fsm;ehcp,\n").remove(0).unwrap();
        assert_eq!(entry.groups, Field::Value(Groups::parse("ehcp;fsm").unwrap()));
        assert_eq!((entry.to, entry.from), (Field::Empty, Field::Missing));
        assert_eq!(entry.kind, Kind::Main);
    }

    #[test]
    fn a_bad_row_is_refused_with_its_field() {
        let file = "upn,school_urn,year_group,enrolment,from,groups\n\
            R900001000001,900001,15,main,2025-09-03,\nR900001000001,900001,7,guest,2025-09-03,\n\
            R900001000001,900001,7,main,3.9.2025,\nR900001000001,900001,7,main,,rich\nX,900001,7,main,,\n";
        let told: Vec<String> = read(file).into_iter().map(|row| row.unwrap_err().to_string()).collect();
        for (row, place) in told.iter().zip([
            "line 2, year_group",
            "line 3, enrolment",
            "line 4, from",
            "line 5, groups",
            "line 6, upn",
        ]) {
            assert!(row.starts_with(place), "{row}");
        }
    }
}
