//! The other model: logistic regression with published coefficients, one set for each of some school days.
//!
//! Figures of a pupil on an evening, scaled so that none is far from one; coefficients by Newton's steps with a small ridge.

use crate::cohort::{Pupil, totals};
use crate::seen::Seen;

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
    const N: usize = FIGURES.len();
    let mut coefficients = [0.0; N];
    for _ in 0..25 {
        let (mut gradient, mut hessian) = ([0.0; N], [[0.0; N]; N]);
        for (row, ended) in rows.iter().zip(ended) {
            let p = chance(&coefficients, row);
            let (error, weight) = (f64::from(u8::from(*ended)) - p, p * (1.0 - p));
            for i in 0..N {
                gradient[i] += error * row[i];
                for j in 0..N {
                    hessian[i][j] += weight * row[i] * row[j];
                }
            }
        }
        for i in 0..N {
            gradient[i] -= coefficients[i];
            hessian[i][i] += 1.0;
        }
        let step = solve(hessian, gradient);
        coefficients.iter_mut().zip(step).for_each(|(coefficient, step)| *coefficient += step);
    }
    coefficients
}

/// The probability of a row.
pub fn chance(coefficients: &[f64; FIGURES.len()], row: &[f64; FIGURES.len()]) -> f64 {
    let odds: f64 = coefficients.iter().zip(row).map(|(coefficient, figure)| coefficient * figure).sum();
    1.0 / (1.0 + (-odds).exp())
}

/// Gauss's elimination; the matrix is positive definite.
fn solve<const N: usize>(mut a: [[f64; N]; N], mut b: [f64; N]) -> [f64; N] {
    for pivot in 0..N {
        for row in pivot + 1..N {
            let factor = a[row][pivot] / a[pivot][pivot];
            let from = a[pivot];
            a[row].iter_mut().zip(from).skip(pivot).for_each(|(value, from)| *value -= factor * from);
            b[row] -= factor * b[pivot];
        }
    }
    let mut x = [0.0; N];
    for row in (0..N).rev() {
        let known: f64 = (row + 1..N).map(|column| a[row][column] * x[column]).sum();
        x[row] = (b[row] - known) / a[row][row];
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equations_are_solved() {
        let x = solve([[4.0, 1.0], [1.0, 3.0]], [1.0, 2.0]);
        assert!((4.0 * x[0] + x[1] - 1.0).abs() < 1e-12 && (x[0] + 3.0 * x[1] - 2.0).abs() < 1e-12);
    }
}
