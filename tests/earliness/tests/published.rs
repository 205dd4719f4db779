//! Every kind has the published year: bands, persistent and severe absence, spells, and what stays from year to year.
#![expect(clippy::cast_precision_loss, reason = "counts of some thousands")]

use attendance::Phase;
use earliness::cohort::{Cohort, Pupil, Session, totals};
use earliness::county;
use earliness::kinds::{self, KINDS};

/// Enrolments by bands of 5 points: Dorset 2022/23, the census.
const BANDS: [(Phase, [f64; 11]); 2] = [
    (Phase::Primary, [10557.0, 5355.0, 1525.0, 525.0, 225.0, 116.0, 54.0, 44.0, 27.0, 31.0, 126.0]),
    (Phase::Secondary, [10360.0, 6401.0, 2546.0, 1004.0, 534.0, 348.0, 217.0, 167.0, 158.0, 113.0, 838.0]),
];

/// Rates in years 6 and 7: FFT, 2023/24 to 2024/25.
const BETWEEN_YEARS: f64 = 0.63;

fn share(part: usize, of: usize) -> f64 {
    100.0 * part as f64 / of as f64
}

/// Lengths of the spells of a year.
fn spells(sessions: &[Session]) -> Vec<usize> {
    let possible: Vec<bool> =
        sessions.iter().filter(|s| **s != Session::NotPossible).map(|s| *s == Session::Missed).collect();
    possible.chunk_by(PartialEq::eq).filter(|run| run[0]).map(<[bool]>::len).collect()
}

fn rates(sessions: &[Session]) -> f64 {
    let (possible, missed) = totals(sessions);
    f64::from(missed) / f64::from(possible)
}

fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let n = pairs.len() as f64;
    let (x, y) = pairs.iter().fold((0.0, 0.0), |(x, y), pair| (x + pair.0 / n, y + pair.1 / n));
    let sum = |f: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(f).sum::<f64>();
    sum(&|p| (p.0 - x) * (p.1 - y)) / (sum(&|p| (p.0 - x).powi(2)) * sum(&|p| (p.1 - y).powi(2))).sqrt()
}

fn check(cohort: &Cohort, between: f64) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut told = |what: String, found: f64, published: f64, tolerance: f64| {
        if (found - published).abs() > tolerance {
            wrong.push(format!("{}: {what} {found:.2}, published {published:.2}", cohort.name));
        }
    };
    for (phase, bands) in BANDS {
        let of: Vec<&Pupil> =
            cohort.pupils.iter().filter(|pupil| pupil.phase == phase && pupil.year_group > 0).collect();
        let all: f64 = bands.iter().sum();
        let count = |wanted: &dyn Fn(f64) -> bool| of.iter().filter(|pupil| wanted(rates(&pupil.year))).count();
        for (band, enrolments) in bands.iter().enumerate() {
            let from = 0.05 * band as f64;
            let to = if band == 10 { 2.0 } else { from + 0.05 };
            let found = share(count(&|rate| rate >= from && rate < to), of.len());
            told(format!("{phase:?}, from {from:.2}"), found, 100.0 * enrolments / all, 2.5);
        }
        let above = |band: usize| 100.0 * bands[band..].iter().sum::<f64>() / all;
        told(format!("{phase:?}, persistent"), share(count(&|rate| rate >= 0.1), of.len()), above(2), 2.5);
        told(format!("{phase:?}, severe"), share(count(&|rate| rate >= 0.5), of.len()), above(10), 0.9);
    }
    let lengths: Vec<usize> = cohort.pupils.iter().flat_map(|pupil| spells(&pupil.year)).collect();
    let short = lengths.iter().filter(|length| (2..=4).contains(*length)).count();
    told("spells of 2 to 4 sessions".to_owned(), share(short, lengths.len()), 50.0, 7.0);
    let both = cohort.pupils.iter().filter(|pupil| !pupil.before.is_empty());
    let pairs: Vec<(f64, f64)> = both.map(|pupil| (rates(&pupil.before), rates(&pupil.year))).collect();
    told("correlation of two years".to_owned(), correlation(&pairs), between, 0.08);
    wrong
}

#[test]
fn every_kind_has_the_published_year() {
    let mut wrong = check(&county::cohort(1, 12_000).unwrap(), BETWEEN_YEARS);
    for (kind, seed) in KINDS.iter().zip(10..) {
        let between = if kind.name == "little stays" { 0.5 } else { BETWEEN_YEARS };
        wrong.extend(check(&kinds::cohort(kind, seed, 12_000), between));
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn kinds_differ_in_when_absence_falls() {
    let broke = |name: &str| {
        let kind = KINDS.iter().find(|kind| kind.name == name).unwrap();
        kinds::cohort(kind, 1, 4_000).pupils.iter().filter(|pupil| pupil.broke_off.is_some()).count()
    };
    let (few, many) = (broke("steady"), broke("breaking off"));
    assert!(many > 3 * few, "{few} {many}");
    let kind = KINDS.iter().find(|kind| kind.name == "breaking off").unwrap();
    let cohort = kinds::cohort(kind, 1, 4_000);
    let broke = cohort.pupils.iter().filter_map(|pupil| Some((pupil, pupil.broke_off?)));
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for (pupil, day) in broke.filter(|(_, day)| (20..170).contains(day)) {
        before.push(rates(&pupil.year[..day * 2]));
        after.push(rates(&pupil.year[day * 2..]));
    }
    let mean = |rates: &[f64]| rates.iter().sum::<f64>() / rates.len() as f64;
    assert!(mean(&before) < 0.06 && (0.4..0.6).contains(&mean(&after)), "{} {}", mean(&before), mean(&after));
}
