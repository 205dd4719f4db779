//! The other model: logistic regression with published coefficients, one set for each of some school days.
//!
//! Figures of a pupil on an evening, scaled so that none is far from one; coefficients by Newton's steps with a small ridge.

use crate::cohort::{Pupil, totals};
use crate::seen::Seen;
use attendance::forecast::most_likely;

/// The figures of the regression, in order.
pub const FIGURES: [&str; 8] = [
    "1",
    "log odds of the rate so far",
    "spells a week",
    "missed of the newest 20 sessions",
    "log odds of the rate of the year before",
    "no year before",
    "secondary school",
    "missed in a row",
];

/// A pupil's figures.
pub fn figures(pupil: &Pupil, seen: &Seen) -> [f64; FIGURES.len()] {
    let odds = |missed: u32, possible: u32| {
        let rate = (f64::from(missed) + 0.06 * 10.0) / (f64::from(possible) + 10.0);
        (rate / (1.0 - rate)).ln() + 2.7
    };
    let (possible, missed) = totals(&pupil.before);
    let known = possible > 0;
    [
        1.0,
        odds(seen.missed, seen.possible),
        f64::from(seen.spells) * 10.0 / f64::from(seen.possible.max(10)),
        f64::from(seen.newest[1]) / 20.0,
        if known { odds(missed, possible) } else { 0.0 },
        f64::from(u8::from(!known)),
        f64::from(u8::from(pupil.year_group >= 7)),
        f64::from(u8::from(seen.since == 0)),
    ]
}

/// Coefficients that make what became of pupils most likely.
pub fn fit(rows: &[[f64; FIGURES.len()]], ended: &[bool]) -> [f64; FIGURES.len()] {
    let points: Vec<_> = rows.iter().zip(ended).map(|(row, ended)| (*row, f64::from(u8::from(*ended)))).collect();
    most_likely(&points, [0.0; FIGURES.len()])
}

/// The probability of a row.
pub fn chance(coefficients: &[f64; FIGURES.len()], row: &[f64; FIGURES.len()]) -> f64 {
    let odds: f64 = coefficients.iter().zip(row).map(|(coefficient, figure)| coefficient * figure).sum();
    1.0 / (1.0 + (-odds).exp())
}
