//! What alerts are wanted for a pupil: a fold of the record's sessions in the order of the calendar.
//!
//! Takes a school year's record, the record of the year before, the rules and the calendars; gives a finding a rule.
//! Whatever remembers (hysteresis, since when) is remembered along the calendar, never along arrivals, so that the
//! finding depends on the marks alone (invariant I-2). A [`Fold`] kept between calls goes on where it stopped as long
//! as new marks are newer than all it has seen; an older one makes it begin anew. A session of which no mark was taken
//! is as if it were not there.

use crate::calendar::{Calendar, Calendars};
use crate::code::CodeSet;
use crate::day::Day;
use crate::rate::{Counts, Rate};
use crate::record::{Entry, YearRecord};
use crate::rule::{Level, Measure, RuleSet, Window};
use crate::{Code, Session};

/// What judges: values that change only with the policy.
#[derive(Clone, Copy, Debug)]
pub struct Standard<'a> {
    /// The rules.
    pub rules: &'a RuleSet,
    /// The schools' calendars.
    pub calendars: &'a Calendars,
}

/// What is judged: a school year of a pupil, and the year before for windows that reach back into it.
#[derive(Clone, Copy, Debug)]
pub struct History<'a> {
    /// The school year before, where there are marks of it.
    pub previous: Option<&'a YearRecord>,
    /// The school year that is judged.
    pub present: &'a YearRecord,
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
}

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

/// What one rule finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The level at the newest session; none: no alert is wanted.
    pub level: Option<Level>,
    /// The session at which the present level's episode began; of the last episode where there is none now.
    pub since: Option<Session>,
    /// The session at which the newest ended episode ended.
    pub ended: Option<Session>,
    /// What was measured.
    pub measured: Measured,
}

impl Finding {
    /// That of a rule that is none.
    pub const NONE: Self = Self {
        level: None,
        since: None,
        ended: None,
        measured: Measured::Run { of: CodeSet::of(&[]), days: 0, from: None },
    };
}

/// A change of level in the order of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The place of the rule in the rule set.
    pub rule: usize,
    /// The session at which it changed.
    pub session: Session,
    /// The level before.
    pub from: Option<Level>,
    /// The level from there on.
    pub to: Option<Level>,
}

/// The state of all rules after some sessions. Belongs to one pupil, school year and standard.
#[derive(Clone, Debug, Default)]
pub struct Fold {
    /// One a window of the rules.
    tallies: Vec<Tally>,
    /// One a rule.
    states: Vec<State>,
    /// Entries of the year judged that are in the state.
    folded: usize,
    newest: Option<Session>,
    year_to_date: Counts,
}

impl Fold {
    /// Tells the fold that a mark of `session` changed; marks of the year before are older than all.
    pub fn touched(&mut self, session: Session) {
        if self.newest.is_none_or(|newest| session <= newest) {
            self.reset();
        }
    }

    /// Forgets everything: the rules, the calendars or the past changed.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Folds what is new in the history, telling each change of level to `observe`.
    pub fn advance(&mut self, history: &History<'_>, standard: Standard<'_>, mut observe: impl FnMut(Transition)) {
        if self.states.is_empty() && !standard.rules.rules().is_empty() {
            self.open(history, standard);
        }
        let mut schools = Schools::new(standard.calendars);
        while let Some(first) = history.present.get(self.folded) {
            self.newest = Some(first.session);
            let mut marked = false;
            while let Some(entry) = history.present.get(self.folded)
                && entry.session == first.session
            {
                self.folded += 1;
                if entry.revision.code == Code::NotTaken {
                    continue;
                }
                marked = true;
                self.take(entry, schools.calendar(history.present, entry), (history, standard.rules), |_| true);
                self.year_to_date.add(entry.revision.code.meaning());
            }
            if !marked {
                continue;
            }
            for (place, (state, (rule, window))) in
                self.states.iter_mut().zip(standard.rules.with_windows()).enumerate()
            {
                let from = state.level;
                let possible =
                    window.and_then(|window| self.tallies.get(window)).map_or(0, |tally| tally.counts.possible);
                if state.settle(&rule.measure, possible, first.session) {
                    observe(Transition { rule: place, session: first.session, from, to: state.level });
                }
            }
        }
    }

