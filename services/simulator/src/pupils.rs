//! Invented pupils: who they are, what groups they belong to, with whom they live, and their rank in the absence model.
//! Takes schools and counts; enrolments and marks are not here.

use jiff::civil::{Date, date};

use crate::calendar::plus;
use crate::dice::{Dice, Purpose};
use crate::model;
use crate::names;
use crate::schools::School;
use crate::types::Locality;
use attendance::Phase;
use attendance::Upn;

/// Groups that the authority watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Eligible for free school meals.
    Fsm,
    /// SEN support.
    SenSupport,
    /// Education, health and care plan.
    Ehcp,
    /// Has a social worker.
    SocialWorker,
    /// Looked after by the authority.
    LookedAfter,
    /// Young carer.
    YoungCarer,
}

impl Group {
    /// The name as the roster writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fsm => "fsm",
            Self::SenSupport => "sen_support",
            Self::Ehcp => "ehcp",
            Self::SocialWorker => "social_worker",
            Self::LookedAfter => "looked_after",
            Self::YoungCarer => "young_carer",
        }
    }

    const fn shift(self) -> f64 {
        match self {
            Self::Fsm => model::FSM_SHIFT,
            Self::SenSupport => model::SEN_SHIFT,
            Self::Ehcp => model::EHCP_SHIFT,
            Self::SocialWorker => model::SOCIAL_WORKER_SHIFT,
            Self::LookedAfter => model::LOOKED_AFTER_SHIFT,
            Self::YoungCarer => model::YOUNG_CARER_SHIFT,
        }
    }
}

/// An invented pupil.
#[derive(Clone, Debug, PartialEq)]
pub struct Pupil {
    /// The pupil's number: the last nine digits of the UPN.
    pub number: u32,
    /// Valid, LA 900.
    pub upn: Upn,
    /// 0 is reception.
    pub year_group: u8,
    /// Index of the school at the start of the year.
    pub school: usize,
    /// First day at that school.
    pub since: Date,
    /// Sorted.
    pub groups: Vec<Group>,
    /// Invented.
    pub given_name: &'static str,
    /// Invented; brothers and sisters share it.
    pub family_name: &'static str,
    /// Fits the year group.
    pub birth_date: Date,
    /// Where the child lives; for most the locality of the school.
    pub home: Locality,
    /// Brothers and sisters share it.
    pub household: u32,
}

impl Pupil {
    /// A new pupil of a year group, alone in its household so far.
    pub(crate) fn invent(seed: u64, number: u32, year_group: u8, start_year: i16, place: (usize, &School)) -> Self {
        let (index, school) = place;
        let mut dice = Dice::new(seed, Purpose::Pupil, 0, number);
        let groups = invent_groups(&mut dice, school.phase);
        let home = if dice.chance(0.04) { Locality::ALL[dice.index(Locality::ALL.len())] } else { school.locality };
        let age = i16::from(year_group);
        let years_here = age - i16::from(school.phase.year_groups().0);
        let birth_date = plus(date(start_year - 5 - age, 9, 1), i64::from(dice.below(365)));
        let mut family = Dice::new(seed, Purpose::Household, 0, number);
        Self {
            number,
            upn: invented_upn(number),
            year_group,
            school: index,
            since: date(start_year - years_here, 9, 1),
            groups,
            given_name: names::given(&mut dice),
            family_name: names::family(&mut family),
            birth_date,
            home,
            household: number,
        }
    }

    /// Joins the household of a brother or sister.
    pub(crate) fn join(&mut self, other: &Self) {
        self.household = other.household;
        self.family_name = other.family_name;
        self.home = other.home;
        let fsm = other.groups.contains(&Group::Fsm);
        if fsm != self.groups.contains(&Group::Fsm) {
            self.groups.retain(|group| *group != Group::Fsm);
            if fsm {
                self.groups.insert(0, Group::Fsm);
            }
        }
    }

    /// The rank in the absence model in the school year that starts in `year`; about standard normal within a phase.
    pub(crate) fn rank(&self, seed: u64, year: i16, phase: Phase) -> f64 {
        let normal = |purpose, year, id| Dice::new(seed, purpose, year, id).normal();
        let groups: f64 = self.groups.iter().map(|group| group.shift()).sum();
        // The mean of the shifts over all pupils of the phase, so that ranks stay centred; every special pupil has a plan.
        let mean = if phase == Phase::Special { 0.75 } else { 0.23 };
        let phase_model = model::PhaseModel::of(phase);
        let family = self.household.wrapping_add(1 << 31);
        groups - mean
            + model::YEAR_SHIFT[usize::from(self.year_group.min(11))]
            + model::HOUSEHOLD * normal(Purpose::Household, 0, family)
            + phase_model.lasting * normal(Purpose::Trait, 0, self.number)
            + phase_model.yearly * normal(Purpose::Year, year, self.number)
    }
}

/// The pupil's number of invented authority 900.
fn invented_upn(number: u32) -> Upn {
    Upn::given(900, number).expect("a county has far fewer pupils than nine digits can count")
}

fn invent_groups(dice: &mut Dice, phase: Phase) -> Vec<Group> {
    let mut groups = Vec::new();
    // Shares of Dorset's pupils by the bands' columns: FSM 21%, SEN 19%; the rest about national shares.
    let fsm = dice.chance(if phase == Phase::Special { 0.42 } else { 0.21 });
    let more = if fsm { 1.8 } else { 0.8 };
    let ehcp = phase == Phase::Special || dice.chance(0.04 * more);
    let sen = !ehcp && dice.chance(0.14 * more);
    let social = dice.chance(0.03 * more);
    let looked_after = social && dice.chance(0.2);
    let carer = dice.chance(0.015 * more);
    for (has, group) in [
        (fsm, Group::Fsm),
        (sen, Group::SenSupport),
        (ehcp, Group::Ehcp),
        (social, Group::SocialWorker),
        (looked_after, Group::LookedAfter),
        (carer, Group::YoungCarer),
    ] {
        if has {
            groups.push(group);
        }
    }
    groups
}
