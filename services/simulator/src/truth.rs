//! The true final mark of every session, and which marks schools first record otherwise.
//! Takes a county; keeps two bytes a session and enrolment. What is sent when is in `stream`.

use crate::absence::{Profile, path};
use crate::county::County;
use crate::dice::{Dice, Purpose};
use crate::enrolments::{Enrolment, Kind, UNSETTLED_SHIFT, unsettled};
use crate::model::{self, PhaseModel};
use crate::provision::{Arrangements, Place, SchoolPlan};
use attendance::Code;

/// A mark without its pupil.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The code.
    pub code: Code,
    /// Minutes late, 0 where not late.
    pub minutes: u8,
}

/// A mark that was first recorded otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Provisional {
    /// Session of the year: twice the school day, plus one in the afternoon.
    pub(crate) session: usize,
    /// What was first recorded.
    pub(crate) first: Code,
    /// After how many school days the final mark is known, at least 1.
    pub(crate) days: u8,
}

/// The final marks of a county's year.
pub struct Truth {
    marks: Vec<Vec<Option<Cell>>>,
    provisional: Vec<Vec<Provisional>>,
}

impl Truth {
    /// Plays the whole year of every pupil.
    pub fn new(county: &County) -> Self {
        let plans = plans(county);
        let total = county.enrolments().len();
        let mut truth = Self { marks: Vec::with_capacity(total), provisional: Vec::with_capacity(total) };
        for child in county.enrolments().chunk_by(|a, b| a.pupil == b.pupil) {
            let story = Story::new(county, child);
            for enrolment in child {
                let marks = story.marks(county, enrolment, &plans[enrolment.school]);
                truth.provisional.push(provisional(county, enrolment, &marks));
                truth.marks.push(marks);
            }
        }
        truth
    }

    /// The final marks of the enrolment with this index in `County::enrolments`: two entries a school day, morning first; `None`
    /// while not on roll.
    pub fn marks(&self, enrolment: usize) -> &[Option<Cell>] {
        &self.marks[enrolment]
    }

    /// Marks first recorded otherwise, by session.
    pub(crate) fn provisional(&self, enrolment: usize) -> &[Provisional] {
        &self.provisional[enrolment]
    }

    /// The mark of a session as the school knows it on the evening of `day`; a session's own day shows what was first recorded.
    pub(crate) fn known(&self, enrolment: usize, session: usize, day: usize) -> Option<Cell> {
        let settled = self.marks[enrolment].get(session).copied().flatten()?;
        let entries = &self.provisional[enrolment];
        let Ok(found) = entries.binary_search_by_key(&session, |entry| entry.session) else {
            return Some(settled);
        };
        let entry = entries[found];
        let first = Cell { code: entry.first, minutes: 0 };
        Some(if session / 2 + usize::from(entry.days) <= day { settled } else { first })
    }
}

fn plans(county: &County) -> Vec<SchoolPlan> {
    let days = county.calendar().days();
    let plan = |(index, phase)| SchoolPlan::new(county.seed, days, phase, index);
    (0..).zip(county.schools().iter().map(|school| school.phase)).map(plan).collect()
}

/// A child's year, whatever the school.
struct Story {
    missed: Vec<Option<Code>>,
    arrangements: (&'static PhaseModel, f64),
}

impl Story {
    fn new(county: &County, child: &[Enrolment]) -> Self {
        let calendar = county.calendar();
        let year = calendar.start_year();
        let first = &child[0];
        let pupil = &county.pupils()[first.pupil];
        let phase = county.schools()[first.school].phase;
        let model = PhaseModel::of(phase);
        let mut rank = pupil.rank(county.seed, year, phase);
        if unsettled(child, calendar.days()[0]) {
            rank += UNSETTLED_SHIFT;
        }
        let profile = Profile { model, year_group: usize::from(pupil.year_group), rate: model.nominal_rate(rank) };
        let mut dice = Dice::new(county.seed, Purpose::Path, year, pupil.number);
        Self { missed: path(&mut dice, calendar.days(), &profile), arrangements: (model, rank) }
    }

