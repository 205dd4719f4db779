//! What alerts are wanted for a pupil: a fold of the record's sessions in the order of the calendar.
//!
//! Takes a school year's record, the record of the year before, who the child is, the rules, the calendars and the forecast's model;
//! gives a finding an alert. Rules that fire for the same reason share one: it has the gravest level of them, and speaks with the
//! words of the first that reaches it.
//! Whatever remembers (hysteresis, since when) is remembered along the calendar, never along arrivals, so that the
//! finding depends on the marks alone (invariant I-2). A [`Fold`] kept between calls goes on where it stopped as long
//! as new marks are newer than all it has seen; an older one makes it begin anew. A session of which no mark was taken
//! is as if it were not there.
//!
//! Rules that speak of what still stands are reached by the calendar too: on the day on which it has stood too long, in the morning,
//! whether or not a mark comes. By time alone levels only rise.

use crate::calendar::{Calendar, Calendars};
use crate::change::Drift;
use crate::code::CodeSet;
use crate::day::Day;
use crate::forecast::{Foreseen, Foresight, Limit, Model, Outlook, foresee, rest, whole};
use crate::pattern::{Found, Week};
use crate::profile::Profile;
use crate::rate::{Counts, Rate, Share};
use crate::record::{Entry, YearRecord};
use crate::rule::{Level, Levels, Measure, Rule, RuleSet, Rules, Window};
use crate::{Code, Half, SchoolYear, Session};

/// What judges: values that change only with the policy.
#[derive(Clone, Copy, Debug)]
pub struct Standard<'a> {
    /// The rules.
    pub rules: &'a RuleSet,
    /// The schools' calendars.
    pub calendars: &'a Calendars,
    /// The numbers of the forecast.
    pub model: &'a Model,
}

/// What is judged: a school year of a pupil, and the year before for windows that reach back into it.
#[derive(Clone, Copy, Debug)]
pub struct History<'a> {
    /// The school year before, where there are marks of it.
    pub previous: Option<&'a YearRecord>,
    /// The school year that is judged.
    pub present: &'a YearRecord,
    /// Who the child is.
    pub profile: Profile,
}

impl History<'_> {
    /// The entry at a place counted through both years.
    fn get(&self, at: usize) -> Option<Entry> {
        match self.previous {
            Some(previous) if at < previous.len() => previous.get(at),
            previous => self.present.get(at - previous.map_or(0, YearRecord::len)),
        }
    }
}

/// What a rule measured at the newest session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// Of the possible sessions in the rule's window.
    Rate(InWindow),
    /// Sessions in the rule's window.
    Sessions(InWindow),
    /// A run of school days up to now, and the first of them.
    Run {
        /// The codes of the run.
        of: CodeSet,
        /// Its length in school days; 0 where there is no run.
        days: u32,
        /// Its first day.
        from: Option<Day>,
    },
    /// Sessions that still stand.
    Unresolved {
        /// The codes.
        of: CodeSet,
        /// How many.
        sessions: u32,
        /// On so manieth school day after their own, or later.
        after: u32,
        /// How many sessions of the codes there are at all.
        standing: u32,
    },
    /// An arrangement whose review is overdue.
    Review {
        /// The codes that tell of it.
        of: CodeSet,
        /// School days overdue; 0 where it is not, or where there is no such arrangement.
        overdue: u32,
        /// The first day of the arrangement.
        from: Option<Day>,
        /// The day by which it was to be reviewed, where the roster names one.
        by: Option<Day>,
    },
    /// The probability to end the year at a limit or above.
    Chance {
        /// The limit.
        of: Limit,
        /// The probability.
        chance: Share,
        /// Counts of the year so far.
        counts: Counts,
    },
    /// The number of sessions still to be missed that is to be expected, whole.
    Expected {
        /// The number.
        missed: u32,
        /// Of so many possible sessions still to come.
        rest: u32,
        /// Counts of the year so far.
        counts: Counts,
    },
    /// Absence that keeps coming back at the same place of the week; none without a short spell.
    Pattern {
        /// The least likely pattern.
        found: Option<Found>,
        /// Counts of the year so far.
        counts: Counts,
    },
    /// How strongly the newest sessions speak for a change: the sum, whole.
    Change {
        /// The sum.
        sum: u32,
        /// Sessions missed of the newest possible ones, as many as there are at most [`NEWEST`].
        missed: u32,
        /// Of so many.
        newest: u32,
        /// Counts of the year so far.
        counts: Counts,
    },
}

impl Measured {
    /// That of no rule.
    pub const NONE: Self = Self::Run { of: CodeSet::of(&[]), days: 0, from: None };
}

/// How many of the newest possible sessions a change is told by: two school weeks.
pub const NEWEST: u32 = 20;

