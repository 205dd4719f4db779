//! One pupil's mark in one session at one school: what a register says once it is read and checked.

use crate::{Code, Session, Timestamp, Upn, Urn};

/// Minutes late, where the school says so: 0 to 999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MinutesLate(u16);

/// What is wrong with minutes late.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no number of minutes late: a whole number from 0 to 999")]
pub struct MinutesLateError(String);

impl MinutesLate {
    /// The given number of minutes.
    pub fn new(minutes: u32) -> Result<Self, MinutesLateError> {
        let fitting = u16::try_from(minutes).ok().and_then(Self::fitting);
        fitting.ok_or_else(|| MinutesLateError(minutes.to_string()))
    }

    /// The given number of minutes, where it is one: said of every entry of a record that is read, and none is no error there.
    pub(crate) fn fitting(minutes: u16) -> Option<Self> {
        (minutes <= 999).then_some(Self(minutes))
    }

    /// Reads a whole number.
    pub fn parse(text: &str) -> Result<Self, MinutesLateError> {
        let wrong = || MinutesLateError(text.chars().take(16).collect());
        let minutes: u32 = text.trim().parse().map_err(|_| wrong())?;
        Self::new(minutes).map_err(|_| wrong())
    }

    /// The number of minutes.
    pub fn minutes(self) -> u16 {
        self.0
    }
}

/// What a school says of one pupil and session, and when it last said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision {
    /// When the school's system last changed the register. The newest counts.
    pub revised_at: Timestamp,
    /// The mark. Of two of one moment the greater (code, minutes) counts, so that every order ends alike.
    pub code: Code,
    /// Minutes late, where given.
    pub minutes_late: Option<MinutesLate>,
}

/// A revision with its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The pupil.
    pub upn: Upn,
    /// The school whose register it is.
    pub school: Urn,
    /// The session.
    pub session: Session,
    /// What it says.
    pub revision: Revision,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_late_are_a_whole_number_up_to_999() {
        assert_eq!(MinutesLate::parse("12").unwrap().minutes(), 12);
        for text in ["-1", "1000", "7.5", ""] {
            assert!(MinutesLate::parse(text).is_err(), "{text}");
        }
    }
}
