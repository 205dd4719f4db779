//! The rows of a CSV file, line by line: takes a reader, gives each row's fields and the line it begins on. Keeps a buffer
//! of one size, whatever stands in the file.
//!
//! A quote that is not closed spoils the row that it stands in and no other: the reading goes on at the next line. A field
//! in quotes may hold line breaks all the same, as long as no line of it could be a row of its own.

use super::columns::{Columns, FileError, RefusedRow};
use super::row::Row;
use crate::reason::{Reason, Rejected};
use memchr::{memchr2, memchr3};
use std::io::{ErrorKind, Read};

const BUFFER: usize = 1 << 18;
/// The longest row, in bytes: well under half of the buffer, which holds a row and the line after it.
const LONGEST: usize = 1 << 16;
/// The most lines of a row.
const MOST_LINES: u64 = 8;
/// So much of a refused row is shown, in bytes.
const SHOWN: usize = 1 << 10;

/// A line in the buffer: offsets from where the row begins.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    /// Where its text ends.
    text: usize,
    /// Where the next line begins.
    next: usize,
    quotes: bool,
}

/// What stands at a place in the buffer.
enum Ahead {
    Line(Line),
    /// A line that is longer than any row may be.
    TooLong,
    /// The end of the file.
    Nothing,
}

/// The rows of a file.
pub(crate) struct Rows<R> {
    input: R,
    buffer: Vec<u8>,
    /// What was read into the buffer and not yet passed over; it begins with the present row.
    start: usize,
    end: usize,
    /// The line that the present row begins on, from 1.
    line: u64,
    /// How far the present row goes: to the end of its last line.
    row_end: Line,
    row_lines: u64,
    /// Whether its line is too long, with the end still to be read.
    cut: bool,
    row: Row,
    /// How many fields each row must have.
    fields: Option<usize>,
}

impl<R: Read> Rows<R> {
    /// Reads the header, which must name the first `needed` of `names`.
    pub(crate) fn open<const N: usize>(
        input: R,
        names: [&str; N],
        needed: usize,
    ) -> Result<(Self, Columns<N>), FileError> {
        let (row_end, row) = (Line::default(), Row::default());
        let buffer = vec![0; BUFFER];
        let (start, end, line, row_lines) = (0, 0, 1, 0);
        let mut rows = Self { input, buffer, start, end, line, row_end, row_lines, cut: false, row, fields: None };
        rows.begin()?;
        let columns = match rows.next()? {
            Some(Ok(())) => Columns::find(&rows.row, names, needed)?,
            Some(Err(rejected)) => return Err(FileError::Header { line: rows.line, what: rejected.what }),
            None => return Err(FileError::Empty(names.iter().take(needed).copied().collect::<Vec<_>>().join(", "))),
        };
        rows.fields = Some(rows.row.len());
        Ok((rows, columns))
    }

    /// Reads on to the next row; none at the end. What is wrong with one row stops no other; an error ends the reading.
    pub(crate) fn next(&mut self) -> Result<Option<Result<(), Rejected>>, FileError> {
        self.pass()?;
        let first = loop {
            match self.ahead(0)? {
                Ahead::Line(Line { text: 0, next, .. }) => (self.start, self.line) = (self.start + next, self.line + 1),
                Ahead::Line(line) => break line,
                Ahead::TooLong => return Ok(Some(Err(self.too_long()))),
                Ahead::Nothing => return Ok(None),
            }
        };
        (self.row_end, self.row_lines) = (first, 1);
        if !first.quotes {
            let line = self.buffer.get(self.start..self.start + first.text).unwrap_or_default();
            self.row.plain(line);
        } else if let Err(rejected) = self.quoted(first)? {
            return Ok(Some(Err(rejected)));
        }
        let (has, must) = (self.row.len(), self.fields.unwrap_or(self.row.len()));
        if has != must {
            let what = format!("the row has {has} fields, the header {must}");
            return Ok(Some(Err(Rejected::new(Reason::Form, what))));
        }
        Ok(Some(Ok(())))
    }

    /// The line of the file at which the present row begins.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// The fields of the present row.
    pub(crate) fn row(&self) -> &Row {
        &self.row
    }

    /// The present row, refused.
    pub(crate) fn refused(&self, rejected: Rejected) -> RefusedRow {
        let shown = self.text(0, self.row_end.text.min(SHOWN));
        RefusedRow { line: self.line, rejected, row: String::from_utf8_lossy(shown).into_owned() }
    }