/// What a window holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InWindow {
    /// The codes that the rule counts.
    pub of: CodeSet,
    /// Sessions of these codes.
    pub counted: u32,
    /// All sessions.
    pub counts: Counts,
    /// The first session that the window holds a mark of.
    pub from: Option<Session>,
}

impl InWindow {
    /// The rate that the rule goes by.
    pub fn rate(&self) -> Rate {
        Rate { part: self.counted, possible: self.counts.possible }
    }
}

/// What is found for one alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The level at the newest session; none: no alert is wanted.
    pub level: Option<Level>,
    /// The session at which the present level's episode began; of the last episode where there is none now.
    pub since: Option<Session>,
    /// The session at which the newest ended episode ended.
    pub ended: Option<Session>,
    /// The place of the rule that speaks: of those at the level the first; the alert's first where there is no level.
    pub leading: usize,
    /// Whether it speaks of what is owed: once that has come, the alert is settled rather than disproved.
    pub owed: bool,
}

impl Finding {
    /// That of a rule that is none.
    pub const NONE: Self = Self { level: None, since: None, ended: None, leading: usize::MAX, owed: false };
}

/// A change of level in the order of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The place of the alert among those of the rule set.
    pub alert: usize,
    /// The session at which it changed.
    pub session: Session,
    /// The level before.
    pub from: Option<Level>,
    /// The level from there on.
    pub to: Option<Level>,
}

/// The state of all rules after some sessions. Belongs to one pupil, school year, profile and standard.
#[derive(Clone, Debug, Default)]
pub struct Fold {
    /// One a window of the rules.
    tallies: Vec<Tally>,
    /// One a rule.
    states: Vec<State>,
    /// One an alert.
    episodes: Vec<Lasting>,
    /// The rules that are for this child.
    applying: Rules,
    /// Those whose course has changed since their level was set last.
    stirred: Rules,
    /// Those with sessions that still stand: they come of age by the calendar alone.
    standing: Rules,
    /// Where a rule needs it.
    foresight: Option<Box<Foresight>>,
    /// Where a rule needs it.
    drift: Option<Box<Drift>>,
    /// Entries of the year judged that are in the state.
    folded: usize,
    newest: Option<Session>,
    /// The session at which a rule was last reached by time alone.
    waited: Option<Session>,
    year_to_date: Counts,
    /// Up to which day, by which school's calendar, the windows have moved.
    moved: Option<(Day, u16, Of)>,
    /// How many schools there were: with another the places of those before it may be others.
    schools: usize,
}

/// An alert's level, and when its episodes began and ended.
#[derive(Clone, Copy, Debug, Default)]
struct Lasting {
    level: Option<Level>,
    since: Option<Session>,
    ended: Option<Session>,
    /// The rule that speaks, or spoke last: there are no more than a set of them holds.
    spoke: Option<u8>,
}

impl Lasting {
    /// Sets the level after a session; true where it changed.
    fn settle(&mut self, level: Option<Level>, session: Session) -> bool {
        if level == self.level {
            return false;
        }
        match (self.level, level) {
            (None, Some(_)) => self.since = Some(session),
            (Some(_), None) => self.ended = Some(session),
            _ => {}
        }
        self.level = level;
        true
    }
}

/// The session after which rules are settled.
#[derive(Clone, Copy)]
struct At<'a> {
    session: Session,
    /// That of the newest mark.
    calendar: Option<&'a Calendar>,
    /// Whether a mark of the session says that it was missed.
    missed: bool,
    /// The day by which the child's arrangement is to be reviewed.
    review: Option<Day>,
}

/// What rules are settled by after a session, beside their own state.
struct Now<'a> {
    at: At<'a>,
    foresight: Option<&'a Foresight>,
    drift: f64,
    standard: Standard<'a>,
}

impl Now<'_> {
    /// Possible sessions still to come.
    fn rest(&self) -> u32 {
        self.at.calendar.map_or(0, |calendar| calendar.rest(self.at.session))
    }

    /// Whether rules of the forecast are looked at: where one has a level, after each session missed, and until there are enough
    /// sessions. In between nothing rises.
    fn looks_ahead(&self, held: Option<Level>, minimum: u32) -> bool {
        let so_far = self.foresight.map_or(0, |foresight| foresight.so_far().possible);
        so_far >= minimum && (held.is_some() || self.at.missed || so_far <= minimum + 1)
    }
}

impl Fold {
    /// Tells the fold that a mark of `session` changed; marks of the year before are older than all.
    pub fn touched(&mut self, session: Session) {
        if self.seen().is_none_or(|seen| session <= seen) {
            self.reset();
        }
    }

    /// The newest session that the state depends on: of a mark, or of time that has passed.
    pub(crate) fn seen(&self) -> Option<Session> {
        self.newest.max(self.waited)
    }

