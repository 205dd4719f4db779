//! The rules that the authority judges by: values, read from its policy.

use crate::Code;
use crate::code::CodeSet;
use crate::forecast::Limit;
use crate::profile::Applies;
use crate::rate::Share;
use std::fmt;
use std::sync::Arc;

pub use crate::evidence::Template;

/// How grave an alert is, in the order of gravity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Drifting: for a rate 5% to under 10% by the usual policy.
    AtRisk,
    /// Persistent absence: for a rate 10% and more.
    Persistent,
    /// Severe absence: for a rate 50% and more.
    Severe,
}

impl Level {
    /// All levels, the least grave first.
    pub const ALL: [Level; 3] = [Level::AtRisk, Level::Persistent, Level::Severe];

    /// As files and messages write it.
    pub fn text(self) -> &'static str {
        match self {
            Self::AtRisk => "at-risk",
            Self::Persistent => "persistent",
            Self::Severe => "severe",
        }
    }

    /// The level of a text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.text() == text)
    }

    /// The number that databases and messages carry: 1 to 3. 0 stands for no level.
    pub fn number(self) -> u8 {
        self as u8 + 1
    }

    /// The level of a stored number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.number() == number)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

/// A threshold for each level that the rule knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels<T>([Option<T>; 3]);

/// What is wrong with the thresholds of a rule's levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LevelsError {
    /// No level at all.
    #[error("no level is given; a rule needs at least one of at-risk, persistent, severe")]
    Empty,
    /// A graver level that is reached no later than a lesser one.
    #[error("the threshold of {graver} must be greater than that of {lesser}")]
    Order {
        /// The lesser level.
        lesser: Level,
        /// The graver level.
        graver: Level,
    },
}

impl<T: Copy + Ord> Levels<T> {
    /// Thresholds for at risk, persistent and severe; those given must rise.
    pub fn new(at_risk: Option<T>, persistent: Option<T>, severe: Option<T>) -> Result<Self, LevelsError> {
        let levels = Self([at_risk, persistent, severe]);
        let mut lesser: Option<(Level, T)> = None;
        for (level, threshold) in levels.iter() {
            if let Some((before, below)) = lesser
                && below >= threshold
            {
                return Err(LevelsError::Order { lesser: before, graver: level });
            }
            lesser = Some((level, threshold));
        }
        if lesser.is_none() { Err(LevelsError::Empty) } else { Ok(levels) }
    }

    /// The levels with their thresholds, the least grave first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Level, T)> + '_ {
        Level::ALL.into_iter().zip(self.0).filter_map(|(level, threshold)| Some((level, threshold?)))
    }

    /// The gravest level whose threshold passes the test.
    #[inline]
    pub fn gravest(&self, mut reached: impl FnMut(Level, T) -> bool) -> Option<Level> {
        self.iter().rev().find(|(level, threshold)| reached(*level, *threshold)).map(|(level, _)| level)
    }
}

/// The name of a rule, as alerts and files carry it: small letters, digits and hyphens, at most 40.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(Arc<str>);

/// What is wrong with a rule's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name for a rule: 1 to 40 small letters, digits and hyphens")]
pub struct RuleIdError(String);

impl RuleId {
    /// Reads a name.
    pub fn parse(text: &str) -> Result<Self, RuleIdError> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=40).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.into()))
        } else {
            Err(RuleIdError(text.chars().take(48).collect()))
        }
    }

    /// The name.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Which sessions a rule counts over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// From 1 August.
    YearToDate,
    /// The child's term: from the first mark of a term that began after the mark before. Terms are a school's own; who
    /// changes school in mid-term stays in the term.
    Term,
    /// The last so many school weeks, the newest session's included; they reach back across the year's border.
    SchoolWeeks(u16),
}

