//! The simulated county against the published figures. Takes whole simulated years of two seeds; prints measured and target.

#![expect(clippy::cast_precision_loss, reason = "counts of some thousands")]

use std::collections::HashMap;

use attendance::Phase;
use attendance::{Code, Meaning};
use simulator::schools::School;
use simulator::truth::Cell;
use simulator::{County, Options, Truth};

/// One enrolment's year.
struct Year {
    upn: String,
    phase: Phase,
    possible: f64,
    absent: f64,
    first_week: bool,
    codes: HashMap<Code, f64>,
    spells: Vec<usize>,
}

impl Year {
    fn rate(&self) -> f64 {
        self.absent / self.possible
    }

    /// The band of 5 points, exact at its lower edge; 10 is 50% and more.
    fn band(&self) -> usize {
        (1..=10).take_while(|band| self.absent * 20.0 >= self.possible * f64::from(*band)).count()
    }
}

fn is_absent(cell: Cell) -> bool {
    matches!(cell.code.meaning(), Meaning::Authorised | Meaning::Unauthorised)
}

fn is_possible(cell: Cell) -> bool {
    cell.code.meaning().is_possible()
}

fn spells(cells: &[Cell]) -> Vec<usize> {
    cells.chunk_by(|a, b| is_absent(*a) == is_absent(*b)).filter(|run| is_absent(run[0])).map(<[Cell]>::len).collect()
}

/// Enrolments of compulsory school age with possible sessions, as the census counts them.
fn years(county: &County) -> Vec<Year> {
    let truth = Truth::new(county);
    let first_week = county.calendar().days().iter().take_while(|day| day.day() <= 5).count() * 2;
    let mut all = Vec::new();
    for (index, enrolment) in county.enrolments().iter().enumerate() {
        let pupil = &county.pupils()[enrolment.pupil];
        let school: &School = &county.schools()[enrolment.school];
        let marks = truth.marks(index);
        let cells: Vec<Cell> = marks.iter().flatten().copied().filter(|cell| is_possible(*cell)).collect();
        if pupil.year_group == 0 || cells.is_empty() {
            continue;
        }
        let mut codes = HashMap::new();
        for cell in &cells {
            *codes.entry(cell.code).or_default() += 1.0;
        }
        all.push(Year {
            upn: pupil.upn.text(),
            phase: school.phase,
            possible: cells.len() as f64,
            absent: cells.iter().filter(|cell| is_absent(**cell)).count() as f64,
            first_week: marks[..first_week].iter().flatten().any(|cell| is_absent(*cell)),
            codes,
            spells: spells(&cells),
        });
    }
    all
}

fn county(seed: u64) -> County {
    County::new(seed, Options { start_year: 2025, schools: 60, pupils: 17_000 }).unwrap()
}

struct Target {
    phase: Phase,
    /// Per cent, Dorset 2025/26, the daily series.
    absence: f64,
    /// Counts by band of 5 points, the last one 50 and more: Dorset 2022/23, the census.
    bands: [f64; 11],
    /// Per cent, FFT 2022/23.
    first_week_persistent: f64,
    /// Per cent of possible sessions, Dorset 2025/26.
    codes: &'static [(Code, f64)],
}

const TARGETS: [Target; 2] = [
    Target {
        phase: Phase::Primary,
        absence: 5.599,
        bands: [10557.0, 5355.0, 1525.0, 525.0, 225.0, 116.0, 54.0, 44.0, 27.0, 31.0, 126.0],
        first_week_persistent: 37.0,
        codes: &[
            (Code::I, 3.062),
            (Code::M, 0.321),
            (Code::C, 0.369),
            (Code::G, 0.612),
            (Code::O, 0.692),
            (Code::U, 0.183),
            (Code::E, 0.030),
            (Code::C2, 0.246),
            (Code::N, 0.055),
            (Code::L, 0.736),
            (Code::V, 0.728),
            (Code::B, 0.200),
            (Code::P, 0.109),
            (Code::K, 0.068),
        ],
    },
    Target {
        phase: Phase::Secondary,
        absence: 8.910,
        bands: [10360.0, 6401.0, 2546.0, 1004.0, 534.0, 348.0, 217.0, 167.0, 158.0, 113.0, 838.0],
        first_week_persistent: 58.0,
        codes: &[
            (Code::I, 4.606),
            (Code::M, 0.448),
            (Code::C, 0.387),
            (Code::G, 0.332),
            (Code::O, 2.375),
            (Code::U, 0.159),
            (Code::E, 0.219),
            (Code::C2, 0.263),
            (Code::N, 0.043),
            (Code::L, 2.740),
            (Code::V, 0.939),
            (Code::B, 0.316),
            (Code::W, 0.306),
            (Code::P, 0.201),
            (Code::K, 0.198),
        ],
    },
];

/// Measured and target values, and how many are outside their tolerance.
#[derive(Default)]
struct Table {
    text: String,
    outside: usize,
}

impl Table {
    fn row(&mut self, what: &str, measured: f64, target: f64, tolerance: f64) {
        let good = (measured - target).abs() <= tolerance;
        let mark = if good { "" } else { " <<<" };
        self.text += &format!("{what:<34}{measured:>9.3}{target:>9.3}  ±{tolerance:<6.3}{mark}\n");
        self.outside += usize::from(!good);
    }
}

fn per_cent(part: usize, of: usize) -> f64 {
    100.0 * part as f64 / of as f64
}

