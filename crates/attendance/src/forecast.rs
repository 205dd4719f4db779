//! What the rest of the school year will bring: the probability of persistent and of severe absence, and how many sessions a child
//! will still miss.
//!
//! Children attend in a few typical ways (*classes*). Each class says how likely a spell of absence is to begin, and to go on, at
//! noon, over a night and over a weekend or holiday. Which class a child is in nobody knows; a [`Belief`] holds a weight for each,
//! updated by each possible session (Bayes, each counting for so much as the model trusts it), and lets a child change its ways now and then. At the start of a year it comes
//! from what is usual in the child's phase and year group, or from the rate of the year before.
//! Numbers come from a [`Model`], data that [`fit()`] derives from past registers. Evidence: `docs/projection.md`.
//!
//! Only additions, multiplications and divisions decide the belief, and all else goes by `libm`: it is the same on every machine.

mod child;
mod fit;
mod model;
mod outlook;
mod regression;

pub use child::{Foreseen, foresee, whole};
pub(crate) use child::{Foresight, rest};
pub use fit::{Child, Steps, fit};
pub use model::{After, CLASSES, Calibration, Chances, Class, Model, ModelError, Parts, Stage, TOLD_AT};
pub use outlook::{Ahead, Interval, Limit, Outlook};
pub use regression::most_likely;

use crate::Day;
use crate::rate::Counts;

/// What lies between two possible sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gap {
    /// Noon.
    Noon,
    /// A night.
    Night,
    /// A weekend, a holiday, or days without a possible session.
    Break,
}

impl Gap {
    /// All gaps.
    pub const ALL: [Self; 3] = [Self::Noon, Self::Night, Self::Break];

    /// What lies between sessions of two days; before the first session of a year there is a break.
    pub fn between(before: Option<Day>, day: Day) -> Self {
        match before.map(|before| day.days() - before.days()) {
            Some(0) => Self::Noon,
            Some(1) => Self::Night,
            _ => Self::Break,
        }
    }
}

/// How likely each class is for one child, after some sessions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Belief {
    weights: [f32; CLASSES],
    /// Whether the newest possible session was missed; none before the first of the year.
    absent: Option<bool>,
}

impl Belief {
    /// Before any session of a child of whom nothing is known but its stage.
    pub fn usual(prior: &[f32; CLASSES]) -> Self {
        Self { weights: *prior, absent: None }
    }

    /// Before any session of a child at a stage whose last school year had these counts; as usual there where it had none.
    pub fn after(year: Counts, model: &Model, stage: usize) -> Self {
        Self { weights: model.after(year).unwrap_or(*model.prior(stage)), absent: None }
    }

    /// Takes a possible session in. `prior` is what is usual at the child's stage.
    pub fn observe(&mut self, model: &Model, prior: &[f32; CLASSES], gap: Gap, absent: bool) {
        let likely = model.likelihoods(self.absent, gap, absent);
        let (stay, change) = model.change();
        for ((weight, usual), likely) in self.weights.iter_mut().zip(prior).zip(likely) {
            *weight = (stay * *weight + change * usual) * likely;
        }
        // Four sums at once, always in this order.
        let mut sums = [0.0; 4];
        for four in self.weights.chunks_exact(4) {
            sums.iter_mut().zip(four).for_each(|(sum, weight)| *sum += weight);
        }
        let sum: f32 = sums.iter().sum();
        if sum > 0.0 {
            let scale = 1.0 / sum;
            self.weights.iter_mut().for_each(|weight| *weight *= scale);
        }
        self.absent = Some(absent);
    }

    /// The weight of each class; they add up to 1.
    pub fn weights(&self) -> &[f32; CLASSES] {
        &self.weights
    }
}
