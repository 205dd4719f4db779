//! The summary of a backtest, for people and as JSON.

use super::Rules;
use super::calibration::{self, Calibration};
use super::judged::Judged;
use super::worth::{self, Worth};
use attendance::Day;
use attendance::alert::Change;
use attendance::rate::Status;
use attendance::rule::Level;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

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
    /// Alerts raised or made graver, a locality and school week.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    news_a_week: BTreeMap<String, f64>,
    changes: Count,
    worth: Vec<Worth>,
    /// Whether the probability of persistent absence came true.
    calibration: Vec<Calibration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compared: Option<Compared>,
}

/// What other rules found in the same registers.
#[derive(Debug, Serialize)]
struct Compared {
    rules: String,
    alerts: BTreeMap<String, Count>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    news_a_week: BTreeMap<String, f64>,
    changes: Count,
    worth: Vec<Worth>,
}

impl Summary {
    /// How many pupils there are.
    pub(crate) fn pupils(&self) -> usize {
        self.pupils
    }

    /// How many of them ended the year with a status.
    pub(crate) fn status(&self, status: &str) -> usize {
        self.status.get(status).and_then(|count| usize::try_from(*count).ok()).unwrap_or(0)
    }

    /// What flags were worth.
    pub(crate) fn worth(&self) -> &[Worth] {
        &self.worth
    }

    /// Puts beside it what the rules of a file found.
    pub(crate) fn compare(&mut self, path: &Path, other: Self) {
        let Self { alerts, news_a_week, changes, worth, .. } = other;
        self.compared = Some(Compared { rules: path.display().to_string(), alerts, news_a_week, changes, worth });
    }

    pub(crate) fn of(judged: &Judged, rules: Rules<'_>) -> Self {
        let outcomes = || judged.pupils.iter().map(|pupil| &pupil.outcome);
        let levels = || Level::ALL.map(|level| (level.text(), 0)).into();
        let statuses = [Status::None, Status::Good, Status::AtRisk, Status::Persistent, Status::Severe];
        let mut status: Count = statuses.map(|status| (status.text(), 0)).into();
        let mut alerts: BTreeMap<String, Count> =
            rules.rules.alerts().iter().map(|alert| (alert.id.text().to_owned(), levels())).collect();
        let mut changes: Count = Change::ALL.map(|change| (change.text(), 0)).into();
        let localities = rules.policy.iter().flat_map(|policy| &policy.localities);
        let mut alerts_by_locality: BTreeMap<String, Count> =
            localities.map(|locality| (locality.clone(), levels())).collect();
        let weeks: BTreeSet<Day> = judged.days.iter().map(|day| day.monday()).collect();
        let mut news: BTreeMap<String, u64> = alerts_by_locality.keys().map(|name| (name.clone(), 0)).collect();
        for pupil in &judged.pupils {
            *status.entry(pupil.outcome.status.text()).or_default() += 1;
            for episode in &pupil.outcome.episodes {
                let level = episode.gravest.text();
                if let Some(alert) = rules.rules.alerts().get(episode.alert) {
                    *alerts.entry(alert.id.text().to_owned()).or_default().entry(level).or_default() += 1;
                }
                if let Some(policy) = rules.policy {
                    let locality = policy.locality_of(pupil.home.as_deref(), pupil.outcome.school).unwrap_or("none");
                    *alerts_by_locality.entry(locality.to_owned()).or_insert_with(levels).entry(level).or_default() +=
                        1;
                }
            }
            for line in &pupil.outcome.changes {
                *changes.entry(line.difference.change.text()).or_default() += 1;
                if let (Some(policy), Change::Raised | Change::Escalated) = (rules.policy, line.difference.change) {
                    let locality = policy.locality_of(pupil.home.as_deref(), Some(line.school)).unwrap_or("none");
                    *news.entry(locality.to_owned()).or_default() += 1;
                }
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
            news_a_week: news.into_iter().map(|(name, count)| (name, a_week(count, weeks.len()))).collect(),
            changes,
            worth: worth::of(judged, rules),
            calibration: calibration::of(judged),
            compared: None,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "alerts of a year are far below 2^52")]
fn a_week(count: u64, weeks: usize) -> f64 {
    (count as f64 / weeks.max(1) as f64 * 10.0).round() / 10.0
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
            let news = self.news_a_week.iter().map(|(name, count)| format!("{name} {count}"));
            writeln!(f, "\nraised or made graver, a school week: {}", news.collect::<Vec<_>>().join(", "))?;
        }
        let (all, phases): (Vec<&Worth>, Vec<&Worth>) = self.worth.iter().partition(|worth| worth.phase.is_none());
        worth_table(f, "what flags were worth", &all)?;
        for of_phase in phases.chunk_by(|one, other| one.phase == other.phase) {
            let phase = of_phase.first().and_then(|worth| worth.phase.as_deref()).unwrap_or_default();
            worth_table(f, phase, of_phase)?;
        }
        calibration_table(f, &self.calibration)?;
        if let Some(beside) = self.beside() {
            side_by_side(f, &beside)?;
        }
        f.write_str(
            "\nflagged: when a rule first had a level. persistent, severe: of these, ended the year so. found: of all who ended the year\n\
             persistently absent, flagged by the last school day before each holiday. lead: school days, the median, from the flag to the\n\
             session from which on the rate of the year stayed at 10% or more. to come: sessions missed after the flag, of all missed.\n\
             alerts: raised or made graver, under the name of the first rule that shares one; a team, week: in a locality and school week.\n\
             chance: the probability of persistent absence on that evening, in tenths of the pupils, and the share that came true.\n",
        )
    }
}