    /// What each rule finds, in the order of the rule set.
    pub fn findings<'a>(
        &'a self,
        history: &'a History<'_>,
        standard: Standard<'a>,
    ) -> impl Iterator<Item = Finding> + 'a {
        let rules = self.states.iter().zip(standard.rules.with_windows());
        rules.map(|(state, (rule, window))| {
            let tally = window.and_then(|window| self.tallies.get(window)).copied().unwrap_or_default();
            state.finding(&rule.measure, &tally, history)
        })
    }

    /// Counts over the school year so far.
    pub fn year_to_date(&self) -> Counts {
        self.year_to_date
    }

    /// The newest session folded.
    pub fn newest(&self) -> Option<Session> {
        self.newest
    }

    /// Takes in the year before: windows and runs reach back into it, levels and counts of the year do not.
    fn open(&mut self, history: &History<'_>, standard: Standard<'_>) {
        self.tallies = standard.rules.windows().iter().map(|_| Tally::default()).collect();
        self.states = standard.rules.rules().iter().map(|rule| State::of(&rule.measure)).collect();
        let Some(previous) = history.previous else { return };
        let mut schools = Schools::new(standard.calendars);
        for entry in previous.entries().filter(|entry| entry.revision.code != Code::NotTaken) {
            let calendar = schools.calendar(previous, entry);
            let reaches_back = |window: Option<Window>| matches!(window, None | Some(Window::SchoolWeeks(_)));
            self.take(entry, calendar, (history, standard.rules), reaches_back);
        }
    }

    /// Takes a mark in, into the windows wished and into the runs if those are (no window).
    fn take(
        &mut self,
        entry: Entry,
        calendar: Option<&Calendar>,
        (history, rules): (&History<'_>, &RuleSet),
        wished: impl Fn(Option<Window>) -> bool,
    ) {
        let Self { tallies, states, .. } = self;
        for ((place, tally), window) in tallies.iter_mut().enumerate().zip(rules.windows()) {
            if !wished(Some(*window)) {
                continue;
            }
            let of_window =
                states.iter_mut().zip(rules.with_windows()).filter(|(_, (_, window))| *window == Some(place));
            match window {
                Window::Term if tally.begins_term(entry.session.day(), calendar) => {
                    of_window.for_each(|(state, _)| state.course = Course::Counted(0));
                }
                Window::YearToDate | Window::Term => {}
                Window::SchoolWeeks(weeks) => {
                    let day = entry.session.day();
                    let start = calendar.map_or(day, |calendar| calendar.weeks_back(day, *weeks));
                    let dropped = tally.slide(start, history);
                    if !dropped.is_empty() {
                        of_window.for_each(|(state, (rule, _))| state.take_back(rule.measure.counted(), &dropped));
                    }
                }
            }
            tally.counts.add(entry.revision.code.meaning());
            tally.from = tally.from.or(Some(entry.session));
        }
        let code = entry.revision.code;
        for (state, rule) in states.iter_mut().zip(rules.rules()).filter(|(_, rule)| wished(rule.measure.window())) {
            let is_counted = rule.measure.counted().contains(code);
            match &mut state.course {
                Course::Counted(counted) => *counted += u32::from(is_counted),
                Course::Run(run) => run.take(entry.session.day(), code.meaning().is_possible(), is_counted),
            }
        }
    }
}

/// Finds a school's calendar, remembering the last: a pupil's entries are nearly always of one school.
struct Schools<'a> {
    calendars: &'a Calendars,
    last: Option<(u16, &'a Calendar)>,
}

