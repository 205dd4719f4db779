//! The summary of a backtest, for people and as JSON.

use super::Rules;
use super::judged::Judged;
use attendance::alert::Change;
use attendance::rate::Status;
use attendance::rule::Level;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

type Count = BTreeMap<&'static str, u64>;

/// What a backtest found. Alerts are episodes in the order of the calendar, each at the gravest level it reached.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    school_year: String,
    pupils: usize,
    registers: usize,
    marks: usize,
    superseded: u64,
    /// Marks of years that are neither judged nor the one before.
    other_years: usize,
    rejected: u64,
    rejected_by_reason: Count,
    status: Count,
    alerts: BTreeMap<String, Count>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    alerts_by_locality: BTreeMap<String, Count>,
    changes: Count,
}

impl Summary {
    pub(crate) fn of(judged: &Judged, rules: &Rules) -> Self {
        let outcomes = || judged.pupils.iter().map(|pupil| &pupil.outcome);
        let levels = || Level::ALL.map(|level| (level.text(), 0)).into();
        let statuses = [Status::None, Status::Good, Status::AtRisk, Status::Persistent, Status::Severe];
        let mut status: Count = statuses.map(|status| (status.text(), 0)).into();
        let mut alerts: BTreeMap<String, Count> =
            rules.rules.rules().iter().map(|rule| (rule.id.text().to_owned(), levels())).collect();
        let mut changes: Count = Change::ALL.map(|change| (change.text(), 0)).into();
        let localities = rules.policy.iter().flat_map(|policy| &policy.localities);
        let mut alerts_by_locality: BTreeMap<String, Count> =
            localities.map(|locality| (locality.clone(), levels())).collect();
        for pupil in &judged.pupils {
            *status.entry(pupil.outcome.status.text()).or_default() += 1;
            for episode in &pupil.outcome.episodes {
                let level = episode.gravest.text();
                if let Some(rule) = rules.rules.rules().get(episode.rule) {
                    *alerts.entry(rule.id.text().to_owned()).or_default().entry(level).or_default() += 1;
                }
                if let Some(policy) = &rules.policy {
                    let locality = policy.locality_of(pupil.home.as_deref(), pupil.outcome.school).unwrap_or("none");
                    *alerts_by_locality.entry(locality.to_owned()).or_insert_with(levels).entry(level).or_default() +=
                        1;
                }
            }
            for line in &pupil.outcome.changes {
                *changes.entry(line.difference.change.text()).or_default() += 1;
            }
        }
        Self {
            school_year: judged.year.to_string(),
            pupils: judged.pupils.len(),
            registers: judged.registers,
            marks: judged.marks,
            superseded: outcomes().map(|outcome| outcome.superseded).sum(),
            other_years: judged.other_years,
            rejected: judged.refused.total(),
            rejected_by_reason: judged.refused.0.iter().map(|(reason, count)| (reason.text(), *count)).collect(),
            status,
            alerts,
            alerts_by_locality,
            changes,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = |counts: &Count| {
            let parts: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
            parts.join(", ")
        };
        writeln!(f, "school year  {}", self.school_year)?;
        writeln!(f, "pupils       {}", self.pupils)?;
        writeln!(f, "registers    {}", self.registers)?;
        writeln!(f, "marks        {} ({} superseded)", self.marks, self.superseded)?;
        if self.other_years > 0 {
            writeln!(f, "other years  {} (marks older than the year before; not judged)", self.other_years)?;
        }
        if self.rejected > 0 {
            writeln!(f, "refused      {} rows: {}", self.rejected, counts(&self.rejected_by_reason))?;
        }
        writeln!(f, "status       {}", counts(&self.status))?;
        writeln!(f, "changes      {}", counts(&self.changes))?;
        table(f, "alerts by rule", &self.alerts)?;
        if !self.alerts_by_locality.is_empty() {
            table(f, "alerts by locality", &self.alerts_by_locality)?;
        }
        Ok(())
    }
}

fn table(f: &mut fmt::Formatter<'_>, title: &str, rows: &BTreeMap<String, Count>) -> fmt::Result {
    let width = rows.keys().map(|name| name.chars().count()).chain([title.len()]).max().unwrap_or(0);
    let [at_risk, persistent, severe] = Level::ALL.map(Level::text);
    writeln!(f, "\n{title:width$}  {at_risk:>10}  {persistent:>10}  {severe:>10}")?;
    for (name, counts) in rows {
        let [at_risk, persistent, severe] = Level::ALL.map(|level| counts.get(level.text()).copied().unwrap_or(0));
        writeln!(f, "{name:width$}  {at_risk:>10}  {persistent:>10}  {severe:>10}")?;
    }
    Ok(())
}