    fn marks(&self, county: &County, enrolment: &Enrolment, plan: &SchoolPlan) -> Vec<Option<Cell>> {
        let days = county.calendar().days();
        let pupil = &county.pupils()[enrolment.pupil];
        let mut dice = Dice::new(county.seed, Purpose::Provision, county.calendar().start_year(), pupil.number);
        let arrangements = Arrangements::new(&mut dice, self.arrangements.0, self.arrangements.1, days.len());
        let mut marks = vec![None; days.len() * 2];
        for day in enrolment.first_day..=enrolment.last_day {
            // Dually registered children are at the subsidiary school on Tuesdays and Thursdays.
            let at_second = matches!(days[day].weekday().to_monday_zero_offset(), 1 | 3);
            let elsewhere = enrolment.shared && at_second != (enrolment.kind == Kind::Subsidiary);
            for session in 0..2 {
                let place = Place { plan, day, date: days[day], session, year_group: pupil.year_group };
                let attended = arrangements.attended(&mut dice, &place);
                let cell = if let Some(code) = plan.closed(day) {
                    Cell { code, minutes: 0 }
                } else if elsewhere {
                    Cell { code: Code::D, minutes: 0 }
                } else if let Some(code) = self.missed[day * 2 + session] {
                    Cell { code, minutes: if code == Code::U { 45 } else { 0 } }
                } else {
                    attended
                };
                marks[day * 2 + session] = Some(cell);
            }
        }
        marks
    }
}

/// The marks of an enrolment that were first recorded otherwise.
fn provisional(county: &County, enrolment: &Enrolment, marks: &[Option<Cell>]) -> Vec<Provisional> {
    let pupil = &county.pupils()[enrolment.pupil];
    let year = county.calendar().start_year();
    // The second enrolment of a child has draws of its own.
    let id = pupil.number ^ (u32::try_from(enrolment.school).unwrap_or(0) << 16);
    let mut dice = Dice::new(county.seed, Purpose::Provisional, year, id);
    let mut list = Vec::new();
    for (session, cell) in marks.iter().enumerate() {
        let Some(cell) = cell else { continue };
        if let Some((first, days)) = first_recorded(&mut dice, cell.code) {
            list.push(Provisional { session, first, days });
        }
    }
    list
}

/// What is first recorded of a mark, if not its final code, and for how many school days.
fn first_recorded(dice: &mut Dice, code: Code) -> Option<(Code, u8)> {
    let draw = dice.unit();
    if matches!(code, Code::Present | Code::PresentAfternoon) {
        if draw < model::PRESENT_FIRST_UNEXPLAINED {
            return Some((Code::N, 1));
        }
        return (draw > 1.0 - model::FIRST_NOT_TAKEN).then_some((Code::NotTaken, 1));
    }
    let (chance, usual) = model::first_unexplained(code);
    if draw >= chance {
        return None;
    }
    // Most reasons come after the usual days, some a day earlier or later, none after five.
    let days = match dice.below(10) {
        0 => usual.saturating_sub(1).max(1),
        1 => (usual + 1).min(5),
        _ => usual,
    };
    Some((Code::N, days))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::county::Options;

    #[test]
    fn marks_cover_exactly_the_days_on_roll() {
        let county = County::new(3, Options { pupils: 2_000, schools: 12, ..Options::default() }).unwrap();
        let truth = Truth::new(&county);
        for (index, enrolment) in county.enrolments().iter().enumerate() {
            for (session, cell) in truth.marks(index).iter().enumerate() {
                let on_roll = (enrolment.first_day..=enrolment.last_day).contains(&(session / 2));
                assert_eq!(cell.is_some(), on_roll);
            }
        }
    }

    #[test]
    fn a_dually_registered_child_is_expected_at_one_school_a_session() {
        let county = County::new(3, Options { pupils: 6_000, schools: 30, ..Options::default() }).unwrap();
        let truth = Truth::new(&county);
        let second: Vec<usize> = (0..county.enrolments().len())
            .filter(|index| county.enrolments()[*index].kind == Kind::Subsidiary)
            .collect();
        assert!(!second.is_empty());
        for index in second {
            let pairs = truth.marks(index).iter().flatten().zip(truth.marks(index - 1).iter().flatten());
            let elsewhere = |cell: &Cell| cell.code == Code::D;
            let closed = |cell: &Cell| matches!(cell.code, Code::Y4 | Code::Closure);
            for (here, there) in pairs {
                assert!(closed(here) || closed(there) || elsewhere(here) != elsewhere(there));
            }
        }
    }
}
