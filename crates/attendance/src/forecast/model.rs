//! The numbers of the forecast: classes, what is usual at each stage, how classes follow each other from year to year.

use super::Gap;
use super::outlook::{self, AT_HAND};
use crate::Phase;
use crate::enrolment::YearGroup;
use crate::rate::Counts;

/// How many classes a model may have; one with fewer leaves the last without weight.
pub const CLASSES: usize = 16;

/// Chances of one class over a gap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chances {
    /// Of missing a session after one attended: a spell begins.
    pub onset: f64,
    /// Of missing a session after one missed: a spell goes on.
    pub stay: f64,
}

/// A typical way to attend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Class {
    /// Over noon, a night, a break.
    pub chances: [Chances; 3],
}

/// What is usual for some children.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Their phase; none for any.
    pub phase: Option<Phase>,
    /// Their year groups; none for any.
    pub year_groups: Vec<YearGroup>,
    /// The share of each class at the beginning of a school year.
    pub shares: Vec<f64>,
}

/// What is usual after a school year of about so much absence; between two rates the shares lie between theirs.
#[derive(Clone, Debug, PartialEq)]
pub struct After {
    /// The rate of the year before, 0 to 1.
    pub rate: f64,
    /// The share of each class at the beginning of the school year.
    pub shares: Vec<f64>,
}

/// The shares of a school year still to come at which a calibration is told; in between it goes along the straight line. What is known of a
/// child changes fastest in the first weeks.
pub const TOLD_AT: [f64; 4] = [1.0, 0.9, 0.75, 0.0];

/// How a probability is put right: its log odds become `shift + slope * log odds`, each as told at [`TOLD_AT`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// Added to log odds.
    pub shift: [f64; TOLD_AT.len()],
    /// By what log odds are multiplied.
    pub slope: [f64; TOLD_AT.len()],
}

impl Calibration {
    /// That changes nothing.
    pub const NONE: Self = Self { shift: [0.0; TOLD_AT.len()], slope: [1.0; TOLD_AT.len()] };

    /// The probability put right; `rest` is the share of the school year still to come, 0 to 1.
    pub fn apply(self, probability: f64, rest: f64) -> f64 {
        let p = probability.clamp(1e-9, 1.0 - 1e-9);
        let weights = Self::weights(rest);
        let now =
            |told: [f64; TOLD_AT.len()]| told.iter().zip(weights).map(|(value, weight)| value * weight).sum::<f64>();
        1.0 / (1.0 + libm::exp(-(now(self.shift) + now(self.slope) * libm::log(p / (1.0 - p)))))
    }

    /// How much each of what is told counts with such a share still to come.
    pub(super) fn weights(rest: f64) -> [f64; TOLD_AT.len()] {
        let mut weights = [0.0; TOLD_AT.len()];
        let later = TOLD_AT.partition_point(|at| *at > rest).clamp(1, TOLD_AT.len() - 1);
        if let (Some([from, to]), Some([one, other])) =
            (TOLD_AT.get(later - 1..=later), weights.get_mut(later - 1..=later))
        {
            *one = ((rest - to) / (from - to)).clamp(0.0, 1.0);
            *other = 1.0 - *one;
        }
        weights
    }
}

/// What a model is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// Where the numbers came from.
    pub source: String,
    /// The classes, by rising rate.
    pub classes: Vec<Class>,
    /// Stages; the first that fits a child holds.
    pub stages: Vec<Stage>,
    /// The chance, each session, that a child changes to a class as is usual at its stage.
    pub change: f64,
    /// How much a session says, 0 to 1: sessions of a child hang together, so that one says less than one by itself would. The likelihoods
    /// are taken to this power.
    pub trust: f64,
    /// What is usual after a school year of so much absence, by rising rate.
    pub after: Vec<After>,
    /// For the probability of persistent absence.
    pub persistent: Calibration,
    /// For the probability of severe absence.
    pub severe: Calibration,
}

