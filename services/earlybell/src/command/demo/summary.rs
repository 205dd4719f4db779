//! What is said at the end: a table for people, or one JSON object.

use super::check::Found;
use super::ground::receiver;
use attendance::rule::Level;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use store::delivery::Tally;

/// The summary.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) schools: usize,
    pub(crate) pupils: usize,
    /// School days sent.
    pub(crate) days: usize,
    pub(crate) registers: u64,
    pub(crate) marks: u64,
    pub(crate) rejected: u64,
    /// Episodes in the order of the calendar, each at the gravest level it reached.
    pub(crate) alerts: BTreeMap<&'static str, u64>,
    pub(crate) alerts_by_locality: BTreeMap<String, BTreeMap<&'static str, u64>>,
    pupils_by_locality: BTreeMap<String, u64>,
    /// Pupils with an alert at any time: one can have several, of several rules or one after the other.
    pupils_with_alerts: u64,
    pupils_with_alerts_by_locality: BTreeMap<String, u64>,
    /// Changes that were published; what is raised and cleared within one batch is none.
    pub(crate) changes_sent: u64,
    pub(crate) deliveries: BTreeMap<String, BTreeMap<String, i64>>,
    pub(crate) seconds: f64,
    /// Whether the tables hold what `backtest` finds in the same registers, and every alert is delivered.
    pub(crate) verified: bool,
    pub(crate) problems: Vec<String>,
}

/// What was sent.
pub(crate) struct Sent {
    pub(crate) schools: usize,
    pub(crate) days: usize,
    pub(crate) registers: u64,
    pub(crate) marks: u64,
    pub(crate) rejected: u64,
    pub(crate) seconds: f64,
}

impl Summary {
    pub(crate) fn of(sent: &Sent, found: Found, tally: Vec<Tally>) -> Self {
        let mut deliveries: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
        for Tally { receiver, state, count } in tally {
            deliveries.entry(receiver).or_default().insert(state, count);
        }
        let of_level = |level: Level| {
            let count = found.alerts.values().filter_map(|levels| levels.get(level.text())).sum();
            (level.text(), count)
        };
        let mut problems = found.problems;
        if sent.rejected > 0 {
            problems.push(format!("rejected: {} marks or rows of rosters were refused", sent.rejected));
        }
        Self {
            schools: sent.schools,
            pupils: usize::try_from(found.pupils.values().sum::<u64>()).unwrap_or(usize::MAX),
            days: sent.days,
            registers: sent.registers,
            marks: sent.marks,
            rejected: sent.rejected,
            alerts: Level::ALL.map(of_level).into(),
            alerts_by_locality: found.alerts,
            pupils_by_locality: found.pupils,
            pupils_with_alerts: found.with_alerts.values().sum(),
            pupils_with_alerts_by_locality: found.with_alerts,
            changes_sent: found.changes,
            deliveries,
            seconds: (sent.seconds * 10.0).round() / 10.0,
            verified: problems.is_empty(),
            problems,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let levels = Level::ALL.map(Level::text);
        let [at_risk, persistent, severe] = levels;
        let width = self.alerts_by_locality.keys().map(|name| name.chars().count()).max().unwrap_or(0).max(8);
        writeln!(
            f,
            "\n{:width$}  {:>7}  {:>11}  {at_risk:>10}  {persistent:>10}  {severe:>10}  {:>9}",
            "", "pupils", "with alerts", "messages"
        )?;
        let row =
            |f: &mut fmt::Formatter<'_>, name: &str, [pupils, with]: [u64; 2], counts: [u64; 3], messages: i64| {
                let [at_risk, persistent, severe] = counts;
                write!(f, "{name:width$}  {pupils:>7}  {with:>11}  {at_risk:>10}  {persistent:>10}  {severe:>10}")?;
                writeln!(f, "  {messages:>9}")
            };
        let mut all = 0;
        for (name, counts) in &self.alerts_by_locality {
            let states = self.deliveries.get(&receiver(name));
            let delivered = states.and_then(|states| states.get("delivered")).copied().unwrap_or(0);
            all += delivered;
            let pupils = [&self.pupils_by_locality, &self.pupils_with_alerts_by_locality];
            let pupils = pupils.map(|counts| counts.get(name).copied().unwrap_or(0));
            row(f, name, pupils, levels.map(|level| counts.get(level).copied().unwrap_or(0)), delivered)?;
        }
        let total = levels.map(|level| self.alerts.get(level).copied().unwrap_or(0));
        row(f, "all", [u64::try_from(self.pupils).unwrap_or(0), self.pupils_with_alerts], total, all)?;
        writeln!(
            f,
            "\nAn alert is one rule's, counted once at the gravest level it reached; a pupil can have several. {} changes were told, \
             those of a pupil and moment in one message.",
            self.changes_sent
        )?;
        writeln!(
            f,
            "{} registers with {} marks of {} schools on {} school days in {:.0} s, {} refused.",
            self.registers, self.marks, self.schools, self.days, self.seconds, self.rejected
        )?;
        if self.verified {
            return write!(f, "Verified: every mark counted once, every alert delivered, as `backtest` finds them.");
        }
        write!(f, "NOT as it should be:")?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}
