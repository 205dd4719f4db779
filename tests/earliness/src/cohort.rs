//! Pupils with two school years of sessions: what every kind of cohort gives.

use attendance::enrolment::YearGroup;
use attendance::forecast::{Child, Gap, Steps};
use attendance::{Day, Phase};

/// A session: not possible, attended or missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// It counts for nothing.
    NotPossible,
    /// The pupil was there.
    Attended,
    /// The pupil was not.
    Missed,
}

/// A pupil.
#[derive(Clone, Debug)]
pub struct Pupil {
    /// The phase, in the year judged.
    pub phase: Phase,
    /// The year group, in the year judged; 0 is reception.
    pub year_group: u8,
    /// The year before, two sessions a school day; empty where there is no record of it.
    pub before: Vec<Session>,
    /// The year judged.
    pub year: Vec<Session>,
    /// The school day, from 0, from which on a pupil who had been good missed half of its sessions.
    pub broke_off: Option<usize>,
}

/// Pupils of one kind.
#[derive(Clone, Debug)]
pub struct Cohort {
    /// The kind.
    pub name: &'static str,
    /// The school days of the year before, and of the year judged.
    pub days: [Vec<Day>; 2],
    /// The pupils.
    pub pupils: Vec<Pupil>,
}

impl Pupil {
    /// Sessions of the year judged that are possible, and those missed.
    pub fn totals(&self) -> (u32, u32) {
        totals(&self.year)
    }

    /// Whether the year judged ends at 10% or more.
    pub fn is_persistent(&self) -> bool {
        let (possible, missed) = self.totals();
        possible > 0 && missed * 10 >= possible
    }

    /// The year group as rosters have it.
    pub fn group(&self) -> YearGroup {
        if self.year_group == 0 { YearGroup::Reception } else { YearGroup::Year(self.year_group) }
    }
}

/// Possible sessions, and those missed.
pub fn totals(sessions: &[Session]) -> (u32, u32) {
    let count = |wanted: &dyn Fn(Session) -> bool| {
        u32::try_from(sessions.iter().filter(|session| wanted(**session)).count()).unwrap_or(u32::MAX)
    };
    (count(&|session| session != Session::NotPossible), count(&|session| session == Session::Missed))
}

/// The possible sessions as a model learns from them.
pub fn steps(sessions: &[Session], days: &[Day]) -> Steps {
    let mut steps = Steps::default();
    let mut before = None;
    for (at, session) in sessions.iter().enumerate().filter(|(_, session)| **session != Session::NotPossible) {
        let day = days[at / 2];
        steps.push(Gap::between(before, day), *session == Session::Missed);
        before = Some(day);
    }
    steps
}

impl Cohort {
    /// The pupils as a model learns from them.
    pub fn children(&self) -> Vec<Child> {
        let child = |pupil: &Pupil| Child {
            phase: Some(pupil.phase),
            year_group: Some(pupil.group()),
            before: steps(&pupil.before, &self.days[0]),
            year: steps(&pupil.year, &self.days[1]),
        };
        self.pupils.iter().map(child).collect()
    }

    /// Every other pupil: those to learn from, and those to be judged.
    pub fn halves(self) -> (Self, Self) {
        let Self { name, days, pupils } = self;
        let (mut even, mut odd) = (Vec::new(), Vec::new());
        for (at, pupil) in pupils.into_iter().enumerate() {
            if at.is_multiple_of(2) { even.push(pupil) } else { odd.push(pupil) }
        }
        (Self { name, days: days.clone(), pupils: even }, Self { name, days, pupils: odd })
    }
}
