//! Figures of merit.

/// The probability that a pupil who ended so was given a higher score than one who did not; ties count half.
pub fn auc(scores: &[f64], ended: &[bool]) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|one, other| scores[*one].total_cmp(&scores[*other]));
    let (mut ranks, mut at) = (0.0, 0);
    while at < order.len() {
        let same = order[at..].iter().take_while(|index| is(scores[**index], scores[order[at]])).count();
        // The mean rank of those with one score.
        let rank = at as f64 + f64::midpoint(same as f64, 1.0);
        ranks += rank * order[at..at + same].iter().filter(|index| ended[**index]).count() as f64;
        at += same;
    }
    let (yes, all) = (ended.iter().filter(|ended| **ended).count() as f64, ended.len() as f64);
    (ranks - yes * (yes + 1.0) / 2.0) / (yes * (all - yes))
}

/// Whether two scores are the same.
fn is(one: f64, other: f64) -> bool {
    one.total_cmp(&other).is_eq()
}

/// Of those flagged the share that ended so, and of those who ended so the share flagged.
pub fn precision_and_recall(flagged: &[bool], ended: &[bool]) -> (f64, f64) {
    let both = flagged.iter().zip(ended).filter(|(flagged, ended)| **flagged && **ended).count() as f64;
    let count = |of: &[bool]| of.iter().filter(|yes| **yes).count().max(1) as f64;
    (both / count(flagged), both / count(ended))
}

/// The greatest recall of flagging by score at a precision or better.
pub fn recall_at(scores: &[f64], ended: &[bool], precision: f64) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|one, other| scores[*other].total_cmp(&scores[*one]));
    let all = ended.iter().filter(|ended| **ended).count().max(1) as f64;
    let (mut hits, mut best) = (0.0, 0.0_f64);
    for (at, index) in order.iter().enumerate() {
        hits += f64::from(u8::from(ended[*index]));
        let last_of_score = order.get(at + 1).is_none_or(|next| scores[*next] < scores[*index]);
        if last_of_score && hits / (at as f64 + 1.0) >= precision {
            best = best.max(hits / all);
        }
    }
    best
}

/// Ten groups of rising probability: how many, the mean probability, the share that came true.
pub fn groups(chances: &[f64], ended: &[bool]) -> Vec<(usize, f64, f64)> {
    let mut order: Vec<usize> = (0..chances.len()).collect();
    order.sort_by(|one, other| chances[*one].total_cmp(&chances[*other]));
    let size = order.len().div_ceil(10).max(1);
    order
        .chunks(size)
        .map(|group| {
            let count = group.len() as f64;
            let chance = group.iter().map(|index| chances[*index]).sum::<f64>() / count;
            let came = group.iter().filter(|index| ended[**index]).count() as f64 / count;
            (group.len(), chance, came)
        })
        .collect()
}

/// The mean distance of probability and share over ten groups: the calibration error.
pub fn calibration(chances: &[f64], ended: &[bool]) -> f64 {
    let groups = groups(chances, ended);
    let distance: f64 = groups.iter().map(|(count, chance, came)| *count as f64 * (chance - came).abs()).sum();
    distance / chances.len().max(1) as f64
}

/// The share of all absence that is still to come when so many are flagged. `scores` has a row a pupil, a value a school day (flagged
/// in the evening of the first day at or above a threshold that is found), `after` the sessions missed after each day, `missed` in all.
pub fn to_come(scores: &[Vec<f64>], after: &[Vec<u32>], missed: &[u32], share: f64) -> f64 {
    let most: Vec<f64> = scores.iter().map(|row| row.iter().copied().fold(f64::MIN, f64::max)).collect();
    let mut sorted = most.clone();
    sorted.sort_by(|one, other| other.total_cmp(one));
    let wanted = (share * sorted.len() as f64) as usize;
    let threshold = sorted[wanted.min(sorted.len() - 1)];
    // Above the threshold all, at it as many as there is room for: some scores have few values.
    let above = most.iter().filter(|most| **most > threshold).count();
    let at = most.iter().filter(|most| is(**most, threshold)).count();
    let room = (wanted - above) as f64 / at.max(1) as f64;
    let mut sum = 0.0;
    for ((row, after), most) in scores.iter().zip(after).zip(&most) {
        let weight = if *most > threshold { 1.0 } else { room };
        let first = row.iter().position(|score| *score >= threshold);
        if let Some(day) = first {
            sum += weight * f64::from(after[day]);
        }
    }
    sum / missed.iter().map(|missed| f64::from(*missed)).sum::<f64>()
}

/// The median number of school days after the break until a score is at the threshold (those who never are count as the year's end),
/// only flags after the break counting; and the share of those who end below 10% that are ever flagged.
pub fn break_offs(scores: &[Vec<f64>], broke: &[(usize, usize)], ended: &[bool], threshold: f64) -> (usize, f64) {
    let mut delays: Vec<usize> = broke
        .iter()
        .map(|(pupil, day)| {
            let after = &scores[*pupil][*day..];
            after.iter().position(|score| *score >= threshold).unwrap_or(after.len())
        })
        .collect();
    delays.sort_unstable();
    let good = || scores.iter().zip(ended).filter(|(_, ended)| !**ended).map(|(scores, _)| scores);
    let flagged = good().filter(|scores| scores.iter().any(|score| *score >= threshold)).count() as f64;
    (delays.get(delays.len() / 2).copied().unwrap_or(0), flagged / good().count().max(1) as f64)
}

/// The threshold at which a share of those who end below 10% is ever flagged.
pub fn threshold_of_false(scores: &[Vec<f64>], ended: &[bool], share: f64) -> f64 {
    let good = scores.iter().zip(ended).filter(|(_, ended)| !**ended).map(|(scores, _)| scores);
    let mut most: Vec<f64> = good.map(|scores| scores.iter().copied().fold(f64::MIN, f64::max)).collect();
    most.sort_by(|one, other| other.total_cmp(one));
    most[((share * most.len() as f64) as usize).min(most.len() - 1)]
}
