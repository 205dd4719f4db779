//! The absence model's parameters, and where each comes from. Values only; `absence` and `provision` play them.
//!
//! Every pupil has a rank `z`, nearly standard normal within its phase: a shift by year group and group membership, a part
//! shared with brothers and sisters, a lasting part and a part of the year. `nominal_rate` turns the rank into the share of
//! sessions that spells of absence would take; what comes out differs by chance, weekends, part-time timetables and moves.
//!
//! **Target.** The two published series disagree: the census of 2022/23 (shares by band, persistent, severe) implies a mean
//! absence of 6.4% in Dorset's primary and 10.2% in its secondary schools, the daily series of 2025/26 has 5.6% and 8.9%.
//! The knots were fitted to both at once, on the mean of 16 seeds: bands, persistent and severe absence of the census, and the
//! mean of 2025/26. What comes out, on 16 other seeds of 17,000 pupils: primary absence 5.86%, persistent 13.4%, severe 0.4%;
//! secondary 9.2%, 25.1%, 3.5%; a seed differs from these by chance (standard deviation of absence 0.1 points, of persistent 0.5).
//!
//! "Dorset row" below is Dorset's row of the phase in the DfE's daily series of 2025/26 (`dfe_attendance_2025_26.csv`), "bands"
//! is `dfe_absence_bands.csv`; fitted means: by running the model and comparing.

use attendance::Code;
use attendance::Phase;

/// Standard deviation of a rank's part that brothers and sisters share; judgement. Lasting and yearly parts are the phase's.
pub(crate) const HOUSEHOLD: f64 = 0.35;

/// Shifts of the rank by group, in standard deviations. From bands 2022/23, as differences of normal quantiles of the
/// persistent share: FSM 30.0 against 10.1% (primary), 45.9 against 20.4% (secondary); SEN 39.1 against 23.8% (England).
/// Looked-after children miss less than other children with a social worker.
pub(crate) const FSM_SHIFT: f64 = 0.65;
/// SEN support; see `FSM_SHIFT`.
pub(crate) const SEN_SHIFT: f64 = 0.30;
/// EHC plan, outside special schools; see `FSM_SHIFT`.
pub(crate) const EHCP_SHIFT: f64 = 0.40;
/// Social worker; see `FSM_SHIFT`.
pub(crate) const SOCIAL_WORKER_SHIFT: f64 = 0.50;
/// Looked after, on top of a social worker; see `FSM_SHIFT`.
pub(crate) const LOOKED_AFTER_SHIFT: f64 = -0.60;
/// Young carer; see `FSM_SHIFT`.
pub(crate) const YOUNG_CARER_SHIFT: f64 = 0.30;
/// Pupils who change schools, come or go in mid-year: those without FSM status, movers probably, are 68.8% persistent.
pub(crate) const MOVER_SHIFT: f64 = 0.50;

/// Shift by year group 0 (reception) to 11: normal quantiles of England's persistent share by year 2022/23, less the phase's.
pub(crate) const YEAR_SHIFT: [f64; 12] = [0.20, 0.12, 0.03, -0.03, -0.03, 0.0, 0.0, -0.20, -0.04, 0.06, 0.08, 0.10];

/// Start of spells by weekday, morning and afternoon, about 1 in the mean of a day's two sessions. Fitted: least absence on Wednesday
/// morning, most on Friday afternoon (FFT Datalab).
pub(crate) const STARTS: [[f64; 2]; 5] = [[1.9, 0.35], [1.45, 0.35], [1.15, 0.35], [1.45, 0.4], [1.75, 1.2]];

/// Start of spells by month, January first: illness peaks before Christmas (shape of the national daily series).
pub(crate) const SEASON: [f64; 12] = [1.10, 1.05, 1.0, 0.95, 0.95, 1.05, 1.15, 1.0, 0.85, 0.95, 1.05, 1.25];

