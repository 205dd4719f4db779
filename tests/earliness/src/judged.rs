//! One kind of cohort, judged by every way of seeing early: the figures of a row of each table.

use crate::boost;
use crate::cohort::{Cohort, totals};
use crate::measure;
use crate::regression;
use crate::seen::{Seen, evenings, figures};
use attendance::forecast::Model;

/// School days on whose evenings forecasts are compared: two and four weeks, about October half term, Christmas.
pub const DAYS: [usize; 4] = [10, 20, 38, 75];

/// School days between two fits of the boosted limit of absence to come.
const BOOSTED_EVERY: usize = 6;

/// The regression's coefficients for each of [`DAYS`].
pub type Other = [[f64; regression::FIGURES.len()]; DAYS.len()];

/// The figures of a kind.
pub struct Judged {
    /// The kind.
    pub name: &'static str,
    /// By day.
    pub days: Vec<Day>,
    /// Absence to come at 20% flagged: list at Christmas, at October half term, two days in September, daily rate, rate and spells, ours,
    /// ours without the year before, boosted, perfect foresight.
    pub to_come: [f64; 9],
    /// Where enough broke off.
    pub break_offs: Option<BreakOffs>,
}

/// The figures of an evening.
pub struct Day {
    /// The school day.
    pub day: usize,
    /// Of the rate so far.
    pub auc_rate: f64,
    /// Of boosting on rate, spells and recency, without the year before.
    pub auc_spells: f64,
    /// Of the regression.
    pub auc_regression: f64,
    /// Of our forecast.
    pub auc: f64,
    /// Of boosting on all figures, fitted on the kind.
    pub auc_limit: f64,
    /// Of "rate at least 10%".
    pub recall_rate: f64,
    /// Ours, at its precision.
    pub recall: f64,
    /// Boosted, at its precision.
    pub recall_limit: f64,
    /// The mean distance of probability and share, in tenths of the pupils.
    pub calibration: f64,
    /// After a fit on the kind.
    pub calibration_own: f64,
    /// Of the regression.
    pub calibration_regression: f64,
}

/// Pupils who break off.
pub struct BreakOffs {
    /// How many.
    pub pupils: usize,
    /// The rate rule's delay.
    pub rate_days: usize,
    /// The share that it flags of those who end below 10%.
    pub false_share: f64,
    /// The delay of the change rule at this share, and its threshold.
    pub same: (usize, f64),
    /// The same at 6%.
    pub few: (usize, f64),
}

/// What is known of each pupil on each evening.
pub fn seen(cohort: &Cohort, model: &Model) -> Vec<Vec<Seen>> {
    cohort.pupils.iter().map(|pupil| evenings(cohort, pupil, model)).collect()
}

/// Judges the pupils of a kind; `learn` are others of it, from whom only the limit learns, and the second of the models.
pub fn judge(learn: &Cohort, test: &Cohort, (model, own): (&Model, &Model), other: &Other) -> Judged {
    let (learnt, judged, by_own) = (seen(learn, model), seen(test, model), seen(test, own));
    let ended: Vec<bool> = test.pupils.iter().map(crate::cohort::Pupil::is_persistent).collect();
    let known: Vec<f64> = learn.pupils.iter().map(|pupil| f64::from(u8::from(pupil.is_persistent()))).collect();
    let rows = |cohort: &Cohort, seen: &[Vec<Seen>], day: usize, history: bool| -> Vec<Vec<f64>> {
        cohort.pupils.iter().zip(seen).map(|(pupil, seen)| figures(pupil, &seen[day - 1], history)).collect()
    };
    let boosted = |day: usize, history: bool, target: &[f64]| {
        boost::fit(&rows(learn, &learnt, day, history), target).predict(&rows(test, &judged, day, history))
    };
    let days = DAYS.iter().zip(other).map(|(&day, coefficients)| {
        let of = |seen: &[Vec<Seen>]| -> Vec<Seen> { seen.iter().map(|seen| seen[day - 1]).collect() };
        let evening = of(&judged);
        let chances = |seen: &[Seen]| -> Vec<f64> { seen.iter().map(|seen| seen.outlook.persistent).collect() };
        let rate: Vec<f64> = evening.iter().map(Seen::rate).collect();
        let (ours, by_own) = (chances(&evening), chances(&of(&by_own)));
        let regression: Vec<f64> = test
            .pupils
            .iter()
            .zip(&evening)
            .map(|(pupil, seen)| regression::chance(coefficients, &regression::figures(pupil, seen)))
            .collect();
        let limit = boosted(day, true, &known);
        let flagged: Vec<bool> =
            evening.iter().map(|seen| seen.missed > 0 && seen.missed * 10 >= seen.possible).collect();
        let (precision, recall_rate) = measure::precision_and_recall(&flagged, &ended);
        Day {
            day,
            auc_rate: measure::auc(&rate, &ended),
            auc_spells: measure::auc(&boosted(day, false, &known), &ended),
            auc_regression: measure::auc(&regression, &ended),
            auc: measure::auc(&ours, &ended),
            auc_limit: measure::auc(&limit, &ended),
            recall_rate,
            recall: measure::recall_at(&ours, &ended, precision),
            recall_limit: measure::recall_at(&limit, &ended, precision),
            calibration: measure::calibration(&ours, &ended),
            calibration_own: measure::calibration(&by_own, &ended),
            calibration_regression: measure::calibration(&regression, &ended),
        }
    });
    let days = days.collect();
    let to_come = to_come(learn, test, (&learnt, &judged), model);
    Judged { name: test.name, days, to_come, break_offs: break_offs(test, &judged, &ended) }
}

