//! A row of a CSV file: takes its text, gives its fields, quotes taken off. Quotes that are out of order are read as
//! spreadsheets read them; whether a row may go on in the next line is not decided here.

use memchr::memchr_iter;

/// The fields of a row.
#[derive(Debug, Default)]
pub(crate) struct Row {
    text: Vec<u8>,
    /// Where each field stands in the text.
    bounds: Vec<(usize, usize)>,
    /// Where the field begins that is being read.
    begin: usize,
    at: At,
    loose: bool,
}

/// Where the reading of quotes stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// At a field's first byte.
    #[default]
    Start,
    /// In a field without quotes.
    Plain,
    /// In a field with quotes.
    Quoted,
    /// After a quote in such a field: its end, or the first of two that mean one.
    Quote,
}

impl Row {
    /// Takes a line without any quote for the row.
    pub(crate) fn plain(&mut self, line: &[u8]) {
        self.clear();
        self.text.extend_from_slice(line);
        let mut begin = 0;
        for at in memchr_iter(b',', line) {
            self.bounds.push((begin, at));
            begin = at + 1;
        }
        self.bounds.push((begin, line.len()));
    }

    /// Forgets the row before.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.bounds.clear();
        (self.begin, self.at, self.loose) = (0, At::Start, false);
    }

    /// Reads a piece of the row's text, quotes in it.
    pub(crate) fn read(&mut self, piece: &[u8]) {
        for byte in piece {
            self.at = match (self.at, byte) {
                (At::Start, b'"') => At::Quoted,
                (At::Quoted, b'"') => At::Quote,
                (At::Quoted, _) | (At::Quote, b'"') => {
                    self.text.push(*byte);
                    At::Quoted
                }
                (_, b',') => {
                    self.end_field();
                    At::Start
                }
                (at, _) => {
                    self.loose |= at == At::Quote;
                    self.text.push(*byte);
                    At::Plain
                }
            };
        }
    }

    /// Whether a quote waits for the one that closes its field.
    pub(crate) fn is_open(&self) -> bool {
        self.at == At::Quoted
    }

    /// Whether text stood between a closing quote and the comma after it: one of the two is at the wrong place.
    pub(crate) fn is_loose(&self) -> bool {
        self.loose
    }

    /// Ends the last field.
    pub(crate) fn end_field(&mut self) {
        self.bounds.push((self.begin, self.text.len()));
        self.begin = self.text.len();
    }

    /// How many fields there are.
    pub(crate) fn len(&self) -> usize {
        self.bounds.len()
    }

    /// A field.
    pub(crate) fn get(&self, field: usize) -> Option<&[u8]> {
        let (begin, end) = *self.bounds.get(field)?;
        self.text.get(begin..end)
    }

    /// The fields in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|field| self.get(field))
    }
}
