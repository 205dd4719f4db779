//! The header of a CSV file: where each column stands.

use csv::ByteRecord;
use std::fmt;

/// What is wrong with a file as a whole.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is nothing in it.
    #[error("the file is empty; its first line must name the columns: {0}")]
    Empty(String),
    /// Needed columns are missing.
    #[error("the header lacks {missing}; it must name the columns {needed}, in any order")]
    Columns {
        /// The missing ones.
        missing: String,
        /// All that are needed.
        needed: String,
    },
    /// A column stands there twice.
    #[error("the header names the column {0:?} twice; take one out")]
    Twice(String),
    /// It could not be read on.
    #[error("line {line}: {error}")]
    Read {
        /// The line, from 1.
        line: u64,
        /// What happened.
        error: std::io::Error,
    },
}

/// Where the columns stand that a format knows.
#[derive(Clone, Debug)]
pub struct Columns<const N: usize> {
    at: [Option<usize>; N],
    fields: usize,
    unknown: Vec<String>,
}

impl<const N: usize> Columns<N> {
    /// Finds `names` in a header; the first `needed` of them must be there.
    pub(crate) fn find(header: &ByteRecord, names: [&str; N], needed: usize) -> Result<Self, FileError> {
        let all_needed = || names.iter().take(needed).copied().collect::<Vec<_>>().join(", ");
        let mut columns = Self { at: [None; N], fields: header.len(), unknown: Vec::new() };
        for (at, column) in header.iter().enumerate() {
            let name =
                String::from_utf8_lossy(column.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(column)).trim().to_owned();
            let place = names.iter().position(|known| *known == name).and_then(|known| columns.at.get_mut(known));
            match place {
                Some(Some(_)) => return Err(FileError::Twice(name)),
                Some(place) => *place = Some(at),
                None => columns.unknown.push(name.chars().take(32).collect()),
            }
        }
        if header.is_empty() {
            return Err(FileError::Empty(all_needed()));
        }
        let missing: Vec<&str> =
            names.iter().zip(columns.at).take(needed).filter(|(_, at)| at.is_none()).map(|(name, _)| *name).collect();
        if missing.is_empty() {
            Ok(columns)
        } else {
            Err(FileError::Columns { missing: missing.join(", "), needed: all_needed() })
        }
    }

    /// The columns that the format does not know; they are passed over.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// How many fields each row must have.
    pub(crate) fn fields(&self) -> usize {
        self.fields
    }

    /// A row's field of a column, blanks around it gone; none where the file has no such column.
    pub(crate) fn field<'r>(&self, row: &'r ByteRecord, column: usize) -> Option<&'r [u8]> {
        row.get((*self.at.get(column)?)?).map(<[u8]>::trim_ascii)
    }
}

/// A row that was refused, with its place.
#[derive(Clone, Debug)]
pub struct RefusedRow {
    /// The line, from 1.
    pub line: u64,
    /// Why.
    pub rejected: crate::Rejected,
    /// The row's fields as they came.
    pub row: ByteRecord,
}

impl fmt::Display for RefusedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, {}", self.line, self.rejected)
    }
}

/// Which line each row begins on. The csv crate tells where it stands after a row: on the next line, but on the row's own
/// where lines end in CR and LF (the LF is still to come) and at a file's end without one.
#[derive(Debug)]
pub(crate) struct Lines {
    /// 1 where lines end in CR and LF.
    behind: u64,
    rows: u64,
    within_rows: u64,
}

impl Lines {
    /// `after_header`: the reader's line after the header was read.
    pub(crate) fn new(after_header: u64) -> Self {
        Self { behind: u64::from(after_header == 1), rows: 0, within_rows: 0 }
    }

    /// The line of the row that was just read; `after` is the reader's line now.
    pub(crate) fn of(&mut self, row: &ByteRecord, after: u64) -> u64 {
        self.rows += 1;
        let counted = 1 + self.rows + self.within_rows;
        let within = row.as_slice().iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
        self.within_rows += within;
        (after + self.behind).saturating_sub(1 + within).max(counted)
    }
}

/// The text of a field; bytes that are no UTF-8 show as such.
pub(crate) fn text(field: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(field)
}

/// An error of the csv crate as one of the file: broken quotes and such are told row by row, this one ends it.
pub(crate) fn file_error(error: csv::Error, line: u64) -> FileError {
    let place = error.position().map_or(line, csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(error) => FileError::Read { line: place, error },
        other => FileError::Read { line: place, error: std::io::Error::other(format!("{other:?}")) },
    }
}