/// The probability of persistent absence on some evenings, in tenths of the pupils, against what came.
fn calibration_table(f: &mut fmt::Formatter<'_>, evenings: &[Calibration]) -> fmt::Result {
    if evenings.is_empty() {
        return Ok(());
    }
    let percent = |share: f64| format!("{:.0}%", share * 100.0);
    writeln!(f, "\n{:<26}  {:>6}  chance | came true, tenths of the pupils", "forecast on the evening of", "error")?;
    for evening in evenings {
        let day = format!("{} (school day {})", evening.day, evening.school_day);
        let groups =
            evening.groups.iter().map(|group| format!("{} | {}", percent(group.probability), percent(group.came_true)));
        let groups: Vec<String> = groups.collect();
        writeln!(f, "{day:<26}  {:>6}  {}", format!("{:.1}%", evening.error * 100.0), groups.join("  "))?;
    }
    Ok(())
}

/// What two sets of rules found, figure by figure.
#[derive(Debug, Serialize)]
pub(crate) struct Beside<'a> {
    /// Whose figures stand second.
    pub(crate) rules: &'a str,
    pub(crate) titles: [&'static str; Figures::TITLES.len()],
    pub(crate) rows: Vec<BesideRow<'a>>,
}

/// A rule's figures, here and there.
#[derive(Debug, Serialize)]
pub(crate) struct BesideRow<'a> {
    pub(crate) rule: &'a str,
    pub(crate) figures: Vec<[String; 2]>,
}

impl Summary {
    /// This and what the other rules found, side by side, where there are any.
    pub(crate) fn beside(&self) -> Option<Beside<'_>> {
        let compared = self.compared.as_ref()?;
        let of = |all: &[Worth], rule: Option<&str>| {
            let of_rule = all.iter().find(|worth| worth.phase.is_none() && worth.rule.as_deref() == rule);
            of_rule.map(Figures::of).unwrap_or_default()
        };
        let mut rules: Vec<Option<&str>> = Vec::new();
        for worth in self.worth.iter().chain(&compared.worth).filter(|worth| worth.phase.is_none()) {
            if !rules.contains(&worth.rule.as_deref()) {
                rules.push(worth.rule.as_deref());
            }
        }
        let row = |rule: Option<&'_ str>| {
            let (here, there) = (of(&self.worth, rule), of(&compared.worth, rule));
            here.0.into_iter().zip(there.0).map(|(here, there)| [here, there]).collect()
        };
        let rows = rules.into_iter().map(|rule| BesideRow { rule: name(rule), figures: row(rule) }).collect();
        Some(Beside { rules: &compared.rules, titles: Figures::TITLES, rows })
    }
}

