//! Whether forecasts came true: the probability of persistent absence on some evenings against what became of the pupils.

use super::judged::Judged;
use attendance::rate::Status;
use serde::Serialize;

/// How many groups of rising probability there are.
const GROUPS: usize = 10;

/// The forecasts of one evening.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Calibration {
    /// The day.
    pub(crate) day: String,
    /// School days up to it.
    pub(crate) school_day: usize,
    pub(crate) pupils: usize,
    /// The mean distance between the probability and the share that came true, over the groups.
    pub(crate) error: f64,
    /// Tenths of the pupils by rising probability.
    pub(crate) groups: Vec<Group>,
}

/// Pupils of about the same probability.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Group {
    pub(crate) pupils: usize,
    /// The mean probability, 0 to 1.
    pub(crate) probability: f64,
    /// The share that ended the year persistently absent.
    pub(crate) came_true: f64,
}

/// The forecasts of each evening asked for.
#[expect(clippy::cast_precision_loss, reason = "pupils are far below 2^52")]
pub(crate) fn of(judged: &Judged) -> Vec<Calibration> {
    let of_day = |(place, day): (usize, &attendance::Day)| {
        let of_pupil = |pupil: &super::judged::Pupil| {
            let chance = pupil.outcome.chances.iter().find(|(evening, _)| *evening == place)?.1;
            Some((chance, pupil.outcome.status >= Status::Persistent))
        };
        let mut chances: Vec<(f64, bool)> = judged.pupils.iter().filter_map(of_pupil).collect();
        chances.sort_by(|one, other| one.0.total_cmp(&other.0));
        let size = chances.len().div_ceil(GROUPS).max(1);
        let groups: Vec<Group> = chances.chunks(size).map(group).collect();
        let distance = |group: &Group| group.pupils as f64 * (group.probability - group.came_true).abs();
        Calibration {
            day: day.to_string(),
            school_day: judged.days.partition_point(|known| known <= day),
            pupils: chances.len(),
            error: groups.iter().map(distance).sum::<f64>() / chances.len().max(1) as f64,
            groups,
        }
    };
    judged.evenings.iter().enumerate().map(of_day).filter(|calibration| calibration.pupils > 0).collect()
}

#[expect(clippy::cast_precision_loss, reason = "pupils are far below 2^52")]
fn group(chances: &[(f64, bool)]) -> Group {
    let pupils = chances.len();
    let probability = chances.iter().map(|(chance, _)| chance).sum::<f64>() / pupils as f64;
    let came_true = chances.iter().filter(|(_, came)| *came).count() as f64 / pupils as f64;
    Group { pupils, probability, came_true }
}
