//! Registers as CSV: `school_urn,date,session,upn,code,minutes_late,revised_at`, header required, columns in any order,
//! the last two optional. Takes a reader, gives a mark a row, or why the row is refused; one bad row stops no other.

use super::blocks::Block;
use super::columns::{Columns, FileError, RefusedRow, text};
use super::rows::Rows;
use crate::reason::{Reason, Rejected};
use crate::validate::Admission;
use attendance::mark::{MinutesLate, Revision};
use attendance::{Code, Day, Half, Mark, SchoolYear, Session, Timestamp, Upn, Urn};
use std::collections::BTreeMap;
use std::io::Read;

const NAMES: [&str; 7] = ["school_urn", "date", "session", "upn", "code", "minutes_late", "revised_at"];
const NEEDED: usize = 5;

/// A row as it is meant: the mark, with the school's own time of revision where it gave one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisterRow {
    /// The row's number, the first after the header being 1, or that after [`RegistersCsv::after`].
    pub number: u64,
    /// The mark. Without a time of revision: the session's time plus the row's number in microseconds, so that later
    /// rows are newer and a file read again is stamped alike.
    pub mark: Mark,
    /// The school's own time of revision, where the row gives one.
    pub given: Option<Timestamp>,
}

/// The last school year whose registers are taken.
#[derive(Clone, Copy, Debug)]
pub struct LastYear {
    /// The year.
    pub year: SchoolYear,
    /// What year it is, and what to do about rows of later ones.
    pub why: &'static str,
}

/// The rows of a file.
pub struct RegistersCsv<'a, R> {
    rows: Rows<R>,
    columns: Columns<7>,
    admission: Admission<'a>,
    last_year: Option<LastYear>,
    later: BTreeMap<SchoolYear, u64>,
    number: u64,
    /// Lines of the file that are not before these rows here.
    lines_before: u64,
    last: Last,
}

/// What the row before was about: registers repeat it hundreds of times.
#[derive(Default)]
struct Last {
    urn_and_date: Vec<u8>,
    place: Option<(Urn, Day)>,
    revised_at: Vec<u8>,
    given: Option<Timestamp>,
    begins: Option<(Session, Timestamp)>,
}

impl<'a> RegistersCsv<'a, Box<dyn Read + Send>> {
    /// Reads a block of a file: its rows are those that they are in the file.
    pub fn of_block(block: Block, admission: Admission<'a>) -> Result<Self, FileError> {
        let Block { text, rows_before, lines_before, .. } = block;
        let rows = Self::new(text, admission)?.after(rows_before);
        Ok(Self { lines_before, ..rows })
    }
}

impl<'a, R: Read> RegistersCsv<'a, R> {
    /// Reads the header.
    pub fn new(input: R, admission: Admission<'a>) -> Result<Self, FileError> {
        let (rows, columns) = Rows::open(input, NAMES, NEEDED)?;
        let (later, last) = (BTreeMap::new(), Last::default());
        Ok(Self { rows, columns, admission, last_year: None, later, number: 0, lines_before: 0, last })
    }

    /// The same rows, those of later school years refused.
    #[must_use]
    pub fn until(self, last_year: LastYear) -> Self {
        Self { last_year: Some(last_year), ..self }
    }

    /// The same rows, numbered on from `number`: those of a file that is newer than the one whose last row has it.
    #[must_use]
    pub fn after(self, number: u64) -> Self {
        Self { number, ..self }
    }

    /// The line of the file at which the row read last begins.
    pub(crate) fn line(&self) -> u64 {
        self.rows.line() + self.lines_before
    }

    /// The number of the row read last.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The school years after the last one that rows were refused for since it was last asked, with their numbers of rows.
    pub fn take_later_years(&mut self) -> BTreeMap<SchoolYear, u64> {
        std::mem::take(&mut self.later)
    }

    /// The header's columns that registers do not have.
    pub fn unknown_columns(&self) -> &[String] {
        self.columns.unknown()
    }

    /// The next row; none at the end. An error ends the reading: the file itself cannot be read on.
    pub fn next_row(&mut self) -> Result<Option<Result<RegisterRow, RefusedRow>>, FileError> {
        let read = self.rows.next().map_err(|error| match error {
            FileError::Read { line, error } => FileError::Read { line: line + self.lines_before, error },
            other => other,
        });
        let Some(read) = read? else { return Ok(None) };
        self.number += 1;
        let parsed = read.and_then(|()| self.parse());
        let refused = |rejected| {
            let refused = self.rows.refused(rejected);
            RefusedRow { line: refused.line + self.lines_before, ..refused }
        };
        Ok(Some(parsed.map_err(refused)))
    }

