//! One pupil in a partition's memory: the record, the roster, what was published, and what is still to be written.

use crate::effects::Passing;
use crate::place;
use attendance::alert::{Difference, Direction, Published, difference, moved, year_ended};
use attendance::enrolment::{Roster, RosterEntry};
use attendance::evidence::Evidence;
use attendance::judge::{Finding, Fold, History};
use attendance::mark::Revision;
use attendance::profile::Profile;
use attendance::record::{Applied, Record, YearRecord};
use attendance::rule::{Level, RuleId};
use attendance::{Day, Mark, SchoolYear, Session, Upn, Urn};
use installation::InForce;
use store::published::PublishedRow;
use uuid::Uuid;

/// What was last published for a school year and rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublishedAlert {
    pub(crate) year: SchoolYear,
    pub(crate) rule: RuleId,
    pub(crate) alert: Uuid,
    pub(crate) published: Published,
    /// Where the child was when it was published, as [`place::of`] has it.
    pub(crate) place: Vec<u8>,
}

impl PublishedAlert {
    /// As the table holds it; else what is wrong with the row.
    pub(crate) fn of_row(row: &PublishedRow) -> Result<Self, &'static str> {
        let count = |number: i32| u32::try_from(number).map_err(|_| "a count below nought");
        Ok(Self {
            year: SchoolYear::beginning(row.school_year),
            rule: RuleId::parse(&row.rule).map_err(|_| "a rule without a name")?,
            place: row.body.clone(),
            alert: Uuid::parse_str(&row.alert_id).map_err(|_| "an alert without an id")?,
            published: Published {
                level: u8::try_from(row.level).ok().and_then(Level::from_number),
                since: Session::from_number(row.since),
                episode: count(row.episode)?,
                version: count(row.version)?,
            },
        })
    }
}

/// A change that judging asks for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) year: SchoolYear,
    pub(crate) rule: RuleId,
    pub(crate) difference: Difference,
    pub(crate) evidence: Evidence,
}

/// A pupil.
#[derive(Debug, Default)]
pub(crate) struct Pupil {
    pub(crate) record: Record,
    pub(crate) roster: Roster,
    pub(crate) published: Vec<PublishedAlert>,
    /// School years outside of the partition's that were loaded for this pupil alone.
    pub(crate) loaded: Vec<SchoolYear>,
    /// School years whose record is to be written.
    pub(crate) unwritten: Vec<SchoolYear>,
    pub(crate) roster_unwritten: Unwritten,
    /// Schools whose row for this pupil is known to be stored.
    pub(crate) placed: Vec<Urn>,
    /// The rule set that judged last; 0 for none.
    pub(crate) judged_with: i64,
    /// The day on which time alone may change what is judged of the present school year, as far as that is committed.
    pub(crate) due: Option<Day>,
    fold: Option<Box<CachedFold>>,
}

/// Whether the stored row lags behind memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Unwritten {
    #[default]
    No,
    Yes,
}

/// A fold holds for a school year, a rule set and a profile.
#[derive(Debug)]
struct CachedFold {
    year: SchoolYear,
    rule_set: i64,
    profile: Profile,
    /// As of which day and school the profile is that of the roster; none where another roster came.
    profile_at: Option<(Day, Option<Urn>)>,
    fold: Fold,
}

impl Pupil {
    /// Takes a mark in, and marks its year as to be written: changed or not, a stored record may lack it.
    pub(crate) fn apply(&mut self, upn: Upn, school: Urn, session: Session, revision: Revision) -> Applied {
        let applied = self.record.apply(&Mark { upn, school, session, revision });
        if let (Applied::Changed(session), Some(cached)) = (applied, &mut self.fold) {
            let year = session.school_year();
            if year == cached.year {
                cached.fold.touched(session);
            } else if year == cached.year.previous() {
                cached.fold.reset();
            }
        }
        let year = session.school_year();
        if !self.unwritten.contains(&year) {
            self.unwritten.push(year);
        }
        applied
    }

    /// Takes a roster's entry in.
    pub(crate) fn enrol(&mut self, entry: RosterEntry) {
        self.roster.apply(entry);
        self.roster_unwritten = Unwritten::Yes;
        if let Some(cached) = &mut self.fold {
            cached.profile_at = None;
        }
    }

