//! Seeded randomness that gives the same bytes on every machine.
//! Takes a seed, a purpose and an id; keeps a `ChaCha` stream of its own for each, so that a draw more in one place
//! changes nothing elsewhere. Only IEEE-exact operations: no logarithm or exponential, whose last bits differ between platforms.

use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a stream of randomness is for.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum Purpose {
    School = 1,
    Pupil,
    Household,
    Trait,
    Year,
    Roll,
    Path,
    Provision,
    Provisional,
    SchoolYear,
    Sending,
    Transfer,
    Intake,
}

/// A stream of randomness.
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    /// The stream of `seed` for this purpose, school year (0 where it does not matter) and thing.
    pub(crate) fn new(seed: u64, purpose: Purpose, year: i16, id: u32) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let year = u64::from(year.unsigned_abs());
        rng.set_stream((u64::from(purpose as u8) << 48) | (year << 32) | u64::from(id));
        Self(rng)
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        self.0.random::<f64>()
    }

    /// True with probability `p`.
    pub(crate) fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// Uniform in [0, n); 0 for an empty range.
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        // The high half of a 32 by 32 bit product: exact, and the same for every width of usize.
        u32::try_from((u64::from(self.0.next_u32()) * u64::from(n)) >> 32).unwrap_or(0)
    }

    /// Uniform index into a list of `n`.
    pub(crate) fn index(&mut self, n: usize) -> usize {
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        usize::try_from(self.below(n)).unwrap_or(0)
    }

    /// Uniform in [from, to], both included.
    pub(crate) fn between(&mut self, from: u32, to: u32) -> u32 {
        from + self.below(to.saturating_sub(from) + 1)
    }

    /// Nearly standard normal: the sum of twelve uniforms less six (tails end at 6).
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| f64::from(self.0.next_u32())).sum::<f64>() / 4_294_967_296.0 - 6.0
    }

    /// One of a list of values by weight; the last one where rounding leaves nothing.
    pub(crate) fn weighted<T: Copy>(&mut self, list: &[(T, f64)], total: f64) -> Option<T> {
        let mut left = self.unit() * total;
        for (value, weight) in list {
            left -= weight;
            if left < 0.0 {
                return Some(*value);
            }
        }
        list.last().map(|(value, _)| *value)
    }
}