    fn parse(&mut self) -> Result<RegisterRow, Rejected> {
        let (school, day) = self.place()?;
        let field = |column| self.columns.field(self.rows.row(), column).unwrap_or_default();
        let half = Half::parse(&text(field(2))).map_err(|e| Rejected::new(Reason::Session, e))?;
        let session = Session::new(day, half);
        let upn = Upn::parse_bytes(field(3)).map_err(|e| Rejected::new(Reason::Upn, e))?;
        let code = Code::parse(&text(field(4)), day, self.admission.retired_codes());
        let code = code.map_err(|e| Rejected::of_field(Reason::from(&e), "code", e))?;
        let minutes =
            Some(field(5)).filter(|minutes| !minutes.is_empty()).map(|minutes| MinutesLate::parse(&text(minutes)));
        let minutes_late = minutes.transpose().map_err(|e| Rejected::new(Reason::MinutesLate, e))?;
        let given = field(6);
        if given != self.last.revised_at {
            let parsed = Some(given).filter(|given| !given.is_empty()).map(|given| Timestamp::parse(&text(given)));
            self.last.given = parsed.transpose().map_err(|e| Rejected::new(Reason::RevisedAt, e))?;
            self.last.revised_at.clear();
            self.last.revised_at.extend_from_slice(given);
        }
        let given = self.last.given;
        let revised_at = given.unwrap_or_else(|| self.stamp(session));
        let revision = Revision { revised_at, code, minutes_late };
        Ok(RegisterRow { number: self.number, mark: Mark { upn, school, session, revision }, given })
    }

    /// School and day, checked once as long as they stay the same.
    fn place(&mut self) -> Result<(Urn, Day), Rejected> {
        let field = |column| self.columns.field(self.rows.row(), column).unwrap_or_default();
        let (urn, date) = (field(0), field(1));
        if let Some(place) = self.last.place
            && self.last.urn_and_date.strip_prefix(urn).is_some_and(|rest| rest == date)
            && urn.len() == 6
        {
            return Ok(place);
        }
        let school = Urn::parse(&text(urn)).map_err(|e| Rejected::new(Reason::SchoolUrn, e))?;
        let day = Day::parse(&text(date)).map_err(|e| Rejected::new(Reason::Date, e))?;
        let urn_and_date = [urn, date].concat();
        self.year(day)?;
        self.admission.school(school, day)?;
        self.last.urn_and_date = urn_and_date;
        self.last.place = Some((school, day));
        Ok((school, day))
    }

    fn year(&mut self, day: Day) -> Result<(), Rejected> {
        let year = SchoolYear::of(day);
        let Some(last) = self.last_year.filter(|last| year > last.year) else { return Ok(()) };
        *self.later.entry(year).or_default() += 1;
        let what = format!("{day} lies in the school year {year}, after {}, {}", last.year, last.why);
        Err(Rejected::of_field(Reason::FutureDate, "date", what))
    }

