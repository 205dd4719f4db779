//! Why a part of a register or roster was refused: a closed set of reasons, for counting, and what to tell the sender.

use attendance::code::CodeError;
use std::fmt;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $text:literal;)+) => {
        /// Why something was refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $($(#[doc = $doc])+ $variant,)+ }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant),+];

            /// As files, metrics and answers name it.
            pub fn text(self) -> &'static str { match self { $(Reason::$variant => $text,)+ } }
        }
    };
}

reasons! {
    /// It cannot be read at all: the wrong number of fields, broken quotes, no text.
    Form = "form";
    /// The school's number is no URN.
    SchoolUrn = "school_urn";
    /// The date is none.
    Date = "date";
    /// Neither AM nor PM.
    Session = "session";
    /// The pupil's number is no UPN.
    Upn = "upn";
    /// The code is empty or unknown.
    Code = "code";
    /// The code was retired before the register's date.
    RetiredCode = "retired_code";
    /// The minutes late are no such number.
    MinutesLate = "minutes_late";
    /// The time of revision is none.
    RevisedAt = "revised_at";
    /// The policy knows no such school, or not on that day.
    UnknownSchool = "unknown_school";
    /// The year group is none.
    YearGroup = "year_group";
    /// The kind of enrolment is none.
    Enrolment = "enrolment";
    /// A day on roll is none.
    Days = "days";
    /// A group is none.
    Group = "group";
    /// The home locality is none of the authority's.
    HomeLocality = "home_locality";
    /// The birth date is none.
    BirthDate = "birth_date";
    /// The date lies ahead.
    FutureDate = "future_date";
    /// The date lies in a school year before the last.
    OldYear = "old_year";
    /// The time of revision lies ahead of the clock.
    RevisedAhead = "revised_ahead";
    /// There is no time of revision where one is required.
    NoRevisedAt = "no_revised_at";
    /// The supplier may not carry this school.
    NotCarried = "not_carried";
    /// The bytes are not what their headers say.
    Content = "content";
    /// The register holds no mark.
    NoMarks = "no_marks";
}

impl Reason {
    /// Whether the words to the sender quote what was written: that might be a name.
    pub(crate) fn quotes(self) -> bool {
        !matches!(
            self,
            Self::RetiredCode
                | Self::UnknownSchool
                | Self::FutureDate
                | Self::OldYear
                | Self::RevisedAhead
                | Self::NoRevisedAt
                | Self::NotCarried
                | Self::Content
                | Self::NoMarks
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

impl From<&CodeError> for Reason {
    fn from(error: &CodeError) -> Self {
        match error {
            CodeError::Empty | CodeError::Unknown(_) => Self::Code,
            CodeError::Retired(_) => Self::RetiredCode,
        }
    }
}

/// A refused part: why, and what to tell the sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The reason.
    pub reason: Reason,
    /// The name of the field; the reason's where no single field is to blame.
    pub field: &'static str,
    /// What is wrong and what to do.
    pub what: String,
}

impl Rejected {
    /// A refusal of the field that the reason is named after.
    pub fn new(reason: Reason, what: impl fmt::Display) -> Self {
        Self::of_field(reason, reason.text(), what)
    }

    /// A refusal of a field.
    pub fn of_field(reason: Reason, field: &'static str, what: impl fmt::Display) -> Self {
        Self { reason, field, what: what.to_string() }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.what)
    }
}
