//! What the rules would have raised and when, mark by mark as they became known: a pupil's part of `backtest`.
//!
//! Each version of a mark is known from its `revised_at` on, never before its session begins, so that no alert knows
//! the future. The same record, judge and differences as in the rules service; no broker, no database.

use crate::alert::{Difference, Direction, Published, difference};
use crate::evidence::Evidence;
use crate::judge::{Episode, Fold, History, Standard, episodes};
use crate::rate::{Counts, Share, Status};
use crate::record::{Applied, Record, YearRecord};
use crate::rule::{Level, RuleId};
use crate::{Half, Mark, SchoolYear, Session, Timestamp, Upn, Urn};

/// A mark with the moment from which it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// From when on: the later of `revised_at` and the session's beginning.
    pub at: Timestamp,
    /// The mark.
    pub mark: Mark,
}

/// The newest session that was known at a moment, over all that was read: what dates an alert change.
#[derive(Clone, Debug, Default)]
pub struct Newest {
    /// Ascending in both.
    steps: Vec<(Timestamp, Session)>,
}

impl Newest {
    /// Of pairs of a moment and a session known from then on, in any order.
    pub fn of(known: impl IntoIterator<Item = (Timestamp, Session)>) -> Self {
        let mut pairs: Vec<_> = known.into_iter().collect();
        pairs.sort_unstable();
        let mut steps: Vec<(Timestamp, Session)> = Vec::new();
        for (at, session) in pairs {
            if steps.last().is_none_or(|(_, newest)| session > *newest) {
                steps.push((at, session));
            }
        }
        Self { steps }
    }

    fn at(&self, moment: Timestamp) -> Option<Session> {
        let before = self.steps.partition_point(|(at, _)| *at <= moment).checked_sub(1)?;
        self.steps.get(before).map(|(_, session)| *session)
    }
}

/// An alert change as `backtest` writes it.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertLine {
    /// When what caused it became known.
    pub known_at: Timestamp,
    /// The newest session known then.
    pub as_of: Session,
    /// The pupil.
    pub upn: Upn,
    /// The pupil's school at that time.
    pub school: Urn,
    /// The rule.
    pub rule: RuleId,
    /// What happened and to which level.
    pub difference: Difference,
    /// The rate measured, from 0 to 1.
    pub rate: Option<f64>,
}

/// A pupil's outcome.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Counts of the school year judged.
    pub counts: Counts,
    /// Where they put the pupil.
    pub status: Status,
    /// The pupil's school at the end of the school year.
    pub school: Option<Urn>,
    /// Every alert change in the order in which it was made.
    pub changes: Vec<AlertLine>,
    /// What is wanted at the end, a rule: level and since.
    pub wanted: Vec<(RuleId, Level, Session)>,
    /// The episodes found in the order of the calendar.
    pub episodes: Vec<Episode>,
    /// Marks that were not newer than what was there.
    pub superseded: u64,
    /// The sessions missed, in order; one that two schools say was missed twice.
    pub missed: Vec<Session>,
    /// The session from which on the rate of the year to date was 10% or more, up to the end; none where it is not.
    pub persistent_since: Option<Session>,
}

/// Judges one pupil's marks of `year`, with those of the year before as history; others are passed over. `school_at`
/// tells the pupil's school of a moment, where a roster names one; else it is that of the newest mark. None where the
/// pupil has no mark in `year`.
pub fn pupil(
    marks: &mut [Known],
    year: SchoolYear,
    standard: Standard<'_>,
    newest: &Newest,
    school_at: impl Fn(Session) -> Option<Urn>,
) -> Option<Outcome> {
    marks.sort_by_key(|known| (known.at, known.mark.session, known.mark.school, known.mark.revision));
    let mut record = Record::default();
    let mut fold = Fold::default();
    let mut published: Vec<Option<Published>> = vec![None; standard.rules.rules().len()];
    let mut changes = Vec::new();
    let mut superseded = 0;
    for together in marks.chunk_by(|one, other| one.at == other.at) {
        for Known { mark, .. } in together {
            match record.apply(mark) {
                Applied::Changed(session) => fold.touched(session),
                Applied::Confirmed => {}
                Applied::Superseded => superseded += 1,
            }
        }
        let Some(present) = record.year(year) else { continue };
        let history = History { previous: record.year(year.previous()), present };
        fold.advance(&history, standard, |_| {});
        let Some(at) = together.first().map(|known| known.at) else { continue };
        let Some(as_of) = newest.at(at) else { continue };
        for ((finding, rule), published) in
            fold.findings(&history, standard).zip(standard.rules.rules()).zip(&mut published)
        {
            let Some(difference) = difference(published.as_ref(), &finding, Direction::Any) else { continue };
            *published = Some(difference.published);
            let upn = together.first()?.mark.upn;
            let school = school_at(as_of).or_else(|| newest_school(present))?;
            let rate = Evidence::of(&finding, &history).rate();
            changes.push(AlertLine { known_at: at, as_of, upn, school, rule: rule.id.clone(), difference, rate });
        }
    }
    let present = record.year(year)?;
    let history = History { previous: record.year(year.previous()), present };
    let wanted = fold.findings(&history, standard).zip(standard.rules.rules());
    let wanted = wanted.filter_map(|(finding, rule)| Some((rule.id.clone(), finding.level?, finding.since?))).collect();
    let episodes = episodes(&history, standard);
    let counts = present.counts();
    let last = Session::new(year.last_day(), Half::Pm);
    let school = school_at(last).or_else(|| newest_school(present));
    let (missed, persistent_since) = course(present);
    let status = Status::of(counts);
    Some(Outcome { counts, status, school, changes, wanted, episodes, superseded, missed, persistent_since })
}

/// The sessions missed, and since when the rate has been 10% or more for good.
fn course(record: &YearRecord) -> (Vec<Session>, Option<Session>) {
    let (mut counts, mut missed, mut since) = (Counts::default(), Vec::new(), None);
    for entry in record.entries() {
        let meaning = entry.revision.code.meaning();
        counts.add(meaning);
        if meaning.is_absent() {
            missed.push(entry.session);
        }
        let persistent = counts.absence().reaches(Share::percent(10));
        since = if persistent { since.or(Some(entry.session)) } else { None };
    }
    (missed, since)
}

/// The school of the newest mark; of two in one session the one with the greater URN.
pub fn newest_school(record: &YearRecord) -> Option<Urn> {
    record.entries().next_back().and_then(|entry| record.school(entry))
}