    fn stamp(&mut self, session: Session) -> Timestamp {
        let begins = match self.last.begins {
            Some((before, begins)) if before == session => begins,
            _ => session.begins(),
        };
        self.last.begins = Some((session, begins));
        begins.plus_micros(i64::try_from(self.number).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str) -> Vec<Result<RegisterRow, RefusedRow>> {
        let mut rows = RegistersCsv::new(file.as_bytes(), Admission::Anyone).unwrap();
        std::iter::from_fn(|| rows.next_row().unwrap()).collect()
    }

    #[test]
    fn columns_may_stand_in_any_order_and_blanks_go() {
        let file = "\u{feff}code,upn,session, date ,school_urn\r\nC1, r900001000001,PM,2025-09-03,900001\r\n";
        let row = read(file).remove(0).unwrap();
        assert_eq!(row.mark.upn.text(), "R900001000001");
        assert_eq!((row.mark.session.to_string(), row.mark.revision.code), ("2025-09-03 PM".into(), Code::C1));
    }

    #[test]
    fn without_a_time_of_revision_later_rows_are_newer() {
        let file = "school_urn,date,session,upn,code\n900001,2025-09-03,AM,R900001000001,N\n900001,2025-09-03,AM,R900001000001,I\n";
        let stamps: Vec<String> =
            read(file).into_iter().map(|r| r.unwrap().mark.revision.revised_at.to_string()).collect();
        assert_eq!(stamps, ["2025-09-03T08:00:00.000001Z", "2025-09-03T08:00:00.000002Z"]);
    }

    #[test]
    fn rows_of_a_newer_file_are_numbered_on() {
        let file = "school_urn,date,session,upn,code\n900001,2025-09-03,AM,R900001000001,I\n";
        let mut rows = RegistersCsv::new(file.as_bytes(), Admission::Anyone).unwrap().after(41);
        let row = rows.next_row().unwrap().unwrap().unwrap();
        assert_eq!((row.number, rows.number()), (42, 42));
        assert_eq!(row.mark.revision.revised_at.to_string(), "2025-09-03T08:00:00.000042Z");
    }

    #[test]
    fn rows_of_school_years_after_the_last_are_refused_and_counted_by_year() {
        let rows = ["2025-07-31", "2199-09-03", "2025-08-01", "2025-08-02"]
            .map(|day| format!("900001,{day},AM,R900001000001,/\n"));
        let file = format!("school_urn,date,session,upn,code\n{}", rows.concat());
        let last_year = LastYear { year: SchoolYear::beginning(2024), why: "the last; mend the date" };
        let mut rows = RegistersCsv::new(file.as_bytes(), Admission::Anyone).unwrap().until(last_year);
        let read: Vec<_> = std::iter::from_fn(|| rows.next_row().unwrap()).collect();
        assert!(read[0].is_ok() && read[1..].iter().all(Result::is_err));
        let told = read[2].as_ref().unwrap_err();
        let what = "line 4, date: 2025-08-01 lies in the school year 2025/26, after 2024/25, the last; mend the date";
        assert_eq!((told.rejected.reason, told.to_string()), (Reason::FutureDate, what.to_owned()));
        let later = rows.take_later_years().into_iter();
        let later: Vec<_> = later.map(|(year, count)| (year.to_string(), count)).collect();
        assert_eq!(later, [("2025/26".to_owned(), 2), ("2199/00".to_owned(), 1)]);
    }

    #[test]
    fn a_bad_row_is_refused_with_line_field_and_remedy_and_the_others_go_on() {
        let rows = [
            "900001,2025-09-03,AM,R900001000001,/,,",
            "12,2025-09-03,AM,R900001000001,/,,",
            "900001,2025-02-30,AM,R900001000001,/,,",
            "900001,2025-09-03,EV,R900001000001,/,,",
            "900001,2025-09-03,AM,1234,/,,",
            "900001,2025-09-03,AM,R900001000001,,,",
            "900001,2025-09-03,AM,R900001000001,i,,",
            "900001,2025-09-03,AM,R900001000001,H,,",
            "900001,2025-09-03,AM,R900001000001,L,soon,",
            "900001,2025-09-03,AM,R900001000001,L,5,2025-09-03",
            "900001,2025-09-03,AM,R900001000001",
            "900001,2025-09-03,AM,R900001000001,L,12,2025-09-03T08:52:10.5Z",
        ];
        let file = format!("school_urn,date,session,upn,code,minutes_late,revised_at\n{}\n", rows.join("\n"));
        let read = read(&file);
        let reasons: Vec<&str> =
            read.iter().map(|row| row.as_ref().map_or_else(|e| e.rejected.reason.text(), |_| "")).collect();
        let expected = [
            "",
            "school_urn",
            "date",
            "session",
            "upn",
            "code",
            "code",
            "retired_code",
            "minutes_late",
            "revised_at",
            "form",
            "",
        ];
        assert_eq!(reasons, expected);
        let told = read[7].as_ref().unwrap_err().to_string();
        assert!(told.starts_with("line 9, code: code H was retired in August 2024; send C or G instead"), "{told}");
        let last = read[11].as_ref().unwrap().mark.revision;
        assert_eq!(
            (last.revised_at.to_string(), last.minutes_late.unwrap().minutes()),
            ("2025-09-03T08:52:10.5Z".into(), 12)
        );
    }

    #[test]
    fn the_line_is_right_whatever_ends_lines_and_whatever_a_field_holds() {
        let lines = |file: &str| -> Vec<u64> { read(file).into_iter().map(|row| row.unwrap_err().line).collect() };
        let header = "school_urn,date,session,upn,code";
        assert_eq!(lines(&format!("{header}\nx\ny\n")), [2, 3]);
        assert_eq!(lines(&format!("{header}\r\nx\r\ny\r\n")), [2, 3]);
        assert_eq!(lines(&format!("{header}\n\nx\n\n\ny\n")), [3, 6]);
        assert_eq!(lines(&format!("{header}\r\n\"x\r\n\r\n\"\r\ny")), [2, 5]);
    }

    #[test]
    fn a_header_that_lacks_a_column_or_has_one_twice_is_refused() {
        let error = |file: &str| RegistersCsv::new(file.as_bytes(), Admission::Anyone).err().unwrap().to_string();
        assert!(error("").contains("the file is empty; its first line must name the columns"));
        assert!(error("upn,code\n").contains("the header lacks school_urn, date, session;"));
        assert!(error("school_urn,date,session,upn,code,upn\n").contains("names the column \"upn\" twice"));
        let rows = RegistersCsv::new("school_urn,date,session,upn,code,mark\n".as_bytes(), Admission::Anyone).unwrap();
        assert_eq!(rows.unknown_columns(), ["mark"]);
    }
}
