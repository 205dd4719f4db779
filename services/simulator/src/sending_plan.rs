//! How a school sends: its habits, and what goes wrong in a year. Takes seed, school and calendar; keeps the sessions whose
//! registers are late, sent twice, or never come, and the weeks sent again.

use std::collections::{HashMap, HashSet};

use crate::dice::{Dice, Purpose};

/// Share of registers that never come; judgement, as all figures here: about one a school and two thirds of a year.
const NEVER: f64 = 0.0015;
/// Share of registers sent twice.
const TWICE: f64 = 0.004;
/// Share of school days of a school that are sent one to three school days late.
const LATE_DAY: f64 = 0.004;
/// Share of schools that fall silent once a year for some days and then send everything.
const SILENT: f64 = 0.1;
/// Share of weeks of a school that are sent again on Friday.
const WEEK_AGAIN: f64 = 0.02;
/// Share of schools that send a whole register when a mark changes.
const WHOLE_CORRECTIONS: f64 = 0.15;

/// What a correction contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Corrections {
    /// The changed marks only.
    Changed,
    /// The whole register.
    Whole,
}

/// One school's year of sending.
pub(crate) struct SendingPlan {
    pub(crate) corrections: Corrections,
    /// Second of the day at which it usually sends, morning and afternoon.
    pub(crate) usual: [u32; 2],
    never: HashSet<usize>,
    twice: HashSet<usize>,
    /// School day taken, to the day of sending.
    late: HashMap<usize, usize>,
    again: HashSet<usize>,
}

impl SendingPlan {
    /// The plan of the school with this index, for `days` school days from `start_year` on.
    pub(crate) fn new(seed: u64, start_year: i16, index: u32, days: usize) -> Self {
        let mut dice = Dice::new(seed, Purpose::Sending, start_year, index);
        let corrections = if dice.chance(WHOLE_CORRECTIONS) { Corrections::Whole } else { Corrections::Changed };
        let usual = [dice.between(32_400, 34_200), dice.between(48_000, 49_800)];
        let mut plan = Self {
            corrections,
            usual,
            never: HashSet::new(),
            twice: HashSet::new(),
            late: HashMap::new(),
            again: HashSet::new(),
        };
        for day in 0..days {
            if dice.chance(LATE_DAY) {
                plan.late.insert(day, day + 1 + dice.index(3));
            }
            if dice.chance(WEEK_AGAIN) {
                plan.again.insert(day);
            }
            for session in [day * 2, day * 2 + 1] {
                if dice.chance(NEVER) {
                    plan.never.insert(session);
                } else if dice.chance(TWICE) {
                    plan.twice.insert(session);
                }
            }
        }
        if dice.chance(SILENT) {
            let from = dice.index(days);
            let until = from + 3 + dice.index(4);
            plan.late.extend((from..until.min(days)).map(|day| (day, until)));
        }
        plan
    }

    /// Whether nothing is ever sent about this session.
    pub(crate) fn never(&self, session: usize) -> bool {
        self.never.contains(&session)
    }

    /// Whether the session's register is sent a second time.
    pub(crate) fn twice(&self, session: usize) -> bool {
        self.twice.contains(&session)
    }

    /// The day on which the registers of `day` are sent.
    pub(crate) fn sent_on(&self, day: usize) -> usize {
        self.late.get(&day).copied().unwrap_or(day)
    }

    /// Whether the week that ends on `day` is sent again.
    pub(crate) fn week_again(&self, day: usize) -> bool {
        self.again.contains(&day)
    }
}
