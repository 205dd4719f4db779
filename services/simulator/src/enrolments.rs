//! Who is on which roll and when, in one school year: most all year; a few move, come, leave, or are at two schools.
//! Takes schools and pupils; gives enrolments with dates and school days.

use jiff::civil::{Date, date};

use crate::calendar::Calendar;
use crate::dice::{Dice, Purpose};
use crate::model;
use crate::pupils::Pupil;
use crate::schools::School;
use attendance::Phase;

/// Kind of enrolment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The main one.
    Main,
    /// The second of a dually registered pupil.
    Subsidiary,
}

/// A pupil's time on one school's roll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolment {
    /// Index of the pupil.
    pub pupil: usize,
    /// Index of the school.
    pub school: usize,
    /// Main or subsidiary.
    pub kind: Kind,
    /// First day on roll.
    pub from: Date,
    /// Last day on roll, where it ends within the year.
    pub to: Option<Date>,
    /// First school day of this year on roll, as an index into the calendar.
    pub first_day: usize,
    /// Last school day of this year on roll.
    pub last_day: usize,
    /// Whether the pupil is dually registered, and expected at the other school on some weekdays.
    pub(crate) shared: bool,
}

impl Enrolment {
    /// The main enrolment at the end of the year.
    pub(crate) fn goes_on(&self) -> bool {
        self.kind == Kind::Main && self.to.is_none()
    }

    /// All year at the school where the pupil starts it.
    fn whole(pupil: usize, source: &Pupil, last_day: usize) -> Self {
        Self {
            pupil,
            school: source.school,
            kind: Kind::Main,
            from: source.since,
            to: None,
            first_day: 0,
            last_day,
            shared: false,
        }
    }
}

/// Whether the child's year is an unsettled one: moving, coming, leaving. Such children miss more.
pub(crate) fn unsettled(enrolments: &[Enrolment], year_start: Date) -> bool {
    enrolments.iter().any(|enrolment| enrolment.to.is_some() || enrolment.from > year_start)
}

/// The enrolments of a year.
pub(crate) fn enrol(seed: u64, calendar: &Calendar, schools: &[School], pupils: &[Pupil]) -> Vec<Enrolment> {
    let mut all = Vec::with_capacity(pupils.len() + pupils.len() / 40);
    for (index, pupil) in pupils.iter().enumerate() {
        let mut dice = Dice::new(seed, Purpose::Roll, calendar.start_year(), pupil.number);
        let year = Year { calendar, schools };
        let whole = Enrolment::whole(index, pupil, calendar.days().len() - 1);
        match dice.unit() {
            // Shares: judgement; FFT found 7% of autumn's persistent absentees off that roll by spring, against 1 to 2% of all.
            x if x < 0.012 => all.extend(year.moved(&mut dice, whole)),
            x if x < 0.022 => all.push(year.joined(&mut dice, whole)),
            x if x < 0.032 => all.push(year.left(&mut dice, whole)),
            x if x < 0.036 => all.extend(year.dual(&mut dice, whole)),
            _ => all.push(whole),
        }
    }
    all
}

struct Year<'a> {
    calendar: &'a Calendar,
    schools: &'a [School],
}

impl Year<'_> {
    fn some_day(&self, dice: &mut Dice) -> usize {
        10 + dice.index(self.calendar.days().len() - 30)
    }

    fn left(&self, dice: &mut Dice, mut whole: Enrolment) -> Enrolment {
        whole.last_day = self.some_day(dice);
        whole.to = Some(self.calendar.days()[whole.last_day]);
        whole
    }

    fn joined(&self, dice: &mut Dice, mut whole: Enrolment) -> Enrolment {
        whole.first_day = self.some_day(dice);
        whole.from = self.calendar.days()[whole.first_day];
        whole
    }

    fn moved(&self, dice: &mut Dice, whole: Enrolment) -> Vec<Enrolment> {
        let Some(school) = self.other(dice, whole.school, self.schools[whole.school].phase) else {
            return vec![whole];
        };
        let old = self.left(dice, whole.clone());
        // Some days between two schools are usual.
        let first_day = old.last_day + 1 + dice.index(8);
        let new = Enrolment { school, first_day, from: self.calendar.days()[first_day], ..whole };
        vec![old, new]
    }

    fn dual(&self, dice: &mut Dice, whole: Enrolment) -> Vec<Enrolment> {
        if self.schools[whole.school].phase == Phase::Special {
            return vec![whole];
        }
        let Some(school) = self.other(dice, whole.school, Phase::Special) else {
            return vec![whole];
        };
        let from = date(self.calendar.start_year(), 9, 1).max(whole.from);
        let main = Enrolment { shared: true, ..whole };
        let second = Enrolment { school, kind: Kind::Subsidiary, from, ..main.clone() };
        vec![main, second]
    }

    /// Another school of a phase, of the same locality if there is one.
    fn other(&self, dice: &mut Dice, school: usize, phase: Phase) -> Option<usize> {
        let locality = self.schools[school].locality;
        let fits = |index: &usize| *index != school && self.schools[*index].phase == phase;
        let all: Vec<usize> = (0..self.schools.len()).filter(fits).collect();
        let near: Vec<usize> = all.iter().copied().filter(|index| self.schools[*index].locality == locality).collect();
        let choice = if near.is_empty() { all } else { near };
        if choice.is_empty() { None } else { Some(choice[dice.index(choice.len())]) }
    }
}

/// The rank's shift of an unsettled child.
pub(crate) const UNSETTLED_SHIFT: f64 = model::MOVER_SHIFT;
