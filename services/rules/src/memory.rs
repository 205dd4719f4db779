//! A partition in memory: its pupils, which of them are held, to be written, or to be judged without an event.
//!
//! Folding is all that happens here: no effects. The school years that are loaded whole are named; a record of another
//! year that is missing here is never taken for empty ([`Memory::missing`]).

use crate::pupil::Pupil;
use attendance::enrolment::RosterEntry;
use attendance::record::{Applied, YearRecord};
use attendance::{SchoolYear, Session, Timestamp, Upn};
use proto::{Event, MarksPart, Origin};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeSet;

/// What named a pupil last: the register that an alert traces back to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(crate) register: Option<([u8; 16], Timestamp)>,
    /// The newest session with a mark among the events.
    pub(crate) session: Option<Session>,
    /// Where the marks come from: history only where all do.
    pub(crate) origin: Option<Origin>,
    /// The earliest school year that a mark touched.
    pub(crate) earliest_year: Option<SchoolYear>,
    /// Whether another rule set than the one that judged last is all that has changed.
    pub(crate) rule_set: bool,
    /// Whether the day has come on which time alone calls for it.
    pub(crate) in_time: bool,
}

/// Pupils named by events, each with its cause.
pub(crate) type Named = FxHashMap<Upn, Cause>;

/// A partition's pupils.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) pupils: FxHashMap<Upn, Pupil>,
    /// Pupils that are passed over until a replay lifts their hold, each with the first offset that was not folded.
    pub(crate) held: FxHashMap<Upn, i64>,
    /// Pupils with something to be written.
    pub(crate) unwritten: FxHashSet<Upn>,
    /// Pupils to be judged though no event names them.
    pub(crate) due: BTreeSet<Upn>,
    /// The newest session folded.
    pub(crate) newest: Option<Session>,
    /// School years of which every record was loaded.
    whole: Vec<SchoolYear>,
}

impl Memory {
    /// An empty partition, of which the records of `whole` years are to be put in.
    pub(crate) fn new(whole: Vec<SchoolYear>) -> Self {
        Self { whole, ..Self::default() }
    }

    /// The school years that these events reach into and that are not loaded whole: those of their marks, each with the year
    /// before it, for windows that reach back.
    pub(crate) fn other_years<'a>(&self, events: impl IntoIterator<Item = &'a Event>) -> BTreeSet<SchoolYear> {
        let mut years = BTreeSet::new();
        for event in events {
            match event {
                Event::Marks(part) => {
                    let year = part.session.school_year();
                    years.extend([year, year.previous()].into_iter().filter(|year| !self.whole.contains(year)));
                }
                Event::Replay(_, parts) => years.extend(self.other_years(parts)),
                Event::Enrolment(..) | Event::Erasure(_) => {}
            }
        }
        years
    }

    /// The records that must be loaded before these events are folded: of school years that are not loaded whole.
    pub(crate) fn missing<'a>(&self, events: impl IntoIterator<Item = &'a Event>) -> BTreeSet<(Upn, SchoolYear)> {
        let mut missing = BTreeSet::new();
        for event in events {
            match event {
                Event::Marks(part) => {
                    let year = part.session.school_year();
                    for year in [year, year.previous()].into_iter().filter(|year| !self.whole.contains(year)) {
                        let unknown = |upn: &Upn| !self.held.contains_key(upn) && !self.is_loaded(*upn, year);
                        missing.extend(part.marks.iter().map(|(upn, _)| *upn).filter(unknown).map(|upn| (upn, year)));
                    }
                }
                Event::Replay(_, parts) => missing.extend(self.missing(parts)),
                Event::Enrolment(..) | Event::Erasure(_) => {}
            }
        }
        missing
    }

    /// The newest session known: by the clock, or folded here.
    pub(crate) fn as_of(&self, by_clock: Session) -> Session {
        self.newest.map_or(by_clock, |newest| newest.max(by_clock))
    }

    /// Every record of the year is here now.
    pub(crate) fn whole_year(&mut self, year: SchoolYear) {
        self.whole.push(year);
    }

    fn is_loaded(&self, upn: Upn, year: SchoolYear) -> bool {
        self.pupils.get(&upn).is_some_and(|pupil| pupil.loaded.contains(&year))
    }

    /// Folds a register's part; marks of held pupils are given back.
    pub(crate) fn fold_marks(&mut self, part: &MarksPart, named: &mut Named) -> FoldedMarks {
        self.newest = self.newest.max(Some(part.session));
        let (mut held_back, mut folded) = (Vec::new(), FoldedMarks::default());
        for (upn, revision) in &part.marks {
            if self.held.contains_key(upn) {
                held_back.push((*upn, *revision));
                continue;
            }
            let applied = self.pupils.entry(*upn).or_default().apply(*upn, part.school, part.session, *revision);
            match applied {
                Applied::Changed(_) => folded.changed += 1,
                Applied::Confirmed => folded.confirmed += 1,
                Applied::Superseded => folded.superseded += 1,
            }
            self.unwritten.insert(*upn);
            let cause = named.entry(*upn).or_default();
            cause.register = Some((part.register, part.received_at));
            cause.session = cause.session.max(Some(part.session));
            cause.origin = match (cause.origin, part.origin) {
                (None | Some(Origin::History), Origin::History) => Some(Origin::History),
                _ => Some(Origin::Live),
            };
            let year = part.session.school_year();
            cause.earliest_year = Some(cause.earliest_year.map_or(year, |earliest| earliest.min(year)));
        }
        folded.held_back = (!held_back.is_empty()).then(|| MarksPart { marks: held_back, ..part.clone() });
        folded
    }

    /// Folds a roster's entry; one of a held pupil is not taken.
    pub(crate) fn fold_enrolment(&mut self, upn: Upn, entry: &RosterEntry, named: &mut Named) -> Taken {
        if self.held.contains_key(&upn) {
            return Taken::HeldBack;
        }
        self.pupils.entry(upn).or_default().enrol(entry.clone());
        self.unwritten.insert(upn);
        named.entry(upn).or_default();
        Taken::Folded
    }

    /// Everything about a pupil goes out of memory.
    pub(crate) fn erase(&mut self, upn: Upn) {
        self.pupils.remove(&upn);
        self.unwritten.remove(&upn);
        self.due.remove(&upn);
    }

    /// Passes a pupil over from the event at `offset` on: its record leaves memory.
    pub(crate) fn hold(&mut self, upn: Upn, offset: i64) {
        self.erase(upn);
        self.held.insert(upn, offset);
    }

    /// Forgets the records of school years before `oldest` that are written.
    pub(crate) fn forget_before(&mut self, oldest: SchoolYear) {
        for pupil in self.pupils.values_mut() {
            let years = pupil.record.years().map(YearRecord::year);
            let written = |year: &SchoolYear| *year < oldest && !pupil.unwritten.contains(year);
            for year in years.filter(written).collect::<Vec<_>>() {
                pupil.record.forget(year);
                pupil.loaded.retain(|loaded| *loaded != year);
            }
        }
        self.whole.retain(|year| *year >= oldest);
    }
}

/// What became of a register's marks.
#[derive(Debug, Default)]
pub(crate) struct FoldedMarks {
    /// Marks that count now.
    pub(crate) changed: u64,
    /// Newer marks that say what the one before them said.
    pub(crate) confirmed: u64,
    /// Marks that are not newer than what was there.
    pub(crate) superseded: u64,
    /// Those of held pupils.
    pub(crate) held_back: Option<MarksPart>,
}

/// Whether an event was folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Folded,
    HeldBack,
}
