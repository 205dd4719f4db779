//! The roster as CSV: `upn,school_urn,year_group,enrolment,from,to,groups` and optional `given_name,family_name,
//! birth_date,home_locality,household_id,part_time_review,revised_at`; only `upn` and `school_urn` must be there. A missing column changes
//! nothing, an empty field takes the value back. Names and birth dates are passed over here: they never travel with the
//! rest.

use super::columns::{Columns, FileError, RefusedRow, text};
use super::roster::{self, NAMES, RosterLine};
use super::rows::Rows;
use crate::reason::Rejected;
use attendance::enrolment::RosterEntry;
use attendance::{Timestamp, Upn};
use std::io::Read;

const NEEDED: usize = 2;

/// A row: a pupil's entry, or why it is refused.
pub type RosterRow = Result<(Upn, RosterEntry), RefusedRow>;

/// The rows of a file.
pub struct PupilsCsv<R> {
    rows: Rows<R>,
    columns: Columns<14>,
    number: i64,
}

impl<R: Read> PupilsCsv<R> {
    /// Reads the header.
    pub fn new(input: R) -> Result<Self, FileError> {
        let (rows, columns) = Rows::open(input, NAMES, NEEDED)?;
        Ok(Self { rows, columns, number: 0 })
    }

    /// The header's columns that rosters do not have.
    pub fn unknown_columns(&self) -> &[String] {
        self.columns.unknown()
    }

    /// The line of the file at which the row read last begins.
    pub(crate) fn line(&self) -> u64 {
        self.rows.line()
    }

    /// The next row with the names in it, stamped with `received` where it has no time of revision.
    pub(crate) fn next_line(
        &mut self,
        received: Timestamp,
    ) -> Result<Option<Result<RosterLine, RefusedRow>>, FileError> {
        let Some(row) = self.next_row()? else { return Ok(None) };
        Ok(Some(row.and_then(|_| {
            let given = |column| self.columns.field(self.rows.row(), column).map(text);
            roster::line(given, received).map_err(|rejected| self.rows.refused(rejected))
        })))
    }

    /// The next row; none at the end. An error ends the reading. Without a time of revision a row is stamped with its
    /// number in microseconds: older than all that schools send, later rows newer.
    pub fn next_row(&mut self) -> Result<Option<RosterRow>, FileError> {
        let row = self.next_numbered()?;
        Ok(row.map(|row| row.map(|line| (line.upn, line.entry))))
    }

    /// As [`PupilsCsv::next_row`], with the names.
    pub fn next_numbered(&mut self) -> Result<Option<Result<RosterLine, RefusedRow>>, FileError> {
        let Some(read) = self.rows.next()? else { return Ok(None) };
        self.number += 1;
        let parsed = read.and_then(|()| self.parse());
        Ok(Some(parsed.map_err(|rejected| self.rows.refused(rejected))))
    }

    fn parse(&self) -> Result<RosterLine, Rejected> {
        let given = |column| self.columns.field(self.rows.row(), column).map(text);
        roster::line(given, Timestamp::from_micros(self.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use attendance::Day;
    use attendance::enrolment::{Field, Groups, Kind};

    fn read(file: &str) -> Vec<RosterRow> {
        let mut rows = PupilsCsv::new(file.as_bytes()).unwrap();
        std::iter::from_fn(|| rows.next_row().unwrap()).collect()
    }

    #[test]
    fn a_missing_column_says_nothing_and_an_empty_field_takes_back() {
        let file = "upn,school_urn,groups,to,part_time_review\nR900001000001,900001,fsm;ehcp,,2025-10-03\n";
        let (_, entry) = read(file).remove(0).unwrap();
        assert_eq!(entry.part_time_review, Field::Value(Day::parse("2025-10-03").unwrap()));
        assert_eq!(entry.groups, Field::Value(Groups::parse("ehcp;fsm").unwrap()));
        assert_eq!((entry.to, entry.from), (Field::Empty, Field::Missing));
        assert_eq!(entry.kind, Kind::Main);
    }

    #[test]
    fn a_bad_row_is_refused_with_its_field() {
        let file = "upn,school_urn,year_group,enrolment,from,groups,part_time_review\n\
            R900001000001,900001,15,main,2025-09-03,,\nR900001000001,900001,7,guest,2025-09-03,,\n\
            R900001000001,900001,7,main,3.9.2025,,\nR900001000001,900001,7,main,,rich,\nX,900001,7,main,,,\n\
            R900001000001,900001,7,main,,,October\n";
        let told: Vec<String> = read(file).into_iter().map(|row| row.unwrap_err().to_string()).collect();
        for (row, place) in told.iter().zip([
            "line 2, year_group",
            "line 3, enrolment",
            "line 4, from",
            "line 5, groups",
            "line 6, upn",
            "line 7, part_time_review",
        ]) {
            assert!(row.starts_with(place), "{row}");
        }
    }
}