    /// Goes on to where the present row ends.
    fn pass(&mut self) -> Result<(), FileError> {
        self.start += self.row_end.next;
        self.line += self.row_lines;
        (self.row_end, self.row_lines) = (Line::default(), 0);
        while self.cut {
            match self.ahead(0)? {
                Ahead::Line(line) => {
                    self.start += line.next;
                    self.cut = false;
                }
                Ahead::TooLong => self.start += LONGEST,
                Ahead::Nothing => self.cut = false,
            }
        }
        Ok(())
    }

    /// Reads the present row, which has quotes, on into the next lines as long as a field is open. A row that does not
    /// end as it should is its first line alone.
    fn quoted(&mut self, first: Line) -> Result<Result<(), Rejected>, FileError> {
        self.row.clear();
        self.read(0, first.text);
        while self.row.is_open() {
            let so_far = self.row_end;
            let Ahead::Line(line) = self.ahead(so_far.next)? else { break };
            let could_be_row = self.fields.is_some_and(|fields| is_row(self.text(so_far.next, line.text), fields));
            if could_be_row || line.text > LONGEST || self.row_lines == MOST_LINES {
                break;
            }
            self.read(so_far.text, line.text);
            (self.row_end, self.row_lines) = (line, self.row_lines + 1);
        }
        self.row.end_field();
        if self.row.is_open() || (self.row_lines > 1 && self.row.is_loose()) {
            (self.row_end, self.row_lines) = (first, 1);
            let what = "a quotation mark (\") opens a field that nothing closes before the next row begins, or within 8 \
                        lines and 64 KiB; take the mark out, or put the missing one where the field ends";
            return Ok(Err(Rejected::new(Reason::Form, what)));
        }
        Ok(Ok(()))
    }

    fn read(&mut self, from: usize, to: usize) {
        self.row.read(self.buffer.get(self.start + from..self.start + to).unwrap_or_default());
    }

    fn too_long(&mut self) -> Rejected {
        self.row_end = Line { text: LONGEST, next: LONGEST, quotes: false };
        (self.row_lines, self.cut) = (1, true);
        let what = "the line has more than 64 KiB; give each row a line of its own";
        Rejected::new(Reason::Form, what)
    }

    fn text(&self, from: usize, to: usize) -> &[u8] {
        self.buffer.get(self.start + from..self.start + to).unwrap_or_default()
    }

    /// The line that begins at `from`, counted from the present row's beginning, read into the buffer as a whole. It ends
    /// with CR, LF or both, or with the file.
    fn ahead(&mut self, from: usize) -> Result<Ahead, FileError> {
        let mut seen = from;
        let mut quotes = false;
        loop {
            let unseen = self.buffer.get(self.start + seen..self.end).unwrap_or_default();
            let found = if quotes { memchr2(b'\n', b'\r', unseen) } else { memchr3(b'\n', b'\r', b'"', unseen) };
            let rest = found.and_then(|at| unseen.get(at..)).unwrap_or_default();
            seen += found.unwrap_or(unseen.len());
            if seen - from > LONGEST {
                return Ok(Ahead::TooLong);
            }
            match rest {
                [b'"', ..] => {
                    quotes = true;
                    seen += 1;
                }
                [b'\r', b'\n', ..] => return Ok(Ahead::Line(Line { text: seen, next: seen + 2, quotes })),
                [b'\n', ..] | [b'\r', _, ..] => return Ok(Ahead::Line(Line { text: seen, next: seen + 1, quotes })),
                [b'\r'] => {
                    if !self.fill()? {
                        return Ok(Ahead::Line(Line { text: seen, next: seen + 1, quotes }));
                    }
                }
                _ => {
                    if !self.fill()? {
                        let last = Line { text: seen, next: seen, quotes };
                        return Ok(if seen == from { Ahead::Nothing } else { Ahead::Line(last) });
                    }
                }
            }
        }
    }

    /// Reads more into the buffer; tells whether there was any.
    fn fill(&mut self) -> Result<bool, FileError> {
        if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        loop {
            match self.input.read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
                Ok(count) => {
                    self.end += count;
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(FileError::Read { line: self.line, error }),
            }
        }
    }

