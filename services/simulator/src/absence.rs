//! A pupil's own year: spells of absence, session by session.
//! Takes a pupil's phase, year group, rank and dice; gives a code for each session missed. What schools add (visits, part-time
//! timetables, closures) is in `provision`.

use jiff::civil::Date;

use crate::calendar::days_between;
use crate::dice::Dice;
use crate::model::{self, Lengths, PhaseModel, Reason};
use attendance::Code;

/// What the model must know of a pupil.
pub(crate) struct Profile {
    /// Parameters of the phase.
    pub(crate) model: &'static PhaseModel,
    /// 0 to 11.
    pub(crate) year_group: usize,
    /// Nominal share of sessions missed.
    pub(crate) rate: f64,
}

/// A spell under way.
struct Spell {
    code: Code,
    left: u32,
    /// Whether it may end over a weekend.
    lengths: Lengths,
}

/// The codes of the sessions missed; `None` where the pupil attends. Two entries a school day, morning first.
pub(crate) fn path(dice: &mut Dice, days: &[Date], profile: &Profile) -> Vec<Option<Code>> {
    let mut codes = Vec::with_capacity(days.len() * 2);
    let breaks = dice.chance(model::BREAK_OFF);
    let break_day = if breaks { 10 + dice.index(days.len() - 20) } else { usize::MAX };
    let mut habit = Habit::new(profile.model, profile.rate);
    let mut spell: Option<Spell> = None;
    for (day, date) in days.iter().enumerate() {
        if day == break_day && profile.rate < model::BROKEN_OFF_RATE {
            habit = Habit::new(profile.model, model::BROKEN_OFF_RATE);
        }
        let gap = if day == 0 { 1 } else { days_between(days[day - 1], *date) };
        if spell.as_ref().is_some_and(|spell| gap > 1 && ends_over(dice, spell, gap)) {
            spell = None;
        }
        let weekday = usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or(0).min(4);
        let month = usize::try_from(date.month() - 1).unwrap_or(0);
        let first_weeks = if day < 8 { model::first_weeks(profile.year_group, profile.rate) } else { 1.0 };
        for session in 0..2 {
            let start = model::STARTS[weekday][session] * model::SEASON[month] * first_weeks;
            if spell.is_none() && dice.chance(habit.hazard * start) {
                spell = habit.spell(dice, session, month);
            }
            codes.push(spell.as_ref().map(|spell| spell.code));
            if let Some(current) = &mut spell {
                current.left -= 1;
            }
            spell = spell.filter(|current| current.left > 0);
        }
    }
    codes
}

fn ends_over(dice: &mut Dice, spell: &Spell, gap: i32) -> bool {
    if !matches!(spell.lengths, Lengths::Ordinary) || spell.left > 12 {
        return false;
    }
    !dice.chance(if gap > 4 { model::OVER_HOLIDAY } else { model::OVER_WEEKEND })
}

/// How often and why a pupil of a nominal rate is absent.
struct Habit {
    hazard: f64,
    rate: f64,
    reasons: Vec<(&'static Reason, f64)>,
    total: f64,
}

impl Habit {
    fn new(model: &'static PhaseModel, rate: f64) -> Self {
        let weight = |reason: &Reason| reason.weight * (1.0 + reason.tilt * rate.min(0.6));
        let reasons: Vec<_> = model.reasons.iter().map(|reason| (reason, weight(reason))).collect();
        let total: f64 = reasons.iter().map(|(_, weight)| weight).sum();
        let length = reasons.iter().map(|(reason, weight)| mean_length(reason.lengths) * weight).sum::<f64>() / total;
        let length = length + long_share(rate) * 25.0;
        // In balance the share absent is hazard * length / (1 + hazard * length).
        let hazard = rate / ((1.0 - rate) * length);
        Self { hazard, rate, reasons, total }
    }

    fn spell(&self, dice: &mut Dice, session: usize, month: usize) -> Option<Spell> {
        let mut reason = dice.weighted(&self.reasons, self.total)?;
        if reason.code == Code::G && !dice.chance(model::HOLIDAY_SEASON[month] / 1.7) {
            reason = dice.weighted(&self.reasons, self.total)?;
        }
        if reason.code == Code::U && session == 1 && dice.chance(0.8) {
            reason = self.reasons.first()?.0;
        }
        let ordinary = reason.lengths == Lengths::Ordinary;
        let left = if ordinary && dice.chance(long_share(self.rate)) {
            dice.between(10, 50)
        } else {
            let list = lengths(reason.lengths, session);
            u32::from(dice.weighted(list, list.iter().map(|(_, weight)| weight).sum())?)
        };
        Some(Spell { code: reason.code, left, lengths: reason.lengths })
    }
}

/// The share of ordinary spells that last for weeks, of pupils with high rates.
fn long_share(rate: f64) -> f64 {
    ((rate - model::LONG_FROM) * 0.25).clamp(0.0, 0.2)
}

fn lengths(family: Lengths, session: usize) -> &'static [(u8, f64)] {
    match (family, session) {
        (Lengths::Ordinary, 0) => &model::ORDINARY_AM,
        (Lengths::Ordinary, _) => &model::ORDINARY_PM,
        (Lengths::Single, _) => &model::SINGLE,
        (Lengths::Week, _) => &model::WEEK,
        (Lengths::Days, _) => &model::SOME_DAYS,
        (Lengths::Weeks, _) => &model::SOME_WEEKS,
    }
}

fn mean_length(family: Lengths) -> f64 {
    let list = lengths(family, 0);
    list.iter().map(|(length, weight)| f64::from(*length) * weight).sum::<f64>()
        / list.iter().map(|(_, weight)| weight).sum::<f64>()
}
