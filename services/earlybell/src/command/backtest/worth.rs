//! What flagging was worth: of those flagged, how many ended the year persistently absent; of those who did, how many were flagged by
//! when, and how early; and how much of the year's absence was still to come. Takes outcomes, gives figures.

use super::Rules;
use super::judged::{Judged, Pupil};
use attendance::alert::Change;
use attendance::rate::Status;
use attendance::{Day, Session};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// School days further apart than this have a holiday between them.
const HOLIDAY: i32 = 6;

/// What a rule's flags were worth, for the pupils of a phase or for all. A pupil is flagged when the rule first had a level, whether or
/// not it spoke for its alert; by all rules together when its first alert was raised; each at the newest session known then.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Worth {
    /// The rule; none for all of them together.
    pub(crate) rule: Option<String>,
    /// The school's phase, where a policy tells it; none for all.
    pub(crate) phase: Option<String>,
    pub(crate) pupils: usize,
    /// Alerts raised or made graver; none of a rule that shares another's alert.
    pub(crate) alerts: Option<usize>,
    /// The same, a school week and team: a locality with a pupil among these, or all together where no policy names localities.
    pub(crate) alerts_a_team_and_week: Option<f64>,
    pub(crate) flagged: usize,
    /// Of those flagged: ended the year with a rate of 10% or more, and of 50% or more.
    pub(crate) flagged_persistent: usize,
    pub(crate) flagged_severe: usize,
    /// Of all pupils: ended the year so.
    pub(crate) persistent: usize,
    pub(crate) severe: usize,
    /// Of those who ended persistently absent: flagged by the last school day before each holiday, and by the year's last.
    pub(crate) persistent_flagged_by: BTreeMap<String, usize>,
    /// School days, the median, from a flag to the session from which on the rate of the year stayed at 10% or more, over the pupils
    /// with both; below nought where the flag came later.
    pub(crate) lead_days: Option<i64>,
    /// Sessions missed after their pupil's flag, of all sessions missed: 0 to 1.
    pub(crate) absence_to_come: Option<f64>,
}

/// The figures of all rules together, then of each rule; where a policy tells phases, then the same for each phase.
pub(crate) fn of(judged: &Judged, rules: Rules<'_>) -> Vec<Worth> {
    let phase = |pupil: &Pupil| -> Option<&str> {
        let school = rules.policy?.schools.get(&pupil.outcome.school?)?;
        (!school.phase.is_empty()).then_some(school.phase.as_str())
    };
    let phases: BTreeSet<&str> = judged.pupils.iter().filter_map(phase).collect();
    let ends = ends(&judged.days);
    let phases = std::iter::once(None).chain(phases.into_iter().map(Some));
    let names = || {
        let of_rules = rules.rules.rules().iter().enumerate().map(|(place, rule)| Some((place, rule.id.text())));
        std::iter::once(None).chain(of_rules)
    };
    let weeks = judged.days.iter().map(|day| day.monday()).collect::<BTreeSet<_>>().len();
    let figures = phases.flat_map(|wanted| {
        let pupils: Vec<&Pupil> =
            judged.pupils.iter().filter(|pupil| wanted.is_none() || phase(pupil) == wanted).collect();
        let locality = |pupil: &&Pupil| rules.policy?.locality_of(pupil.home.as_deref(), pupil.outcome.school);
        let teams = pupils.iter().map(locality).collect::<BTreeSet<_>>().len();
        let (days, ends) = (&judged.days, &ends);
        let of_rule = |rule: Option<(usize, &str)>| {
            let alerts = match rule {
                Some((_, name)) if rules.rules.alerts().iter().all(|alert| alert.id.text() != name) => None,
                rule => Some(alerts(&pupils, rule.map(|(_, name)| name))),
            };
            let a_week = alerts.map(|alerts| a_team_and_week(alerts, teams * weeks));
            Worth { alerts, alerts_a_team_and_week: a_week, ..worth(&pupils, (rule, wanted), days, ends) }
        };
        names().map(of_rule).collect::<Vec<_>>()
    });
    figures.collect()
}

