//! What a belief means for the rest of the year.

use super::model::{CLASSES, Calibration, Course};
use super::{Belief, Model};
use crate::rate::Counts;
use std::sync::LazyLock;

/// What has been and what is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// Counts of the school year so far.
    pub so_far: Counts,
    /// Possible sessions still to come.
    pub rest: u32,
}

impl Ahead {
    /// The share of the school year that is still to come.
    pub(super) fn share(self) -> f64 {
        f64::from(self.rest) / f64::from((self.so_far.possible + self.rest).max(1))
    }
}

/// A range that holds the value in 8 of 10 cases.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Less in 1 of 10.
    pub low: f64,
    /// More in 1 of 10.
    pub high: f64,
}

/// What the rest of the year will bring, if nothing changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    /// The probability to end the year with 10% or more missed.
    pub persistent: f64,
    /// The probability to end the year with 50% or more missed.
    pub severe: f64,
    /// The number of sessions still to be missed that is to be expected.
    pub missed: f64,
}

/// The number of sessions that a class will miss, about normal.
#[derive(Clone, Copy, Debug)]
struct Rest {
    mean: f64,
    deviation: f64,
}

impl Rest {
    /// The chance that `need` or more are missed.
    fn reaches(self, need: f64) -> f64 {
        normal_above((need - 0.5 - self.mean) / self.deviation)
    }
}

/// Steps a unit in which the normal distribution is at hand, and units on either side of nought.
const STEPS: i32 = 64;
const UNITS: i32 = 8;

static NORMAL_ABOVE: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let at = |step| f64::from(step) / f64::from(STEPS);
    (-UNITS * STEPS..=UNITS * STEPS).map(|step| 0.5 * libm::erfc(at(step) * std::f64::consts::FRAC_1_SQRT_2)).collect()
});

/// The chance that a standard normal value lies above `value`: on the straight line between two steps, which is off by less than 0.00001.
/// Each alert's ranges ask for it a hundred times.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "within the steps at hand, and not below nought"
)]
fn normal_above(value: f64) -> f64 {
    let place = (value.clamp(f64::from(-UNITS), f64::from(UNITS)) + f64::from(UNITS)) * f64::from(STEPS);
    let step = libm::floor(place);
    let at = |step: usize| NORMAL_ABOVE.get(step).copied().unwrap_or_default();
    let (above, next) = (at(step as usize), at(step as usize + 1));
    above + (next - above) * (place - step)
}

impl Belief {
    /// The number of sessions still to be missed that is to be expected: cheap, for every session.
    pub fn missed(&self, model: &Model, stage: usize, rest: u32) -> f64 {
        let after = After::of(model, rest);
        self.each(model).map(|(weight, course)| weight * self.rest_mean(&course, after, model, stage)).sum()
    }

    /// The whole outlook.
    pub fn outlook(&self, model: &Model, stage: usize, ahead: Ahead) -> Outlook {
        let after = After::of(model, ahead.rest);
        let (persistent_need, severe_need) = (Limit::Persistent.need(ahead), Limit::Severe.need(ahead));
        let (mut persistent, mut severe, mut missed) = (0.0, 0.0, 0.0);
        for (weight, course) in self.each(model) {
            let rest = self.rest(&course, after, model, stage);
            persistent += weight * rest.reaches(persistent_need);
            severe += weight * rest.reaches(severe_need);
            missed += weight * rest.mean;
        }
        let settled = |need: f64, chance: f64, calibration: Calibration| {
            let rest = f64::from(ahead.rest);
            if need <= 0.0 {
                1.0
            } else if need > rest {
                0.0
            } else {
                calibration.apply(chance, ahead.share())
            }
        };
        let parts = model.parts();
        Outlook {
            persistent: settled(persistent_need, persistent, parts.persistent),
            severe: settled(severe_need, severe, parts.severe),
            missed,
        }
    }

    /// The range of the number still to be missed.
    pub fn missed_interval(&self, model: &Model, stage: usize, rest: u32) -> Interval {
        let after = After::of(model, rest);
        let rests: Vec<(f64, Rest)> =
            self.likely(model).map(|(weight, course)| (weight, self.rest(&course, after, model, stage))).collect();
        let most = f64::from(rest);
        let quantile = |share: f64| {
            let (mut low, mut high) = (0.0, most);
            while high - low > 0.5 {
                let middle = f64::midpoint(low, high);
                let more: f64 = rests.iter().map(|(weight, rest)| weight * rest.reaches(middle + 0.5)).sum();
                if more > 1.0 - share { low = middle } else { high = middle }
            }
            f64::midpoint(low, high)
        };
        Interval { low: quantile(0.1), high: quantile(0.9) }
    }

