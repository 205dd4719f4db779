//! What the authority's policy says of a register: which schools there are on which day, and what becomes of codes.

use crate::reason::{Reason, Rejected};
use attendance::code::RetiredCodes;
use attendance::{Day, Urn};
use policy::Policy;

/// What registers are checked against.
#[derive(Clone, Copy, Debug)]
pub enum Admission<'a> {
    /// The authority's policy.
    Policy(&'a Policy),
    /// None: every school is taken, retired codes are refused.
    Anyone,
}

static NO_MAPPING: std::sync::LazyLock<RetiredCodes> = std::sync::LazyLock::new(RetiredCodes::default);

impl Admission<'_> {
    /// Whether the school sends registers on that day.
    pub fn school(&self, school: Urn, day: Day) -> Result<(), Rejected> {
        let Self::Policy(policy) = self else { return Ok(()) };
        match policy.schools.get(&school) {
            Some(known) if known.is_open(day) => Ok(()),
            Some(_) => {
                let what = format!("by schools.csv school {school} is not open on {day}");
                Err(Rejected::of_field(Reason::UnknownSchool, "school_urn", what))
            }
            None => {
                let what = format!("schools.csv names no school {school}");
                Err(Rejected::of_field(Reason::UnknownSchool, "school_urn", what))
            }
        }
    }

    /// What becomes of retired codes.
    pub fn retired_codes(&self) -> &RetiredCodes {
        match self {
            Self::Policy(policy) => &policy.retired_codes,
            Self::Anyone => &NO_MAPPING,
        }
    }
}