/// Start of spells in the first two weeks by year group: FFT 2022/23, 2.9% missed in year 7 (least) to 7.2% in year 11.
const FIRST_WEEKS: [f64; 12] = [0.70, 0.63, 0.63, 0.63, 0.63, 0.63, 0.63, 0.50, 0.7, 0.8, 0.85, 0.95];

/// Start of spells in the first two weeks, of a year group and nominal rate. In primary schools those who are seldom absent
/// miss less at the start than later: half of the first week's absence is unauthorised (FFT). Fitted to FFT's 37%.
pub(crate) fn first_weeks(year_group: usize, rate: f64) -> f64 {
    let by_rate = if year_group <= 6 { (0.75 + 2.2 * rate).min(1.1) } else { 1.0 };
    FIRST_WEEKS[year_group.min(11)] * by_rate
}

/// Holidays that schools did not grant, by month, January first: before and after the summer and in May and June.
pub(crate) const HOLIDAY_SEASON: [f64; 12] = [0.4, 0.8, 0.9, 1.0, 1.3, 1.7, 1.6, 1.0, 1.3, 1.2, 0.7, 0.9];

/// Chance that a spell goes on after a weekend; most illnesses do not.
pub(crate) const OVER_WEEKEND: f64 = 0.45;
/// Chance that a spell goes on after a holiday of the school.
pub(crate) const OVER_HOLIDAY: f64 = 0.25;
/// Share of pupils who attend like others until a day and then miss half of their sessions.
pub(crate) const BREAK_OFF: f64 = 0.0025;
/// Their nominal rate from that day on.
pub(crate) const BROKEN_OFF_RATE: f64 = 0.5;
/// From this nominal rate on some spells last for weeks.
pub(crate) const LONG_FROM: f64 = 0.15;

/// A kind of spell: its code, weight at a nominal rate of 0, what each point of rate adds, and how long it lasts.
pub(crate) struct Reason {
    /// The code of its sessions.
    pub(crate) code: Code,
    /// Relative number of spells.
    pub(crate) weight: f64,
    /// The weight is multiplied by `1 + tilt * min(rate, 0.6)`: disaffection grows with absence, appointments do not.
    pub(crate) tilt: f64,
    /// Length of its spells.
    pub(crate) lengths: Lengths,
}

/// Families of spell lengths.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lengths {
    /// Half of them 2 to 4 sessions (FFT 2022).
    Ordinary,
    /// One session, seldom two.
    Single,
    /// A week or so.
    Week,
    /// Some days: suspensions.
    Days,
    /// Weeks: travelling families.
    Weeks,
}

/// Ordinary spells that start in the morning.
pub(crate) const ORDINARY_AM: [(u8, f64); 10] =
    [(1, 0.05), (2, 0.50), (3, 0.04), (4, 0.18), (5, 0.01), (6, 0.08), (8, 0.04), (10, 0.06), (14, 0.02), (20, 0.01)];
/// Ordinary spells that start in the afternoon (sent home).
pub(crate) const ORDINARY_PM: [(u8, f64); 5] = [(1, 0.40), (3, 0.41), (5, 0.12), (7, 0.05), (11, 0.02)];
/// One session, seldom two.
pub(crate) const SINGLE: [(u8, f64); 2] = [(1, 0.70), (2, 0.30)];
/// A week's holiday, and shorter and longer ones.
pub(crate) const WEEK: [(u8, f64); 4] = [(4, 0.20), (6, 0.15), (10, 0.50), (20, 0.15)];
/// Suspensions: most last 1 to 3 days.
pub(crate) const SOME_DAYS: [(u8, f64); 5] = [(2, 0.40), (4, 0.25), (6, 0.15), (10, 0.18), (20, 0.02)];
/// Weeks of travelling.
pub(crate) const SOME_WEEKS: [(u8, f64); 3] = [(10, 0.4), (30, 0.4), (60, 0.2)];

