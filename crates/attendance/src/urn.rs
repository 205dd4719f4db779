//! Unique reference numbers of schools.

use std::fmt;

/// A school's number: six digits from 100000 on (GIAS). A school that becomes an academy gets a new one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Urn(u32);

/// What is wrong with a URN.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no school's URN: six digits from 100000 on")]
pub struct UrnError(String);

impl Urn {
    /// The URN of a number.
    pub fn new(number: u32) -> Result<Self, UrnError> {
        if (100_000..=999_999).contains(&number) { Ok(Self(number)) } else { Err(UrnError(number.to_string())) }
    }

    /// Reads six digits; blanks around them go.
    pub fn parse(text: &str) -> Result<Self, UrnError> {
        let digits = text.trim();
        let wrong = || UrnError(text.chars().take(16).collect());
        if digits.len() != 6 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        Self::new(digits.parse().map_err(|_| wrong())?)
    }

    /// The number.
    pub fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Debug for Urn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Urn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_digits_from_100000_on_are_a_urn() {
        assert_eq!(Urn::parse("113869").unwrap().number(), 113_869);
        for text in ["099999", "12345", "1234567", "11386x", "", "+13869"] {
            assert!(Urn::parse(text).is_err(), "{text}");
        }
    }
}
