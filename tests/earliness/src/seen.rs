//! What is known of a pupil on the evening of a school day: the figures that every way of seeing early may use.

use crate::cohort::{Cohort, Pupil, Session, totals};
use attendance::change::Drift;
use attendance::forecast::{Ahead, Belief, Gap, Model, Outlook};
use attendance::rate::Counts;

/// What is known on an evening.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Possible sessions of the year so far.
    pub possible: u32,
    /// Missed ones.
    pub missed: u32,
    /// Spells of absence.
    pub spells: u32,
    /// Missed of the newest 10, 20 and 60 possible sessions.
    pub newest: [u32; 3],
    /// Possible sessions since the newest missed one.
    pub since: u32,
    /// What is still to come by the calendar.
    pub rest: u32,
    /// The sum of the change rule, at its highest this day.
    pub drift: f64,
    /// What the model makes of it.
    pub outlook: Outlook,
}

impl Seen {
    /// The rate so far; nought without a possible session.
    pub fn rate(&self) -> f64 {
        if self.possible == 0 { 0.0 } else { f64::from(self.missed) / f64::from(self.possible) }
    }
}

/// What is known on each evening of the year judged, by a model and without.
pub fn evenings(cohort: &Cohort, pupil: &Pupil, model: &Model) -> Vec<Seen> {
    let days = &cohort.days[1];
    let stage = model.stage(Some(pupil.phase), Some(pupil.group()));
    let (possible, authorised) = totals(&pupil.before);
    let behind = Counts { possible, authorised, unauthorised: 0 };
    let mut belief = Belief::after(behind, model, stage);
    let outlook = Outlook { persistent: 0.0, severe: 0.0, missed: 0.0 };
    let mut seen = Seen { possible: 0, missed: 0, spells: 0, newest: [0; 3], since: 0, rest: 0, drift: 0.0, outlook };
    let mut history: Vec<bool> = Vec::new();
    let mut before = None;
    let mut drift = Drift::default();
    for session in pupil.before.iter().filter(|session| **session != Session::NotPossible) {
        drift.observe(*session == Session::Missed);
    }
    let all = u32::try_from(days.len() * 2).unwrap_or(u32::MAX);
    let mut evenings = Vec::with_capacity(days.len());
    for (at, (day, sessions)) in days.iter().zip(pupil.year.chunks(2)).enumerate() {
        seen.drift = 0.0;
        for session in sessions.iter().filter(|session| **session != Session::NotPossible) {
            let missed = *session == Session::Missed;
            belief.observe(model, model.prior(stage), Gap::between(before, *day), missed);
            before = Some(*day);
            drift.observe(missed);
            seen.drift = seen.drift.max(drift.sum());
            seen.possible += 1;
            seen.missed += u32::from(missed);
            seen.spells += u32::from(missed && history.last() != Some(&true));
            seen.since = if missed { 0 } else { seen.since + 1 };
            history.push(missed);
        }
        let newest = |count: usize| history.iter().rev().take(count).map(|missed| u32::from(*missed)).sum();
        seen.newest = [newest(10), newest(20), newest(60)];
        seen.rest = all - u32::try_from(at + 1).unwrap_or(0) * 2;
        let so_far = Counts { possible: seen.possible, authorised: seen.missed, unauthorised: 0 };
        seen.outlook = belief.outlook(model, stage, Ahead { so_far, rest: seen.rest });
        evenings.push(seen);
    }
    evenings
}

/// The figures of a pupil for a learner that is told no model: with or without the year before.
pub fn figures(pupil: &Pupil, seen: &Seen, with_history: bool) -> Vec<f64> {
    let [ten, twenty, sixty] = seen.newest.map(f64::from);
    let (possible, missed) = totals(&pupil.before);
    let known = with_history && possible > 0;
    let last = if known { f64::from(missed) / f64::from(possible) } else { -0.1 };
    let end = |count: usize| pupil.before.iter().rev().take(count).filter(|s| **s == Session::Missed).count() as f64;
    let (end_40, end_120) = if known { (end(40), end(120)) } else { (-1.0, -1.0) };
    let mut figures = vec![
        seen.rate(),
        f64::from(seen.missed),
        f64::from(seen.spells),
        ten,
        twenty,
        sixty,
        f64::from(seen.since),
        f64::from(pupil.year_group),
    ];
    if with_history {
        figures.extend([last, end_40, end_120]);
    }
    figures
}