/// What is wrong with the parts of a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// No class or too many.
    #[error("{0} classes: a model has 2 to {CLASSES}")]
    Classes(usize),
    /// A chance that is none.
    #[error("class {class}: {what} must lie between 0 and 1, both excluded")]
    Chance {
        /// Counted from 1.
        class: usize,
        /// Which.
        what: &'static str,
    },
    /// Shares of the wrong number or sum.
    #[error("{place}: there must be {classes} shares, none below 0, that add up to 1")]
    Shares {
        /// Which.
        place: String,
        /// How many.
        classes: usize,
    },
    /// The rates of the year before.
    #[error("the rates of a year before must rise from 0 to 1, and there must be at least one")]
    Rates,
    /// No stage fits every child.
    #[error("the last stage must be for any phase and year group")]
    NoStage,
    /// What puts probabilities right would turn them round.
    #[error("shift and slope must be numbers, and slope, at both ends of the year, above 0")]
    Calibration,
    /// How much a session says is no share.
    #[error("trust, how much a session says, must lie between 0 (excluded) and 1")]
    Trust,
    /// The change of class is no chance.
    #[error("the chance to change must lie between 0.000001 and 0.1")]
    Change,
}

/// A model, checked and prepared.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    parts: Parts,
    priors: Vec<[f32; CLASSES]>,
    /// By what was before (nothing, attended, missed), gap, and what is now (attended, missed).
    likelihoods: [[[[f32; CLASSES]; 2]; 3]; 3],
    after: Vec<(f64, [f32; CLASSES])>,
    change: (f32, f32),
    pub(super) courses: [Course; CLASSES],
    /// By the number of sessions still to come.
    pub(super) ahead: Vec<outlook::After>,
    /// The mean of each stage's course, and the variance of rates within it.
    pub(super) usual: Vec<(Course, f64)>,
}

/// What becomes of a class over many sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Course {
    /// The share of sessions missed.
    pub(super) rate: f64,
    /// The variance of the number missed, a session.
    pub(super) variance: f64,
    /// How many more sessions than usual are missed after a missed one, and after an attended one.
    pub(super) more: (f64, f64),
}

impl Model {
    /// A model of its parts.
    pub fn new(parts: Parts) -> Result<Self, ModelError> {
        check(&parts)?;
        let priors: Vec<[f32; CLASSES]> = parts.stages.iter().map(|stage| padded(&stage.shares)).collect();
        let after = parts.after.iter().map(|after| (after.rate, padded(&after.shares))).collect();
        let mut courses = [Course::default(); CLASSES];
        for (course, class) in courses.iter_mut().zip(&parts.classes) {
            *course = Course::of(class);
        }
        let likelihoods = likelihoods(&parts, &courses);
        let usual = parts.stages.iter().map(|stage| usual(&stage.shares, &courses)).collect();
        let change = (narrow(1.0 - parts.change), narrow(parts.change));
        let ahead = (0..=AT_HAND).map(|rest| outlook::After::new(parts.change, rest)).collect();
        Ok(Self { parts, priors, likelihoods, after, change, courses, ahead, usual })
    }

    /// The share of sessions that a class misses.
    pub fn rate(class: &Class) -> f64 {
        Course::of(class).rate
    }

    /// What it is made of.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// The place of a child's stage: of the first that fits.
    pub fn stage(&self, phase: Option<Phase>, group: Option<YearGroup>) -> usize {
        let phase = phase.or(group.map(Phase::of_year_group));
        let fits = |stage: &Stage| {
            (stage.phase.is_none() || stage.phase == phase)
                && (stage.year_groups.is_empty() || group.is_some_and(|group| stage.year_groups.contains(&group)))
        };
        self.parts.stages.iter().position(fits).unwrap_or(self.parts.stages.len() - 1)
    }

    /// What is usual at a stage.
    pub fn prior(&self, stage: usize) -> &[f32; CLASSES] {
        self.priors.get(stage).unwrap_or(&[0.0; CLASSES])
    }

    /// How likely each class makes what was seen.
    #[expect(clippy::indexing_slicing, reason = "each index is of an enumeration of that size")]
    pub(super) fn likelihoods(&self, before: Option<bool>, gap: Gap, absent: bool) -> &[f32; CLASSES] {
        let before = before.map_or(0, |absent| 1 + usize::from(absent));
        &self.likelihoods[before][gap as usize][usize::from(absent)]
    }

    /// The classes after a school year; none where it had no possible session.
    pub(super) fn after(&self, year: Counts) -> Option<[f32; CLASSES]> {
        let places = self.places_after(year)?;
        let mut shares = [0.0; CLASSES];
        for (place, weight) in places {
            let (_, of_place) = self.after.get(place)?;
            shares.iter_mut().zip(of_place).for_each(|(share, of)| *share += narrow(weight) * of);
        }
        Some(shares)
    }

