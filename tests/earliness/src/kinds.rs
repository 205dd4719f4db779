//! Kinds of cohorts that differ in how spells run, how seasons act, how much stays from year to year, and how many improve or break
//! off. Each pupil's share of the year is drawn from the published bands, so that every kind has the published year; the kind says
//! when in the year the absence falls.

use crate::cohort::{Cohort, Pupil, Session};
use attendance::{Day, Phase};
use jiff::civil::Weekday;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use simulator::calendar::Calendar;

/// What makes a kind.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// The correlation of a pupil's ranks in two years; that of the rates, which are skewed, is lower by 0.15.
    pub between_years: f64,
    /// Lengths of spells in sessions, with weights: half of them 2 to 4.
    pub lengths: &'static [(usize, f64)],
    /// How many times as long the spells of those are who miss half of the year.
    pub long_for_many: f64,
    /// How much more absence there is in December than in the mean, and less in June.
    pub season: f64,
    /// Of those with 15% to 50%: good until a day, then absent half of the time.
    pub break_off: f64,
    /// Of those with 10% to 50%: absent until a day, then good.
    pub improve: f64,
    /// Of all: absence falls into one part of the year, a third of it.
    pub one_third: f64,
}

/// Spells of days, some of weeks.
const DAYS: &[(usize, f64)] = &[(1, 0.22), (2, 0.38), (4, 0.14), (6, 0.10), (8, 0.05), (10, 0.08), (20, 0.03)];
/// Single sessions and single days.
const SHORT: &[(usize, f64)] = &[(1, 0.40), (2, 0.44), (3, 0.04), (4, 0.06), (6, 0.04), (10, 0.02)];
/// A day, or a week and more.
const LONG: &[(usize, f64)] = &[(1, 0.12), (2, 0.40), (4, 0.10), (6, 0.10), (10, 0.17), (20, 0.08), (40, 0.03)];

/// The kinds beside the county.
pub const KINDS: [Kind; 6] = [
    Kind {
        name: "steady",
        between_years: 0.78,
        lengths: DAYS,
        long_for_many: 2.0,
        season: 0.2,
        break_off: 0.05,
        improve: 0.05,
        one_third: 0.05,
    },
    Kind {
        name: "short spells",
        between_years: 0.78,
        lengths: SHORT,
        long_for_many: 3.0,
        season: 0.1,
        break_off: 0.10,
        improve: 0.05,
        one_third: 0.05,
    },
    Kind {
        name: "long spells",
        between_years: 0.76,
        lengths: LONG,
        long_for_many: 2.0,
        season: 0.3,
        break_off: 0.05,
        improve: 0.05,
        one_third: 0.10,
    },
    Kind {
        name: "winters",
        between_years: 0.79,
        lengths: DAYS,
        long_for_many: 3.0,
        season: 0.6,
        break_off: 0.05,
        improve: 0.10,
        one_third: 0.05,
    },
    Kind {
        name: "little stays",
        between_years: 0.65,
        lengths: DAYS,
        long_for_many: 2.0,
        season: 0.2,
        break_off: 0.10,
        improve: 0.10,
        one_third: 0.10,
    },
    Kind {
        name: "breaking off",
        between_years: 0.78,
        lengths: SHORT,
        long_for_many: 4.0,
        season: 0.2,
        break_off: 0.35,
        improve: 0.10,
        one_third: 0.10,
    },
];

/// Enrolments by bands of 5 points, the last 50 and more: Dorset 2022/23, the census (`dfe_absence_bands.csv`).
const PRIMARY: [f64; 11] = [10557.0, 5355.0, 1525.0, 525.0, 225.0, 116.0, 54.0, 44.0, 27.0, 31.0, 126.0];
const SECONDARY: [f64; 11] = [10360.0, 6401.0, 2546.0, 1004.0, 534.0, 348.0, 217.0, 167.0, 158.0, 113.0, 838.0];

