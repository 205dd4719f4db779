//! A CSV file in blocks, so that several threads read its rows: takes a reader, gives blocks of whole lines, each with the file's header
//! before it, in order, and what is before each. From the first quotation mark on, or the first line that ends with CR alone, the rest of
//! the file is one block: there a row may go over any border.

use super::columns::FileError;
use memchr::{memchr, memchr_iter, memrchr};
use std::io::{ErrorKind, Read};

/// Bytes of a block, about.
pub const BLOCK: usize = 4 << 20;

/// A block of a file.
pub struct Block {
    /// Its number in the file, from 0.
    pub number: usize,
    /// Whether it is all that is left, however much.
    pub is_rest: bool,
    /// The header and the block's lines.
    pub text: Box<dyn Read + Send>,
    /// Rows of the file before it.
    pub rows_before: u64,
    /// Its own rows; none are counted of all that is left.
    pub rows: u64,
    /// Lines of the file between its header and the block.
    pub lines_before: u64,
}

/// The blocks of a file.
pub struct Blocks<R> {
    /// None where all was given out.
    input: Option<R>,
    /// The header's line, with what stands before it.
    header: Vec<u8>,
    header_lines: u64,
    /// What was read and not yet given out: no whole line.
    begun: Vec<u8>,
    number: usize,
    rows: u64,
    lines: u64,
    /// Bytes of a block, about.
    size: usize,
}

impl<R: Read + Send + 'static> Blocks<R> {
    /// Nothing is read yet.
    pub fn new(input: R) -> Self {
        let (header, begun) = (Vec::new(), Vec::new());
        Self { input: Some(input), header, header_lines: 0, begun, number: 0, rows: 0, lines: 0, size: BLOCK }
    }

    /// How many blocks were given out.
    pub fn given(&self) -> usize {
        self.number
    }

    /// The next block; none at the end. An empty file is a block too.
    pub fn next_block(&mut self) -> Result<Option<Block>, FileError> {
        let Some(mut input) = self.input.take() else { return Ok(None) };
        let mut text = std::mem::take(&mut self.begun);
        let is_end = self.read(&mut input, &mut text)?;
        if self.number == 0 {
            match header(&text) {
                Some(end) if is_plain(text.get(..end).unwrap_or_default()) => {
                    let rest = text.split_off(end);
                    self.header = std::mem::replace(&mut text, rest);
                    self.header_lines = lines(&self.header);
                }
                _ => return Ok(Some(self.block(text.chain_with(input), true, 0))),
            }
        }
        let whole = if is_end { text.len() } else { memrchr(b'\n', &text).map_or(0, |at| at + 1) };
        if whole == 0 && !is_end || !is_plain(text.get(..whole).unwrap_or_default()) {
            return Ok(Some(self.block(text.chain_with(input), true, 0)));
        }
        self.begun = text.split_off(whole);
        let (rows, lines) = (rows(&text), lines(&text));
        if !is_end {
            self.input = Some(input);
        }
        let block = self.block(Box::new(std::io::Cursor::new(text)), is_end && self.number == 0, rows);
        (self.rows, self.lines) = (self.rows + rows, self.lines + lines);
        Ok(Some(block))
    }

    fn block(&mut self, text: Box<dyn Read + Send>, is_rest: bool, rows: u64) -> Block {
        let number = self.number;
        self.number += 1;
        let text = Box::new(std::io::Cursor::new(self.header.clone()).chain(text));
        Block { number, is_rest, text, rows_before: self.rows, rows, lines_before: self.lines }
    }

    /// Reads on until a block is there; true at the end of the file.
    fn read(&self, input: &mut R, text: &mut Vec<u8>) -> Result<bool, FileError> {
        let missing = u64::try_from(self.size.saturating_sub(text.len()).max(1)).unwrap_or(1);
        // A little more, by which the end of the file is seen without growing.
        text.reserve_exact(usize::try_from(missing).unwrap_or(0) + 64);
        loop {
            let before = text.len();
            match input.by_ref().take(missing).read_to_end(text) {
                Ok(_) => return Ok(text.len() - before < usize::try_from(missing).unwrap_or(usize::MAX)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(FileError::Read { line: self.header_lines + self.lines + 1, error }),
            }
        }
    }
}

/// What was read, and then the rest.
trait ChainWith {
    fn chain_with<R: Read + Send + 'static>(self, rest: R) -> Box<dyn Read + Send>;
}

impl ChainWith for Vec<u8> {
    fn chain_with<R: Read + Send + 'static>(self, rest: R) -> Box<dyn Read + Send> {
        Box::new(std::io::Cursor::new(self).chain(rest))
    }
}

/// Where the header's line ends: the first that is not empty.
fn header(text: &[u8]) -> Option<usize> {
    let mut begins = if text.starts_with(&[0xEF, 0xBB, 0xBF]) { 3 } else { 0 };
    for end in memchr_iter(b'\n', text) {
        if !is_blank(text.get(begins..end).unwrap_or_default()) {
            return Some(end + 1);
        }
        begins = end + 1;
    }
    None
}