    /// What is wanted and not yet published, for a school year, when `as_of` is the newest session known; `place` is where the child
    /// is, nothing where that is not known or does not matter.
    pub(crate) fn judge(
        &mut self,
        (year, as_of): (SchoolYear, Session),
        in_force: &InForce,
        (direction, passing): (Direction, Passing),
        place: &[u8],
    ) -> Vec<Wanted> {
        let Some(present) = self.record.year(year) else {
            return Vec::new();
        };
        let mut cached = self.fold.take().filter(|fold| fold.year == year && fold.rule_set == in_force.version);
        let profile_at = Profile::place(present);
        let known = cached.as_ref().filter(|cached| cached.profile_at == profile_at).map(|cached| cached.profile);
        let profile = known.unwrap_or_else(|| in_force.policy.profile(&self.roster, present));
        let history = History { previous: self.record.year(year.previous()), present, profile };
        let fresh =
            || Box::new(CachedFold { year, rule_set: in_force.version, profile, profile_at, fold: Fold::default() });
        let cached_fold = cached.get_or_insert_with(fresh);
        cached_fold.profile_at = profile_at;
        if cached_fold.profile != profile {
            cached_fold.profile = profile;
            cached_fold.fold.reset();
        }
        let (fold, standard) = (&mut cached_fold.fold, in_force.standard());
        fold.advance(&history, standard, |_| {});
        fold.wait(as_of, &history, standard, |_| {});
        let mut wanted = Vec::new();
        for (finding, alert) in fold.findings(standard.rules).zip(standard.rules.alerts()) {
            let published = self.published.iter().find(|held| held.year == year && held.rule == alert.id);
            let difference = difference(published.map(|held| &held.published), &finding, direction);
            let is_early = finding.owed && passing == Passing::Later && fold.waited().is_some();
            let difference = difference.filter(|difference| !(is_early && difference.change.is_rise()));
            // An alert that nothing else is said of goes along with a child that has moved.
            let elsewhere = published.filter(|held| !place.is_empty() && held.place != place);
            if let Some(difference) = difference.or_else(|| moved(&elsewhere?.published)) {
                let evidence = Evidence::of(&finding, alert, fold, &history, standard);
                wanted.push(Wanted { year, rule: alert.id.clone(), difference, evidence });
            }
        }
        wanted.extend(self.of_rules_no_more(year, in_force, present));
        self.fold = cached;
        wanted
    }

    /// The day on which time alone may next change what was just judged of a school year; one that has passed, where that is told later.
    pub(crate) fn next_due(&self, year: SchoolYear, passing: Passing) -> Option<Day> {
        let fold = &self.fold.as_ref().filter(|cached| cached.year == year)?.fold;
        let passed = fold.waited().filter(|_| passing == Passing::Later);
        passed.or_else(|| fold.due())
    }

    /// Whether time alone calls for it to be judged.
    pub(crate) fn is_due(&self, today: Day) -> bool {
        self.due.is_some_and(|due| due <= today)
    }

    /// Whether an alert of a school year is open that was published where the child is no more.
    pub(crate) fn has_moved(&self, year: SchoolYear, day: Day) -> bool {
        if !self.has_open(year) {
            return false;
        }
        let place = place::of(&self.roster, day);
        let mut open = self.published.iter().filter(|held| held.year == year && held.published.level.is_some());
        !place.is_empty() && open.any(|held| held.place != place)
    }

    /// The ends of the alerts that are open in school years before this one.
    pub(crate) fn end_years_before(&self, present: SchoolYear) -> Vec<Wanted> {
        let open = self.published.iter().filter(|held| held.year < present);
        let wanted = open.filter_map(|held| {
            let difference = year_ended(&held.published)?;
            let empty = YearRecord::new(held.year);
            let evidence = Evidence::bare(self.record.year(held.year).unwrap_or(&empty));
            Some(Wanted { year: held.year, rule: held.rule.clone(), difference, evidence })
        });
        wanted.collect()
    }

    /// A rule that the policy took out holds no alert: what it had raised is withdrawn.
    fn of_rules_no_more(&self, year: SchoolYear, in_force: &InForce, present: &YearRecord) -> Vec<Wanted> {
        let gone = |held: &&PublishedAlert| held.year == year && in_force.policy.rules.alert(&held.rule).is_none();
        let withdrawn = self.published.iter().filter(gone).filter_map(|held| {
            let difference = difference(Some(&held.published), &Finding::NONE, Direction::DownOnly)?;
            Some(Wanted { year, rule: held.rule.clone(), difference, evidence: Evidence::bare(present) })
        });
        withdrawn.collect()
    }

    /// Remembers what is published from now on.
    pub(crate) fn publish(&mut self, alert: PublishedAlert) {
        match self.published.iter_mut().find(|held| held.year == alert.year && held.rule == alert.rule) {
            Some(held) => *held = alert,
            None => self.published.push(alert),
        }
    }

    /// Whether an alert of a school year before this one is open.
    pub(crate) fn has_open_before(&self, present: SchoolYear) -> bool {
        self.published.iter().any(|held| held.year < present && held.published.level.is_some())
    }

    /// Whether an alert of a school year is open.
    pub(crate) fn has_open(&self, year: SchoolYear) -> bool {
        self.published.iter().any(|held| held.year == year && held.published.level.is_some())
    }

    /// The schools of its marks to be written and of its roster; some twice.
    pub(crate) fn schools(&self) -> impl Iterator<Item = Urn> + '_ {
        let marked = self.unwritten.iter().filter_map(|year| self.record.year(*year));
        let enrolled = self.roster.enrolments().iter().map(|enrolment| enrolment.school);
        marked.flat_map(|year| year.schools().iter().copied()).chain(enrolled)
    }

    /// The pupil's school when `session` is the newest known: by the roster, else by the newest mark.
    pub(crate) fn school(&self, session: Session) -> Option<Urn> {
        let by_marks = || self.record.years().last().and_then(attendance::backtest::newest_school);
        self.roster.school(session.day()).or_else(by_marks)
    }
}