    /// Forgets everything: the rules, the calendars, the child's profile or the past changed.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Folds what is new in the history, telling each change of an alert's level to `observe`.
    pub fn advance(&mut self, history: &History<'_>, standard: Standard<'_>, mut observe: impl FnMut(Transition)) {
        let mut schools = Schools::new(standard.calendars);
        while self.step(history, &mut schools, standard, &mut observe) {}
    }

    /// Lets time pass after the newest mark, until `as_of` is the newest session known.
    pub fn wait(
        &mut self,
        as_of: Session,
        history: &History<'_>,
        standard: Standard<'_>,
        mut observe: impl FnMut(Transition),
    ) {
        self.wait_while(|session| session <= as_of, history, standard, &mut observe);
    }

    /// The day on which time alone last raised a level, where no mark has come since.
    pub fn waited(&self) -> Option<Day> {
        self.waited.filter(|waited| Some(*waited) > self.newest).map(Session::day)
    }

    /// The day on which time alone may next raise a level.
    pub fn due(&self) -> Option<Day> {
        self.due_rules().map(|(_, day)| day).min()
    }

    fn due_rules(&self) -> impl Iterator<Item = (usize, Day)> + '_ {
        let places = self.standing.and(self.applying).places();
        places.filter_map(|place| Some((place, self.states.get(place)?.due()?)))
    }

    fn wait_while(
        &mut self,
        is_past: impl Fn(Session) -> bool,
        history: &History<'_>,
        standard: Standard<'_>,
        observe: &mut impl FnMut(Transition),
    ) {
        while let Some(day) = self.due().filter(|day| is_past(Session::new(*day, Half::Am))) {
            // By the calendar of the newest mark, as after that mark.
            let mut before = (0..self.folded).rev().filter_map(|at| history.present.get(at));
            let marked = before.find(|entry| entry.revision.code != Code::NotTaken);
            let Some(school) = marked.and_then(|entry| history.present.school(entry)) else { return };
            let session = Session::new(day, Half::Am);
            self.waited = Some(session);
            let mut rules = Rules::default();
            self.due_rules().filter(|(_, due)| *due == day).for_each(|(place, _)| rules.add(place));
            let review = history.profile.part_time_review;
            let at = At { session, calendar: Some(standard.calendars.of(school)), missed: false, review };
            self.settle(rules, at, standard, observe);
        }
    }

    /// Folds the next session; false where there is none.
    pub(crate) fn step<'a>(
        &mut self,
        history: &History<'_>,
        schools: &mut Schools<'a>,
        standard: Standard<'a>,
        observe: &mut impl FnMut(Transition),
    ) -> bool {
        if self.states.is_empty() && !standard.rules.rules().is_empty() {
            self.open(history, standard);
        }
        let Some(first) = history.present.get(self.folded) else { return false };
        self.wait_while(|session| session < first.session, history, standard, observe);
        self.newest = Some(first.session);
        if self.schools != history.present.schools().len() {
            (self.schools, self.moved) = (history.present.schools().len(), None);
        }
        let (mut marked, mut missed) = (false, false);
        while let Some(entry) = history.present.get(self.folded)
            && entry.session == first.session
        {
            self.folded += 1;
            if entry.revision.code == Code::NotTaken {
                continue;
            }
            marked = true;
            self.take(entry, schools.calendar(history.present, entry), (history, standard.rules), Of::Year);
            let meaning = entry.revision.code.meaning();
            missed |= meaning.is_absent();
            if let Some(foresight) = &mut self.foresight {
                foresight.take(entry.session.day(), meaning, standard);
            }
            if let Some(drift) = self.drift.as_mut().filter(|_| meaning.is_possible()) {
                drift.observe(meaning.is_absent());
            }
            self.year_to_date.add(meaning);
        }
        if marked {
            let (calendar, review) = (schools.last.map(|(_, calendar)| calendar), history.profile.part_time_review);
            let at = At { session: first.session, calendar, missed, review };
            let rules = standard.rules.restless().or(self.standing).or(std::mem::take(&mut self.stirred));
            self.settle(rules, at, standard, observe);
        }
        true
    }

    /// Sets the levels of these rules, and of alerts, after a session.
    fn settle(&mut self, rules: Rules, at: At<'_>, standard: Standard<'_>, observe: &mut impl FnMut(Transition)) {
        let due = rules.and(self.applying);
        let Self { tallies, states, episodes, foresight, drift, .. } = self;
        let now = Now {
            at,
            foresight: foresight.as_deref(),
            drift: drift.as_ref().map_or(0.0, |drift| drift.sum()),
            standard,
        };
        let mut changed = false;
        for place in due.places() {
            let Some((state, (rule, window))) = states.get_mut(place).zip(standard.rules.with_window(place)) else {
                continue;
            };
            let possible = window.and_then(|window| tallies.get(window)).map_or(0, |tally| tally.counts.possible);
            changed |= state.settle(rule, possible, &now);
        }
        if !changed {
            return;
        }
        for (place, (lasting, alert)) in episodes.iter_mut().zip(standard.rules.alerts()).enumerate() {
            let level = alert.rules.iter().filter_map(|rule| states.get(*rule)?.level).max();
            if level.is_some() {
                let speaks = |rule: &&usize| states.get(**rule).is_some_and(|state| state.level == level);
                lasting.spoke = alert.rules.iter().find(speaks).and_then(|rule| u8::try_from(*rule).ok());
            }
            let from = lasting.level;
            if lasting.settle(level, at.session) {
                observe(Transition { alert: place, session: at.session, from, to: level });
            }
        }
    }

    /// What is found for each alert, in the order of the rule set's.
    pub fn findings<'a>(&'a self, rules: &'a RuleSet) -> impl Iterator<Item = Finding> + 'a {
        self.episodes.iter().zip(rules.alerts()).map(move |(lasting, alert)| {
            let at_level = |rule: &&usize| self.states.get(**rule).is_some_and(|state| state.level == lasting.level);
            let first = alert.rules.first().copied().unwrap_or_default();
            let leading = match lasting.level {
                Some(_) => alert.rules.iter().find(at_level).copied(),
                // Who spoke last tells of the end.
                None => lasting.spoke.map(usize::from),
            };
            let leading = leading.unwrap_or(first);
            let Lasting { level, since, ended, .. } = *lasting;
            let owed = self.applying.hold(leading) && self.states.get(leading).is_some_and(State::is_owed);
            Finding { level, since, ended, leading, owed }
        })
    }

    /// The level of each rule, in the order of the rule set.
    pub fn levels(&self) -> impl Iterator<Item = Option<Level>> + '_ {
        self.states.iter().map(|state| state.level)
    }

    /// What a rule measured at the newest session.
    pub fn measured(&self, rule: usize, history: &History<'_>, standard: Standard<'_>) -> Measured {
        let none = Measured::NONE;
        let Some((state, (rule, window))) = self.states.get(rule).zip(standard.rules.with_windows().nth(rule)) else {
            return none;
        };
        let tally = window.and_then(|window| self.tallies.get(window)).copied().unwrap_or_default();
        let of = rule.measure.counted();
        let in_window = |window: Window| InWindow {
            of,
            counted: state.counted(),
            counts: tally.counts,
            from: tally.from(window, history),
        };
        let counts = self.year_to_date;
        match &rule.measure {
            Measure::Run { .. } => Measured::Run { of, days: state.run().days(), from: state.run().from },
            Measure::Rate { window, .. } => Measured::Rate(in_window(*window)),
            Measure::Sessions { window, .. } => Measured::Sessions(in_window(*window)),
            Measure::Unresolved { after, .. } => {
                let (sessions, standing) = (state.counted(), state.standing());
                Measured::Unresolved { of, sessions, after: *after, standing }
            }
            Measure::Review { .. } => {
                let Arrangement { first, overdue, .. } = state.arrangement();
                let by = history.profile.part_time_review.filter(|day| first <= Some(*day));
                Measured::Review { of, overdue, from: first, by }
            }
            Measure::Chance { of, .. } => {
                let rest = rest(history, standard);
                let outlook = self.foresight.as_ref().map(|foresight| foresight.outlook(standard, rest));
                let chance = outlook.map_or(0.0, |outlook| of.chance(&outlook));
                Measured::Chance { of: *of, chance: Share::of_fraction(chance), counts }
            }
            Measure::Expected { .. } => {
                let rest = rest(history, standard);
                let missed = self.foresight.as_ref().map_or(0.0, |foresight| foresight.missed(standard, rest));
                Measured::Expected { missed: whole(missed), rest, counts }
            }
            Measure::Pattern { .. } => {
                let found = match &state.course {
                    Course::Week(week) => week.found(),
                    _ => None,
                };
                Measured::Pattern { found, counts }
            }
            Measure::Change { .. } => {
                let meanings = history.present.entries().rev().map(|entry| entry.revision.code.meaning());
                let newest = meanings.filter(|meaning| meaning.is_possible()).take(NEWEST as usize);
                let (missed, newest) = newest
                    .fold((0, 0), |(missed, newest), meaning| (missed + u32::from(meaning.is_absent()), newest + 1));
                let sum = self.drift.as_ref().map_or(0.0, |drift| drift.sum());
                Measured::Change { sum: whole(sum), missed, newest, counts }
            }
        }
    }

    /// What the rest of the year will bring; none where there is no possible session.
    pub fn foreseen(&self, history: &History<'_>, standard: Standard<'_>) -> Option<Foreseen> {
        match &self.foresight {
            Some(foresight) => foresight.foreseen(history, standard),
            None => foresee(history, standard),
        }
    }

    /// Counts over the school year so far.
    pub fn year_to_date(&self) -> Counts {
        self.year_to_date
    }

    /// How many entries of the year judged are folded.
    pub(crate) fn folded(&self) -> usize {
        self.folded
    }

    /// The probability of each limit and the number still to be missed; none where there is no possible session.
    pub fn outlook(&self, history: &History<'_>, standard: Standard<'_>) -> Option<Outlook> {
        match &self.foresight {
            Some(foresight) if foresight.so_far().possible > 0 => {
                Some(foresight.outlook(standard, rest(history, standard)))
            }
            Some(_) => None,
            None => foresee(history, standard).map(|foreseen| foreseen.outlook),
        }
    }

    /// Takes in the year before: windows and runs reach back into it, levels and counts of the year do not.
    fn open(&mut self, history: &History<'_>, standard: Standard<'_>) {
        self.tallies = standard.rules.windows().iter().map(|_| Tally::default()).collect();
        self.states = standard.rules.rules().iter().map(|rule| State::of(&rule.measure)).collect();
        self.applying = Rules::of(standard.rules.rules(), |rule| rule.applies.to(&history.profile));
        self.stirred = self.applying;
        self.episodes = standard.rules.alerts().iter().map(|_| Lasting::default()).collect();
        self.foresight = standard.rules.foresees().then(|| Box::new(Foresight::begin(history, standard)));
        self.drift = standard.rules.compares().then(Box::default);
        let Some(previous) = history.previous else { return };
        let mut schools = Schools::new(standard.calendars);
        for entry in previous.entries().filter(|entry| entry.revision.code != Code::NotTaken) {
            let calendar = schools.calendar(previous, entry);
            self.take(entry, calendar, (history, standard.rules), Of::YearBefore);
            let meaning = entry.revision.code.meaning();
            if let Some(drift) = self.drift.as_mut().filter(|_| meaning.is_possible()) {
                drift.observe(meaning.is_absent());
            }
        }
    }

    /// Takes a mark in; one of the year before only where what is counted reaches back.
    fn take(&mut self, entry: Entry, calendar: Option<&Calendar>, (history, rules): (&History<'_>, &RuleSet), of: Of) {
        let Self { tallies, states, moved, stirred, standing, .. } = self;
        let day = entry.session.day();
        // By one calendar terms begin with a day, and windows of school weeks with a week.
        let before =
            moved.filter(|(_, school, year)| (*school, *year) == (entry.school, of)).map(|(before, ..)| before);
        let (same_day, same_week) = (before == Some(day), before.map(Day::monday) == Some(day.monday()));
        *moved = Some((day, entry.school, of));
        for ((place, tally), window) in tallies.iter_mut().enumerate().zip(rules.windows()) {
            if of == Of::YearBefore && !matches!(window, Window::SchoolWeeks(_)) {
                continue;
            }
            let of_window = states.iter_mut().enumerate().zip(rules.with_windows());
            let of_window = of_window.filter(|(_, (_, window))| *window == Some(place));
            match window {
                Window::SchoolWeeks(_) if same_week => {}
                Window::Term if !same_day && tally.begins_term(day, calendar) => {
                    of_window.for_each(|((place, state), _)| {
                        state.begin_again();
                        stirred.add(place);
                    });
                }
                Window::YearToDate | Window::Term => {}
                Window::SchoolWeeks(weeks) => {
                    let start = calendar.map_or(day, |calendar| calendar.weeks_back(day, *weeks));
                    let dropped = tally.slide(start, history);
                    if !dropped.is_empty() {
                        of_window.for_each(|((place, state), (rule, _))| {
                            state.take_back(rule.measure.counted(), &dropped);
                            stirred.add(place);
                        });
                    }
                }
            }
            tally.counts.add(entry.revision.code.meaning());
            tally.from = tally.from.or(Some(entry.session));
        }
        let code = entry.revision.code;
        let told = rules.told_by(code);
        let told = if of == Of::Year { told } else { told.and(rules.reaching_back()) };
        for place in told.places() {
            let Some((state, rule)) = states.get_mut(place).zip(rules.rules().get(place)) else { continue };
            if state.take(entry.session, code, &rule.measure, calendar) {
                stirred.add(place);
            }
            if state.is_owed() {
                standing.add(place);
            }
        }
    }
}

