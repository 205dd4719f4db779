//! An alert's changes: the difference between what is wanted and what was last published.
//!
//! Episode and version belong to what was published and depend on arrival; what is wanted does not.

use crate::Session;
use crate::judge::Finding;
use crate::rule::Level;

/// What happened to an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// A new episode began.
    Raised,
    /// The level went up.
    Escalated,
    /// The level went down.
    Reduced,
    /// The pupil recovered: the alert held and holds no more.
    Cleared,
    /// A correction disproved it: it should not have been raised.
    Withdrawn,
    /// The school year is over, and with it the alert.
    YearEnded,
    /// The child's school, home or roll is another: the alert goes along, at the level that it has.
    Moved,
}

impl Change {
    /// All changes.
    pub const ALL: [Change; 7] =
        [Self::Raised, Self::Escalated, Self::Reduced, Self::Cleared, Self::Withdrawn, Self::YearEnded, Self::Moved];

    /// Whether it says that things are worse.
    pub fn is_rise(self) -> bool {
        matches!(self, Self::Raised | Self::Escalated)
    }

    /// As files and messages write it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Escalated => "escalated",
            Self::Reduced => "reduced",
            Self::Cleared => "cleared",
            Self::Withdrawn => "withdrawn",
            Self::YearEnded => "year-ended",
            Self::Moved => "moved",
        }
    }

    /// The change of a text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|change| change.text() == text)
    }
}

/// What was last published for a pupil, school year and rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// The level; none after it was cleared or withdrawn.
    pub level: Option<Level>,
    /// The session at which the episode began, as far as was known when it was raised.
    pub since: Session,
    /// Counts the episodes that were published, from 1.
    pub episode: u32,
    /// Counts the changes within the episode, from 1 without gaps.
    pub version: u32,
}

/// A change with the level that it concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What happened.
    pub change: Change,
    /// The new level; of a cleared or withdrawn alert the level that it had.
    pub level: Level,
    /// What is published from now on.
    pub published: Published,
}

/// Whether new alerts may be raised: in the year before they may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Everything.
    Any,
    /// Only what lessens or ends an alert.
    DownOnly,
}

/// The end of an alert with its school year; none where it is not open.
pub fn year_ended(published: &Published) -> Option<Difference> {
    let level = published.level?;
    let published = Published { level: None, version: published.version + 1, ..*published };
    Some(Difference { change: Change::YearEnded, level, published })
}

/// An open alert goes along with a child that has moved; none where it is not open.
pub fn moved(published: &Published) -> Option<Difference> {
    let level = published.level?;
    let published = Published { version: published.version + 1, ..*published };
    Some(Difference { change: Change::Moved, level, published })
}

/// The change that makes what is published agree with the finding; none where it does.
pub fn difference(published: Option<&Published>, finding: &Finding, direction: Direction) -> Option<Difference> {
    let held = published.and_then(|published| published.level);
    let up = finding.level > held;
    if finding.level == held || (up && direction == Direction::DownOnly) {
        return None;
    }
    match (published, held, finding.level) {
        (before, None, Some(level)) => {
            let episode = before.map_or(1, |published| published.episode + 1);
            let published = Published { level: Some(level), since: finding.since?, episode, version: 1 };
            Some(Difference { change: Change::Raised, level, published })
        }
        (Some(before), Some(_), Some(level)) => {
            let change = if up { Change::Escalated } else { Change::Reduced };
            let published = Published { level: Some(level), version: before.version + 1, ..*before };
            Some(Difference { change, level, published })
        }
        (Some(before), Some(level), None) => {
            // What was owed and has come is no error that is taken back.
            let recovered = finding.owed || finding.ended.is_some_and(|ended| ended > before.since);
            let change = if recovered { Change::Cleared } else { Change::Withdrawn };
            let published = Published { level: None, version: before.version + 1, ..*before };
            Some(Difference { change, level, published })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(level: Option<Level>, since: i32, ended: Option<i32>) -> Finding {
        Finding {
            level,
            since: Some(Session::from_number(since)),
            ended: ended.map(Session::from_number),
            ..Finding::NONE
        }
    }

    #[test]
    fn versions_count_within_an_episode_and_episodes_count_on() {
        let raised = difference(None, &finding(Some(Level::AtRisk), 10, None), Direction::Any).unwrap();
        assert_eq!((raised.change, raised.published.episode, raised.published.version), (Change::Raised, 1, 1));
        let up = difference(Some(&raised.published), &finding(Some(Level::Severe), 10, None), Direction::Any).unwrap();
        assert_eq!((up.change, up.level, up.published.version), (Change::Escalated, Level::Severe, 2));
        let down = difference(Some(&up.published), &finding(Some(Level::AtRisk), 10, None), Direction::Any).unwrap();
        assert_eq!(down.change, Change::Reduced);
        let over = difference(Some(&down.published), &finding(None, 10, Some(20)), Direction::Any).unwrap();
        assert_eq!((over.change, over.level, over.published.version), (Change::Cleared, Level::AtRisk, 4));
        let again =
            difference(Some(&over.published), &finding(Some(Level::AtRisk), 30, Some(20)), Direction::Any).unwrap();
        assert_eq!((again.change, again.published.episode, again.published.version), (Change::Raised, 2, 1));
    }

    #[test]
    fn an_alert_that_never_held_is_withdrawn_not_cleared() {
        let published =
            Published { level: Some(Level::AtRisk), since: Session::from_number(10), episode: 1, version: 1 };
        let change = |f| difference(Some(&published), &f, Direction::Any).unwrap().change;
        assert_eq!(change(finding(None, 0, None)), Change::Withdrawn);
        assert_eq!(change(finding(None, 2, Some(8))), Change::Withdrawn, "another, older episode ended before");
        assert_eq!(change(finding(None, 10, Some(12))), Change::Cleared);
        assert_eq!(change(Finding { owed: true, ..finding(None, 0, None) }), Change::Cleared, "a reason has come");
    }

    #[test]
    fn with_the_year_an_open_alert_ends_once() {
        let raised = difference(None, &finding(Some(Level::Severe), 10, None), Direction::Any).unwrap();
        let ended = year_ended(&raised.published).unwrap();
        assert_eq!((ended.change, ended.level, ended.published.version), (Change::YearEnded, Level::Severe, 2));
        assert_eq!(ended.published.level, None);
        let along = moved(&raised.published).unwrap();
        assert_eq!((along.published.level, along.published.version), (Some(Level::Severe), 2), "it only goes along");
        assert_eq!(moved(&ended.published), None);
        assert_eq!(year_ended(&ended.published), None);
    }

    #[test]
    fn in_the_year_before_nothing_goes_up() {
        assert_eq!(difference(None, &finding(Some(Level::AtRisk), 10, None), Direction::DownOnly), None);
        let published =
            Published { level: Some(Level::AtRisk), since: Session::from_number(10), episode: 1, version: 1 };
        assert_eq!(difference(Some(&published), &finding(Some(Level::Severe), 10, None), Direction::DownOnly), None);
        assert!(difference(Some(&published), &finding(None, 10, Some(11)), Direction::DownOnly).is_some());
    }

    #[test]
    fn what_agrees_is_no_change() {
        assert_eq!(difference(None, &finding(None, 0, None), Direction::Any), None);
        let published =
            Published { level: Some(Level::AtRisk), since: Session::from_number(10), episode: 1, version: 1 };
        assert_eq!(difference(Some(&published), &finding(Some(Level::AtRisk), 12, None), Direction::Any), None);
    }
}
