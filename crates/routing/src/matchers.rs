//! Matchers: what a route asks of a change. An empty list asks nothing.

use attendance::alert::Change;
use attendance::rule::{Level, Severity};

/// What routing knows of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts<'a> {
    /// The locality that the case belongs to; none where no locality claims it.
    pub locality: Option<&'a str>,
    /// The level; of a cleared or withdrawn alert the one that it had.
    pub level: Level,
    /// The rule's id: of rules that share an alert that of the first.
    pub rule: &'a str,
    /// How much hurry it is in: of rules that share an alert the most.
    pub severity: Severity,
    /// What happened.
    pub change: Change,
}

/// What a route asks; all of it must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matchers {
    /// One of these localities; a case that no locality claims matches none of them.
    pub localities: Vec<String>,
    /// One of these levels.
    pub levels: Vec<Level>,
    /// One of these rules.
    pub rules: Vec<String>,
    /// One of these severities.
    pub severities: Vec<Severity>,
    /// One of these changes.
    pub changes: Vec<Change>,
}

/// The first thing that a route asked for and did not get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// Another locality, or none.
    Locality,
    /// Another level.
    Level,
    /// Another rule.
    Rule,
    /// Another severity.
    Severity,
    /// Another change.
    Change,
}

impl Matchers {
    /// Whether all holds, or the first that does not.
    pub fn check(&self, facts: &Facts<'_>) -> Result<(), Mismatch> {
        let named = |names: &[String], name: &str| names.is_empty() || names.iter().any(|known| known == name);
        if !(self.localities.is_empty() || facts.locality.is_some_and(|locality| named(&self.localities, locality))) {
            return Err(Mismatch::Locality);
        }
        if !(self.levels.is_empty() || self.levels.contains(&facts.level)) {
            return Err(Mismatch::Level);
        }
        if !named(&self.rules, facts.rule) {
            return Err(Mismatch::Rule);
        }
        if !(self.severities.is_empty() || self.severities.contains(&facts.severity)) {
            return Err(Mismatch::Severity);
        }
        if !(self.changes.is_empty() || self.changes.contains(&facts.change)) {
            return Err(Mismatch::Change);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts<'_> = Facts {
        locality: Some("North"),
        level: Level::Severe,
        rule: "year-rate",
        severity: Severity::Normal,
        change: Change::Raised,
    };

    #[test]
    fn empty_matchers_match_everything() {
        assert_eq!(Matchers::default().check(&FACTS), Ok(()));
        assert_eq!(Matchers::default().check(&Facts { locality: None, ..FACTS }), Ok(()));
    }

    #[test]
    fn the_first_mismatch_is_told() {
        let north = Matchers { localities: vec!["North".into(), "East".into()], ..Matchers::default() };
        assert_eq!(north.check(&FACTS), Ok(()));
        assert_eq!(north.check(&Facts { locality: Some("West"), ..FACTS }), Err(Mismatch::Locality));
        assert_eq!(north.check(&Facts { locality: None, ..FACTS }), Err(Mismatch::Locality));
        let grave = Matchers { levels: vec![Level::Severe], ..north };
        assert_eq!(grave.check(&Facts { level: Level::AtRisk, ..FACTS }), Err(Mismatch::Level));
        let rule = Matchers { rules: vec!["run".into()], ..Matchers::default() };
        assert_eq!(rule.check(&FACTS), Err(Mismatch::Rule));
        let hurry = Matchers { severities: vec![Severity::High], ..Matchers::default() };
        assert_eq!(hurry.check(&FACTS), Err(Mismatch::Severity));
        assert_eq!(hurry.check(&Facts { severity: Severity::High, ..FACTS }), Ok(()));
        let change = Matchers { changes: vec![Change::Cleared], ..Matchers::default() };
        assert_eq!(change.check(&FACTS), Err(Mismatch::Change));
    }
}