/// Whether every line is a row of its own, whatever stands in it.
fn is_plain(text: &[u8]) -> bool {
    let is_line_end = |at: usize| text.get(at + 1) == Some(&b'\n');
    memchr(b'"', text).is_none() && memchr_iter(b'\r', text).all(is_line_end)
}

fn is_blank(line: &[u8]) -> bool {
    matches!(line, [] | [b'\r'])
}

fn lines(text: &[u8]) -> u64 {
    u64::try_from(memchr_iter(b'\n', text).count()).unwrap_or(u64::MAX)
}

/// Lines that are not empty.
fn rows(text: &[u8]) -> u64 {
    let (mut rows, mut begins) = (0, 0);
    for end in memchr_iter(b'\n', text) {
        rows += u64::from(!is_blank(text.get(begins..end).unwrap_or_default()));
        begins = end + 1;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::registers_csv::RegistersCsv;
    use crate::validate::Admission;
    use proptest::prelude::*;

    const HEADER: &str = "school_urn,date,session,upn,code\n";

    /// Line of each row, and its number with the mark or why it is refused; of the file read whole, and read in blocks of a size.
    fn whole_and_in_blocks(file: &str, size: usize) -> [Vec<(u64, String)>; 2] {
        let seen = |rows: &mut RegistersCsv<'_, Box<dyn Read + Send>>| {
            let mut seen = Vec::new();
            while let Some(row) = rows.next_row().unwrap() {
                let said = match row {
                    Ok(row) => format!("{} {:?}", row.number, row.mark),
                    Err(refused) => format!("{} {}", refused.line, refused.rejected),
                };
                seen.push((rows.line(), said));
            }
            seen
        };
        let text: Box<dyn Read + Send> = Box::new(std::io::Cursor::new(file.to_owned()));
        let whole = seen(&mut RegistersCsv::new(text, Admission::Anyone).unwrap());
        let mut blocks = Blocks { size, ..Blocks::new(std::io::Cursor::new(file.to_owned())) };
        let mut in_blocks = Vec::new();
        while let Some(block) = blocks.next_block().unwrap() {
            in_blocks.extend(seen(&mut RegistersCsv::of_block(block, Admission::Anyone).unwrap()));
        }
        [whole, in_blocks]
    }

    #[test]
    fn a_plain_file_is_cut_into_many_blocks() {
        let row = "900001,2025-09-03,AM,R900001000001,N\n";
        let text = format!("\u{feff}\r\n\n{HEADER}{}", row.repeat(1_000));
        let mut blocks = Blocks { size: 4_000, ..Blocks::new(std::io::Cursor::new(text)) };
        let mut before = Vec::new();
        while let Some(block) = blocks.next_block().unwrap() {
            assert!(!block.is_rest);
            before.push(block.rows_before);
        }
        assert_eq!((before.len(), before[1], before[9]), (10, 107, 107 + 8 * 108), "{before:?}");
    }

    proptest! {
        #[test]
        fn rows_lines_and_refusals_are_those_of_the_file_read_whole(
            rows in prop::collection::vec(
                prop_oneof![
                    8 => Just("900001,2025-09-03,AM,R900001000001,N"),
                    1 => Just("900001,2025-09-03,PM,R900001000001,!"),
                    1 => Just(""),
                    1 => Just("900001,2025-09-03"),
                    1 => Just("900001,2025-09-03,AM,\"R900001000001\n\",N"),
                    1 => Just("\"900001,2025-09-03,AM,R900001000001,N"),
                ],
                0..40,
            ),
            ends in prop_oneof![6 => Just("\n"), 2 => Just("\r\n"), 1 => Just("\r")],
            last in any::<bool>(),
            size in 40_usize..900,
        ) {
            let mut file = format!("\u{feff}\r\n\n{HEADER}{}", rows.join(ends));
            if last {
                file.push_str(ends);
            }
            let [whole, in_blocks] = whole_and_in_blocks(&file, size);
            prop_assert_eq!(whole, in_blocks);
        }
    }

    #[test]
    fn what_is_no_csv_is_told_as_of_a_file_read_whole() {
        for file in ["", "\n\n", "a,b\n1,2\n", "\"school_urn\",\"date\"\n", "PK\u{3}\u{4}\n", "no line end"] {
            let text = Box::new(std::io::Cursor::new(file.to_owned()));
            let whole = RegistersCsv::new(text, Admission::Anyone).err().map(|error| error.to_string());
            let block = Blocks::new(std::io::Cursor::new(file.to_owned())).next_block().unwrap().unwrap();
            let in_blocks = RegistersCsv::of_block(block, Admission::Anyone).err().map(|error| error.to_string());
            assert!(whole.is_some() && whole == in_blocks, "{whole:?} and {in_blocks:?}");
        }
    }
}