fn check(table: &mut Table, years: &[Year], target: &Target) {
    let of: Vec<&Year> = years.iter().filter(|year| year.phase == target.phase).collect();
    assert!(of.len() >= 5_000, "{} enrolments", of.len());
    table.text += &format!("\n{:?}, {} enrolments, measured and target\n", target.phase, of.len());
    let share = |wanted: &dyn Fn(&Year) -> bool| per_cent(of.iter().filter(|year| wanted(year)).count(), of.len());
    let possible: f64 = of.iter().map(|year| year.possible).sum();
    let absent: f64 = of.iter().map(|year| year.absent).sum();
    let enrolments: f64 = target.bands.iter().sum();
    let above = |band: usize| 100.0 * target.bands[band..].iter().sum::<f64>() / enrolments;
    table.row("absence %", 100.0 * absent / possible, target.absence, 0.5);
    table.row("persistent %", share(&|year| year.absent * 10.0 >= year.possible), above(2), 2.0);
    table.row("severe %", share(&|year| year.absent * 2.0 >= year.possible), above(10), 0.7);
    for (band, count) in target.bands.iter().enumerate() {
        let measured = share(&|year| year.band() == band);
        table.row(&format!("  band from {} %", band * 5), measured, 100.0 * count / enrolments, 2.0);
    }
    let first: Vec<&&Year> = of.iter().filter(|year| year.first_week).collect();
    let persistent = first.iter().filter(|year| year.rate() >= 0.1).count();
    table.row(
        "persistent % of first-week absent",
        per_cent(persistent, first.len()),
        target.first_week_persistent,
        5.0,
    );
    for (code, wanted) in target.codes {
        let count: f64 = of.iter().filter_map(|year| year.codes.get(code)).sum();
        table.row(&format!("  code {} %", code.text()), 100.0 * count / possible, *wanted, (wanted * 0.3).max(0.1));
    }
    let lengths: Vec<usize> = of.iter().flat_map(|year| year.spells.iter().copied()).collect();
    let short = lengths.iter().filter(|length| (2..=4).contains(*length)).count();
    table.row("spells of 2 to 4 sessions %", per_cent(short, lengths.len()), 50.0, 5.0);
}

fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let n = pairs.len() as f64;
    let (x, y) = pairs.iter().fold((0.0, 0.0), |(x, y), pair| (x + pair.0 / n, y + pair.1 / n));
    let sum = |f: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(f).sum::<f64>();
    sum(&|p| (p.0 - x) * (p.1 - y)) / (sum(&|p| (p.0 - x).powi(2)) * sum(&|p| (p.1 - y).powi(2))).sqrt()
}

fn full(years: Vec<Year>) -> HashMap<String, Year> {
    years.into_iter().filter(|year| year.possible > 300.0).map(|year| (year.upn.clone(), year)).collect()
}

fn calibrated(seed: u64) {
    let county = county(seed);
    let this = years(&county);
    let mut table = Table::default();
    for target in &TARGETS {
        check(&mut table, &this, target);
    }
    let next = full(years(&county.next_year().unwrap()));
    let this = full(this);
    for phase in [Phase::Primary, Phase::Secondary] {
        let pairs: Vec<(f64, f64)> = this
            .values()
            .filter(|year| year.phase == phase)
            .filter_map(|year| next.get(&year.upn).map(|later| (year.rate(), later.rate())))
            .collect();
        assert!(pairs.len() > 3_000);
        table.row(&format!("{phase:?}: correlation of two years"), correlation(&pairs), 0.6, 0.1);
    }
    println!("seed {seed}\n{}", table.text);
    assert_eq!(table.outside, 0, "rows marked <<< are outside their tolerance");
}

/// Per cent absent by weekday (Monday 0) and session.
fn by_weekday(county: &County) -> [[f64; 2]; 5] {
    let truth = Truth::new(county);
    let mut tally = [[(0, 0); 2]; 5];
    for index in 0..county.enrolments().len() {
        for (at, cell) in truth.marks(index).iter().enumerate() {
            let weekday = county.calendar().days()[at / 2].weekday().to_monday_zero_offset();
            if let Some(cell) = cell.filter(|cell| is_possible(*cell)) {
                let (absent, possible) = &mut tally[usize::try_from(weekday).unwrap()][at % 2];
                *absent += usize::from(is_absent(cell));
                *possible += 1;
            }
        }
    }
    tally.map(|day| day.map(|(absent, possible)| per_cent(absent, possible)))
}

#[test]
fn absence_is_least_on_wednesday_morning_and_most_on_friday_afternoon() {
    let county = County::new(1, Options { start_year: 2025, schools: 30, pupils: 6_000 }).unwrap();
    let rates = by_weekday(&county);
    println!("{rates:.2?}");
    for (weekday, sessions) in rates.iter().enumerate() {
        for (session, rate) in sessions.iter().enumerate() {
            assert!((weekday, session) == (2, 0) || *rate > rates[2][0], "{weekday} {session}: {rates:?}");
            assert!((weekday, session) == (4, 1) || *rate < rates[4][1], "{weekday} {session}: {rates:?}");
        }
    }
}

#[test]
fn the_county_of_seed_1_is_like_dorset() {
    calibrated(1);
}

#[test]
fn the_county_of_seed_20250902_is_like_dorset() {
    calibrated(20_250_902);
}