/// Which year a mark is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Year,
    YearBefore,
}

/// Finds a school's calendar, remembering the last: a pupil's entries are nearly always of one school.
pub(crate) struct Schools<'a> {
    calendars: &'a Calendars,
    last: Option<(u16, &'a Calendar)>,
}

impl<'a> Schools<'a> {
    pub(crate) fn new(calendars: &'a Calendars) -> Self {
        Self { calendars, last: None }
    }

    fn calendar(&mut self, record: &YearRecord, entry: Entry) -> Option<&'a Calendar> {
        match self.last {
            Some((school, calendar)) if school == entry.school => Some(calendar),
            _ => {
                let calendar = self.calendars.of(record.school(entry)?);
                self.last = Some((entry.school, calendar));
                Some(calendar)
            }
        }
    }
}

/// What a window holds: one for all rules that count over it.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    counts: Counts,
    /// The first session counted; of a window of school weeks unused.
    from: Option<Session>,
    /// Of a term the day of the newest mark, of school weeks the window's first day.
    edge: Option<Day>,
    /// The first entry in a window of school weeks, counted through both years.
    first: u32,
}

impl Tally {
    /// Whether a mark of `day` begins another term; then it counts from nought. By days, since terms are a school's own: a child who
    /// changes school in mid-term keeps its term.
    fn begins_term(&mut self, day: Day, calendar: Option<&Calendar>) -> bool {
        let begins = calendar.and_then(|calendar| calendar.term_start(day)) > self.edge;
        if begins {
            (self.counts, self.from) = (Counts::default(), None);
        }
        self.edge = Some(day);
        begins
    }

