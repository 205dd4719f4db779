//! A TOML file as tables, each read on its own: what is wrong with one hides nothing of the others. Takes a file's text,
//! gives values, or problems with their lines; what the values mean is for the callers.

use crate::problem::{Place, Problems};
use serde::Deserialize;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Error, ValueDeserializer};

/// A file's name and text.
#[derive(Clone, Copy)]
struct Source<'a> {
    file: &'static str,
    text: &'a str,
}

/// A table that is taken apart key by key.
pub(crate) struct Table<'a> {
    source: Source<'a>,
    /// As messages call it; nothing for the file itself.
    path: String,
    /// Where it begins; nowhere for the file itself.
    span: Option<Range<usize>>,
    entries: DeTable<'a>,
    /// The keys that were asked for.
    known: Vec<&'static str>,
}

/// One of several tables of a kind.
pub(crate) struct Entry<T> {
    /// Its number among them, from 1.
    pub(crate) number: usize,
    /// Its name, also where something else in it is wrong.
    pub(crate) name: Option<String>,
    /// What it says; nothing where something in it is wrong, which has been told.
    pub(crate) read: Option<T>,
}

impl<'a> Table<'a> {
    /// A file's tables. A file that is no TOML has no more than its first problem.
    pub(crate) fn parse(file: &'static str, text: &'a str) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let source = Source { file, text };
        let parsed = DeTable::parse(text);
        let parsed = parsed.map_err(|error| problems.add(source.place("", error.span(), None), error.message()));
        let entries = parsed.ok().map(Spanned::into_inner);
        problems.finish(entries.map(|entries| Self::new(source, String::new(), None, entries)))
    }

    fn new(source: Source<'a>, path: String, span: Option<Range<usize>>, entries: DeTable<'a>) -> Self {
        Self { source, path, span, entries, known: Vec::new() }
    }

    /// As messages call it.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Whether a key is there and was not yet taken.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// The value of a key that must be there.
    pub(crate) fn required<T: Deserialize<'a>>(&mut self, key: &'static str, problems: &mut Problems) -> Option<T> {
        if !self.has(key) {
            problems.add(self.source.place(&self.path, self.span.clone(), None), format!("{key} is missing"));
        }
        self.optional(key, problems)
    }

    /// The value of a key that may be left out.
    pub(crate) fn optional<T: Deserialize<'a>>(&mut self, key: &'static str, problems: &mut Problems) -> Option<T> {
        let value = self.take(key)?;
        let span = value.span();
        let read = T::deserialize(ValueDeserializer::from(value));
        read.map_err(|error| self.tell(&error, span, Some(key), problems)).ok()
    }

    /// The table of a key that may be left out.
    pub(crate) fn table(&mut self, key: &'static str, problems: &mut Problems) -> Option<Table<'a>> {
        let value = self.take(key)?;
        self.inner(value, key, key, problems)
    }

    /// The table of a key that may be left out, read as a whole.
    pub(crate) fn entry<T: Deserialize<'a>>(&mut self, key: &'static str, problems: &mut Problems) -> Option<T> {
        self.table(key, problems)?.read(problems)
    }

    /// The tables of a kind, of which there may be none, to be taken apart; nothing where something else stands there.
    pub(crate) fn tables(&mut self, key: &'static str, problems: &mut Problems) -> Option<Vec<Table<'a>>> {
        let Some(value) = self.take(key) else { return Some(Vec::new()) };
        let (span, value) = (value.span(), value.into_inner());
        let DeValue::Array(values) = value else {
            let what = format!("{key} is {}; write each as a table of its own, [[{key}]]", kind(&value));
            problems.add(self.source.place(&self.path, Some(span), None), what);
            return None;
        };
        let numbered = values.into_iter().enumerate();
        let tables = numbered.map(|(number, value)| self.inner(value, &format!("{key} {}", number + 1), key, problems));
        Some(tables.flatten().collect())
    }

    /// The tables of a kind, of which there may be none, each read as a whole; `named_by` is the key of their names. Nothing
    /// where something else stands there.
    pub(crate) fn entries<T: Deserialize<'a>>(
        &mut self,
        key: &'static str,
        named_by: &str,
        problems: &mut Problems,
    ) -> Option<Vec<Entry<T>>> {
        let tables = self.tables(key, problems)?;
        let entries = tables.into_iter().enumerate().map(|(number, mut table)| {
            let name = table.entries.get(named_by).and_then(|name| name.get_ref().as_str()).map(str::to_owned);
            if let Some(name) = &name {
                table.path = join(&self.path, &format!("{key} {name:?}"));
            }
            Entry { number: number + 1, name, read: table.read(problems) }
        });
        Some(entries.collect())
    }

    /// Tells of every key that nobody asked for.
    pub(crate) fn finish(self, problems: &mut Problems) {
        let mut unknown: Vec<_> = self.entries.keys().map(|key| (key.span(), key.get_ref())).collect();
        unknown.sort_by_key(|(span, _)| span.start);
        for (span, key) in unknown {
            let what = format!("unknown field `{key}`, expected one of {}", self.known.join(", "));
            problems.add(self.source.place(&self.path, Some(span), None), what);
        }
    }

    /// The table as a whole. A wrong field is told and put aside, so that the next is found too.
    fn read<T: Deserialize<'a>>(mut self, problems: &mut Problems) -> Option<T> {
        let own = self.span.clone().unwrap_or_default();
        let mut sound = true;
        loop {
            let value = Spanned::new(own.clone(), DeValue::Table(self.entries.clone()));
            let error = match T::deserialize(ValueDeserializer::from(value)) {
                Ok(read) => return sound.then_some(read),
                Err(error) => error,
            };
            let at = error.span().unwrap_or_default().start;
            let mut fields = self.entries.iter().map(|(key, value)| (key, key.span().start..value.span().end));
            let field = fields.find(|(_, span)| span.contains(&at)).map(|(key, _)| key.get_ref().to_string());
            let Some(field) = field else {
                // A field that was put aside is missing now.
                if sound {
                    self.tell(&error, own, None, problems);
                }
                return None;
            };
            self.tell(&error, own.clone(), Some(&field), problems);
            self.entries.remove(field.as_str());
            sound = false;
        }
    }

    fn take(&mut self, key: &'static str) -> Option<Spanned<DeValue<'a>>> {
        self.known.push(key);
        self.entries.remove(key)
    }

    fn inner(&self, value: Spanned<DeValue<'a>>, name: &str, key: &str, problems: &mut Problems) -> Option<Table<'a>> {
        let (path, span) = (join(&self.path, name), value.span());
        match value.into_inner() {
            DeValue::Table(entries) => Some(Self::new(self.source, path, Some(span), entries)),
            other => {
                let what = format!("{key} is {}, not a table", kind(&other));
                problems.add(self.source.place(&path, Some(span), None), what);
                None
            }
        }
    }

    fn tell(&self, error: &Error, own: Range<usize>, field: Option<&str>, problems: &mut Problems) {
        let span = error.span().unwrap_or(own);
        problems.add(self.source.place(&self.path, Some(span), field), error.message());
    }
}

impl Source<'_> {
    fn place(self, path: &str, span: Option<Range<usize>>, field: Option<&str>) -> Place {
        let before = span.map(|span| self.text.get(..span.start).unwrap_or(self.text));
        let line = before.map(|before| format!("line {}", before.matches('\n').count() + 1)).unwrap_or_default();
        Place::new(self.file, join(&join(path, &line), field.unwrap_or_default()))
    }
}

fn join(path: &str, part: &str) -> String {
    [path, part].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

fn kind(value: &DeValue<'_>) -> String {
    format!("of type {}", value.type_str())
}
