//! What the rules would have raised and when, mark by mark as they became known: a pupil's part of `backtest`.
//!
//! Each version of a mark is known from its `revised_at` on, never before its session begins, so that no alert knows
//! the future. The same record, judge and differences as in the rules service; no broker, no database.

use crate::alert::{Difference, Direction, Published, difference};
use crate::evidence::Evidence;
use crate::forecast::{Foreseen, foresee};
use crate::judge::{Episode, History, Standard, episodes_of};
use crate::profile::Profile;
use crate::rate::{Counts, Share, Status};
use crate::record::{Applied, Record, YearRecord};
use crate::rule::{Level, RuleId};
use crate::trail::Trail;
use crate::{Day, Half, Mark, SchoolYear, Session, Timestamp, Upn, Urn};

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

    /// When first a session as new as this one was known, and the newest known then.
    fn first(&self, session: Session) -> Option<(Timestamp, Session)> {
        let before = self.steps.partition_point(|(_, newest)| *newest < session);
        self.steps.get(before).copied()
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
    /// The alert: the name of its first rule.
    pub rule: RuleId,
    /// What happened and to which level.
    pub difference: Difference,
    /// The rate measured, from 0 to 1.
    pub rate: Option<f64>,
    /// What was to be expected then.
    pub foreseen: Option<Foreseen>,
}

/// What was known of a pupil on an evening.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The pupil's school.
    pub school: Option<Urn>,
    /// Counts of the school year so far.
    pub counts: Counts,
    /// What was to be expected.
    pub foreseen: Option<Foreseen>,
}

/// A pupil's school and profile, where a roster tells them.
pub trait Who {
    /// The pupil's school when `session` is the newest known; none where no roster names it.
    fn school_at(&self, session: Session) -> Option<Urn>;

    /// The profile of the pupil with this record.
    fn profile(&self, record: &YearRecord) -> Profile;
}

/// Nobody's roster.
#[derive(Clone, Copy, Debug)]
pub struct Unknown;

impl Who for Unknown {
    fn school_at(&self, _: Session) -> Option<Urn> {
        None
    }

    fn profile(&self, _: &YearRecord) -> Profile {
        Profile::default()
    }
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
    /// For each rule the newest session known when it first had a level; none where it never did.
    pub flagged: Vec<Option<Session>>,
    /// The probability of persistent absence on the evening of each day asked for, with the day's place; as it was known then.
    pub chances: Vec<(usize, f64)>,
    /// The session from which on the rate of the year to date was 10% or more, up to the end; none where it is not.
    pub persistent_since: Option<Session>,
}

/// What is asked of a backtest beside its alerts.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The school year judged.
    pub year: SchoolYear,
    /// The newest session known at each moment.
    pub newest: &'a Newest,
    /// Evenings, in order, for which the probability of persistent absence is to be told.
    pub evenings: &'a [Timestamp],
}

/// Judges one pupil's marks of the year asked for, with those of the year before as history; others are passed over. The pupil's
/// school is that of a roster, else that of the newest mark. None where the pupil has no mark in the year.
pub fn pupil(marks: &mut [Known], asked: Asked<'_>, standard: Standard<'_>, who: &impl Who) -> Option<Outcome> {
    sort(marks);
    let mut course = Course::new(asked, standard, who);
    for together in marks.chunk_by(|one, other| one.at == other.at) {
        course.take(together);
    }
    course.pass_until(None);
    course.evenings_until(None);
    let Course { record, trail, flagged, changes, chances, superseded, .. } = course;
    let year = asked.year;
    let present = record.year(year)?;
    let wanted = trail.fold().findings(standard.rules).zip(standard.rules.alerts());
    let wanted =
        wanted.filter_map(|(finding, alert)| Some((alert.id.clone(), finding.level?, finding.since?))).collect();
    let episodes = episodes_of(trail.transitions());
    let counts = present.counts();
    let last = Session::new(year.last_day(), Half::Pm);
    let school = who.school_at(last).or_else(|| newest_school(present));
    let (missed, persistent_since) = missed(present);
    let status = Status::of(counts);
    Some(Outcome {
        counts,
        status,
        school,
        changes,
        wanted,
        episodes,
        superseded,
        missed,
        flagged,
        chances,
        persistent_since,
    })
}

/// A pupil's marks as they become known.
struct Course<'a, W> {
    asked: Asked<'a>,
    standard: Standard<'a>,
    who: &'a W,
    upn: Option<Upn>,
    record: Record,
    trail: Trail,
    profile: Profile,
    /// The day and school of the newest session: only with them the profile changes.
    profile_at: Option<(Day, Option<Urn>)>,
    published: Vec<Option<Published>>,
    flagged: Vec<Option<Session>>,
    changes: Vec<AlertLine>,
    chances: Vec<(usize, f64)>,
    /// The next evening that is asked for.
    evening: usize,
    superseded: u64,
}

