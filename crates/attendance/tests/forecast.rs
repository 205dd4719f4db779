//! The forecast against slow, obvious ones: every way in which a child may have changed its ways, and children played to the year's end.
#![expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "small numbers in a test")]

mod invented;

use attendance::Phase;
use attendance::forecast::{Ahead, Belief, Child, Gap, Limit, Model, Steps, fit};
use attendance::rate::Counts;
use proptest::prelude::*;

/// The weights of the classes by adding up every sequence of classes that a child may have had.
fn weights(model: &Model, first: &[f64], sessions: &[(Gap, bool)]) -> Vec<f64> {
    let parts = model.parts();
    let (classes, usual) = (parts.classes.len(), &parts.stages[0].shares);
    let mut sums = vec![0.0; classes];
    for number in 0..classes.pow(sessions.len() as u32) {
        let path: Vec<usize> = (0..sessions.len()).map(|at| number / classes.pow(at as u32) % classes).collect();
        let mut likely = 1.0;
        for (at, (gap, absent)) in sessions.iter().enumerate() {
            let class = path[at];
            let chances = parts.classes[class].chances[*gap as usize];
            likely *= match at {
                0 => (1.0 - parts.change) * first[class] + parts.change * usual[class],
                _ => parts.change * usual[class] + if path[at - 1] == class { 1.0 - parts.change } else { 0.0 },
            };
            let missed = match at {
                0 => Model::rate(&parts.classes[class]),
                _ if sessions[at - 1].1 => chances.stay,
                _ => chances.onset,
            };
            likely *= if *absent { missed } else { 1.0 - missed };
        }
        sums[path[sessions.len() - 1]] += likely;
    }
    let all: f64 = sums.iter().sum();
    sums.into_iter().map(|sum| sum / all).collect()
}

fn sessions() -> impl Strategy<Value = Vec<(Gap, bool)>> {
    let gap = prop_oneof![Just(Gap::Noon), Just(Gap::Night), Just(Gap::Break)];
    proptest::collection::vec((gap, any::<bool>()), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_belief_is_what_bayes_makes_of_every_way_that_it_may_have_been(sessions in sessions()) {
        let model = invented::model();
        let prior = model.prior(0);
        let mut belief = Belief::usual(prior);
        for (gap, absent) in &sessions {
            belief.observe(&model, prior, *gap, *absent);
        }
        let expected = weights(&model, &model.parts().stages[0].shares, &sessions);
        for (found, expected) in belief.weights().iter().zip(&expected) {
            prop_assert!((f64::from(*found) - expected).abs() < 1e-4, "{found} {expected}");
        }
    }

    #[test]
    fn a_year_before_lies_between_the_rates_that_are_known(absent in 0_u32..380) {
        let model = invented::model();
        let year = Counts { possible: 380, authorised: absent, unauthorised: 0 };
        let belief = Belief::after(year, &model, 0);
        let sum: f32 = belief.weights().iter().sum();
        prop_assert!((sum - 1.0).abs() < 1e-4);
        let more = Belief::after(Counts { authorised: absent + 1, ..year }, &model, 0);
        prop_assert!(more.missed(&model, 0, 380) >= belief.missed(&model, 0, 380) - 1e-3);
    }
}

/// A small generator of its own: the test needs no more.
struct Dice(u64);

impl Dice {
    fn chance(&mut self, p: f64) -> bool {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as f64) / f64::from(1_u32 << 31) < p
    }

    fn class(&mut self, shares: &[f64]) -> usize {
        let mut left = 1.0;
        for (class, share) in shares.iter().enumerate() {
            if self.chance((share / left).min(1.0)) {
                return class;
            }
            left -= share;
        }
        0
    }
}

const WEEK: [Gap; 10] =
    [Gap::Break, Gap::Noon, Gap::Night, Gap::Noon, Gap::Night, Gap::Noon, Gap::Night, Gap::Noon, Gap::Night, Gap::Noon];

/// A child of the model's, from a class on: what it misses in so many sessions, whole weeks.
fn play(model: &Model, dice: &mut Dice, mut class: usize, mut before: Option<bool>, count: usize) -> Vec<(Gap, bool)> {
    let parts = model.parts();
    let mut sessions = Vec::with_capacity(count);
    for gap in WEEK.iter().cycle().take(count) {
        if dice.chance(parts.change) {
            class = dice.class(&parts.stages[0].shares);
        }
        let chances = parts.classes[class].chances[*gap as usize];
        let missed = dice.chance(match before {
            None => Model::rate(&parts.classes[class]),
            Some(true) => chances.stay,
            Some(false) => chances.onset,
        });
        sessions.push((*gap, missed));
        before = Some(missed);
    }
    sessions
}

