//! Invented schools: takes the seed and how many, gives schools of three phases in five localities, URNs from 900001 up.

use jiff::civil::{Date, date};

use crate::dice::{Dice, Purpose};
use crate::names;
use crate::types::Locality;
use attendance::Phase;

/// The first URN.
pub const FIRST_URN: u32 = 900_001;

/// An invented school.
#[derive(Clone, Debug, PartialEq)]
pub struct School {
    /// Unique, six digits, from 900001 up.
    pub urn: u32,
    /// The four digits after the authority's code.
    pub establishment: u32,
    /// Invented.
    pub name: String,
    /// Phase.
    pub phase: Phase,
    /// The locality whose team works with it.
    pub locality: Locality,
    /// An invented town.
    pub town: String,
    /// In the unused area XX.
    pub postcode: String,
    /// When it opened.
    pub opened: Date,
    /// Relative size among the schools of its phase.
    pub(crate) size: f64,
}

/// How many schools of `total` are of each phase: Dorset has 117 primary, 28 secondary and 6 special ones.
pub(crate) fn counts(total: usize) -> [(Phase, usize); 3] {
    let special = (total * 4 / 100).max(1);
    let secondary = (total * 19 / 100).max(1);
    [
        (Phase::Primary, total.saturating_sub(special + secondary)),
        (Phase::Secondary, secondary),
        (Phase::Special, special),
    ]
}

/// The schools of a county, primary ones first.
pub(crate) fn invent(seed: u64, total: usize) -> Vec<School> {
    let mut schools = Vec::with_capacity(total);
    for (phase, count) in counts(total) {
        for nth in 0..count {
            let index = schools.len();
            schools.push(school(seed, phase, nth, index));
        }
    }
    schools
}

fn school(seed: u64, phase: Phase, nth: usize, index: usize) -> School {
    let number = u32::try_from(index).unwrap_or(u32::MAX);
    let mut dice = Dice::new(seed, Purpose::School, 0, number);
    let (kind, base) = match phase {
        Phase::Primary => ("Primary School", 2000),
        Phase::Secondary => ("School", 4000),
        Phase::Special => ("Special School", 7000),
    };
    let letter = |n: u32| char::from(b'A' + u8::try_from(n).unwrap_or(0));
    let years_ago = i16::try_from(dice.between(3, 60)).unwrap_or(3);
    School {
        urn: FIRST_URN + number,
        establishment: base + u32::try_from(nth).unwrap_or(0),
        name: format!("{} {kind}", names::place(index)),
        phase,
        locality: Locality::ALL[nth % Locality::ALL.len()],
        town: names::place(index / 4 + 300),
        postcode: format!(
            "XX{} {}{}{}",
            dice.between(1, 29),
            dice.between(1, 9),
            letter(dice.below(26)),
            letter(dice.below(26))
        ),
        opened: date(2020 - years_ago, 9, 1),
        size: 0.4 + 1.2 * dice.unit(),
    }
}