/// Alerts raised or made graver, of a name or all.
fn alerts(pupils: &[&Pupil], name: Option<&str>) -> usize {
    let changes = pupils.iter().flat_map(|pupil| &pupil.outcome.changes);
    let is_news = |change| matches!(change, Change::Raised | Change::Escalated);
    changes.filter(|line| is_news(line.difference.change) && name.is_none_or(|name| line.rule.text() == name)).count()
}

#[expect(clippy::cast_precision_loss, reason = "alerts of a year are far below 2^52")]
fn a_team_and_week(alerts: usize, teams_and_weeks: usize) -> f64 {
    (alerts as f64 / teams_and_weeks.max(1) as f64 * 10.0).round() / 10.0
}

/// The last school days before holidays, and the last of all.
fn ends(days: &[Day]) -> Vec<Day> {
    let before = days.windows(2).filter_map(|pair| match pair {
        [before, after] if after.days() - before.days() > HOLIDAY => Some(*before),
        _ => None,
    });
    before.chain(days.last().copied()).collect()
}

/// When a rule, by its place, or any flagged a pupil.
fn flag(pupil: &Pupil, rule: Option<usize>) -> Option<Session> {
    let raised = || pupil.outcome.changes.iter().filter(|line| line.difference.change == Change::Raised);
    match rule {
        Some(place) => pupil.outcome.flagged.get(place).copied().flatten(),
        None => raised().map(|line| line.as_of).min(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "sessions of an authority are far below 2^52")]
fn worth(pupils: &[&Pupil], (rule, phase): (Option<(usize, &str)>, Option<&str>), days: &[Day], ends: &[Day]) -> Worth {
    let place = rule.map(|(place, _)| place);
    let persistent = |pupil: &Pupil| pupil.outcome.status >= Status::Persistent;
    let severe = |pupil: &Pupil| pupil.outcome.status == Status::Severe;
    let flags: Vec<(&Pupil, Session)> = pupils.iter().filter_map(|pupil| Some((*pupil, flag(pupil, place)?))).collect();
    let by = |end: Day| flags.iter().filter(|(pupil, at)| persistent(pupil) && at.day() <= end).count();
    let number = |session: Session| i64::try_from(days.partition_point(|day| *day < session.day())).unwrap_or(0);
    let lead = |(pupil, at): &(&Pupil, Session)| Some(number(pupil.outcome.persistent_since?) - number(*at));
    let mut leads: Vec<i64> = flags.iter().filter_map(lead).collect();
    leads.sort_unstable();
    let missed: usize = pupils.iter().map(|pupil| pupil.outcome.missed.len()).sum();
    let after = |(pupil, at): &(&Pupil, Session)| {
        let missed = &pupil.outcome.missed;
        missed.len() - missed.partition_point(|session| session <= at)
    };
    let to_come: usize = flags.iter().map(after).sum();
    Worth {
        rule: rule.map(|(_, name)| name.to_owned()),
        phase: phase.map(str::to_owned),
        pupils: pupils.len(),
        alerts: None,
        alerts_a_team_and_week: None,
        flagged: flags.len(),
        flagged_persistent: flags.iter().filter(|(pupil, _)| persistent(pupil)).count(),
        flagged_severe: flags.iter().filter(|(pupil, _)| severe(pupil)).count(),
        persistent: pupils.iter().filter(|pupil| persistent(pupil)).count(),
        severe: pupils.iter().filter(|pupil| severe(pupil)).count(),
        persistent_flagged_by: ends.iter().map(|end| (end.to_string(), by(*end))).collect(),
        lead_days: leads.get(leads.len() / 2).copied(),
        absence_to_come: (missed > 0).then(|| to_come as f64 / missed as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holidays_part_the_year_and_bank_holidays_do_not() {
        let day = |text: &str| Day::parse(text).unwrap();
        let days = ["2025-09-01", "2025-10-24", "2025-11-03", "2025-12-19", "2026-05-01", "2026-05-05"].map(day);
        assert_eq!(ends(&days), ["2025-09-01", "2025-10-24", "2025-11-03", "2025-12-19", "2026-05-05"].map(day));
    }
}
