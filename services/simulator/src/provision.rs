//! What a school adds to its pupils' sessions: closures, visits and work experience of a year group, and, pupil by pupil,
//! part-time timetables, off-site days, provision by the authority, fixtures, lateness. Keeps a plan a school and year.

use jiff::civil::{Date, Weekday, date};

use crate::dice::{Dice, Purpose};
use crate::model::PhaseModel;
use crate::truth::Cell;
use attendance::Code;
use attendance::Phase;

/// A school's own year.
pub(crate) struct SchoolPlan {
    /// Days closed, with the code.
    closures: Vec<(usize, Code)>,
    /// Days on which a year group is away, with the code.
    away: Vec<(usize, u8, Code)>,
}

impl SchoolPlan {
    /// The plan of the school with this index.
    pub(crate) fn new(seed: u64, days: &[Date], phase: Phase, index: u32) -> Self {
        let start_year = days.first().map_or(0, |day| day.year());
        let mut dice = Dice::new(seed, Purpose::SchoolYear, start_year, index);
        let mut closures = Vec::new();
        // Snow, a boiler, a burst pipe: about a third of all schools close for a day; a few are polling stations.
        if dice.chance(0.35) {
            closures.push((dice.index(days.len()), Code::Y4));
        }
        if dice.chance(0.15) {
            closures.push((days.len() - 45, Code::Closure));
        }
        let mut away = Vec::new();
        let (first, last) = phase.year_groups();
        for year_group in first..=last {
            let visits = 1 + usize::from(dice.chance(PhaseModel::of(phase).second_visit));
            let visits = if phase == Phase::Special { 0 } else { visits };
            away.extend((0..visits).map(|_| (dice.index(days.len()), year_group, Code::V)));
        }
        if phase == Phase::Secondary {
            let week = days.len() - 8 - dice.index(10);
            away.extend((week..week + 5).map(|day| (day, 10, Code::W)));
        }
        Self { closures, away }
    }

    /// The code of a closed day.
    pub(crate) fn closed(&self, day: usize) -> Option<Code> {
        self.closures.iter().find(|(closed, _)| *closed == day).map(|(_, code)| *code)
    }

    fn away(&self, day: usize, year_group: u8) -> Option<Code> {
        self.away.iter().find(|(on, year, _)| (*on, *year) == (day, year_group)).map(|(_, _, code)| *code)
    }
}

/// Arrangements for one pupil in one year.
pub(crate) struct Arrangements {
    part_time: Option<(usize, usize)>,
    off_site: Option<Weekday>,
    arranged: bool,
    /// Whether a placement was found for work experience.
    placed: bool,
    sport: f64,
    late: f64,
}

impl Arrangements {
    /// By the phase's shares; pupils of higher rank are likelier to have part-time timetables and to be late.
    pub(crate) fn new(dice: &mut Dice, model: &PhaseModel, rank: f64, days: usize) -> Self {
        let (part, arranged) = (if rank > 1.0 { 4.8 } else { 0.25 }, dice.chance(model.arranged));
        let part_time = dice.chance(model.part_time * part).then(|| {
            let from = dice.index(days / 2);
            (from, from + 40 + dice.index(130))
        });
        let weekdays = [Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Friday];
        let off_site = dice.chance(model.off_site).then(|| weekdays[dice.index(5)]);
        let late = model.late * (0.25 + 0.75 * (rank + 1.5).clamp(0.0, 5.0));
        Self { part_time, off_site, arranged, placed: dice.chance(0.62), sport: model.sport, late }
    }

    /// The cell of a session that the pupil would attend.
    pub(crate) fn attended(&self, dice: &mut Dice, place: &Place<'_>) -> Cell {
        let &Place { plan, day, date, session, year_group } = place;
        // Fixed number of draws a session: an arrangement changes nothing in the sessions after it.
        let (draw, minutes) = (dice.unit(), dice.between(1, 28));
        let plain = if session == 0 { Code::Present } else { Code::PresentAfternoon };
        let part_time = self.part_time.is_some_and(|(from, to)| (from..to).contains(&day));
        let code = if let Some(code) = plan.away(day, year_group).filter(|code| self.placed || *code != Code::W) {
            code
        } else if part_time && session == 1 {
            Code::C2
        } else if self.arranged && date.weekday() != Weekday::Monday {
            Code::K
        } else if self.off_site == Some(date.weekday()) && day > 20 {
            Code::B
        } else if not_yet_required(day, session, year_group) {
            Code::X
        } else if session == 1 && draw < self.sport * 2.0 {
            Code::P
        } else if draw < self.late * if session == 0 { 1.0 } else { 0.15 } {
            return Cell { code: Code::L, minutes: u8::try_from(minutes).unwrap_or(1) };
        } else if is_study_leave(date, year_group) && draw > 0.93 {
            Code::S
        } else {
            plain
        };
        Cell { code, minutes: 0 }
    }
}

/// Where and when a session is.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The school's plan.
    pub(crate) plan: &'a SchoolPlan,
    /// School day, an index into the calendar.
    pub(crate) day: usize,
    /// Its date.
    pub(crate) date: Date,
    /// 0 morning, 1 afternoon.
    pub(crate) session: usize,
    /// 0 to 11.
    pub(crate) year_group: u8,
}

/// Reception starts with mornings only.
fn not_yet_required(day: usize, session: usize, year_group: u8) -> bool {
    year_group == 0 && session == 1 && day < 6
}

/// Few schools grant study leave; year 11 in June.
fn is_study_leave(day: Date, year_group: u8) -> bool {
    year_group == 11 && day >= date(day.year(), 6, 8) && day <= date(day.year(), 7, 31)
}
