//! Deriving a model from past registers: expectation and maximisation (Baum and Welch), exact for what a [`super::Belief`] does.
//!
//! Takes each child's possible sessions of one or two school years. Gives the same model on every machine with the same maths
//! library: children are worked in parts of fixed number, whose sums are added in order.

use super::model::{After, CLASSES, Calibration, Chances, Class, Model, ModelError, Parts, Stage};
use super::outlook::{Ahead, Limit};
use super::regression::most_likely;
use super::{Belief, Gap};
use crate::Phase;
use crate::enrolment::YearGroup;
use crate::rate::Counts;
use std::thread;

/// The possible sessions of a school year, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps(Vec<u8>);

impl Steps {
    /// Adds a session.
    pub fn push(&mut self, gap: Gap, absent: bool) {
        self.0.push(gap as u8 | u8::from(absent) << 2);
    }

    /// The sessions: what lay before, and whether it was missed.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Gap, bool)> + ExactSizeIterator + '_ {
        self.0.iter().map(|step| {
            let gap = Gap::ALL.get(usize::from(step & 3)).copied().unwrap_or(Gap::Break);
            (gap, step & 4 != 0)
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A child from whom a model learns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// The phase, in each year.
    pub phase: Option<Phase>,
    /// The year group in the last year.
    pub year_group: Option<YearGroup>,
    /// The year before; empty where there is none.
    pub before: Steps,
    /// The last year.
    pub year: Steps,
}

const PARTS: usize = 16;
/// The rates of the year before by which the beginning of a year is told apart.
const RATES_BEFORE: [f64; 12] = [0.0, 0.01, 0.02, 0.03, 0.045, 0.06, 0.08, 0.11, 0.15, 0.22, 0.35, 0.6];
/// How much a session says: by trial, `docs/projection.md`.
const TRUST: f64 = 0.5;
/// The chance, each session, that a child changes its ways, at most: one child in five a school year. More is likelier where spells are
/// long, since a class can then stand for an illness; it foretells worse, for the year before says little of who will be ill on a day.
const MOST_CHANGE: f64 = 0.0005;
const ROUNDS: usize = 60;
const FIT_CLASSES: usize = 12;
/// Children of a year group below which it has no stage of its own, and how many children's worth of the phase's shares count in.
const STAGE_LEAST: usize = 300;
const STAGE_PHASE: f64 = 300.0;

/// Derives a model.
///
/// # Errors
/// Where the children tell too little to make one.
pub fn fit(children: &[Child], source: String) -> Result<Model, ModelError> {
    let mut parts = begin(children, source);
    let places: Vec<usize> = {
        let model = Model::new(parts.clone())?;
        children.iter().map(|child| model.stage(child.phase, child.year_group)).collect()
    };
    for _ in 0..ROUNDS {
        let tally = tally(children, &places, &Model::new(parts.clone())?);
        maximise(&mut parts, &tally);
    }
    order(&mut parts);
    let model = Model::new(parts.clone())?;
    parts.persistent = calibrate(children, &places, &model, Limit::Persistent);
    parts.severe = calibrate(children, &places, &model, Limit::Severe);
    Model::new(parts)
}

/// Classes spread over the rates, and stages for the year groups that have enough children.
fn begin(children: &[Child], source: String) -> Parts {
    let classes: Vec<Class> = (0..FIT_CLASSES)
        .map(|number| {
            #[expect(clippy::cast_precision_loss, reason = "a handful of classes")]
            let rate = libm::exp(-4.6 + 4.4 * number as f64 / (FIT_CLASSES - 1) as f64);
            let chances = |stay: f64| Chances { onset: (rate * (1.0 - stay) / (1.0 - rate)).min(0.9), stay };
            Class { chances: [chances(0.9), chances(0.6), chances(0.45)] }
        })
        .collect();
    let even = vec![1.0 / as_float(FIT_CLASSES); FIT_CLASSES];
    let mut stages = Vec::new();
    let stage = |phase, year_groups| Stage { phase, year_groups, shares: even.clone() };
    for phase in Phase::ALL {
        let of_phase: Vec<&Child> = children.iter().filter(|child| child.phase == Some(phase)).collect();
        let mut groups: Vec<YearGroup> = of_phase.iter().filter_map(|child| child.year_group).collect();
        groups.sort_unstable();
        let enough = groups.chunk_by(PartialEq::eq).filter(|same| same.len() >= STAGE_LEAST);
        stages.extend(enough.filter_map(<[YearGroup]>::first).map(|group| stage(Some(phase), vec![*group])));
        if !of_phase.is_empty() {
            stages.push(stage(Some(phase), vec![]));
        }
    }
    stages.push(stage(None, vec![]));
    let none = Calibration::NONE;
    // At first a rate of the year before leads to the classes that are near it.
    let after = RATES_BEFORE.map(|rate| {
        let near = |class: &Class| {
            let of_class = Model::rate(class);
            libm::exp(-0.5 * libm::pow(libm::log(of_class / rate.max(0.005)) / 0.7, 2.0)) + 1e-3
        };
        let shares: Vec<f64> = classes.iter().map(near).collect();
        let sum: f64 = shares.iter().sum();
        After { rate, shares: shares.into_iter().map(|share| share / sum).collect() }
    });
    let after = after.into();
    Parts { source, classes, stages, change: 0.004, trust: TRUST, after, persistent: none, severe: none }
}

/// What a round of expectation counts.
#[derive(Clone, Debug)]
struct Tally {
    /// By class and gap: spells begun, of so many sessions after one attended; gone on, of so many after one missed.
    chances: Vec<[[f64; 4]; 3]>,
    /// By stage: the classes at the beginning and after changes.
    stages: Vec<Vec<f64>>,
    after: Vec<Vec<f64>>,
    changes: f64,
    chances_to_change: f64,
}

impl Tally {
    fn new(parts: &Parts) -> Self {
        let classes = parts.classes.len();
        Self {
            chances: vec![[[0.0; 4]; 3]; classes],
            stages: vec![vec![0.0; classes]; parts.stages.len()],
            after: vec![vec![0.0; classes]; parts.after.len()],
            changes: 0.0,
            chances_to_change: 0.0,
        }
    }

    fn add(&mut self, other: &Self) {
        let add = |into: &mut [f64], from: &[f64]| into.iter_mut().zip(from).for_each(|(into, from)| *into += from);
        for (into, from) in self.chances.iter_mut().flatten().zip(other.chances.iter().flatten()) {
            add(into, from);
        }
        for (into, from) in self.stages.iter_mut().zip(&other.stages).chain(self.after.iter_mut().zip(&other.after)) {
            add(into, from);
        }
        self.changes += other.changes;
        self.chances_to_change += other.chances_to_change;
    }
}

fn tally(children: &[Child], places: &[usize], model: &Model) -> Tally {
    let parts = model.parts();
    let size = children.len().div_ceil(PARTS).max(1);
    let mut sum = Tally::new(parts);
    let part = |(children, places): (&[Child], &[usize])| {
        let mut tally = Tally::new(parts);
        let mut work = Work::new(model);
        for (child, place) in children.iter().zip(places) {
            work.expect(child, *place, &mut tally);
        }
        tally
    };
    let parts_of = children.chunks(size).zip(places.chunks(size));
    let tallies: Vec<Tally> = thread::scope(|scope| {
        let threads: Vec<_> = parts_of.map(|of| scope.spawn(move || part(of))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    for tally in &tallies {
        sum.add(tally);
    }
    sum
}

/// Forward and backward through a child's sessions.
struct Work<'a> {
    model: &'a Model,
    parts: &'a Parts,
    forward: Vec<[f64; CLASSES]>,
    scales: Vec<f64>,
}

impl<'a> Work<'a> {
    fn new(model: &'a Model) -> Self {
        Self { model, parts: model.parts(), forward: Vec::new(), scales: Vec::new() }
    }

    fn likely(&self, class: usize, before: Option<bool>, (gap, absent): (Gap, bool)) -> f64 {
        let chances = self.parts.classes.get(class).and_then(|class| class.chances.get(gap as usize));
        let missed = match (before, chances) {
            (Some(false), Some(chances)) => chances.onset,
            (Some(true), Some(chances)) => chances.stay,
            _ => self.model.courses.get(class).map_or(0.1, |course| course.rate),
        };
        if absent { missed } else { 1.0 - missed }
    }

    /// Forward through a year from the weights of its classes at the beginning.
    #[expect(clippy::indexing_slicing, reason = "all vectors have one place a session and all rows one a class")]
    fn forward(&mut self, steps: &[(Gap, bool)], first: &[f64; CLASSES], usual: &[f64]) {
        let (classes, change) = (self.parts.classes.len(), self.parts.change);
        self.forward.clear();
        self.scales.clear();
        for (at, step) in steps.iter().enumerate() {
            let mut row = [0.0; CLASSES];
            let before = at.checked_sub(1).map(|before| steps[before].1);
            for class in 0..classes {
                let come = match at {
                    0 => first[class],
                    _ => (1.0 - change) * self.forward[at - 1][class] + change * usual[class],
                };
                row[class] = come * self.likely(class, before, *step);
            }
            let scale: f64 = row.iter().sum::<f64>().max(1e-300);
            for value in &mut row {
                *value /= scale;
            }
            self.forward.push(row);
            self.scales.push(scale);
        }
    }

    /// Backward through the year that [`Work::forward`] went through; gives how likely each class at the beginning makes all of it.
    #[expect(clippy::indexing_slicing, reason = "all vectors have one place a session and all rows one a class")]
    fn backward(&self, steps: &[(Gap, bool)], stage: usize, tally: &mut Tally) -> [f64; CLASSES] {
        let (classes, change) = (self.parts.classes.len(), self.parts.change);
        let usual = &self.parts.stages[stage].shares;
        let mut back = [1.0; CLASSES];
        for at in (0..steps.len()).rev() {
            let (gap, absent) = steps[at];
            let before = at.checked_sub(1).map(|before| steps[before].1);
            // What each class makes of this session and all after it.
            let mut ahead = [0.0; CLASSES];
            for class in 0..classes {
                let weight = self.forward[at][class] * back[class];
                if let Some(before) = before {
                    let counts = &mut tally.chances[class][gap as usize];
                    let place = if before { 2 } else { 0 };
                    counts[place] += if absent { weight } else { 0.0 };
                    counts[place + 1] += weight;
                }
                ahead[class] = self.likely(class, before, (gap, absent)) * back[class] / self.scales[at];
            }
            if at == 0 {
                return ahead;
            }
            let mut anew = 0.0;
            for class in 0..classes {
                let came = change * usual[class] * ahead[class];
                tally.stages[stage][class] += came;
                anew += came;
            }
            tally.changes += anew;
            tally.chances_to_change += 1.0;
            for class in 0..classes {
                back[class] = (1.0 - change) * ahead[class] + anew;
            }
        }
        back
    }

    #[expect(clippy::indexing_slicing, reason = "all rows have one place a class")]
    fn expect(&mut self, child: &Child, stage: usize, tally: &mut Tally) {
        let parts = self.parts;
        let classes = parts.classes.len();
        let usual = &parts.stages[stage].shares;
        let mut first = [0.0; CLASSES];
        first.iter_mut().zip(usual).for_each(|(first, usual)| *first = *usual);
        let year: Vec<(Gap, bool)> = child.year.iter().collect();
        let before: Vec<(Gap, bool)> = child.before.iter().collect();
        let of_stage = |likely: &[f64; CLASSES], first: &[f64; CLASSES], tally: &mut Tally| {
            for class in 0..classes {
                tally.stages[stage][class] += first[class] * likely[class];
            }
        };
        if before.is_empty() {
            self.forward(&year, &first, usual);
            let likely = self.backward(&year, stage, tally);
            of_stage(&likely, &first, tally);
            return;
        }
        self.forward(&before, &first, usual);
        let likely = self.backward(&before, stage, tally);
        of_stage(&likely, &first, tally);
        let Some(places) = self.model.places_after(counts(&child.before)) else { return };
        let mut begin = [0.0; CLASSES];
        for (place, weight) in places {
            begin.iter_mut().zip(&parts.after[place].shares).for_each(|(begin, share)| *begin += weight * share);
        }
        self.forward(&year, &begin, usual);
        let likely = self.backward(&year, stage, tally);
        for (place, weight) in places {
            let counts = tally.after[place].iter_mut().zip(&parts.after[place].shares).zip(&likely);
            for ((count, share), likely) in counts {
                *count += weight * share * likely;
            }
        }
    }
}

fn counts(steps: &Steps) -> Counts {
    let mut counts = Counts::default();
    for (_, absent) in steps.iter() {
        counts.possible += 1;
        counts.authorised += u32::from(absent);
    }
    counts
}

fn maximise(parts: &mut Parts, tally: &Tally) {
    let share = |part: f64, of: f64, usual: f64| ((part + 2.0 * usual) / (of + 2.0)).clamp(1e-4, 1.0 - 1e-4);
    for (class, counts) in parts.classes.iter_mut().zip(&tally.chances) {
        for (chances, [begun, after_attended, gone_on, after_missed]) in class.chances.iter_mut().zip(counts) {
            chances.onset = share(*begun, *after_attended, chances.onset);
            chances.stay = share(*gone_on, *after_missed, chances.stay);
        }
    }
    let even = 1.0 / as_float(parts.classes.len());
    let normal = |counts: &[f64], usual: &dyn Fn(usize) -> f64, weight: f64| -> Vec<f64> {
        let sum: f64 = counts.iter().sum::<f64>() + weight;
        counts.iter().enumerate().map(|(at, count)| (count + weight * usual(at)) / sum).collect()
    };
    let mut all = vec![0.0; parts.classes.len()];
    let mut of_phase: Vec<(Option<Phase>, Vec<f64>)> = Vec::new();
    for (stage, counts) in parts.stages.iter().zip(&tally.stages) {
        all.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        match of_phase.iter_mut().find(|(phase, _)| *phase == stage.phase) {
            Some((_, sum)) => sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count),
            None => of_phase.push((stage.phase, counts.clone())),
        }
    }
    let all = normal(&all, &|_| even, 1.0);
    let at = |shares: &[f64], place: usize| shares.get(place).copied().unwrap_or(even);
    for (stage, counts) in parts.stages.iter_mut().zip(&tally.stages) {
        let phase = of_phase.iter().find(|(phase, _)| *phase == stage.phase).map(|(_, sum)| sum.as_slice());
        let phase = normal(phase.unwrap_or_default(), &|place| at(&all, place), STAGE_PHASE);
        let phase = if phase.len() == all.len() { phase } else { all.clone() };
        stage.shares =
            if stage.year_groups.is_empty() { phase } else { normal(counts, &|place| at(&phase, place), STAGE_PHASE) };
    }
    for (after, counts) in parts.after.iter_mut().zip(&tally.after) {
        after.shares = normal(counts, &|place| at(&all, place), 5.0);
    }
    if tally.chances_to_change > 0.0 {
        parts.change = (tally.changes / tally.chances_to_change).clamp(1e-5, MOST_CHANGE);
    }
}

/// Classes by rising rate.
fn order(parts: &mut Parts) {
    let Ok(model) = Model::new(parts.clone()) else { return };
    let mut places: Vec<usize> = (0..parts.classes.len()).collect();
    let rate = |place: &usize| model.courses.get(*place).map_or(0.0, |course| course.rate);
    places.sort_by(|one, other| rate(one).total_cmp(&rate(other)));
    let sorted = |shares: &[f64]| places.iter().filter_map(|place| shares.get(*place).copied()).collect::<Vec<_>>();
    parts.classes = places.iter().filter_map(|place| parts.classes.get(*place).copied()).collect();
    for stage in &mut parts.stages {
        stage.shares = sorted(&stage.shares);
    }
    for after in &mut parts.after {
        after.shares = sorted(&after.shares);
    }
}

/// The numbers that put a probability right, by Newton's steps over every tenth school day of each child.
fn calibrate(children: &[Child], places: &[usize], model: &Model, limit: Limit) -> Calibration {
    let mut points = Vec::new();
    for (child, place) in children.iter().zip(places) {
        let prior = model.prior(*place);
        let mut belief = Belief::after(counts(&child.before), model, *place);
        let all = u32::try_from(child.year.len()).unwrap_or(u32::MAX);
        let total = u32::try_from(child.year.iter().filter(|(_, absent)| *absent).count()).unwrap_or(0);
        let reached = match limit {
            Limit::Persistent => total * 10 >= all,
            Limit::Severe => total * 2 >= all,
        };
        let mut so_far = Counts::default();
        for (gap, absent) in child.year.iter() {
            belief.observe(model, prior, gap, absent);
            so_far.possible += 1;
            so_far.authorised += u32::from(absent);
            if so_far.possible % 20 == 0 {
                let ahead = Ahead { so_far, rest: all - so_far.possible };
                let chance = limit.chance(&belief.outlook(model, *place, ahead));
                if chance > 0.0 && chance < 1.0 {
                    let chance = chance.clamp(1e-6, 1.0 - 1e-6);
                    let (odds, rest) = (libm::log(chance / (1.0 - chance)), ahead.share());
                    let [a, b, c, d] = Calibration::weights(rest);
                    let figures = [a, b, c, d, a * odds, b * odds, c * odds, d * odds];
                    points.push((figures, f64::from(u8::from(reached))));
                }
            }
        }
    }
    let usual = [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0];
    let [shift @ .., a, b, c, d] = most_likely(&points, usual);
    let slope = [a, b, c, d];
    let sound = shift.iter().all(|shift| shift.is_finite()) && slope.iter().all(|slope| (0.2..5.0).contains(slope));
    if sound { Calibration { shift, slope } } else { Calibration::NONE }
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn as_float(count: usize) -> f64 {
    count as f64
}