fn scores(seen: &[Vec<Seen>], score: impl Fn(usize, usize, &Seen) -> f64) -> Vec<Vec<f64>> {
    let of_pupil = |(pupil, seen): (usize, &Vec<Seen>)| {
        seen.iter().enumerate().map(|(day, seen)| score(pupil, day, seen)).collect()
    };
    seen.iter().enumerate().map(of_pupil).collect()
}

/// Sessions missed after each school day.
fn after(cohort: &Cohort) -> Vec<Vec<u32>> {
    let of_pupil = |pupil: &crate::cohort::Pupil| {
        let (_, mut left) = pupil.totals();
        let mut after = Vec::new();
        for day in pupil.year.chunks(2) {
            left -= totals(day).1;
            after.push(left);
        }
        after
    };
    cohort.pupils.iter().map(of_pupil).collect()
}

fn to_come(learn: &Cohort, test: &Cohort, (learnt, judged): (&[Vec<Seen>], &[Vec<Seen>]), model: &Model) -> [f64; 9] {
    let (after_learn, after_test) = (after(learn), after(test));
    let missed: Vec<u32> = test.pupils.iter().map(|pupil| pupil.totals().1).collect();
    let worth = |scores: &[Vec<f64>]| measure::to_come(scores, &after_test, &missed, 0.2);
    let at = |day: usize| scores(judged, |_, of, seen| if of + 1 == day { seen.rate() } else { -1.0 });
    let enough = |seen: &Seen| seen.possible >= 20;
    let september = test.days[1].iter().take_while(|day| day.date().month() == 9).count();
    let two_days = scores(judged, |_, day, seen| if day < september && seen.missed >= 4 { 1.0 } else { -1.0 });
    let daily = scores(judged, |_, _, seen| if enough(seen) { seen.rate() } else { -1.0 });
    let spells = scores(judged, |_, _, seen| {
        let spells = f64::from(seen.spells) / f64::from(seen.possible.max(1));
        if enough(seen) { seen.rate() + spells } else { -1.0 }
    });
    let ours = scores(judged, |_, _, seen| seen.outlook.missed);
    let mut nobody = test.clone();
    nobody.pupils.iter_mut().for_each(|pupil| pupil.before.clear());
    let without = scores(&seen(&nobody, model), |_, _, seen| seen.outlook.missed);
    let mut boosted = scores(judged, |_, _, _| -1.0);
    for day in (5..=185).step_by(BOOSTED_EVERY) {
        let rows = |cohort: &Cohort, seen: &[Vec<Seen>]| -> Vec<Vec<f64>> {
            cohort.pupils.iter().zip(seen).map(|(pupil, seen)| figures(pupil, &seen[day - 1], true)).collect()
        };
        let target: Vec<f64> = after_learn.iter().map(|after| f64::from(after[day - 1])).collect();
        let says = boost::fit(&rows(learn, learnt), &target).predict(&rows(test, judged));
        boosted.iter_mut().zip(says).for_each(|(row, says)| row[day - 1] = says);
    }
    let perfect = scores(judged, |pupil, day, _| f64::from(after_test[pupil][day]));
    [
        worth(&at(75)),
        worth(&at(38)),
        worth(&two_days),
        worth(&daily),
        worth(&spells),
        worth(&ours),
        worth(&without),
        worth(&boosted),
        worth(&perfect),
    ]
}

/// Breaks so late that a rule has no time to see them do not count.
const LAST_BREAK: usize = 165;

fn break_offs(test: &Cohort, judged: &[Vec<Seen>], ended: &[bool]) -> Option<BreakOffs> {
    let broke = test.pupils.iter().enumerate().filter_map(|(at, pupil)| Some((at, pupil.broke_off?)));
    let broke: Vec<(usize, usize)> = broke.filter(|(_, day)| *day < LAST_BREAK).collect();
    if broke.len() < 10 {
        return None;
    }
    let rate_rule =
        scores(judged, |_, _, seen| f64::from(u8::from(seen.possible >= 20 && seen.missed * 10 >= seen.possible)));
    let (rate_days, false_share) = measure::break_offs(&rate_rule, &broke, ended, 1.0);
    let change = scores(judged, |_, _, seen| seen.drift);
    let at_share = |share: f64| {
        let threshold = measure::threshold_of_false(&change, ended, share);
        (measure::break_offs(&change, &broke, ended, threshold).0, threshold)
    };
    Some(BreakOffs { pupils: broke.len(), rate_days, false_share, same: at_share(false_share), few: at_share(0.06) })
}