    /// Moves the window's beginning to `start` where that is later; gives the codes of the marks that fall out.
    fn slide(&mut self, start: Day, history: &History<'_>) -> Vec<Code> {
        let start = self.edge.map_or(start, |before| before.max(start));
        let mut dropped = Vec::new();
        if self.edge == Some(start) {
            return dropped;
        }
        self.edge = Some(start);
        while let Some(entry) = history.get(self.first())
            && entry.session.day() < start
        {
            if entry.revision.code != Code::NotTaken {
                self.counts.remove(entry.revision.code.meaning());
                dropped.push(entry.revision.code);
            }
            self.first += 1;
        }
        dropped
    }

    fn first(&self) -> usize {
        usize::try_from(self.first).unwrap_or(usize::MAX)
    }

    fn from(&self, window: Window, history: &History<'_>) -> Option<Session> {
        match window {
            Window::SchoolWeeks(_) => {
                let mut window = (self.first()..).map_while(|at| history.get(at));
                window.find(|entry| entry.revision.code != Code::NotTaken).map(|entry| entry.session)
            }
            Window::YearToDate | Window::Term => self.from,
        }
    }
}

/// One rule's state.
#[derive(Clone, Debug)]
struct State {
    level: Option<Level>,
    course: Course,
}

/// What a rule follows.
#[derive(Clone, Debug)]
enum Course {
    /// Sessions of the rule's codes in its window.
    Counted(u32),
    Run(Run),
    /// Nothing before the first such session: few children have one.
    Standing(Option<Box<Standing>>),
    /// The same.
    Arranged(Option<Box<Arrangement>>),
    Week(Box<Week>),
    /// Nothing of its own.
    Foreseen,
}