#[test]
fn what_is_foreseen_comes_to_children_who_are_played_to_the_end() {
    let model = invented::model();
    let prior = model.prior(0);
    let mut dice = Dice(7);
    for seen in [20, 100, 300] {
        // A child with a spell of illness every two weeks.
        let mut belief = Belief::usual(prior);
        let mut so_far = Counts::default();
        for (at, gap) in WEEK.iter().cycle().take(seen).enumerate() {
            let absent = at % 20 < 3;
            belief.observe(&model, prior, *gap, absent);
            so_far.possible += 1;
            so_far.authorised += u32::from(absent);
        }
        let rest = 380 - seen as u32;
        let (outlook, range) =
            (belief.outlook(&model, 0, Ahead { so_far, rest }), belief.missed_interval(&model, 0, rest));
        let weights: Vec<f64> = belief.weights().iter().map(|weight| f64::from(*weight)).collect();
        let (mut missed, mut persistent, mut inside) = (0.0, 0.0, 0.0);
        let rounds = 4_000;
        for _ in 0..rounds {
            let class = dice.class(&weights);
            let played = play(&model, &mut dice, class, Some(false), rest as usize);
            let count = played.iter().filter(|(_, missed)| *missed).count() as u32;
            missed += f64::from(count) / f64::from(rounds);
            persistent += f64::from(u8::from((so_far.absent() + count) * 10 >= 380)) / f64::from(rounds);
            inside += f64::from(u8::from((range.low..=range.high).contains(&f64::from(count)))) / f64::from(rounds);
        }
        assert!((outlook.missed - missed).abs() < missed * 0.06 + 0.5, "{seen}: {} {missed}", outlook.missed);
        // The model's own correction is taken out again: it is for real children.
        let chance = belief.chance_interval(&model, 0, Ahead { so_far, rest }, Limit::Persistent);
        assert!(chance.low <= chance.high, "{chance:?}");
        let raw = |p: f64| {
            let odds = ((p / (1.0 - p)).ln() - 0.1) / 0.9;
            1.0 / (1.0 + (-odds).exp())
        };
        let foreseen = if outlook.persistent < 1.0 { raw(outlook.persistent) } else { 1.0 };
        assert!((foreseen - persistent).abs() < 0.06, "{seen}: {foreseen} {persistent}");
        assert!((inside - 0.8).abs() < 0.08, "{seen}: {inside} within {range:?}");
    }
}

#[test]
fn a_fit_finds_the_model_that_made_the_children() {
    let model = invented::model();
    let mut dice = Dice(11);
    let steps = |sessions: &[(Gap, bool)]| {
        let mut steps = Steps::default();
        for (gap, missed) in sessions {
            steps.push(*gap, *missed);
        }
        steps
    };
    let children: Vec<Child> = (0..1_500)
        .map(|_| {
            let class = dice.class(&model.parts().stages[0].shares);
            let year = steps(&play(&model, &mut dice, class, None, 380));
            Child { phase: Some(Phase::Primary), year_group: None, before: Steps::default(), year }
        })
        .collect();
    let fitted = fit(&children, "played".into()).unwrap();
    let rate = |model: &Model| -> f64 {
        let (parts, stage) = (model.parts(), &model.parts().stages[0]);
        parts.classes.iter().zip(&stage.shares).map(|(class, share)| share * Model::rate(class)).sum()
    };
    assert!((rate(&model) - rate(&fitted)).abs() < 0.01, "{} {}", rate(&model), rate(&fitted));
    assert!(fitted.parts().change < 0.006, "{}", fitted.parts().change);
    // Both say about the same of a child.
    let says = |model: &Model| {
        let prior = model.prior(0);
        let mut belief = Belief::usual(prior);
        for (at, gap) in WEEK.iter().cycle().take(100).enumerate() {
            belief.observe(model, prior, *gap, at % 25 < 4);
        }
        belief.missed(model, 0, 280)
    };
    let (one, other) = (says(&model), says(&fitted));
    assert!((one - other).abs() < 0.2 * one, "{one} {other}");
}

#[test]
fn what_is_certain_is_certain() {
    let model = invented::model();
    let belief = Belief::usual(model.prior(0));
    let outlook = |possible, absent, rest| {
        let so_far = Counts { possible, authorised: absent, unauthorised: 0 };
        belief.outlook(&model, 0, Ahead { so_far, rest })
    };
    assert_eq!(outlook(100, 38, 280).persistent.to_bits(), 1.0_f64.to_bits(), "38 of 380 are missed already");
    assert!(outlook(100, 37, 280).persistent < 1.0);
    assert_eq!(outlook(370, 20, 10).persistent.to_bits(), 0.0_f64.to_bits(), "18 more cannot be missed in 10");
    assert_eq!(outlook(370, 20, 0).missed.to_bits(), 0.0_f64.to_bits());
}