/// A phase's parameters.
pub(crate) struct PhaseModel {
    /// Knots (rank, nominal rate), joined by straight lines; outside, the first and last rate.
    pub(crate) rates: &'static [(f64, f64)],
    /// Standard deviation of the rank's lasting part. Fitted with the yearly part: the rates of two years then correlate at
    /// about 0.6 (FFT, year 6 to 7: 0.63).
    pub(crate) lasting: f64,
    /// Standard deviation of the rank's part of the year.
    pub(crate) yearly: f64,
    /// Kinds of spells.
    pub(crate) reasons: &'static [Reason],
    /// Share of pupils on a part-time timetable (C2) at some time.
    pub(crate) part_time: f64,
    /// Mean chance to be late (L) in the morning.
    pub(crate) late: f64,
    /// Visits (V) of a year group in a year: one, and a second with this chance.
    pub(crate) second_visit: f64,
    /// Share of pupils with a day a week off site (B).
    pub(crate) off_site: f64,
    /// Share of pupils whom the authority teaches (K).
    pub(crate) arranged: f64,
    /// Chance of a sports fixture (P) in an afternoon.
    pub(crate) sport: f64,
}

const fn reason(code: Code, weight: f64, tilt: f64, lengths: Lengths) -> Reason {
    Reason { code, weight, tilt, lengths }
}

/// Weights fitted to the Dorset row: per cent of possible sessions I 3.06, M 0.32, C 0.37, G 0.61, O 0.69, U 0.18, C2 0.25, N 0.05;
/// L 0.74, V 0.73, B 0.20, K 0.07, P 0.11.
static PRIMARY: PhaseModel = PhaseModel {
    rates: &[
        (-3.0, 0.0100),
        (-1.0, 0.0320),
        (0.0, 0.0480),
        (0.7, 0.0680),
        (1.2, 0.0990),
        (1.7, 0.1410),
        (2.2, 0.2100),
        (2.6, 0.4000),
        (3.2, 0.7200),
    ],
    lasting: 0.84,
    yearly: 0.24,
    reasons: &[
        reason(Code::I, 100.0, 0.0, Lengths::Ordinary),
        reason(Code::O, 8.0, 12.0, Lengths::Ordinary),
        reason(Code::N, 3.3, 2.0, Lengths::Single),
        reason(Code::M, 28.0, 0.0, Lengths::Single),
        reason(Code::U, 10.0, 8.0, Lengths::Single),
        reason(Code::C, 11.5, 0.0, Lengths::Ordinary),
        reason(Code::G, 10.5, 0.0, Lengths::Week),
        reason(Code::E, 0.5, 6.0, Lengths::Days),
        reason(Code::R, 0.5, 0.0, Lengths::Single),
        reason(Code::J1, 0.5, 0.0, Lengths::Single),
        reason(Code::T, 0.05, 0.0, Lengths::Weeks),
    ],
    part_time: 0.011,
    late: 0.0115,
    second_visit: 0.5,
    off_site: 0.0120,
    arranged: 0.001,
    sport: 0.0012,
};

/// Weights fitted to the Dorset row: I 4.61, M 0.45, C 0.39, G 0.33, O 2.37, U 0.16, E 0.22, C2 0.26, N 0.04, S 0.05; L 2.74, V 0.94, B 0.32,
/// K 0.20, P 0.20, W 0.31.
static SECONDARY: PhaseModel = PhaseModel {
    rates: &[
        (-3.0, 0.0080),
        (-1.0, 0.0270),
        (0.0, 0.0560),
        (0.5, 0.0820),
        (0.9, 0.1215),
        (1.3, 0.1720),
        (1.6, 0.2520),
        (1.82, 0.4900),
        (2.2, 0.5900),
        (2.8, 0.6500),
        (3.2, 0.7200),
    ],
    lasting: 0.75,
    yearly: 0.45,
    reasons: &[
        reason(Code::I, 100.0, 0.0, Lengths::Ordinary),
        reason(Code::O, 15.0, 12.0, Lengths::Ordinary),
        reason(Code::N, 1.9, 2.0, Lengths::Single),
        reason(Code::M, 28.0, 0.0, Lengths::Single),
        reason(Code::U, 6.0, 6.0, Lengths::Single),
        reason(Code::C, 8.5, 0.0, Lengths::Ordinary),
        reason(Code::G, 4.3, 0.0, Lengths::Week),
        reason(Code::E, 1.5, 6.0, Lengths::Days),
        reason(Code::R, 0.5, 0.0, Lengths::Single),
        reason(Code::J1, 0.8, 0.0, Lengths::Single),
        reason(Code::T, 0.03, 0.0, Lengths::Weeks),
    ],
    part_time: 0.014,
    late: 0.045,
    second_visit: 0.95,
    off_site: 0.020,
    arranged: 0.0027,
    sport: 0.0023,
};