/// Sessions of a rule's codes, and how many of them have stood for long.
#[derive(Clone, Debug, Default)]
struct Standing {
    days: Vec<Day>,
    too_long: u32,
    /// When the next of them will have.
    due: Option<Day>,
}

impl Standing {
    fn settle(&mut self, after: u32, within: Option<u32>, now: &Now<'_>) -> u32 {
        let Some(calendar) = now.at.calendar.filter(|_| !self.days.is_empty()) else { return self.too_long };
        let (after, today) = (after as usize, now.at.session.day());
        let stood = |day: &&Day| {
            let days = calendar.days_between(**day, today);
            days >= after && within.is_none_or(|within| days <= within as usize)
        };
        self.too_long = u32::try_from(self.days.iter().filter(stood).count()).unwrap_or(u32::MAX);
        // What counts for some days only is seen on those on which the child is marked.
        let next = self.days.iter().find(|day| within.is_none() && calendar.days_between(**day, today) < after);
        self.due = next.and_then(|day| calendar.days_after(*day, after, SchoolYear::of(today)));
        self.too_long
    }
}

/// An arrangement, and how long its review is overdue.
#[derive(Clone, Copy, Debug, Default)]
struct Arrangement {
    /// Its first and newest day.
    first: Option<Day>,
    last: Option<Day>,
    overdue: u32,
    /// When time alone next brings it to a level.
    due: Option<Day>,
}

impl Arrangement {
    /// Takes a session of the codes in; after a gap of more than `within` school days another arrangement begins.
    fn take(&mut self, day: Day, within: u32, calendar: Option<&Calendar>) {
        let lasts = |last: Day| calendar.is_none_or(|calendar| calendar.days_between(last, day) <= within as usize);
        self.first = self.first.filter(|_| self.last.is_some_and(lasts)).or(Some(day));
        self.last = Some(day);
    }