impl<'a> Schools<'a> {
    fn new(calendars: &'a Calendars) -> Self {
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
#[derive(Clone, Copy, Debug)]
struct State {
    level: Option<Level>,
    since: Option<Session>,
    ended: Option<Session>,
    course: Course,
}

/// What a rule follows.
#[derive(Clone, Copy, Debug)]
enum Course {
    /// Sessions of the rule's codes in its window.
    Counted(u32),
    Run(Run),
}

impl State {
    fn of(measure: &Measure) -> Self {
        let course = match measure {
            Measure::Run { .. } => Course::Run(Run::default()),
            Measure::Rate { .. } | Measure::Sessions { .. } => Course::Counted(0),
        };
        Self { level: None, since: None, ended: None, course }
    }

    /// Takes back what has fallen out of the window.
    fn take_back(&mut self, counted: CodeSet, dropped: &[Code]) {
        if let Course::Counted(held) = &mut self.course {
            *held -= dropped.iter().map(|code| u32::from(counted.contains(*code))).sum::<u32>();
        }
    }

    fn counted(&self) -> u32 {
        match self.course {
            Course::Counted(counted) => counted,
            Course::Run(_) => 0,
        }
    }

    fn run(&self) -> Run {
        match self.course {
            Course::Counted(_) => Run::default(),
            Course::Run(run) => run,
        }
    }

    /// Sets the level after a session; true where it changed. `possible` sessions are in the rule's window.
    fn settle(&mut self, measure: &Measure, possible: u32, session: Session) -> bool {
        let level = match measure {
            Measure::Rate { minimum, .. } if possible < *minimum => self.level,
            Measure::Rate { margin, levels, .. } => levels.gravest(|level, threshold| {
                let held = self.level.is_some_and(|now| level <= now);
                let rate = Rate { part: self.counted(), possible };
                rate.reaches(if held { threshold.less(*margin) } else { threshold })
            }),
            Measure::Sessions { levels, .. } => levels.gravest(|_, threshold| self.counted() >= threshold),
            Measure::Run { levels, .. } => levels.gravest(|_, threshold| self.run().days() >= threshold),
        };
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

    fn finding(&self, measure: &Measure, tally: &Tally, history: &History<'_>) -> Finding {
        let of = measure.counted();
        let in_window = |window: Window| InWindow {
            of,
            counted: self.counted(),
            counts: tally.counts,
            from: tally.from(window, history),
        };
        let measured = match measure {
            Measure::Run { .. } => Measured::Run { of, days: self.run().days(), from: self.run().from },
            Measure::Rate { window, .. } => Measured::Rate(in_window(*window)),
            Measure::Sessions { window, .. } => Measured::Sessions(in_window(*window)),
        };
        Finding { level: self.level, since: self.since, ended: self.ended, measured }
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

/// All changes of level of a school year, in the order of the calendar.
pub fn transitions(history: &History<'_>, standard: Standard<'_>) -> Vec<Transition> {
    let mut transitions = Vec::new();
    Fold::default().advance(history, standard, |transition| transitions.push(transition));
    transitions
}

/// One stretch of an alert in the order of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Episode {
    /// The place of the rule in the rule set.
    pub rule: usize,
    /// The session at which it began.
    pub since: Session,
    /// The session at which it ended; none while it lasts.
    pub until: Option<Session>,
    /// The gravest level it reached.
    pub gravest: Level,
}

/// The episodes of a school year, rule by rule as they began.
pub fn episodes(history: &History<'_>, standard: Standard<'_>) -> Vec<Episode> {
    let mut episodes: Vec<Episode> = Vec::new();
    for Transition { rule, session, to, .. } in transitions(history, standard) {
        let open = episodes.iter_mut().rev().find(|episode| episode.rule == rule && episode.until.is_none());
        match (open, to) {
            (None, Some(level)) => episodes.push(Episode { rule, since: session, until: None, gravest: level }),
            (Some(episode), Some(level)) => episode.gravest = episode.gravest.max(level),
            (Some(episode), None) => episode.until = Some(session),
            (None, None) => {}
        }
    }
    episodes
}