/// What a rule measures and where its levels begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Sessions of some codes, of the possible sessions of a window.
    Rate {
        /// The codes.
        counted: CodeSet,
        /// The window.
        window: Window,
        /// Possible sessions below which nothing is judged: the level stays what it was.
        minimum: u32,
        /// How far below its threshold the rate must fall before a level is left (hysteresis).
        margin: Share,
        /// Rates at which levels begin.
        levels: Levels<Share>,
    },
    /// Sessions of some codes within a window.
    Sessions {
        /// The codes.
        counted: CodeSet,
        /// The window.
        window: Window,
        /// Numbers of sessions at which levels begin.
        levels: Levels<u32>,
    },
    /// School days in a row on which every possible mark is of some codes. A day without a possible mark neither counts nor breaks.
    Run {
        /// The codes.
        counted: CodeSet,
        /// Lengths in school days at which levels begin.
        levels: Levels<u32>,
    },
    /// Sessions of some codes that still stand: what was to be settled is not.
    Unresolved {
        /// The codes.
        counted: CodeSet,
        /// From which school day after its own on a session counts; with 0 on its own day.
        after: u32,
        /// Until which school day after its own it counts; none: as long as it stands.
        within: Option<u32>,
        /// Numbers of sessions at which levels begin.
        levels: Levels<u32>,
    },
    /// An arrangement, told by sessions of some codes, whose review is overdue: after the day that the roster names, or where it names none
    /// since it began, after some time.
    Review {
        /// The codes.
        counted: CodeSet,
        /// School days after which it must have been reviewed where no day is named.
        after: u32,
        /// The arrangement lasts while a session of the codes lies no more than so many school days back.
        within: u32,
        /// School days overdue at which levels begin.
        levels: Levels<u32>,
    },
    /// The probability to end the school year at a limit or above.
    Chance {
        /// The limit.
        of: Limit,
        /// Possible sessions of the year below which nothing is judged: the level stays what it was.
        minimum: u32,
        /// How far below its threshold the probability must fall before a level is left.
        margin: Share,
        /// Probabilities at which levels begin.
        levels: Levels<Share>,
    },
    /// The number of sessions still to be missed this school year that is to be expected.
    Expected {
        /// Possible sessions of the year below which nothing is judged: the level stays what it was.
        minimum: u32,
        /// How many sessions below its threshold the number must fall before a level is left.
        margin: u32,
        /// Numbers of sessions at which levels begin.
        levels: Levels<u32>,
    },
    /// Absence that keeps coming back at the same place of the week ([`crate::pattern`]): how unlikely chance is, one in so many.
    Pattern {
        /// Short spells of absence in the year below which nothing is said.
        minimum: u32,
        /// One in so many, at which levels begin.
        levels: Levels<u32>,
    },
    /// How strongly the newest sessions speak for a change against the child's own past ([`crate::change`]). A level is left when the
    /// sum has fallen to half of its threshold.
    Change {
        /// Sums at which levels begin.
        levels: Levels<u32>,
    },
}

impl Measure {
    /// The window that it counts over, if it does.
    pub fn window(&self) -> Option<Window> {
        match self {
            Self::Rate { window, .. } | Self::Sessions { window, .. } => Some(*window),
            Self::Run { .. }
            | Self::Unresolved { .. }
            | Self::Review { .. }
            | Self::Chance { .. }
            | Self::Expected { .. }
            | Self::Pattern { .. }
            | Self::Change { .. } => None,
        }
    }

    /// Whether marks of the year before count: runs, arrangements and windows of school weeks do not end with the year.
    pub(crate) fn reaches_back(&self) -> bool {
        matches!(self, Self::Run { .. } | Self::Review { .. }) || matches!(self.window(), Some(Window::SchoolWeeks(_)))
    }

    /// Whether a mark of this code tells it anything.
    fn is_told_by(&self, code: Code) -> bool {
        match self {
            // What does not fit breaks a run.
            Self::Run { .. } => true,
            Self::Rate { counted, .. }
            | Self::Sessions { counted, .. }
            | Self::Unresolved { counted, .. }
            | Self::Review { counted, .. } => counted.contains(code),
            Self::Pattern { .. } => code.meaning().is_possible(),
            Self::Chance { .. } | Self::Expected { .. } | Self::Change { .. } => false,
        }
    }

