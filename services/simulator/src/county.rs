//! A county: its calendar, schools, pupils and enrolments of one school year; and the same county a year later.
//! Takes a seed and options; keeps no marks (`truth`) and no registers (`stream`).

use crate::calendar::{Calendar, CalendarError};
use crate::dice::{Dice, Purpose};
use crate::enrolments::{Enrolment, enrol};
use crate::pupils::Pupil;
use crate::schools::{self, School};
use attendance::Phase;

/// The first pupil's number: UPN `R900001000001`.
const FIRST_PUPIL: u32 = 1_000_001;

/// Size and school year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The year of its September, 2020 to 2030.
    pub start_year: i16,
    /// At least 3, one of each phase; at most 3,000.
    pub schools: usize,
    /// At least 20 a school; at most 10,000,000.
    pub pupils: usize,
}

impl Default for Options {
    /// 2025/26, about 40 schools and 8,000 pupils.
    fn default() -> Self {
        Self { start_year: 2025, schools: 40, pupils: 8_000 }
    }
}

impl Options {
    /// A county of Dorset's size: 154 schools, 46,491 pupils.
    pub const DORSET: Self = Self { start_year: 2025, schools: 154, pupils: 46_491 };
}

/// The county cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CountyError {
    /// The school year is not known.
    #[error(transparent)]
    Calendar(#[from] CalendarError),
    /// Too few or too many schools.
    #[error("{0} schools: a county has 3 (one of each phase) to 3,000")]
    Schools(usize),
    /// Too few or too many pupils.
    #[error("{pupils} pupils in {schools} schools: at least 20 a school are needed, at most 10,000,000 in all")]
    Pupils {
        /// Pupils asked for.
        pupils: usize,
        /// Schools asked for.
        schools: usize,
    },
}

/// An invented county in one school year.
#[derive(Clone, Debug)]
pub struct County {
    pub(crate) seed: u64,
    options: Options,
    calendar: Calendar,
    schools: Vec<School>,
    pupils: Vec<Pupil>,
    enrolments: Vec<Enrolment>,
    next_number: u32,
}

impl County {
    /// The county of this seed: the same on every machine.
    pub fn new(seed: u64, options: Options) -> Result<Self, CountyError> {
        let calendar = Calendar::new(options.start_year)?;
        if !(3..=3_000).contains(&options.schools) {
            return Err(CountyError::Schools(options.schools));
        }
        if options.pupils < options.schools * 20 || options.pupils > 10_000_000 {
            return Err(CountyError::Pupils { pupils: options.pupils, schools: options.schools });
        }
        let schools = schools::invent(seed, options.schools);
        let mut next_number = FIRST_PUPIL;
        let mut pupils = Vec::with_capacity(options.pupils);
        for (school, year_group, count) in places(&schools, options.pupils) {
            for _ in 0..count {
                let place = (school, &schools[school]);
                pupils.push(Pupil::invent(seed, next_number, year_group, options.start_year, place));
                next_number += 1;
            }
        }
        make_families(seed, &schools, &mut pupils);
        let enrolments = enrol(seed, &calendar, &schools, &pupils);
        Ok(Self { seed, options, calendar, schools, pupils, enrolments, next_number })
    }

    /// The same county a school year later: children move up or on to secondary school, year 11 leaves, a new intake comes;
    /// who moved in mid-year stays where it went.
    pub fn next_year(&self) -> Result<Self, CountyError> {
        let options = Options { start_year: self.options.start_year + 1, ..self.options };
        let calendar = Calendar::new(options.start_year)?;
        let mut pupils: Vec<Pupil> =
            self.stayed().filter_map(|pupil| self.promoted(pupil, options.start_year)).collect();
        let mut next_number = self.next_number;
        let mut intake = Vec::new();
        for (school, year_group, count) in places(&self.schools, options.pupils) {
            if year_group == 0 {
                for _ in 0..count {
                    let place = (school, &self.schools[school]);
                    intake.push(Pupil::invent(self.seed, next_number, 0, options.start_year, place));
                    next_number += 1;
                }
            }
        }
        make_families(self.seed, &self.schools, &mut intake);
        pupils.extend(intake);
        let enrolments = enrol(self.seed, &calendar, &self.schools, &pupils);
        Ok(Self { seed: self.seed, options, calendar, schools: self.schools.clone(), pupils, enrolments, next_number })
    }

    /// Its options.
    pub fn options(&self) -> Options {
        self.options
    }

