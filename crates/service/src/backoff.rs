//! Pauses between attempts: growing, with full jitter, so that many who failed together do not come back together.
//! Takes randomness from its caller; keeps the number of failures in a row; sleeps nowhere.
//!
//! Source: M. Brooker, "Exponential backoff and jitter", AWS Architecture Blog, 2015.

use rand::Rng;
use std::time::Duration;

/// The pauses of one thing that is tried again and again.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Pauses of up to `first` after the first failure, twice that after the second and so on, never above `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first: first.min(longest), longest, failures: 0 }
    }

    /// Counts a failure and gives the pause after it: evenly anything from nothing to the present bound.
    pub fn pause(&mut self, random: &mut impl Rng) -> Duration {
        let bound = self.bound();
        self.failures = self.failures.saturating_add(1);
        // A draw of 0 to 1, 1 included or not, never lengthens the bound.
        bound.mul_f64(random.random::<f64>())
    }

    /// The longest that the next pause can be.
    pub fn bound(&self) -> Duration {
        let factor = 2_u32.saturating_pow(self.failures);
        self.first.saturating_mul(factor).min(self.longest)
    }

    /// Failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// It went well: the next failure is a first one again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(1);

    #[test]
    fn bounds_double_up_to_the_longest_and_start_anew_after_a_success() {
        let (mut backoff, mut random) = (Backoff::new(FIRST, LONGEST), ChaCha8Rng::seed_from_u64(1));
        let mut bounds = Vec::new();
        for _ in 0..6 {
            bounds.push(backoff.bound().as_millis());
            backoff.pause(&mut random);
        }
        assert_eq!(bounds, [100, 200, 400, 800, 1_000, 1_000]);
        backoff.reset();
        assert_eq!((backoff.bound(), backoff.failures()), (FIRST, 0));
    }

    #[test]
    fn pauses_lie_anywhere_below_their_bound() {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let pauses: Vec<Duration> = (0..1_000).map(|_| Backoff::new(FIRST, LONGEST).pause(&mut random)).collect();
        assert!(pauses.iter().all(|pause| *pause <= FIRST));
        let mean = pauses.iter().sum::<Duration>() / 1_000;
        assert!((45..55).contains(&mean.as_millis()), "even jitter has half the bound as its mean, not {mean:?}");
        assert!(pauses.iter().any(|pause| *pause < FIRST / 10) && pauses.iter().any(|pause| *pause > FIRST * 9 / 10));
    }

    #[test]
    fn a_thousand_failures_do_not_overflow() {
        let (mut backoff, mut random) = (Backoff::new(FIRST, LONGEST), ChaCha8Rng::seed_from_u64(3));
        assert!((0..1_000).all(|_| backoff.pause(&mut random) <= LONGEST));
    }
}