    /// Whether its level may be another after each session, whatever the mark says: possible sessions and days pass.
    fn is_restless(&self) -> bool {
        match self {
            Self::Rate { .. } | Self::Chance { .. } | Self::Expected { .. } | Self::Change { .. } => true,
            Self::Sessions { .. }
            | Self::Run { .. }
            | Self::Unresolved { .. }
            | Self::Review { .. }
            | Self::Pattern { .. } => false,
        }
    }

    /// Whether it needs a forecast.
    pub(crate) fn foresees(&self) -> bool {
        matches!(self, Self::Chance { .. } | Self::Expected { .. })
    }

    /// Whether it needs the sum of changes.
    pub(crate) fn compares(&self) -> bool {
        matches!(self, Self::Change { .. })
    }

    /// The codes that it counts.
    pub fn counted(&self) -> CodeSet {
        match self {
            Self::Rate { counted, .. }
            | Self::Sessions { counted, .. }
            | Self::Run { counted, .. }
            | Self::Unresolved { counted, .. }
            | Self::Review { counted, .. } => *counted,
            Self::Chance { .. } | Self::Expected { .. } | Self::Pattern { .. } | Self::Change { .. } => CodeSet::ABSENT,
        }
    }
}

/// How much hurry an alert of a rule is in, whatever its level: routes may ask for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Within the week.
    Low,
    /// Soon.
    #[default]
    Normal,
    /// The same day.
    High,
}

impl Severity {
    /// All severities.
    pub const ALL: [Self; 3] = [Self::Low, Self::Normal, Self::High];

    /// As files and messages write it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }

    /// The severity of a text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.text() == text)
    }
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub id: RuleId,
    /// What it is called in messages.
    pub title: String,
    /// What it measures.
    pub measure: Measure,
    /// Whom it is for.
    pub applies: Applies,
    /// The rule whose alert it shares, since both fire for the same reason: one child, one voice.
    pub with: Option<RuleId>,
    /// How much hurry it is in.
    pub severity: Severity,
    /// The sentence of its alerts, in the place of the usual one.
    pub sentence: Option<Template>,
    /// The regulation, guidance or evidence that it rests on.
    pub source: Option<String>,
}

impl Rule {
    /// A rule for everybody, with an alert of its own.
    pub fn new(id: RuleId, title: String, measure: Measure) -> Self {
        let (applies, severity) = (Applies::default(), Severity::default());
        Self { id, title, measure, applies, with: None, severity, sentence: None, source: None }
    }
}

/// An alert that one or several rules share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// Its name: that of its first rule.
    pub id: RuleId,
    /// The places of its rules, in the order of the policy; the first gave it its name.
    pub rules: Vec<usize>,
}

/// The rules in force together. Names are unique; the order is the policy's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSet {
    rules: Vec<Rule>,
    /// The windows that rules count over, each once.
    windows: Vec<Window>,
    /// The place of each rule's window among them; none for a run.
    window_of: Vec<Option<usize>>,
    alerts: Vec<Shared>,
    foresees: bool,
    compares: bool,
    /// The rules that a mark of each code tells something.
    told_by: Vec<Rules>,
    /// Those whose level may be another after each session, whatever its mark says.
    restless: Rules,
    /// Those for which marks of the year before count.
    reaching_back: Rules,
}

/// Some rules of a set, by their places: a bit a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules(u64);

const _: () = assert!(MOST_RULES <= 64, "a rule is a bit");

impl Rules {
    /// The rules that are such.
    pub(crate) fn of<'a>(rules: impl IntoIterator<Item = &'a Rule>, is_such: impl Fn(&Rule) -> bool) -> Self {
        let places = (0..64).zip(rules).filter(|(_, rule)| is_such(rule)).map(|(place, _)| place);
        Self(places.fold(0, |bits, place: u32| bits | 1 << place))
    }

    /// With one more.
    pub(crate) fn add(&mut self, place: usize) {
        self.0 |= 1_u64.checked_shl(u32::try_from(place).unwrap_or(u32::MAX)).unwrap_or(0);
    }

    /// Those of either.
    pub(crate) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those of both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether one is among them.
    pub(crate) fn hold(self, place: usize) -> bool {
        let mut one = Self::default();
        one.add(place);
        self.and(one) != Self::default()
    }

    /// Their places, in order.
    pub(crate) fn places(self) -> impl Iterator<Item = usize> {
        let mut bits = self.0;
        std::iter::from_fn(move || {
            let place = usize::try_from(bits.trailing_zeros()).ok().filter(|place| *place < 64)?;
            bits &= bits - 1;
            Some(place)
        })
    }
}