    /// Its calendar.
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// Its schools, in the order of their URNs.
    pub fn schools(&self) -> &[School] {
        &self.schools
    }

    /// Its pupils, in the order of their numbers.
    pub fn pupils(&self) -> &[Pupil] {
        &self.pupils
    }

    /// All enrolments of the year, a pupil's together and in order.
    pub fn enrolments(&self) -> &[Enrolment] {
        &self.enrolments
    }

    /// Pupils still on a roll at the year's end, with the school where they are then.
    fn stayed(&self) -> impl Iterator<Item = Pupil> + '_ {
        self.enrolments.iter().filter(|enrolment| enrolment.goes_on()).map(|enrolment| {
            let mut pupil = self.pupils[enrolment.pupil].clone();
            (pupil.school, pupil.since) = (enrolment.school, enrolment.from);
            pupil
        })
    }

    fn promoted(&self, mut pupil: Pupil, start_year: i16) -> Option<Pupil> {
        let phase = self.schools[pupil.school].phase;
        if pupil.year_group < phase.year_groups().1 {
            pupil.year_group += 1;
            return Some(pupil);
        }
        if phase != Phase::Primary {
            return None;
        }
        let mut dice = Dice::new(self.seed, Purpose::Transfer, start_year, pupil.number);
        let home = self.schools[pupil.school].locality;
        let secondary = |near: bool| {
            let fits = move |school: &School| school.phase == Phase::Secondary && (!near || school.locality == home);
            self.schools.iter().enumerate().filter(move |(_, school)| fits(school)).map(|(index, _)| (index, 1.0))
        };
        let mut choice: Vec<(usize, f64)> = secondary(true).collect();
        if choice.is_empty() {
            choice = secondary(false).collect();
        }
        let total = choice.iter().map(|(_, weight)| weight).sum();
        pupil.school = dice.weighted(&choice, total)?;
        pupil.since = jiff::civil::date(start_year, 9, 1);
        pupil.year_group += 1;
        Some(pupil)
    }
}

/// How many pupils each school has in each year group; in sum `pupils`.
fn places(schools: &[School], pupils: usize) -> Vec<(usize, u8, usize)> {
    let mut weights = Vec::new();
    for (index, school) in schools.iter().enumerate() {
        let (first, last) = school.phase.year_groups();
        // Shares of Dorset's enrolments: primary 44.9%, secondary 53.0%, special 2.1%.
        let share = match school.phase {
            Phase::Primary => 0.449,
            Phase::Secondary => 0.530,
            Phase::Special => 0.021,
        };
        let size: f64 = schools.iter().filter(|other| other.phase == school.phase).map(|other| other.size).sum();
        let weight = share * school.size / size / f64::from(last - first + 1);
        weights.extend((first..=last).map(|year| (index, year, weight)));
    }
    // Largest remainders by running sums: exact in total, the same everywhere.
    let total = f64::from(u32::try_from(pupils).unwrap_or(u32::MAX));
    let mut sum = 0.0;
    let mut given = 0;
    weights
        .into_iter()
        .map(|(school, year, weight)| {
            sum += weight;
            let until = pupils.min(rounded(sum * total));
            let count = until.saturating_sub(given);
            given = until.max(given);
            (school, year, count)
        })
        .collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive count below 10,000,000")]
fn rounded(value: f64) -> usize {
    value.round() as usize
}

/// Brothers and sisters: a third of the pupils join the household of an earlier one of another year group, at the same school
/// or, from secondary school, at a primary school of the same locality.
fn make_families(seed: u64, schools: &[School], pupils: &mut [Pupil]) {
    let mut by_locality: [Vec<usize>; 5] = Default::default();
    let mut start = 0;
    for index in 0..pupils.len() {
        let school = pupils[index].school;
        if index > 0 && pupils[index - 1].school != school {
            start = index;
        }
        let mut dice = Dice::new(seed, Purpose::Intake, 0, pupils[index].number);
        let near = &by_locality[schools[school].locality as usize];
        let across = schools[school].phase == Phase::Secondary && dice.chance(0.5) && !near.is_empty();
        if dice.chance(0.35) && (across || index > start) {
            let other = if across { near[dice.index(near.len())] } else { start + dice.index(index - start) };
            if pupils[other].year_group != pupils[index].year_group {
                let (before, after) = pupils.split_at_mut(index);
                after[0].join(&before[other]);
            }
        }
        if schools[school].phase == Phase::Primary {
            by_locality[schools[school].locality as usize].push(index);
        }
    }
}