    fn settle(&mut self, (after, within): (u32, u32), levels: &Levels<u32>, now: &Now<'_>) -> u32 {
        let (Some(first), Some(last), Some(calendar)) = (self.first, self.last, now.at.calendar) else { return 0 };
        let lasts = |day: Day| calendar.days_between(last, day) <= within as usize;
        let today = now.at.session.day();
        // A day before it began was another's.
        let (from, grace) = now.at.review.filter(|day| first <= *day).map_or((first, after), |day| (day, 0));
        let passed = u32::try_from(calendar.days_between(from, today)).unwrap_or(u32::MAX);
        self.overdue = if lasts(today) { passed.saturating_sub(grace) } else { 0 };
        let next = levels.iter().map(|(_, threshold)| threshold).filter(|threshold| *threshold > self.overdue).min();
        let due =
            next.and_then(|threshold| calendar.days_after(from, (grace + threshold) as usize, SchoolYear::of(today)));
        self.due = due.filter(|day| today < *day && lasts(*day));
        self.overdue
    }
}

impl State {
    fn of(measure: &Measure) -> Self {
        let course = match measure {
            Measure::Run { .. } => Course::Run(Run::default()),
            Measure::Rate { .. } | Measure::Sessions { .. } => Course::Counted(0),
            Measure::Unresolved { .. } => Course::Standing(None),
            Measure::Review { .. } => Course::Arranged(None),
            Measure::Pattern { .. } => Course::Week(Box::default()),
            Measure::Chance { .. } | Measure::Expected { .. } | Measure::Change { .. } => Course::Foreseen,
        };
        Self { level: None, course }
    }

    /// Takes a mark in that tells it something; true where that may change its level.
    fn take(&mut self, session: Session, code: Code, measure: &Measure, calendar: Option<&Calendar>) -> bool {
        match &mut self.course {
            Course::Counted(sessions) => {
                *sessions += 1;
                true
            }
            Course::Run(run) => {
                let before = run.days();
                run.take(session.day(), code.meaning().is_possible(), measure.counted().contains(code));
                run.days() != before
            }
            Course::Standing(standing) => {
                standing.get_or_insert_default().days.push(session.day());
                true
            }
            Course::Arranged(arrangement) => {
                let Measure::Review { within, .. } = measure else { return false };
                arrangement.get_or_insert_default().take(session.day(), *within, calendar);
                true
            }
            Course::Week(week) => week.observe(session, code.meaning().is_absent(), calendar),
            Course::Foreseen => false,
        }
    }

    /// Counts from nought: another term has begun.
    fn begin_again(&mut self) {
        if let Course::Counted(sessions) = &mut self.course {
            *sessions = 0;
        }
    }

    /// Takes back what has fallen out of the window.
    fn take_back(&mut self, counted: CodeSet, dropped: &[Code]) {
        if let Course::Counted(held) = &mut self.course {
            *held -= dropped.iter().map(|code| u32::from(counted.contains(*code))).sum::<u32>();
        }
    }

    fn counted(&self) -> u32 {
        match &self.course {
            Course::Counted(counted) => *counted,
            Course::Standing(standing) => standing.as_ref().map_or(0, |standing| standing.too_long),
            Course::Run(_) | Course::Arranged(_) | Course::Week(_) | Course::Foreseen => 0,
        }
    }

    /// Sessions of the codes of an [`Measure::Unresolved`].
    fn standing(&self) -> u32 {
        match &self.course {
            Course::Standing(Some(standing)) => u32::try_from(standing.days.len()).unwrap_or(u32::MAX),
            _ => 0,
        }
    }

    /// When its level may next rise by time alone.
    fn due(&self) -> Option<Day> {
        match &self.course {
            Course::Standing(standing) => standing.as_ref()?.due,
            Course::Arranged(arrangement) => arrangement.as_ref()?.due,
            _ => None,
        }
    }

    /// Whether it is about what is owed by this child's school.
    fn is_owed(&self) -> bool {
        matches!(self.course, Course::Standing(_) | Course::Arranged(_))
    }

    fn arrangement(&self) -> Arrangement {
        match &self.course {
            Course::Arranged(Some(arrangement)) => **arrangement,
            _ => Arrangement::default(),
        }
    }

    fn run(&self) -> Run {
        match self.course {
            Course::Run(run) => run,
            _ => Run::default(),
        }
    }

    /// Sets the level after a session; true where it changed. `possible` sessions are in the rule's window.
    fn settle(&mut self, rule: &Rule, possible: u32, now: &Now<'_>) -> bool {
        let level = self.reached(&rule.measure, possible, now);
        let changed = level != self.level;
        self.level = level;
        changed
    }

