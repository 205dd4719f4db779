//! The header of a CSV file: where each column stands.

use super::row::Row;
use std::fmt;

/// What is wrong with a file as a whole.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is nothing in it.
    #[error("the file is empty; its first line must name the columns: {0}")]
    Empty(String),
    /// It is text, but of two bytes a letter.
    #[error("the file is UTF-16; save it as CSV in UTF-8 (Excel calls it \"CSV UTF-8\")")]
    Utf16,
    /// It is an archive; a workbook is one too.
    #[error(
        "the file is a zip archive, as Excel workbooks are too; save it as CSV, or send what is in it, plain or gzip"
    )]
    Zip,
    /// It is gzip within gzip.
    #[error("the file was packed twice: there is gzip within the gzip; unpack it once")]
    PackedTwice,
    /// The first row cannot be read.
    #[error("line {line}: {what}; this first row must name the columns")]
    Header {
        /// The line, from 1.
        line: u64,
        /// What is wrong and what to do.
        what: String,
    },
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
    unknown: Vec<String>,
}

impl<const N: usize> Columns<N> {
    /// Finds `names` in a header; the first `needed` of them must be there.
    pub(crate) fn find(header: &Row, names: [&str; N], needed: usize) -> Result<Self, FileError> {
        let mut columns = Self { at: [None; N], unknown: Vec::new() };
        for (at, column) in header.iter().enumerate() {
            let name = text(column).trim().to_owned();
            let place = names.iter().position(|known| *known == name).and_then(|known| columns.at.get_mut(known));
            match place {
                Some(Some(_)) => return Err(FileError::Twice(name)),
                Some(place) => *place = Some(at),
                None => columns.unknown.push(name.chars().take(32).collect()),
            }
        }
        let missing: Vec<&str> =
            names.iter().zip(columns.at).take(needed).filter(|(_, at)| at.is_none()).map(|(name, _)| *name).collect();
        if missing.is_empty() {
            Ok(columns)
        } else {
            let needed = names.iter().take(needed).copied().collect::<Vec<_>>().join(", ");
            Err(FileError::Columns { missing: missing.join(", "), needed })
        }
    }

    /// The columns that the format does not know; they are passed over.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// A row's field of a column, blanks around it gone; none where the file has no such column.
    pub(crate) fn field<'r>(&self, row: &'r Row, column: usize) -> Option<&'r [u8]> {
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
    /// The row as it stands in the file, cut after 1,024 bytes.
    pub row: String,
}

impl fmt::Display for RefusedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, {}", self.line, self.rejected)
    }
}

/// The text of a field; bytes that are no UTF-8 show as such.
pub(crate) fn text(field: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(field)
}