    /// The two rates between which a year lies, each with its weight.
    pub(super) fn places_after(&self, year: Counts) -> Option<[(usize, f64); 2]> {
        if year.possible == 0 {
            return None;
        }
        // A few usual weeks count in, so that one day of a short year says little.
        let rate =
            (f64::from(year.absent()) + USUAL_RATE * USUAL_SESSIONS) / (f64::from(year.possible) + USUAL_SESSIONS);
        let above = self.after.iter().position(|(known, _)| *known >= rate).unwrap_or(self.after.len() - 1);
        let below = above.saturating_sub(1);
        let (low, high) = (self.after.get(below)?.0, self.after.get(above)?.0);
        let weight = if high > low { ((rate - low) / (high - low)).clamp(0.0, 1.0) } else { 1.0 };
        Some([(below, 1.0 - weight), (above, weight)])
    }

    /// The chances to stay in the class and to change it.
    pub(super) fn change(&self) -> (f32, f32) {
        self.change
    }
}

fn check(parts: &Parts) -> Result<(), ModelError> {
    let classes = parts.classes.len();
    if !(2..=CLASSES).contains(&classes) {
        return Err(ModelError::Classes(classes));
    }
    let inside = |chance: f64| chance > 0.0 && chance < 1.0;
    for (number, class) in parts.classes.iter().enumerate() {
        let wrong = |what| Err(ModelError::Chance { class: number + 1, what });
        for chances in &class.chances {
            if !inside(chances.onset) {
                return wrong("the chance that a spell begins");
            }
            if !inside(chances.stay) {
                return wrong("the chance that a spell goes on");
            }
        }
    }
    let good = |shares: &[f64]| {
        let sum: f64 = shares.iter().sum();
        shares.len() == classes && shares.iter().all(|share| *share >= 0.0) && (sum - 1.0).abs() < 1e-3
    };
    if let Some(number) = parts.stages.iter().position(|stage| !good(&stage.shares)) {
        return Err(ModelError::Shares { place: format!("stage {}", number + 1), classes });
    }
    if let Some(after) = parts.after.iter().find(|after| !good(&after.shares)) {
        return Err(ModelError::Shares { place: format!("after a rate of {}", after.rate), classes });
    }
    let rising = parts.after.windows(2).all(|pair| matches!(pair, [one, next] if one.rate < next.rate));
    let shares = parts.after.iter().all(|after| (0.0..=1.0).contains(&after.rate));
    if parts.after.is_empty() || !rising || !shares {
        return Err(ModelError::Rates);
    }
    if !(parts.change >= 1e-6 && parts.change < 0.1) {
        return Err(ModelError::Change);
    }
    for Calibration { shift, slope } in [parts.persistent, parts.severe] {
        if !(shift.iter().all(|shift| shift.is_finite()) && slope.iter().all(|slope| *slope > 0.0 && *slope < 100.0)) {
            return Err(ModelError::Calibration);
        }
    }
    if !(parts.trust > 0.0 && parts.trust <= 1.0) {
        return Err(ModelError::Trust);
    }
    match parts.stages.last() {
        Some(last) if last.phase.is_none() && last.year_groups.is_empty() => Ok(()),
        _ => Err(ModelError::NoStage),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "probabilities: 24 bits are plenty")]
fn narrow(value: f64) -> f32 {
    value as f32
}

/// Shares that add up to exactly what they should, the rest nought.
fn padded(shares: &[f64]) -> [f32; CLASSES] {
    let sum: f64 = shares.iter().sum();
    let mut padded = [0.0; CLASSES];
    for (place, share) in padded.iter_mut().zip(shares) {
        *place = narrow(share / sum);
    }
    padded
}

/// What counts into the rate of a year before.
const USUAL_RATE: f64 = 0.06;
const USUAL_SESSIONS: f64 = 20.0;

type Likelihoods = [[[[f32; CLASSES]; 2]; 3]; 3];

