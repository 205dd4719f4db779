//! The kind of the demonstration: two years of the simulator's county.

use crate::cohort::{Cohort, Pupil, Session};
use attendance::{Day, Meaning};
use simulator::enrolments::Kind;
use simulator::truth::Cell;
use simulator::{County, CountyError, Options, Truth};
use std::collections::HashMap;

/// So many pupils of the county of a seed.
///
/// # Errors
/// Where there cannot be such a county.
pub fn cohort(seed: u64, pupils: usize) -> Result<Cohort, CountyError> {
    let county = County::new(seed, Options { start_year: 2024, schools: (pupils / 280).max(6), pupils })?;
    let next = county.next_year()?;
    let before: HashMap<u32, Vec<Session>> =
        years(&county).into_iter().map(|(number, sessions, _)| (number, sessions)).collect();
    let mut cohort = Cohort { name: "county", days: [days(&county), days(&next)], pupils: Vec::new() };
    for (number, year, index) in years(&next) {
        let pupil = &next.pupils()[index.pupil];
        cohort.pupils.push(Pupil {
            phase: next.schools()[index.school].phase,
            year_group: pupil.year_group,
            before: before.get(&number).cloned().unwrap_or_default(),
            year,
            broke_off: None,
        });
    }
    Ok(cohort)
}

struct Place {
    pupil: usize,
    school: usize,
}

fn years(county: &County) -> Vec<(u32, Vec<Session>, Place)> {
    let truth = Truth::new(county);
    let enrolments = county.enrolments().iter().enumerate();
    // Whole years at one school: what becomes of movers is another question.
    let whole = enrolments
        .filter(|(index, enrolment)| enrolment.kind == Kind::Main && truth.marks(*index).iter().all(Option::is_some));
    whole
        .map(|(index, enrolment)| {
            let sessions = truth.marks(index).iter().flatten().map(|cell| session(*cell)).collect();
            let place = Place { pupil: enrolment.pupil, school: enrolment.school };
            (county.pupils()[enrolment.pupil].number, sessions, place)
        })
        .collect()
}

fn session(cell: Cell) -> Session {
    match cell.code.meaning() {
        Meaning::Authorised | Meaning::Unauthorised => Session::Missed,
        meaning if meaning.is_possible() => Session::Attended,
        _ => Session::NotPossible,
    }
}

fn days(county: &County) -> Vec<Day> {
    county.calendar().days().iter().filter_map(|day| Day::of(day.year(), day.month(), day.day())).collect()
}