    /// The range of a probability over the ways in which this child may attend.
    pub fn chance_interval(&self, model: &Model, stage: usize, ahead: Ahead, limit: Limit) -> Interval {
        let after = After::of(model, ahead.rest);
        let (need, parts) = (limit.need(ahead), model.parts());
        let calibration = match limit {
            Limit::Persistent => parts.persistent,
            Limit::Severe => parts.severe,
        };
        if need <= 0.0 || need > f64::from(ahead.rest) {
            let sure = if need <= 0.0 { 1.0 } else { 0.0 };
            return Interval { low: sure, high: sure };
        }
        let mut chances: Vec<(f64, f64)> = self
            .likely(model)
            .map(|(weight, course)| (self.rest(&course, after, model, stage).reaches(need), weight))
            .collect();
        chances.sort_by(|one, other| one.0.total_cmp(&other.0));
        let quantile = |share: f64| {
            let mut sum = 0.0;
            let reached = chances.iter().find(|(_, weight)| {
                sum += weight;
                sum >= share
            });
            calibration.apply(reached.or(chances.last()).map_or(0.0, |(chance, _)| *chance), ahead.share())
        };
        Interval { low: quantile(0.1), high: quantile(0.9) }
    }

    fn each<'a>(&'a self, model: &'a Model) -> impl Iterator<Item = (f64, Course)> + 'a {
        let weights = self.weights.iter().map(|weight| f64::from(*weight));
        weights.zip(model.courses).filter(|(weight, _)| *weight > 1e-6)
    }

    /// The classes that ranges are made of: those of less weight move no end of a range.
    fn likely<'a>(&'a self, model: &'a Model) -> impl Iterator<Item = (f64, Course)> + 'a {
        self.each(model).filter(|(weight, _)| *weight > 2e-3)
    }

    fn rest_mean(&self, course: &Course, after: After, model: &Model, stage: usize) -> f64 {
        let usual = model.usual.get(stage).map_or(0.0, |(usual, _)| usual.rate);
        let more = match self.absent {
            Some(true) => course.more.0,
            Some(false) => course.more.1,
            None => 0.0,
        };
        let more = more * after.first.min(1.0);
        (course.rate * after.same + usual * after.changed + more).clamp(0.0, after.same + after.changed)
    }

    fn rest(&self, course: &Course, after: After, model: &Model, stage: usize) -> Rest {
        let (usual, between) = model.usual.get(stage).copied().unwrap_or_default();
        let mean = self.rest_mean(course, after, model, stage);
        let away = course.rate - usual.rate;
        let variance = course.variance * after.same
            + usual.variance * after.changed
            + away * away * after.same_variance
            + between * after.changed_spread;
        Rest { mean, deviation: libm::sqrt(variance.max(0.04)) }
    }
}

/// How many of the sessions to come a child stays in its class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct After {
    /// Expected sessions in the present class, and after a change.
    same: f64,
    changed: f64,
    /// The variance of the former.
    same_variance: f64,
    /// What the variance of rates after changes is multiplied by.
    changed_spread: f64,
    /// Grows from nought to one over the first days: what the newest session foretells needs sessions to happen in.
    first: f64,
}

/// Sessions to come for which a model has all this at hand: a school year's, and some.
pub(super) const AT_HAND: u32 = 440;

impl After {
    fn of(model: &Model, rest: u32) -> Self {
        let at_hand = usize::try_from(rest).ok().and_then(|rest| model.ahead.get(rest));
        at_hand.copied().unwrap_or_else(|| Self::new(model.parts().change, rest))
    }

    pub(super) fn new(hazard: f64, rest: u32) -> Self {
        let rest = f64::from(rest);
        // In continuous time: the present class holds until the first change.
        let left = libm::exp(-hazard * rest);
        let same = (1.0 - left) / hazard;
        let square = 2.0 * (1.0 - left * (1.0 + hazard * rest)) / (hazard * hazard);
        let changed = (rest - same).max(0.0);
        let spread = 2.0 * (changed / hazard - (1.0 - libm::exp(-hazard * changed)) / (hazard * hazard));
        Self {
            same,
            changed,
            same_variance: (square - same * same).max(0.0),
            changed_spread: spread.max(0.0),
            first: rest / 10.0,
        }
    }
}

/// A limit that the year may end at or above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// 10% of possible sessions.
    Persistent,
    /// 50% of them.
    Severe,
}

impl Limit {
    /// Its probability in an outlook.
    pub fn chance(self, outlook: &Outlook) -> f64 {
        match self {
            Self::Persistent => outlook.persistent,
            Self::Severe => outlook.severe,
        }
    }

    /// As files write it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Persistent => "persistent",
            Self::Severe => "severe",
        }
    }

    /// How many of the sessions to come must be missed to end at it or above; nought or less where it is certain.
    fn need(self, ahead: Ahead) -> f64 {
        let parts = match self {
            Self::Persistent => 10,
            Self::Severe => 2,
        };
        f64::from((ahead.so_far.possible + ahead.rest).div_ceil(parts)) - f64::from(ahead.so_far.absent())
    }
}

const _: () = assert!(CLASSES <= 16, "beliefs are held for every pupil");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_distribution_is_that_of_the_error_function_and_falls() {
        let mut before = 1.0;
        for thousandth in -9_000..=9_000 {
            let value = f64::from(thousandth) / 1_000.0;
            let (found, exact) = (normal_above(value), 0.5 * libm::erfc(value / std::f64::consts::SQRT_2));
            assert!((found - exact).abs() < 1e-5 && found <= before, "{value}: {found} instead of {exact}");
            before = found;
        }
        assert!(normal_above(f64::NAN).is_nan());
    }
}