/// Weights fitted to the Dorset row: I 4.63, M 0.99, C 0.76, G 0.37, O 1.78, U 0.34, C2 2.86; L 0.42. No calibration is promised: few pupils.
static SPECIAL: PhaseModel = PhaseModel {
    rates: &[
        (-3.0, 0.008),
        (-1.0, 0.028),
        (0.0, 0.058),
        (0.7, 0.10),
        (1.2, 0.17),
        (1.7, 0.30),
        (2.2, 0.55),
        (3.0, 0.85),
    ],
    lasting: 0.76,
    yearly: 0.44,
    reasons: &[
        reason(Code::I, 100.0, 0.0, Lengths::Ordinary),
        reason(Code::O, 14.0, 9.0, Lengths::Ordinary),
        reason(Code::N, 1.0, 2.0, Lengths::Single),
        reason(Code::M, 62.0, 0.0, Lengths::Single),
        reason(Code::U, 20.0, 4.0, Lengths::Single),
        reason(Code::C, 15.0, 0.0, Lengths::Ordinary),
        reason(Code::G, 3.0, 0.0, Lengths::Week),
        reason(Code::E, 1.0, 3.0, Lengths::Days),
    ],
    part_time: 0.12,
    late: 0.0092,
    second_visit: 0.0,
    off_site: 0.05,
    arranged: 0.004,
    sport: 0.0,
};

impl PhaseModel {
    /// The phase's parameters.
    pub(crate) fn of(phase: Phase) -> &'static Self {
        match phase {
            Phase::Primary => &PRIMARY,
            Phase::Secondary => &SECONDARY,
            Phase::Special => &SPECIAL,
        }
    }

    /// The nominal share of sessions missed by a pupil of this rank, 0 to 1.
    pub(crate) fn nominal_rate(&self, rank: f64) -> f64 {
        let mut before: Option<(f64, f64)> = None;
        for &(z, rate) in self.rates {
            if rank < z {
                return before.map_or(rate, |(z0, rate0)| rate0 + (rate - rate0) * (rank - z0) / (z - z0));
            }
            before = Some((z, rate));
        }
        before.map_or(0.0, |(_, rate)| rate)
    }
}

/// Chance that an absence is first N, and after how many school days the reason comes: by law at the latest after five.
/// A judgement: a day's absence falls by about a point while codes settle, most of it within two days.
pub(crate) const fn first_unexplained(code: Code) -> (f64, u8) {
    match code {
        Code::I => (0.25, 2),
        Code::O => (0.6, 5),
        Code::M | Code::C | Code::G => (0.1, 2),
        // Present after all: the desk had not yet told the register.
        Code::L => (0.08, 1),
        _ => (0.0, 0),
    }
}

/// Chance that a session attended was first N, corrected on the next school day.
pub(crate) const PRESENT_FIRST_UNEXPLAINED: f64 = 0.002;
/// Chance that a mark was first not taken at all (`-`), filled in on the next school day.
pub(crate) const FIRST_NOT_TAKEN: f64 = 0.0005;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nominal_rate_rises_with_the_rank_and_stays_a_share() {
        for phase in Phase::ALL {
            let model = PhaseModel::of(phase);
            let mut last = 0.0;
            for step in -60..=60 {
                let rate = model.nominal_rate(f64::from(step) / 10.0);
                assert!(rate >= last && rate < 1.0, "{phase:?} {step}");
                last = rate;
            }
        }
    }
}