/// What is wrong with rules together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleSetError {
    /// A name that two rules bear.
    #[error("two rules are called {0}; give each its own name")]
    SameName(RuleId),
    /// More than can be remembered together.
    #[error("there are {0} rules; at most {MOST_RULES} work together")]
    TooMany(usize),
    /// `with` names no rule, or one that shares another's alert itself.
    #[error("rule {rule} goes with {with}, {why}")]
    With {
        /// The rule.
        rule: RuleId,
        /// What it names.
        with: RuleId,
        /// What is wrong with that.
        why: &'static str,
    },
}

/// Rules of a set, at most.
pub const MOST_RULES: usize = 64;

impl RuleSet {
    /// The given rules.
    ///
    /// # Errors
    /// Where they do not go together.
    pub fn new(rules: Vec<Rule>) -> Result<Self, RuleSetError> {
        if rules.len() > MOST_RULES {
            return Err(RuleSetError::TooMany(rules.len()));
        }
        for (at, rule) in rules.iter().enumerate() {
            if rules.iter().take(at).any(|before| before.id == rule.id) {
                return Err(RuleSetError::SameName(rule.id.clone()));
            }
        }
        let (mut windows, mut window_of) = (Vec::new(), Vec::new());
        for window in rules.iter().map(|rule| rule.measure.window()) {
            let place = window.map(|window| {
                windows.iter().position(|known| *known == window).unwrap_or_else(|| {
                    windows.push(window);
                    windows.len() - 1
                })
            });
            window_of.push(place);
        }
        let alerts = shared(&rules)?;
        let foresees = rules.iter().any(|rule| rule.measure.foresees());
        let compares = rules.iter().any(|rule| rule.measure.compares());
        let told_by = |code: &Code| Rules::of(&rules, |rule| rule.measure.is_told_by(*code));
        let most = Code::ALL.iter().map(|code| code.number()).max().unwrap_or_default();
        let numbered = (0..=most).map(|number| Code::ALL.iter().find(|code| code.number() == number));
        let told_by = numbered.map(|code| code.map(told_by).unwrap_or_default()).collect();
        let restless = Rules::of(&rules, |rule| rule.measure.is_restless());
        let reaching_back = Rules::of(&rules, |rule| rule.measure.reaches_back());
        Ok(Self { rules, windows, window_of, alerts, foresees, compares, told_by, restless, reaching_back })
    }

    /// The rules that a mark of this code tells something.
    pub(crate) fn told_by(&self, code: Code) -> Rules {
        self.told_by.get(usize::from(code.number())).copied().unwrap_or_default()
    }

    /// Those whose level may be another after each session, whatever its mark says.
    pub(crate) fn restless(&self) -> Rules {
        self.restless
    }

    /// Those for which marks of the year before count.
    pub(crate) fn reaching_back(&self) -> Rules {
        self.reaching_back
    }

    /// A rule, and the place of its window among [`RuleSet::windows`]; none for a run.
    pub(crate) fn with_window(&self, place: usize) -> Option<(&Rule, Option<usize>)> {
        Some((self.rules.get(place)?, self.window_of.get(place).copied().flatten()))
    }

    /// The windows that rules count over, each once.
    pub(crate) fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// The rules, each with the place of its window among [`RuleSet::windows`]; none for a run.
    pub(crate) fn with_windows(&self) -> impl Iterator<Item = (&Rule, Option<usize>)> {
        self.rules.iter().zip(self.window_of.iter().copied())
    }

    /// The alerts that the rules raise, in the order of their first rules.
    pub fn alerts(&self) -> &[Shared] {
        &self.alerts
    }

    /// The alert of a name.
    pub fn alert(&self, id: &RuleId) -> Option<&Shared> {
        self.alerts.iter().find(|alert| alert.id == *id)
    }

