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
                let calendar = schools.calendar(history.present, entry);
                for (state, rule) in self.states.iter_mut().zip(standard.rules.rules()) {
                    state.take(&rule.measure, entry, calendar, history);
                }
                self.year_to_date.add(entry.revision.code.meaning());
            }
            if !marked {
                continue;
            }
            for (place, (state, rule)) in self.states.iter_mut().zip(standard.rules.rules()).enumerate() {
                let from = state.level;
                if state.settle(&rule.measure, first.session) {
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
        self.states.iter().zip(standard.rules.rules()).map(|(state, rule)| state.finding(&rule.measure, history))
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
        self.states = standard.rules.rules().iter().map(|_| State::default()).collect();
        let Some(previous) = history.previous else { return };
        let mut schools = Schools::new(standard.calendars);
        for entry in previous.entries().filter(|entry| entry.revision.code != Code::NotTaken) {
            let calendar = schools.calendar(previous, entry);
            for (state, rule) in self.states.iter_mut().zip(standard.rules.rules()) {
                if looks_back(&rule.measure) {
                    state.take(&rule.measure, entry, calendar, history);
                }
            }
        }
    }
}

fn looks_back(measure: &Measure) -> bool {
    match measure {
        Measure::Rate { window, .. } | Measure::Sessions { window, .. } => matches!(window, Window::SchoolWeeks(_)),
        Measure::Run { .. } => true,
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

/// One rule's state.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    level: Option<Level>,
    since: Option<Session>,
    ended: Option<Session>,
    counts: Counts,
    /// Sessions of the rule's codes.
    counted: u32,
    /// The first session counted, of the year or the term, and the day of the newest.
    from: Option<Session>,
    newest: Option<Day>,
    /// The window of school weeks: its first day, and the first entry in it, counted through both years.
    weeks_from: Option<Day>,
    first: usize,
    run: Run,
}

impl State {
    fn take(&mut self, measure: &Measure, entry: Entry, calendar: Option<&Calendar>, history: &History<'_>) {
        let (counted, window) = match measure {
            Measure::Rate { counted, window, .. } | Measure::Sessions { counted, window, .. } => (*counted, *window),
            Measure::Run { counted, .. } => {
                let code = entry.revision.code;
                return self.run.take(entry.session.day(), code.meaning().is_possible(), counted.contains(code));
            }
        };
        let day = entry.session.day();
        match window {
            Window::YearToDate => self.count(entry, counted),
            Window::Term => {
                let begun = calendar.and_then(|calendar| calendar.term_start(day));
                // By days, since terms are a school's own: a child who changes school in mid-term keeps its term.
                if begun > self.newest {
                    (self.counts, self.counted, self.from) = (Counts::default(), 0, None);
                }
                self.newest = Some(day);
                self.count(entry, counted);
            }
            Window::SchoolWeeks(weeks) => {
                let start = calendar.map_or(day, |calendar| calendar.weeks_back(day, weeks));
                self.counts.add(entry.revision.code.meaning());
                self.counted += u32::from(counted.contains(entry.revision.code));
                self.slide(self.weeks_from.map_or(start, |before| before.max(start)), counted, history);
            }
        }
    }

    fn count(&mut self, entry: Entry, counted: CodeSet) {
        self.counts.add(entry.revision.code.meaning());
        self.counted += u32::from(counted.contains(entry.revision.code));
        self.from = self.from.or(Some(entry.session));
    }

    /// Moves the window's beginning to `start`, taking away what falls out.
    fn slide(&mut self, start: Day, counted: CodeSet, history: &History<'_>) {
        if self.weeks_from == Some(start) {
            return;
        }
        self.weeks_from = Some(start);
        while let Some(entry) = history.get(self.first)
            && entry.session.day() < start
        {
            self.counts.remove(entry.revision.code.meaning());
            self.counted -= u32::from(counted.contains(entry.revision.code));
            self.first += 1;
        }
    }

    /// Sets the level after a session; true where it changed.
    fn settle(&mut self, measure: &Measure, session: Session) -> bool {
        let level = match measure {
            Measure::Rate { minimum, .. } if self.counts.possible < *minimum => self.level,
            Measure::Rate { margin, levels, .. } => levels.gravest(|level, threshold| {
                let held = self.level.is_some_and(|now| level <= now);
                let rate = Rate { part: self.counted, possible: self.counts.possible };
                rate.reaches(if held { threshold.less(*margin) } else { threshold })
            }),
            Measure::Sessions { levels, .. } => levels.gravest(|_, threshold| self.counted >= threshold),
            Measure::Run { levels, .. } => levels.gravest(|_, threshold| self.run.days() >= threshold),
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

    fn finding(&self, measure: &Measure, history: &History<'_>) -> Finding {
        let measured = match measure {
            Measure::Run { counted, .. } => Measured::Run { of: *counted, days: self.run.days(), from: self.run.from },
            Measure::Rate { counted, window, .. } => Measured::Rate(self.in_window(*counted, *window, history)),
            Measure::Sessions { counted, window, .. } => Measured::Sessions(self.in_window(*counted, *window, history)),
        };
        Finding { level: self.level, since: self.since, ended: self.ended, measured }
    }

    fn in_window(&self, of: CodeSet, window: Window, history: &History<'_>) -> InWindow {
        let from = match window {
            Window::SchoolWeeks(_) => {
                let mut window = (self.first..).map_while(|at| history.get(at));
                window.find(|entry| entry.revision.code != Code::NotTaken).map(|entry| entry.session)
            }
            Window::YearToDate | Window::Term => self.from,
        };
        InWindow { of, counted: self.counted, counts: self.counts, from }
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