fn likelihoods(parts: &Parts, courses: &[Course; CLASSES]) -> Likelihoods {
    let said = |likely: f64| narrow(libm::pow(likely, parts.trust));
    let mut all = [[[[0.0; CLASSES]; 2]; 3]; 3];
    for (before, by_gap) in all.iter_mut().enumerate() {
        for (gap, by_now) in by_gap.iter_mut().enumerate() {
            for (at, (class, course)) in parts.classes.iter().zip(courses).enumerate() {
                let chances = class.chances.get(gap).copied().unwrap_or(Chances { onset: 0.0, stay: 0.0 });
                let missed = match before {
                    0 => course.rate,
                    1 => chances.onset,
                    _ => chances.stay,
                };
                let [attended_at, missed_at] = by_now;
                if let (Some(attended_at), Some(missed_at)) = (attended_at.get_mut(at), missed_at.get_mut(at)) {
                    (*attended_at, *missed_at) = (said(1.0 - missed), said(missed));
                }
            }
        }
    }
    all
}

/// The gap before each session of a school week.
const WEEK: [Gap; 10] =
    [Gap::Break, Gap::Noon, Gap::Night, Gap::Noon, Gap::Night, Gap::Noon, Gap::Night, Gap::Noon, Gap::Night, Gap::Noon];

/// Sessions that a class is played for: twenty weeks.
const PLAYED: u16 = 200;

impl Course {
    /// By playing a class through many weeks: the means and squares of what is missed are exact sums.
    fn of(class: &Class) -> Self {
        let settled = Played::of(class, (1.0, 0.0)).last;
        let Played { mean, square, .. } = Played::of(class, settled);
        let more = |start| Played::of(class, start).mean - mean;
        let sessions = f64::from(PLAYED);
        let variance = ((square - mean * mean) / sessions).max(1e-6);
        Self { rate: mean / sessions, variance, more: (more((0.0, 1.0)), more((1.0, 0.0))) }
    }
}

/// What a class misses that is played through [`PLAYED`] sessions.
struct Played {
    mean: f64,
    square: f64,
    /// The chances of having attended and missed the last session.
    last: (f64, f64),
}

impl Played {
    /// From the chances of having attended and missed the session before.
    fn of(class: &Class, start: (f64, f64)) -> Self {
        // Probability, mean and mean square, each together with having attended or missed the newest session.
        let (mut attended, mut missed) = ([start.0, 0.0, 0.0], [start.1, 0.0, 0.0]);
        for gap in WEEK.iter().cycle().take(PLAYED.into()) {
            let Some(Chances { onset, stay }) = class.chances.get(*gap as usize).copied() else { continue };
            let next = |(a, m): (f64, f64)| (a * (1.0 - onset) + m * (1.0 - stay), a * onset + m * stay);
            let [(a0, m0), (a1, m1), (a2, m2)] = pairs(attended, missed).map(next);
            attended = [a0, a1, a2];
            missed = [m0, m1 + m0, m2 + 2.0 * m1 + m0];
        }
        let [(a0, m0), (a1, m1), (a2, m2)] = pairs(attended, missed);
        Self { mean: a1 + m1, square: a2 + m2, last: (a0, m0) }
    }
}

fn pairs([a0, a1, a2]: [f64; 3], [m0, m1, m2]: [f64; 3]) -> [(f64, f64); 3] {
    [(a0, m0), (a1, m1), (a2, m2)]
}

fn usual(shares: &[f64], courses: &[Course; CLASSES]) -> (Course, f64) {
    let mean = |of: &dyn Fn(&Course) -> f64| shares.iter().zip(courses).map(|(share, course)| share * of(course)).sum();
    let rate: f64 = mean(&|course| course.rate);
    let variance: f64 = mean(&|course| course.variance);
    let between: f64 = mean(&|course| (course.rate - rate) * (course.rate - rate));
    (Course { rate, variance, more: (0.0, 0.0) }, between)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calibration_goes_along_the_straight_line_between_what_is_told() {
        let odds = |p: f64| libm::log(p / (1.0 - p));
        let calibration = Calibration { shift: [0.4, 0.2, 0.5, -1.0], slope: [2.0, 1.5, 1.0, 0.5] };
        for (rest, shift, slope) in [
            (1.0, 0.4, 2.0),
            (0.95, 0.3, 1.75),
            (0.9, 0.2, 1.5),
            (0.825, 0.35, 1.25),
            (0.75, 0.5, 1.0),
            (0.375, -0.25, 0.75),
            (0.0, -1.0, 0.5),
        ] {
            let found = odds(calibration.apply(0.2, rest));
            assert!((found - (shift + slope * odds(0.2))).abs() < 1e-9, "{rest}: {found}");
        }
    }
}
