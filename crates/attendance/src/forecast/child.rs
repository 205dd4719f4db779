//! One child's forecast, from its record.

use super::outlook::{Ahead, Interval, Limit, Outlook};
use super::{Belief, Gap};
use crate::Day;
use crate::judge::{History, Standard};
use crate::rate::Counts;

/// A belief that follows a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Foresight {
    belief: Belief,
    stage: usize,
    before: Option<Day>,
    so_far: Counts,
}

impl Foresight {
    /// Before the first session of the year judged.
    pub(crate) fn begin(history: &History<'_>, standard: Standard<'_>) -> Self {
        let stage = standard.model.stage(history.profile.phase, history.profile.year_group);
        let behind = history.previous.map(crate::record::YearRecord::counts).unwrap_or_default();
        let belief = Belief::after(behind, standard.model, stage);
        Self { belief, stage, before: None, so_far: Counts::default() }
    }

    /// Takes a mark in.
    pub(crate) fn take(&mut self, day: Day, meaning: crate::Meaning, standard: Standard<'_>) {
        if !meaning.is_possible() {
            return;
        }
        let prior = standard.model.prior(self.stage);
        self.belief.observe(standard.model, prior, Gap::between(self.before, day), meaning.is_absent());
        self.before = Some(day);
        self.so_far.add(meaning);
    }

    /// The number of so many possible sessions still to come that is to be missed.
    pub(crate) fn missed(&self, standard: Standard<'_>, rest: u32) -> f64 {
        self.belief.missed(standard.model, self.stage, rest)
    }

    /// The whole outlook.
    pub(crate) fn outlook(&self, standard: Standard<'_>, rest: u32) -> Outlook {
        self.belief.outlook(standard.model, self.stage, Ahead { so_far: self.so_far, rest })
    }

    /// The whole outlook with its ranges, after the newest session of the record; none where there is no possible session.
    pub(crate) fn foreseen(&self, history: &History<'_>, standard: Standard<'_>) -> Option<Foreseen> {
        let Self { belief, stage, so_far, .. } = *self;
        if so_far.possible == 0 {
            return None;
        }
        let (model, rest) = (standard.model, rest(history, standard));
        let ahead = Ahead { so_far, rest };
        Some(Foreseen {
            outlook: belief.outlook(model, stage, ahead),
            persistent: belief.chance_interval(model, stage, ahead, Limit::Persistent),
            severe: belief.chance_interval(model, stage, ahead, Limit::Severe),
            missed: belief.missed_interval(model, stage, rest),
            rest,
        })
    }

    /// Possible sessions of the year so far, and those missed.
    pub(crate) fn so_far(&self) -> Counts {
        self.so_far
    }
}

/// Possible sessions still to come after the newest mark, by the calendar of its school.
pub(crate) fn rest(history: &History<'_>, standard: Standard<'_>) -> u32 {
    let mut newest = history.present.entries().rev().filter(|entry| entry.revision.code != crate::Code::NotTaken);
    let rest = newest.next().and_then(|newest| {
        let school = history.present.school(newest)?;
        Some(standard.calendars.of(school).rest(newest.session))
    });
    rest.unwrap_or(0)
}

/// What the rest of a child's school year will bring, if nothing changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Foreseen {
    /// Probabilities and the number of sessions still to be missed.
    pub outlook: Outlook,
    /// The ranges of the probability of persistent and of severe absence, and of the number still to be missed.
    pub persistent: Interval,
    /// See `persistent`.
    pub severe: Interval,
    /// See `persistent`.
    pub missed: Interval,
    /// Possible sessions still to come.
    pub rest: u32,
}

impl Foreseen {
    /// The number by which alerts are ranked: whole sessions still to be missed that are to be expected.
    pub fn urgency(&self) -> u32 {
        whole(self.outlook.missed)
    }
}

/// The forecast of a child after the newest session of its record; none where there is no possible session.
pub fn foresee(history: &History<'_>, standard: Standard<'_>) -> Option<Foreseen> {
    let mut foresight = Foresight::begin(history, standard);
    for entry in history.present.entries().filter(|entry| entry.revision.code != crate::Code::NotTaken) {
        foresight.take(entry.session.day(), entry.revision.code.meaning(), standard);
    }
    foresight.foreseen(history, standard)
}

/// A number of sessions as a whole number, rounded.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of sessions of a year, not below nought"
)]
pub fn whole(sessions: f64) -> u32 {
    libm::round(sessions.clamp(0.0, 1_000.0)) as u32
}