    /// Whether a rule needs a forecast.
    pub(crate) fn foresees(&self) -> bool {
        self.foresees
    }

    /// Whether a rule needs the sum of changes.
    pub(crate) fn compares(&self) -> bool {
        self.compares
    }

    /// The rules, in order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule of a name.
    pub fn rule(&self, id: &RuleId) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == *id)
    }
}

/// Which rules share which alert.
fn shared(rules: &[Rule]) -> Result<Vec<Shared>, RuleSetError> {
    let mut alerts: Vec<Shared> = Vec::new();
    for (place, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.with.is_none()) {
        alerts.push(Shared { id: rule.id.clone(), rules: vec![place] });
    }
    for (place, rule) in rules.iter().enumerate() {
        let Some(with) = &rule.with else { continue };
        let wrong = |why| RuleSetError::With { rule: rule.id.clone(), with: with.clone(), why };
        match alerts.iter_mut().find(|alert| alert.id == *with) {
            Some(alert) => alert.rules.push(place),
            None if rules.iter().any(|rule| rule.id == *with) => {
                return Err(wrong("which goes with another rule itself; name that one"));
            }
            None => return Err(wrong("and there is no such rule")),
        }
    }
    Ok(alerts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_must_rise_with_gravity() {
        assert!(Levels::new(Some(5), Some(10), Some(50)).is_ok());
        assert!(Levels::new(None, Some(10), None).is_ok());
        assert_eq!(Levels::<u32>::new(None, None, None), Err(LevelsError::Empty));
        let order = LevelsError::Order { lesser: Level::AtRisk, graver: Level::Severe };
        assert_eq!(Levels::new(Some(5), None, Some(5)), Err(order));
    }

    #[test]
    fn the_gravest_level_reached_is_the_one() {
        let levels = Levels::new(Some(5), Some(10), Some(50)).unwrap();
        let at = |value: u32| levels.gravest(|_, threshold| value >= threshold);
        assert_eq!(
            (at(4), at(5), at(49), at(50)),
            (None, Some(Level::AtRisk), Some(Level::Persistent), Some(Level::Severe))
        );
    }

    #[test]
    fn two_rules_never_share_a_name() {
        let rule = run("run");
        assert_eq!(RuleSet::new(vec![rule.clone(), rule.clone()]), Err(RuleSetError::SameName(rule.id)));
        assert!(RuleId::parse("Run").is_err() && RuleId::parse("").is_err());
    }

    fn run(id: &str) -> Rule {
        let measure =
            Measure::Run { counted: CodeSet::UNAUTHORISED, levels: Levels::new(Some(5), None, None).unwrap() };
        Rule::new(RuleId::parse(id).unwrap(), id.to_owned(), measure)
    }

    #[test]
    fn rules_that_go_with_one_share_its_alert() {
        let with = |id: &str, other: &str| Rule { with: Some(RuleId::parse(other).unwrap()), ..run(id) };
        let rules = RuleSet::new(vec![with("a", "c"), run("b"), run("c"), with("d", "c")]).unwrap();
        let alerts: Vec<(&str, &[usize])> = rules.alerts().iter().map(|a| (a.id.text(), a.rules.as_slice())).collect();
        assert_eq!(alerts, [("b", &[1][..]), ("c", &[2, 0, 3][..])]);
        let wrong = |rules| RuleSet::new(rules).unwrap_err().to_string();
        assert_eq!(wrong(vec![with("a", "b")]), "rule a goes with b, and there is no such rule");
        let told = wrong(vec![run("a"), with("b", "a"), with("c", "b")]);
        assert_eq!(told, "rule c goes with b, which goes with another rule itself; name that one");
        let told = wrong((0..65).map(|n| run(&format!("r{n}"))).collect());
        assert!(told.starts_with("there are 65 rules; at most 64"), "{told}");
    }

    #[test]
    fn levels_survive_their_numbers() {
        for level in Level::ALL {
            assert_eq!(Level::from_number(level.number()), Some(level));
            assert_eq!(Level::parse(level.text()), Some(level));
        }
        assert_eq!(Level::from_number(0), None);
    }
}
