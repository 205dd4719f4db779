//! Counts of sessions and the absence rate, exact and unrounded.
//!
//! Source: DfE, "Pupil absence statistics: methodology": persistent is 10% or more, severe 50% or more of a pupil's own
//! possible sessions.

use crate::Meaning;
use std::fmt;

/// Counts of sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counts {
    /// Sessions that count.
    pub possible: u32,
    /// Missed with leave.
    pub authorised: u32,
    /// Missed without leave.
    pub unauthorised: u32,
}

impl Counts {
    /// Sessions missed.
    pub fn absent(self) -> u32 {
        self.authorised + self.unauthorised
    }

    /// Counts one more session.
    pub fn add(&mut self, meaning: Meaning) {
        self.possible += u32::from(meaning.is_possible());
        self.authorised += u32::from(meaning == Meaning::Authorised);
        self.unauthorised += u32::from(meaning == Meaning::Unauthorised);
    }

    /// Takes one counted session away.
    pub fn remove(&mut self, meaning: Meaning) {
        self.possible -= u32::from(meaning.is_possible());
        self.authorised -= u32::from(meaning == Meaning::Authorised);
        self.unauthorised -= u32::from(meaning == Meaning::Unauthorised);
    }

    /// The absence rate.
    pub fn absence(self) -> Rate {
        Rate { part: self.absent(), possible: self.possible }
    }
}

/// A part of the possible sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The sessions that count.
    pub part: u32,
    /// Of so many.
    pub possible: u32,
}

impl Rate {
    /// Whether the rate is `share` or more. Of no possible session there is no rate: never.
    pub fn reaches(self, share: Share) -> bool {
        self.possible > 0 && u64::from(self.part) * 10_000 >= u64::from(share.0) * u64::from(self.possible)
    }

    /// As a fraction from 0 to 1; none where no session was possible.
    pub fn fraction(self) -> Option<f64> {
        (self.possible > 0).then(|| f64::from(self.part) / f64::from(self.possible))
    }

    /// In percent with one decimal, cut off rather than rounded, so that 9.99% never reads as 10.0%.
    pub fn percent(self) -> String {
        let tenths = u64::from(self.part) * 1_000 / u64::from(self.possible.max(1));
        format!("{}.{}%", tenths / 10, tenths % 10)
    }
}

/// A share in hundredths of a percent, 0 to 10,000: exact, so that a threshold is a threshold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u32);

/// What is wrong with a share's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no share; write it as \"10%\", from 0% to 100%, with at most two decimals")]
pub struct ShareError(String);

impl Share {
    /// The given number of whole percent, at most 100.
    pub const fn percent(percent: u32) -> Self {
        Self(if percent > 100 { 10_000 } else { percent * 100 })
    }

    /// Reads `10%` or `7.25%`.
    pub fn parse(text: &str) -> Result<Self, ShareError> {
        let wrong = || ShareError(text.chars().take(16).collect());
        let number = text.trim().strip_suffix('%').ok_or_else(wrong)?.trim_end();
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str| !text.is_empty() && text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(decimals) || decimals.len() > 2 {
            return Err(wrong());
        }
        let whole: u32 = whole.parse().map_err(|_| wrong())?;
        let hundredths: u32 = format!("{decimals:0<2}").parse().map_err(|_| wrong())?;
        let share = whole * 100 + hundredths;
        if share <= 10_000 { Ok(Self(share)) } else { Err(wrong()) }
    }

    /// The share of a fraction from 0 to 1, cut off rather than rounded.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 10,000")]
    pub fn of_fraction(fraction: f64) -> Self {
        Self(libm::floor(fraction.clamp(0.0, 1.0) * 10_000.0) as u32)
    }

    /// In hundredths of a percent.
    pub const fn hundredths(self) -> u32 {
        self.0
    }

    /// As a fraction from 0 to 1.
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / 10_000.0
    }

    /// This share less another, at least nought.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % 100 {
            0 => write!(f, "{}%", self.0 / 100),
            rest if rest % 10 == 0 => write!(f, "{}.{}%", self.0 / 100, rest / 10),
            rest => write!(f, "{}.{rest:02}%", self.0 / 100),
        }
    }
}

/// Where a child's rate puts it, by the DfE's limits and "at risk" in common use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// No possible session.
    None,
    /// Under 5%.
    Good,
    /// 5% to under 10%.
    AtRisk,
    /// 10% to under 50%.
    Persistent,
    /// 50% or more; persistent too.
    Severe,
}

impl Status {
    /// The status of counts.
    pub fn of(counts: Counts) -> Self {
        let rate = counts.absence();
        if rate.possible == 0 {
            Self::None
        } else if rate.reaches(Share::percent(50)) {
            Self::Severe
        } else if rate.reaches(Share::percent(10)) {
            Self::Persistent
        } else if rate.reaches(Share::percent(5)) {
            Self::AtRisk
        } else {
            Self::Good
        }
    }

    /// As files write it.
    pub fn text(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Good => "good",
            Self::AtRisk => "at-risk",
            Self::Persistent => "persistent",
            Self::Severe => "severe",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(absent: u32, possible: u32) -> Counts {
        Counts { possible, authorised: absent, unauthorised: 0 }
    }

    #[test]
    fn the_limits_are_exact() {
        assert_eq!(Status::of(counts(0, 0)), Status::None);
        assert_eq!(Status::of(counts(1, 10)), Status::Persistent);
        assert_eq!(Status::of(counts(37, 371)), Status::AtRisk, "9.97%");
        assert_eq!(Status::of(counts(5, 10)), Status::Severe);
        assert_eq!(Status::of(counts(49, 99)), Status::Persistent, "49.49%");
        assert_eq!(Status::of(counts(1, 21)), Status::Good, "4.76%");
        assert_eq!(Status::of(counts(1, 20)), Status::AtRisk);
    }

    #[test]
    fn a_percentage_below_a_limit_never_reads_as_the_limit() {
        assert_eq!(counts(999, 10_000).absence().percent(), "9.9%");
        assert_eq!(counts(9, 52).absence().percent(), "17.3%");
        assert_eq!(counts(1, 10).absence().percent(), "10.0%");
    }

    #[test]
    fn shares_are_read_to_the_hundredth_of_a_percent() {
        for text in ["10%", "7.25%", "0.5%", "100%", "0%"] {
            assert_eq!(Share::parse(text).unwrap().to_string(), text);
        }
        for text in ["10", "101%", "0.125%", "-1%", "%", ".5%", "1e1%"] {
            assert!(Share::parse(text).is_err(), "{text}");
        }
    }
}