    /// Passes over the mark of UTF-8; refuses what is UTF-16, with a mark or without.
    fn begin(&mut self) -> Result<(), FileError> {
        while self.end < 3 && self.fill()? {}
        match self.text(0, self.end) {
            [0xEF, 0xBB, 0xBF, ..] => self.start = 3,
            [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [0, _, ..] | [_, 0, ..] => return Err(FileError::Utf16),
            [b'P', b'K', 3 | 5, ..] => return Err(FileError::Zip),
            [0x1F, 0x8B, ..] => return Err(FileError::PackedTwice),
            _ => {}
        }
        Ok(())
    }
}

/// Whether a line that a quoted field runs on into could be a row of its own. Where the field is meant to run on, its text
/// seldom has commas before the quote that closes it, and what follows them fills up the row.
fn is_row(line: &[u8], fields: usize) -> bool {
    let of_field = line.iter().take_while(|byte| **byte != b'"');
    of_field.clone().any(|byte| *byte == b',') && line.split(|byte| *byte == b',').count() >= fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: &str = "a,b,c\n";

    /// A row as a test writes it: its line, then its fields or why it is refused.
    type Seen = (u64, Result<Vec<String>, String>);

    fn read_from(input: impl Read) -> Result<Vec<Seen>, FileError> {
        let (mut rows, _) = Rows::open(input, ["a", "b", "c"], 2)?;
        let mut seen = Vec::new();
        while let Some(row) = rows.next()? {
            let fields = || rows.row().iter().map(|field| String::from_utf8_lossy(field).into_owned()).collect();
            let line = rows.refused(Rejected::new(Reason::Form, "")).line;
            seen.push((line, row.map(|()| fields()).map_err(|rejected| rejected.to_string())));
        }
        Ok(seen)
    }

    fn read(file: &str) -> Vec<Seen> {
        read_from(file.as_bytes()).unwrap()
    }

    fn row(line: u64, fields: [&str; 3]) -> Seen {
        (line, Ok(fields.map(str::to_owned).to_vec()))
    }

    fn refused(seen: &Seen) -> (u64, &str) {
        (seen.0, seen.1.as_ref().unwrap_err())
    }

    #[test]
    fn a_stray_quote_spoils_its_own_row_and_no_other() {
        let rest = (0..20_000).map(|number| format!("{number},y,z\n")).collect::<Vec<_>>().concat();
        for spoilt in ["x,\"y,z", "\"x,y,z", "x,y,\"", "x,y,\"\"\"z"] {
            for ends in ["\n", "\r\n", "\r"] {
                let file = format!("{HEADER}1,2,3\n{spoilt}\n{rest}").replace('\n', ends);
                let seen = read(&file);
                assert_eq!(seen.len(), 20_002, "{spoilt:?} before {ends:?}");
                assert_eq!(seen[0], row(2, ["1", "2", "3"]));
                let (line, what) = refused(&seen[1]);
                assert!(line == 3 && what.starts_with("form: a quotation mark (\")"), "{line}: {what}");
                assert_eq!(seen[2], row(4, ["0", "y", "z"]));
            }
        }
    }

    #[test]
    fn stray_quotes_in_rows_near_each_other_do_not_swallow_the_rows_between() {
        for spoilt in ["x,y,\"z", "x,\"y,z", "x,\"y\",z\"", "x,y\",z"] {
            let seen = read(&format!("{HEADER}x,y,\"z\n1,2,3\n{spoilt}\n4,5,6\n"));
            assert_eq!(
                (refused(&seen[0]).0, &seen[1], &seen[3]),
                (2, &row(3, ["1", "2", "3"]), &row(5, ["4", "5", "6"]))
            );
        }
    }

    #[test]
    fn where_every_field_has_quotes_a_missing_one_spoils_no_other_row_either() {
        let seen = read("\"a\",\"b\",\"c\"\n\"1\",\"2\",\"3\n\"4\",\"5\",\"6\"\n\"7\",\"8,\"9\"\n\"0\",\"0\",\"0\"\n");
        let lines: Vec<u64> = seen.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 3, 4, 5]);
        assert_eq!((&seen[1], &seen[3]), (&row(3, ["4", "5", "6"]), &row(5, ["0", "0", "0"])));
        assert!(refused(&seen[0]).1.contains("quotation mark") && refused(&seen[2]).1.contains("has 2 fields"));
    }

    #[test]
    fn a_field_in_quotes_may_hold_commas_quotes_and_line_breaks() {
        let file = format!("\u{feff}{HEADER}\"x\ny\",\"\"\"2\"\", he said\",3\r\n1,\"well,\r\n\r\nwell\n\",z\r\n4,5,6");
        let expected = [
            row(2, ["x\ny", "\"2\", he said", "3"]),
            row(4, ["1", "well,\r\n\r\nwell\n", "z"]),
            row(8, ["4", "5", "6"]),
        ];
        assert_eq!(read(&file), expected);
    }

    #[test]
    fn a_field_that_runs_over_more_than_a_few_lines_is_refused() {
        let seen = read(&format!("{HEADER}1,2,\"{}\"\n4,5,6\n", "x\n".repeat(8)));
        assert!(refused(&seen[0]).0 == 2 && refused(&seen[0]).1.contains("quotation mark"));
        assert_eq!(seen.last(), Some(&row(11, ["4", "5", "6"])));
    }

    #[test]
    fn a_line_of_any_length_is_refused_in_little_memory() {
        let long = "x,".repeat(500_000);
        let seen = read(&format!("{HEADER}1,2,3\n{long}\n{long}\"\r\n4,5,6\n{long}"));
        let lines: Vec<u64> = seen.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 3, 4, 5, 6]);
        assert_eq!(seen[3], row(5, ["4", "5", "6"]));
        for refused_at in [1, 2, 4] {
            assert!(refused(&seen[refused_at]).1.contains("more than 64 KiB"));
        }
    }

    #[test]
    fn the_row_that_is_refused_is_shown_as_it_stands() {
        let (mut rows, _) = Rows::open(&b"a,b\n\"1\",\"2\n3,4\n"[..], ["a", "b"], 2).unwrap();
        let rejected = rows.next().unwrap().unwrap().unwrap_err();
        assert_eq!(rows.refused(rejected).row, "\"1\",\"2");
    }

    #[test]
    fn what_is_no_csv_in_utf_8_says_so() {
        let error = |bytes: &[u8]| read_from(bytes).unwrap_err().to_string();
        let wide = |text: &str, mark: &[u8]| {
            [mark, &text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()].concat()
        };
        for mark in [&[0xFF, 0xFE][..], &[]] {
            assert!(error(&wide(HEADER, mark)).contains("is UTF-16; save it as CSV in UTF-8"));
        }
        assert!(error(b"\xEF\xBB\xBF\n\n").contains("the file is empty"));
        let header = error(b"\na,\"b,c\n1,2,3\n");
        assert!(
            header.starts_with("line 2: a quotation mark") && header.ends_with("must name the columns"),
            "{header}"
        );
    }

    /// Gives a byte at a time, which puts every border of the buffer everywhere.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let most = into.len().min(1);
            self.0.read(&mut into[..most])
        }
    }

    fn fields() -> impl Strategy<Value = [String; 3]> {
        let field = || prop_oneof!["[a,\" ]{0,4}", "[a\n\r\"]{0,2}"];
        [field(), field(), field()]
    }

    proptest! {
        #[test]
        fn rows_with_sound_quotes_are_those_of_the_csv_crate(
            written in prop::collection::vec(fields(), 0..8),
            quotes in prop_oneof![Just(csv::QuoteStyle::Always), Just(csv::QuoteStyle::Necessary)],
            ends in prop_oneof![Just(csv::Terminator::Any(b'\n')), Just(csv::Terminator::CRLF)],
        ) {
            let mut file = csv::WriterBuilder::new().quote_style(quotes).terminator(ends).from_writer(Vec::new());
            for fields in [["a", "b", "c"].map(str::to_owned)].iter().chain(&written) {
                file.write_record(fields).unwrap();
            }
            let file = file.into_inner().unwrap();
            let seen = read_from(&file[..]).unwrap();
            let found: Vec<_> = seen.iter().map(|(_, row)| row.clone().unwrap()).collect();
            prop_assert_eq!(&found, &written.iter().map(|fields| fields.to_vec()).collect::<Vec<_>>());
            prop_assert_eq!(&seen, &read_from(Slow(&file)).unwrap());
        }

        #[test]
        fn whatever_stands_there_rows_come_in_order_and_the_buffer_has_no_say(bytes in "[a,\"\r\n]{0,40}") {
            let file = format!("{HEADER}{bytes}");
            let seen = read(&file);
            prop_assert_eq!(&seen, &read_from(Slow(file.as_bytes())).unwrap());
            prop_assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0));
            let lines = u64::try_from(file.replace("\r\n", "\n").replace('\r', "\n").lines().count()).unwrap();
            prop_assert!(seen.last().is_none_or(|(line, _)| *line <= lines));
        }
    }
}