/// So many pupils of a kind.
///
/// # Panics
/// Never: the calendars of 2024 and 2025 are known.
pub fn cohort(kind: &Kind, seed: u64, pupils: usize) -> Cohort {
    let days = [2024, 2025].map(|year| {
        let calendar = Calendar::new(year).expect("a known year");
        let days = calendar.days().iter().map(|day| Day::of(day.year(), day.month(), day.day()).expect("a day"));
        days.collect::<Vec<_>>()
    });
    let mut dice = Dice(ChaCha8Rng::seed_from_u64(seed));
    let pupils = (0..pupils).map(|_| pupil(kind, &days, &mut dice)).collect();
    Cohort { name: kind.name, days, pupils }
}

struct Dice(ChaCha8Rng);

impl Dice {
    fn unit(&mut self) -> f64 {
        self.0.random::<f64>()
    }

    /// About normal: twelve uniform draws.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    fn weighted(&mut self, choices: &[(usize, f64)]) -> usize {
        let mut rest = self.unit() * choices.iter().map(|(_, weight)| weight).sum::<f64>();
        for (choice, weight) in choices {
            rest -= weight;
            if rest < 0.0 {
                return *choice;
            }
        }
        choices.last().map_or(1, |(choice, _)| *choice)
    }
}

fn pupil(kind: &Kind, days: &[Vec<Day>; 2], dice: &mut Dice) -> Pupil {
    // Dorset's enrolments: reception to year 6 46%, years 7 to 11 54%.
    let year_group = if dice.unit() < 0.46 { (dice.unit() * 7.0) as u8 } else { 7 + (dice.unit() * 5.0) as u8 };
    let phase = if year_group < 7 { Phase::Primary } else { Phase::Secondary };
    let phase_before = if year_group < 8 { Phase::Primary } else { Phase::Secondary };
    let first = dice.normal();
    let r = kind.between_years;
    let second = r * first + (1.0 - r * r).sqrt() * dice.normal();
    let known = year_group > 0 && dice.unit() < 0.95;
    let before = if known { year(kind, share(phase_before, first, dice), &days[0], dice).0 } else { Vec::new() };
    let (year, broke_off) = year(kind, share(phase, second, dice), &days[1], dice);
    Pupil { phase, year_group, before, year, broke_off }
}

/// The share of the year that a pupil of this rank misses: the quantile of the published bands.
fn share(phase: Phase, rank: f64, dice: &mut Dice) -> f64 {
    let bands = if phase == Phase::Primary { &PRIMARY } else { &SECONDARY };
    let all: f64 = bands.iter().sum();
    let mut rest = normal_share(rank) * all;
    for (band, count) in (0_u32..).zip(bands) {
        if rest < *count {
            let within = rest / count;
            let from = 0.05 * f64::from(band);
            return match band {
                // Few miss nothing at all; of the last band most are nearer to half than to all.
                0 => 0.004 + 0.046 * within.powf(0.6),
                10 => 0.5 + 0.45 * within * within,
                _ => from + 0.05 * within,
            };
        }
        rest -= count;
    }
    0.5 + 0.4 * dice.unit()
}

/// The share of pupils of a lower rank.
fn normal_share(rank: f64) -> f64 {
    // The logistic curve that is nearest to the normal one, cubed in the tails (Bowling et al. 2009): within 0.0002.
    1.0 / (1.0 + (-(0.07056 * rank * rank * rank + 1.5976 * rank)).exp())
}

type Year = (Vec<Session>, Option<usize>);

