//! Logistic regression: what puts probabilities right, and what the forecast is compared with.

/// The coefficients that make most likely what became of points (1 where it came true, else 0), with a small ridge towards those given;
/// by Newton's steps.
pub fn most_likely<const N: usize>(points: &[([f64; N], f64)], usual: [f64; N]) -> [f64; N] {
    let mut coefficients = usual;
    for _ in 0..20 {
        let (mut gradient, mut hessian) = ([0.0; N], [[0.0; N]; N]);
        for (figures, reached) in points {
            let odds: f64 = coefficients.iter().zip(figures).map(|(coefficient, figure)| coefficient * figure).sum();
            let p = 1.0 / (1.0 + libm::exp(-odds));
            let (error, weight) = (reached - p, p * (1.0 - p));
            for ((gradient, row), figure) in gradient.iter_mut().zip(&mut hessian).zip(figures) {
                *gradient += error * figure;
                for (place, other) in row.iter_mut().zip(figures) {
                    *place += weight * figure * other;
                }
            }
        }
        for (number, (row, (gradient, (coefficient, usual)))) in
            hessian.iter_mut().zip(gradient.iter_mut().zip(coefficients.iter().zip(usual))).enumerate()
        {
            *gradient -= coefficient - usual;
            if let Some(place) = row.get_mut(number) {
                *place += 1.0;
            }
        }
        let step = solve(hessian, gradient);
        coefficients.iter_mut().zip(step).for_each(|(coefficient, step)| *coefficient += step);
    }
    coefficients
}

/// Gauss's elimination; the matrix is positive definite.
#[expect(clippy::indexing_slicing, reason = "all places lie within the matrix")]
fn solve<const N: usize>(mut a: [[f64; N]; N], mut b: [f64; N]) -> [f64; N] {
    for pivot in 0..N {
        for row in pivot + 1..N {
            let (factor, from) = (a[row][pivot] / a[pivot][pivot], a[pivot]);
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