/// What two sets of rules found: here and there.
fn side_by_side(f: &mut fmt::Formatter<'_>, beside: &Beside<'_>) -> fmt::Result {
    let width = beside.rows.iter().map(|row| row.rule.chars().count()).max().unwrap_or(0);
    writeln!(f, "\nhere | by {}", beside.rules)?;
    write!(f, "{:width$}", "")?;
    for title in beside.titles {
        write!(f, "  {title:>15}")?;
    }
    writeln!(f)?;
    for BesideRow { rule, figures } in &beside.rows {
        write!(f, "{rule:width$}")?;
        for [here, there] in figures {
            write!(f, "  {:>15}", format!("{here} | {there}"))?;
        }
        writeln!(f)?;
    }
    Ok(())
}

/// What is told of a rule's worth, beside whom it found by when.
struct Figures([String; 8]);

impl Default for Figures {
    fn default() -> Self {
        Self(std::array::from_fn(|_| "-".to_owned()))
    }
}

impl Figures {
    const TITLES: [&str; 8] = ["flagged", "persistent", "severe", "found", "lead", "to come", "alerts", "a team, week"];

    fn of(worth: &Worth) -> Self {
        let lead = worth.lead_days.map_or_else(|| "-".to_owned(), |days| days.to_string());
        let to_come = worth.absence_to_come.map_or_else(|| "-".to_owned(), |share| format!("{:.0}%", share * 100.0));
        let found = worth.persistent_flagged_by.values().next_back().copied().unwrap_or(0);
        let alerts = worth.alerts.map_or_else(|| "-".to_owned(), |alerts| alerts.to_string());
        let a_week = worth.alerts_a_team_and_week.map_or_else(|| "-".to_owned(), |alerts| format!("{alerts:.1}"));
        Self([
            share(worth.flagged, worth.pupils),
            share(worth.flagged_persistent, worth.flagged),
            share(worth.flagged_severe, worth.flagged),
            share(found, worth.persistent),
            lead,
            to_come,
            alerts,
            a_week,
        ])
    }
}

fn name(rule: Option<&str>) -> &str {
    rule.unwrap_or("any rule")
}

fn share(part: usize, of: usize) -> String {
    match of {
        0 => "-".to_owned(),
        of => format!("{}%", (part * 100 + of / 2) / of),
    }
}

fn worth_table(f: &mut fmt::Formatter<'_>, title: &str, rows: &[&Worth]) -> fmt::Result {
    let names = rows.iter().map(|worth| name(worth.rule.as_deref()).chars().count());
    let width = names.chain([title.chars().count()]).max().unwrap_or(0);
    write!(f, "\n{title:width$}  {:>8}  {:>10}  {:>6}", "flagged", "persistent", "severe")?;
    let ends = rows.first().map(|worth| worth.persistent_flagged_by.keys()).into_iter().flatten();
    for end in ends {
        write!(f, "  {:>11}", format!("found {}", end.get(5..).unwrap_or_default()))?;
    }
    writeln!(f, "  {:>5}  {:>7}  {:>7}  {:>12}", "lead", "to come", "alerts", "a team, week")?;
    for worth in rows {
        let Figures([flagged, persistent, severe, _, lead, to_come, alerts, a_week]) = Figures::of(worth);
        write!(f, "{:width$}  {flagged:>8}  {persistent:>10}  {severe:>6}", name(worth.rule.as_deref()))?;
        for found in worth.persistent_flagged_by.values() {
            write!(f, "  {:>11}", share(*found, worth.persistent))?;
        }
        writeln!(f, "  {lead:>5}  {to_come:>7}  {alerts:>7}  {a_week:>12}")?;
    }
    Ok(())
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
