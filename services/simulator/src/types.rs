//! The simulator's own small types: locality, mark, register, sending. Codes, UPNs, phases and halves of a day are the domain's.
//! Takes and keeps nothing; what schools and pupils are is in `schools` and `pupils`.

use attendance::{Code, Half, Upn};
use jiff::Timestamp;
use jiff::civil::Date;

/// A locality, with its team.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Locality {
    /// Weymouth and Portland.
    Chesil,
    /// Dorchester and the west of the county.
    DorchesterAndWest,
    /// The north of the county.
    North,
    /// The east of the county.
    East,
    /// Purbeck.
    Purbeck,
}

impl Locality {
    /// All localities.
    pub const ALL: [Self; 5] = [Self::Chesil, Self::DorchesterAndWest, Self::North, Self::East, Self::Purbeck];

    /// The name as the authority's policy writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chesil => "Chesil",
            Self::DorchesterAndWest => "Dorchester and West",
            Self::North => "North",
            Self::East => "East",
            Self::Purbeck => "Purbeck",
        }
    }
}

/// One pupil's mark in a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The pupil.
    pub upn: Upn,
    /// The code.
    pub code: Code,
    /// Minutes late, 1 to 120, where the pupil was.
    pub minutes_late: Option<u8>,
}

/// A register of one school and session, whole or only the marks that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    /// The school's URN.
    pub school_urn: u32,
    /// The school day.
    pub date: Date,
    /// Morning or afternoon.
    pub session: Half,
    /// When the school's system last changed it, in microseconds.
    pub revised_at: Timestamp,
    /// The marks; a register says nothing about pupils it does not list.
    pub marks: Vec<Mark>,
}

/// Why a register is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Occasion {
    /// As soon as it was taken.
    Live,
    /// Reasons have become known: the changed marks, or the whole register again.
    Correction,
    /// A whole week sent again.
    WeekAgain,
    /// Taken in time, sent days later.
    Late,
    /// The same bytes a second time.
    Duplicate,
}

/// A register on its way, at the moment at which it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sending {
    /// When it leaves the school; never before `revised_at`.
    pub sent_at: Timestamp,
    /// Why.
    pub occasion: Occasion,
    /// What.
    pub register: Register,
}
