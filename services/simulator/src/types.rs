//! The simulator's own small types: phase, locality, session, code, UPN, mark, register, sending.
//! Takes and keeps nothing; what schools and pupils are is in `schools` and `pupils`.

use jiff::Timestamp;
use jiff::civil::Date;

/// The phase of a school, as the published figures divide them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Reception to year 6.
    Primary,
    /// Years 7 to 11.
    Secondary,
    /// Reception to year 11.
    Special,
}

impl Phase {
    /// All phases.
    pub const ALL: [Self; 3] = [Self::Primary, Self::Secondary, Self::Special];

    /// First and last year group; 0 is reception.
    pub const fn year_groups(self) -> (u8, u8) {
        match self {
            Self::Primary => (0, 6),
            Self::Secondary => (7, 11),
            Self::Special => (0, 11),
        }
    }
}

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

/// One of the two sessions of a school day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Session {
    /// Morning.
    Am,
    /// Afternoon.
    Pm,
}

impl Session {
    /// `AM` or `PM`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Am => "AM",
            Self::Pm => "PM",
        }
    }
}

/// How a code counts in the rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// Possible, attended (approved educational activity too).
    Attending,
    /// Possible, absent with authority.
    Authorised,
    /// Possible, absent without authority.
    Unauthorised,
    /// Not a possible session.
    NotPossible,
    /// No mark taken: missing data.
    NoMark,
}

macro_rules! codes {
    ($($name:ident $text:literal $counting:ident $doc:literal;)*) => {
        /// The attendance codes that the simulated schools use.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $(#[doc = $doc] $name,)* }

        impl Code {
            /// All codes that the simulated schools use.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as a register carries it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// How it counts.
            pub const fn counting(self) -> Counting {
                match self { $(Self::$name => Counting::$counting,)* }
            }
        }
    };
}

codes! {
    PresentAm "/" Attending "Present, morning.";
    PresentPm "\\" Attending "Present, afternoon.";
    Late "L" Attending "Late, before the register closed.";
    ArrangedByAuthority "K" Attending "Education provision arranged by the authority.";
    Visit "V" Attending "Educational visit or trip.";
    Sport "P" Attending "Approved sporting activity.";
    WorkExperience "W" Attending "Work experience.";
    OffSite "B" Attending "Any other approved educational activity.";
    DualRegistered "D" NotPossible "Expected at the other school.";
    Leave "C" Authorised "Leave, exceptional circumstances.";
    PartTime "C2" Authorised "Part-time timetable.";
    Suspended "E" Authorised "Suspended or excluded.";
    Illness "I" Authorised "Illness.";
    Interview "J1" Authorised "Interview.";
    Medical "M" Authorised "Medical or dental appointment.";
    Religious "R" Authorised "Religious observance.";
    StudyLeave "S" Authorised "Study leave.";
    Travelling "T" Authorised "Parent travelling for occupational purposes.";
    Holiday "G" Unauthorised "Holiday not granted.";
    NoReason "N" Unauthorised "Reason not yet established.";
    Other "O" Unauthorised "Other or unknown circumstances.";
    LateAfterClose "U" Unauthorised "Arrived after registration closed.";
    NotRequired "X" NotPossible "Not of compulsory school age, not required to attend.";
    Closed "Y4" NotPossible "Whole school unexpectedly closed.";
    PlannedClosure "#" NotPossible "Planned whole-school closure.";
    NotTaken "-" NoMark "No mark taken.";
}

/// A unique pupil number of invented local authority 900, with its right check letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Upn([u8; 13]);

impl Upn {
    const LETTERS: &'static [u8; 23] = b"ABCDEFGHJKLMNPQRTUVWXYZ";

    /// The UPN with the last nine digits of `number`.
    pub fn of_number(number: u32) -> Self {
        let mut text = *b"A900000000000";
        let mut rest = number;
        for place in text.iter_mut().skip(4).rev() {
            *place = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
        // The check letter: digits weighted by their place (2 to 13), modulo 23.
        let sum: usize =
            text.iter().zip(1_usize..).skip(1).map(|(digit, place)| usize::from(digit - b'0') * place).sum();
        text[0] = Self::LETTERS[sum % 23];
        Self(text)
    }

    /// The thirteen characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
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
    pub session: Session,
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
