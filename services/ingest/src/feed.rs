//! What is held of a school's sessions: marks by kind, and pupils on roll without a mark. Takes the records of the school's
//! pupils and its roll; pure.

use crate::roll::Roll;
use attendance::record::YearRecord;
use attendance::{Meaning, Session, Upn, Urn};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Pupils without a mark that are named of a session; the count is whole.
const NAMED: usize = 200;

/// Marks of a session by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Marks {
    attending: u32,
    authorised: u32,
    unauthorised: u32,
    /// Administrative codes included.
    not_possible: u32,
    not_taken: u32,
}

impl Marks {
    fn add(&mut self, meaning: Meaning) {
        let place = match meaning {
            Meaning::Present | Meaning::ApprovedActivity => &mut self.attending,
            Meaning::Authorised => &mut self.authorised,
            Meaning::Unauthorised => &mut self.unauthorised,
            Meaning::NotPossible | Meaning::Administrative => &mut self.not_possible,
            Meaning::NotTaken => &mut self.not_taken,
        };
        *place += 1;
    }
}

/// What is held of one session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Held {
    pub(crate) marks: Marks,
    /// On roll that day, but no mark was taken of them.
    pub(crate) on_roll_without_mark: Missing,
    /// Marked, but on no roster that the school sent; 0 where it sent none. Their marks count.
    pub(crate) not_on_roll: u32,
}

/// Pupils without a mark.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Missing {
    pub(crate) count: u32,
    upns: Vec<String>,
}

/// What is held of some sessions of a school.
pub(crate) struct Feed<'a> {
    school: Urn,
    roll: &'a Roll,
    sessions: BTreeMap<Session, Held>,
    /// Sessions with a mark taken, a pupil.
    marked: BTreeMap<Upn, BTreeSet<Session>>,
}

impl<'a> Feed<'a> {
    /// Nothing yet of these sessions.
    pub(crate) fn new(school: Urn, roll: &'a Roll, sessions: impl IntoIterator<Item = Session>) -> Self {
        let sessions = sessions.into_iter().map(|session| (session, Held::default())).collect();
        Self { school, roll, sessions, marked: BTreeMap::new() }
    }

    /// Takes a pupil's record in.
    pub(crate) fn take(&mut self, upn: Upn, record: &YearRecord) {
        for entry in record.entries().filter(|entry| record.school(*entry) == Some(self.school)) {
            let Some(held) = self.sessions.get_mut(&entry.session) else { continue };
            let meaning = entry.revision.code.meaning();
            held.marks.add(meaning);
            if meaning == Meaning::NotTaken {
                continue;
            }
            if !self.roll.is_unknown() && !self.roll.holds(upn, entry.session.day()) {
                held.not_on_roll += 1;
            }
            self.marked.entry(upn).or_default().insert(entry.session);
        }
    }

    /// What is held, by session.
    pub(crate) fn held(mut self) -> BTreeMap<Session, Held> {
        for upn in self.roll.pupils() {
            let marked = self.marked.get(&upn);
            for (session, held) in &mut self.sessions {
                let has_mark = marked.is_some_and(|sessions| sessions.contains(session));
                if has_mark || !self.roll.holds(upn, session.day()) {
                    continue;
                }
                held.on_roll_without_mark.count += 1;
                if held.on_roll_without_mark.upns.len() < NAMED {
                    held.on_roll_without_mark.upns.push(upn.text());
                }
            }
        }
        self.sessions
    }
}