fn year(kind: &Kind, share: f64, days: &[Day], dice: &mut Dice) -> Year {
    let sessions = days.len() * 2;
    // Cut off: a share below a band's edge stays below it.
    let wanted = (share * sessions as f64 + 1e-9) as usize;
    let mut weights: Vec<f64> =
        (0..sessions).map(|at| season(kind, days[at / 2]) * weekday(days[at / 2], at)).collect();
    let draw = dice.unit();
    let mut broke_off = None;
    if (0.15..0.5).contains(&share) && draw < kind.break_off {
        // Some 3% before, half after: where the line falls follows from the year's share.
        let after = (wanted as f64 - 0.03 * sessions as f64) / 0.47;
        let day = days.len().saturating_sub((after / 2.0).round() as usize).max(1);
        let before: f64 = weights.iter().take(day * 2).sum();
        let later: f64 = weights.iter().skip(day * 2).sum();
        let ratio = 0.03 * 2.0 * day as f64 / before / (0.5 * (sessions - 2 * day) as f64 / later);
        weights.iter_mut().take(day * 2).for_each(|weight| *weight *= ratio);
        broke_off = Some(day);
    } else if (0.1..0.5).contains(&share) && draw > 1.0 - kind.improve {
        let day = (days.len() as f64 * (share * 1.8).min(0.9)) as usize;
        weights.iter_mut().skip(day * 2).for_each(|weight| *weight *= 0.08);
    } else if dice.unit() < kind.one_third && share < 0.3 {
        let from = (dice.unit() * 2.0 / 3.0 * sessions as f64) as usize;
        let third = from..from + sessions / 3;
        weights.iter_mut().enumerate().filter(|(at, _)| !third.contains(at)).for_each(|(_, weight)| *weight *= 0.1);
    }
    // Who breaks off was like others until then, in the length of spells too.
    let spells = if broke_off.is_some() { Spells::Ordinary } else { Spells::By(share) };
    (place(kind, spells, wanted, &weights, dice), broke_off)
}

/// What spells of a year are like.
#[derive(Clone, Copy)]
enum Spells {
    /// Of ordinary length, and they may touch.
    Ordinary,
    /// The longer the more is missed; they do not touch unless the year is full of them.
    By(f64),
}

/// Lays spells until so many sessions are missed.
fn place(kind: &Kind, spells: Spells, wanted: usize, weights: &[f64], dice: &mut Dice) -> Vec<Session> {
    let mut sums = Vec::with_capacity(weights.len());
    let mut sum = 0.0;
    for weight in weights {
        sum += weight;
        sums.push(sum);
    }
    let mut year = vec![Session::Attended; weights.len()];
    let mut missed = 0;
    let (longer, dense) = match spells {
        Spells::Ordinary => (1.0, true),
        Spells::By(share) => (1.0 + (kind.long_for_many - 1.0) * (share / 0.5).min(1.0).powi(2), share >= 0.25),
    };
    while missed < wanted {
        let length = (dice.weighted(kind.lengths) as f64 * longer).round() as usize;
        let length = length.clamp(1, wanted - missed);
        let draw = dice.unit() * sum;
        let start = sums.partition_point(|upto| *upto <= draw);
        let free = |at: usize| year.get(at).is_none_or(|session| *session == Session::Attended);
        let apart = (start.saturating_sub(1)..=start + length).all(free);
        if !apart && !dense {
            continue;
        }
        let mut left = length;
        for session in year.iter_mut().skip(start).filter(|session| **session == Session::Attended) {
            if left == 0 {
                break;
            }
            *session = Session::Missed;
            left -= 1;
        }
        missed += length - left;
    }
    year
}

fn season(kind: &Kind, day: Day) -> f64 {
    let shape = [0.5, 0.2, 0.0, -0.3, -0.5, -1.0, -0.6, 0.0, -0.4, 0.0, 0.4, 1.0];
    let month = usize::try_from(day.date().month() - 1).unwrap_or(0);
    1.0 + kind.season * shape[month]
}

/// Spells begin in the mornings, on Mondays and Fridays more than in mid-week.
fn weekday(day: Day, at: usize) -> f64 {
    let day = match day.date().weekday() {
        Weekday::Monday => 1.2,
        Weekday::Friday => 1.15,
        Weekday::Wednesday => 0.8,
        _ => 0.95,
    };
    if at.is_multiple_of(2) { day } else { day * 0.25 }
}
