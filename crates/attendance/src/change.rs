//! Attendance that falls off against the child's own past, even where the rate is still good: CUSUMs over spells of absence.
//!
//! Each possible session weighs how likely it is if spells come far more often than they used to, against as they used to. The sum of
//! the logarithms never falls below nought; where it is nought nothing speaks for a change, and what was seen joins the child's own
//! past. A spell weighs once when it begins, and a little for each of its next sessions up to a week, so that one week of illness is no
//! break. There are two such sums: one for spells that come [`RATIO`] times as often, which is quick to speak and soon says all that it can,
//! and one for spells that come as often as with children who have broken off. Only `libm` and exact operations: both are the same on
//! every machine.

/// How much more often spells come after a change than before.
pub const RATIO: f64 = 4.0;

/// Of children who have broken off so many spells begin for each session attended.
const BROKEN: f64 = 0.25;

/// No sum grows above this: who comes back is not held to weeks of absence for ever.
const AT_MOST: f64 = 20.0;

/// What the quick sum adds at most.
const QUICK_AT_MOST: f64 = 6.0;

/// What each further session of a spell adds, and how many of them count.
const GOES_ON: f64 = 0.15;
const GOES_ON_AT_MOST: u32 = 9;

/// What counts into a child's own past before anything is known of it: so many spells in so many sessions attended.
const USUAL_SPELLS: f64 = 1.6;
const USUAL_SESSIONS: f64 = 60.0;

/// More than so many sessions of the past do not count: what was long ago says less.
const PAST_AT_MOST: f64 = 400.0;

/// The sums for one child.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Drift {
    quick: Chart,
    broken: Chart,
    /// Sessions missed in a row up to the newest.
    missed: u32,
}

impl Drift {
    /// Takes a possible session in.
    pub fn observe(&mut self, absent: bool) {
        self.missed = if absent { self.missed + 1 } else { 0 };
        self.quick.observe(self.missed, |usual| (usual * RATIO).min(0.5));
        self.broken.observe(self.missed, |usual| (usual * RATIO).clamp(BROKEN, 0.5));
    }

    /// How strongly the newest sessions speak for a change, in points. In trials one child in 16 of those who end the year below 10% ever
    /// came to 13 (`docs/earliness.md`).
    pub fn sum(&self) -> f64 {
        self.quick.sum.min(QUICK_AT_MOST) + self.broken.sum
    }
}

/// One sum.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Chart {
    /// Spells and attended sessions of the past.
    past: (f64, f64),
    /// The same since the sum was last nought.
    since: (f64, f64),
    sum: f64,
    /// What an attended session takes from the sum; worked out once, since the past stays as it is while the sum is above nought.
    attended: Option<f64>,
}

impl Chart {
    /// Takes a session in: so many in a row were missed up to it. `after` tells how many spells begin after a change.
    fn observe(&mut self, missed: u32, after: impl Fn(f64) -> f64) {
        let usual = (self.past.0 + USUAL_SPELLS) / (self.past.1 + USUAL_SESSIONS);
        match missed {
            0 => {
                self.since.1 += 1.0;
                // It only falls: from nought there is nothing to work out.
                if self.sum > 0.0 {
                    let worked_out = || libm::log((1.0 - after(usual)) / (1.0 - usual));
                    self.sum += *self.attended.get_or_insert_with(worked_out);
                }
            }
            1 => {
                self.since.0 += 1.0;
                self.sum += libm::log(after(usual) / usual);
            }
            2.. if missed <= 1 + GOES_ON_AT_MOST => self.sum += GOES_ON,
            _ => {}
        }
        self.sum = self.sum.min(AT_MOST);
        if self.sum <= 0.0 {
            let (spells, sessions) = (self.past.0 + self.since.0, self.past.1 + self.since.1);
            let scale = if sessions > PAST_AT_MOST { PAST_AT_MOST / sessions } else { 1.0 };
            *self = Self { past: (spells * scale, sessions * scale), ..Self::default() };
        }
    }
}