    fn reached(&mut self, measure: &Measure, possible: u32, now: &Now<'_>) -> Option<Level> {
        let before = self.level;
        let holds = |level: Level| before.is_some_and(|now| level <= now);
        match measure {
            Measure::Rate { minimum, .. } if possible < *minimum => before,
            Measure::Chance { minimum, .. } | Measure::Expected { minimum, .. }
                if !now.looks_ahead(before, *minimum) =>
            {
                before
            }
            Measure::Rate { margin, levels, .. } => levels.gravest(|level, threshold| {
                let rate = Rate { part: self.counted(), possible };
                rate.reaches(if holds(level) { threshold.less(*margin) } else { threshold })
            }),
            Measure::Sessions { levels, .. } => levels.gravest(|_, threshold| self.counted() >= threshold),
            Measure::Run { levels, .. } => levels.gravest(|_, threshold| self.run().days() >= threshold),
            Measure::Unresolved { after, within, levels, .. } => {
                let Course::Standing(Some(standing)) = &mut self.course else { return None };
                let sessions = standing.settle(*after, *within, now);
                levels.gravest(|_, threshold| sessions >= threshold)
            }
            Measure::Review { after, within, levels, .. } => {
                let Course::Arranged(Some(arrangement)) = &mut self.course else { return None };
                let overdue = arrangement.settle((*after, *within), levels, now);
                levels.gravest(|_, threshold| overdue >= threshold)
            }
            Measure::Chance { of, margin, levels, .. } => {
                let outlook = now.foresight.map(|foresight| foresight.outlook(now.standard, now.rest()));
                let chance = outlook.map_or(0.0, |outlook| of.chance(&outlook));
                let chance = Share::of_fraction(chance);
                levels.gravest(|level, threshold| {
                    chance >= if holds(level) { threshold.less(*margin) } else { threshold }
                })
            }
            Measure::Expected { margin, levels, .. } => {
                let missed = now.foresight.map_or(0.0, |foresight| foresight.missed(now.standard, now.rest()));
                levels.gravest(|level, threshold| {
                    missed >= f64::from(if holds(level) { threshold.saturating_sub(*margin) } else { threshold })
                })
            }
            Measure::Pattern { minimum, levels } => {
                let Course::Week(week) = &self.course else { return None };
                let found = week.found().filter(|found| found.short >= *minimum);
                levels.gravest(|_, threshold| found.is_some_and(|found| found.one_in >= threshold))
            }
            Measure::Change { levels } => levels
                .gravest(|level, threshold| now.drift >= f64::from(threshold) * if holds(level) { 0.5 } else { 1.0 }),
        }
    }
}

/// A run of school days. A day belongs to it if it has a possible mark and all its possible marks are of the rule's codes; a day
/// without a possible mark neither counts nor breaks.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    /// Days of the run before `day`.
    before: u32,
    from: Option<Day>,
    day: Option<Day>,
    so_far: DaySoFar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum DaySoFar {
    #[default]
    NothingPossible,
    AllOfThem,
    Broken,
}

impl Run {
    fn take(&mut self, day: Day, is_possible: bool, is_counted: bool) {
        if self.day != Some(day) {
            self.before = self.days();
            self.day = Some(day);
            self.so_far = DaySoFar::NothingPossible;
        }
        if !is_possible {
            return;
        }
        if !is_counted {
            (self.so_far, self.from) = (DaySoFar::Broken, None);
        } else if self.so_far == DaySoFar::NothingPossible {
            self.so_far = DaySoFar::AllOfThem;
            self.from = if self.before == 0 { Some(day) } else { self.from };
        }
    }

    /// Its length up to and with the newest day.
    fn days(&self) -> u32 {
        match self.so_far {
            DaySoFar::NothingPossible => self.before,
            DaySoFar::AllOfThem => self.before + 1,
            DaySoFar::Broken => 0,
        }
    }
}

/// All changes of level of a school year until `as_of`, in the order of the calendar.
pub fn transitions(history: &History<'_>, as_of: Session, standard: Standard<'_>) -> Vec<Transition> {
    let (mut fold, mut transitions) = (Fold::default(), Vec::new());
    fold.advance(history, standard, |transition| transitions.push(transition));
    fold.wait(as_of, history, standard, |transition| transitions.push(transition));
    transitions
}

/// One stretch of an alert in the order of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Episode {
    /// The place of the alert among those of the rule set.
    pub alert: usize,
    /// The session at which it began.
    pub since: Session,
    /// The session at which it ended; none while it lasts.
    pub until: Option<Session>,
    /// The gravest level it reached.
    pub gravest: Level,
}

/// The episodes of a school year until `as_of`, as they began.
pub fn episodes(history: &History<'_>, as_of: Session, standard: Standard<'_>) -> Vec<Episode> {
    episodes_of(&transitions(history, as_of, standard))
}

/// The episodes that changes of level make, all of a school year in the order of the calendar.
pub fn episodes_of(transitions: &[Transition]) -> Vec<Episode> {
    let mut episodes: Vec<Episode> = Vec::new();
    for &Transition { alert, session, to, .. } in transitions {
        let open = episodes.iter_mut().rev().find(|episode| episode.alert == alert && episode.until.is_none());
        match (open, to) {
            (None, Some(level)) => episodes.push(Episode { alert, since: session, until: None, gravest: level }),
            (Some(episode), Some(level)) => episode.gravest = episode.gravest.max(level),
            (Some(episode), None) => episode.until = Some(session),
            (None, None) => {}
        }
    }
    episodes
}