impl<'a, W: Who> Course<'a, W> {
    fn new(asked: Asked<'a>, standard: Standard<'a>, who: &'a W) -> Self {
        Self {
            asked,
            standard,
            who,
            upn: None,
            record: Record::default(),
            trail: Trail::default(),
            profile: Profile::default(),
            profile_at: None,
            published: vec![None; standard.rules.alerts().len()],
            flagged: vec![None; standard.rules.rules().len()],
            changes: Vec::new(),
            chances: Vec::new(),
            evening: 0,
            superseded: 0,
        }
    }

    /// Takes in what becomes known at one moment, and judges.
    fn take(&mut self, together: &[Known]) {
        let Some(Known { at, .. }) = together.first().copied() else { return };
        self.pass_until(Some(at));
        self.evenings_until(Some(at));
        let mut changed = false;
        for Known { mark, .. } in together {
            self.upn = Some(mark.upn);
            match self.record.apply(mark) {
                Applied::Changed(session) => {
                    changed = true;
                    self.trail.touched(session);
                }
                Applied::Confirmed => {}
                Applied::Superseded => self.superseded += 1,
            }
        }
        if !changed {
            return;
        }
        let Some(present) = self.record.year(self.asked.year) else { return };
        let place = Profile::place(present);
        if place != self.profile_at {
            self.profile_at = place;
            let before = std::mem::replace(&mut self.profile, self.who.profile(present));
            if before != self.profile {
                self.trail.reset();
            }
        }
        if let Some(as_of) = self.asked.newest.at(at) {
            self.judge(at, as_of);
        }
    }

    /// Lets time pass until a moment, or until all is known: what it alone brings is told as of the day on which it does.
    fn pass_until(&mut self, moment: Option<Timestamp>) {
        while let Some(due) = self.trail.fold().due()
            && let Some((at, as_of)) = self.asked.newest.first(Session::new(due, Half::Am))
            && moment.is_none_or(|moment| at < moment)
        {
            self.judge(at, as_of);
        }
    }

    /// Judges what is known at a moment at which `as_of` is the newest session known of anybody.
    fn judge(&mut self, at: Timestamp, as_of: Session) {
        let (year, Some(upn)) = (self.asked.year, self.upn) else { return };
        let Some(present) = self.record.year(year) else { return };
        let history = History { previous: self.record.year(year.previous()), present, profile: self.profile };
        self.trail.advance(&history, self.standard);
        self.trail.wait(as_of, &history, self.standard);
        let fold = self.trail.fold();
        for (flagged, level) in self.flagged.iter_mut().zip(fold.levels()) {
            *flagged = flagged.or(level.map(|_| as_of));
        }
        let alerts = fold.findings(self.standard.rules).zip(self.standard.rules.alerts());
        for ((finding, alert), published) in alerts.zip(&mut self.published) {
            let Some(difference) = difference(published.as_ref(), &finding, Direction::Any) else { continue };
            *published = Some(difference.published);
            let Some(school) = self.who.school_at(as_of).or_else(|| newest_school(present)) else { continue };
            let evidence = Evidence::of(&finding, alert, fold, &history, self.standard);
            let (rate, foreseen, rule) = (evidence.rate(), evidence.foreseen, alert.id.clone());
            self.changes.push(AlertLine { known_at: at, as_of, upn, school, rule, difference, rate, foreseen });
        }
    }

    /// Tells the probability of persistent absence on the evenings before a moment, or on all that are left.
    fn evenings_until(&mut self, moment: Option<Timestamp>) {
        while let Some(evening) = self.asked.evenings.get(self.evening)
            && moment.is_none_or(|moment| *evening < moment)
        {
            if let Some(present) = self.record.year(self.asked.year) {
                let previous = self.record.year(self.asked.year.previous());
                let history = History { previous, present, profile: self.profile };
                let outlook = self.trail.fold().outlook(&history, self.standard);
                self.chances.extend(outlook.map(|outlook| (self.evening, outlook.persistent)));
            }
            self.evening += 1;
        }
    }
}

/// What was known of a pupil at a moment: the marks known by then. None where there was none in the year.
pub fn standing(
    marks: &mut [Known],
    (year, at): (SchoolYear, Timestamp),
    standard: Standard<'_>,
    who: &impl Who,
) -> Option<Standing> {
    sort(marks);
    let mut record = Record::default();
    for Known { mark, .. } in marks.iter().take_while(|known| known.at <= at) {
        record.apply(mark);
    }
    let present = record.year(year)?;
    let newest = present.entries().next_back()?.session;
    let history = History { previous: record.year(year.previous()), present, profile: who.profile(present) };
    let school = who.school_at(newest).or_else(|| newest_school(present));
    Some(Standing { school, counts: present.counts(), foreseen: foresee(&history, standard) })
}

fn sort(marks: &mut [Known]) {
    marks.sort_by_key(|known| (known.at, known.mark.session, known.mark.school, known.mark.revision));
}

/// The sessions missed, and since when the rate has been 10% or more for good.
fn missed(record: &YearRecord) -> (Vec<Session>, Option<Session>) {
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
