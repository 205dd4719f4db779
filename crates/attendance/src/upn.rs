//! Unique pupil numbers: the one id that schools share.
//!
//! A letter, eleven digits, then a digit or, for a temporary number, a letter (DfE, "Unique pupil numbers: guide").
//! A wrong check letter or an unknown authority only warns: numbers with slips in them are in use, and a refused
//! mark is a child not seen.

use std::fmt;

/// A pupil's number, packed into 48 bits. Its `Debug` shows nothing of it: logs never carry it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Upn(u64);

/// What is wrong with a UPN's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpnError {
    /// Nothing, or blanks only.
    #[error("the UPN is empty")]
    Empty,
    /// Not thirteen characters.
    #[error("a UPN has 13 characters, this has {0}")]
    Length(usize),
    /// A character that cannot stand there; positions count from 1.
    #[error("character {0} of the UPN is not what belongs there: a letter, eleven digits, then a digit or a letter")]
    Character(usize),
}

/// What is odd about a UPN that is used all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UpnWarning {
    /// The first letter is not the one that the digits ask for.
    CheckLetter,
    /// Digits 2 to 4 are no local authority's code.
    UnknownAuthority,
}

impl UpnWarning {
    /// What to tell the sender.
    pub fn text(self) -> &'static str {
        match self {
            Self::CheckLetter => "the UPN's check letter does not fit its digits",
            Self::UnknownAuthority => "digits 2 to 4 of the UPN are no local authority's code",
        }
    }
}

/// The check letters by value: the alphabet without I, O and S.
const CHECK_LETTERS: &[u8; 23] = b"ABCDEFGHJKLMNPQRTUVWXYZ";

impl Upn {
    /// Reads a UPN; blanks around it go, small letters become capitals.
    pub fn parse(text: &str) -> Result<Self, UpnError> {
        Self::parse_bytes(text.as_bytes())
    }

    /// [`Upn::parse`] of bytes.
    pub fn parse_bytes(text: &[u8]) -> Result<Self, UpnError> {
        let text = text.trim_ascii();
        if text.is_empty() {
            return Err(UpnError::Empty);
        }
        let &[first, ref digits @ .., last] = text else { return Err(UpnError::Length(1)) };
        if text.len() != 13 {
            return Err(UpnError::Length(String::from_utf8_lossy(text).chars().count()));
        }
        let first = first.to_ascii_uppercase();
        if !first.is_ascii_uppercase() {
            return Err(UpnError::Character(1));
        }
        let mut number = 0_u64;
        for (at, digit) in digits.iter().enumerate() {
            if !digit.is_ascii_digit() {
                return Err(UpnError::Character(at + 2));
            }
            number = number * 10 + u64::from(digit - b'0');
        }
        let last = match last.to_ascii_uppercase() {
            digit @ b'0'..=b'9' => digit - b'0',
            letter @ b'A'..=b'Z' => letter - b'A' + 10,
            _ => return Err(UpnError::Character(13)),
        };
        Ok(Self((u64::from(first - b'A') * 100_000_000_000 + number) * 36 + u64::from(last)))
    }

    /// The permanent number that an authority's school gives as its `number`th (nine digits): with the right check letter.
    /// None for what has more digits.
    pub fn given(authority: u16, number: u32) -> Option<Self> {
        if authority > 999 || number > 999_999_999 {
            return None;
        }
        let digits = u64::from(authority) * 100_000_000 + u64::from(number / 10);
        let without_letter = Self(digits * 36 + u64::from(number % 10));
        let letter = without_letter.check_letter()? - b'A';
        Some(Self(without_letter.0 + u64::from(letter) * 100_000_000_000 * 36))
    }

    /// The UPN of a packed number, as databases and messages carry it; none for a number that no UPN has.
    pub fn from_number(number: u64) -> Option<Self> {
        (number < 26 * 100_000_000_000 * 36).then_some(Self(number))
    }

    /// The packed number.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The thirteen characters. For the authority's own files and for schools only: in no message to a team, page
    /// address, log or metric.
    pub fn text(self) -> String {
        self.bytes().map(char::from).into_iter().collect()
    }

    /// The thirteen characters, ASCII; as [`Upn::text`] without a String.
    pub fn bytes(self) -> [u8; 13] {
        let (first, digits, last) = self.parts();
        let mut bytes = [b'A' + first; 13];
        let mut rest = digits;
        let [_, middle @ .., end] = &mut bytes;
        for place in middle.iter_mut().rev() {
            *place = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
        *end = if last < 10 { b'0' + last } else { b'A' + last - 10 };
        bytes
    }

    /// What is odd about it; `known_authority` says whether a code of digits 2 to 4 is a local authority's.
    pub fn warnings(self, known_authority: impl Fn(u16) -> bool) -> impl Iterator<Item = UpnWarning> {
        let (first, digits, _) = self.parts();
        let wrong_letter = self.check_letter() != Some(b'A' + first);
        let authority = u16::try_from(digits / 100_000_000).unwrap_or(u16::MAX);
        let unknown = !known_authority(authority);
        let warnings =
            [wrong_letter.then_some(UpnWarning::CheckLetter), unknown.then_some(UpnWarning::UnknownAuthority)];
        warnings.into_iter().flatten()
    }

    /// Whether it is a temporary number, with a letter at its end.
    pub fn is_temporary(self) -> bool {
        self.parts().2 >= 10
    }

    /// The letter that the other twelve characters ask for: the sum of their values, each times its place (2 to 13),
    /// modulo 23.
    fn check_letter(self) -> Option<u8> {
        let (_, digits, last) = self.parts();
        let mut sum = 13 * u64::from(last_value(last)?);
        let mut rest = digits;
        for place in (2..=12).rev() {
            sum += place * (rest % 10);
            rest /= 10;
        }
        CHECK_LETTERS.get(usize::try_from(sum % 23).ok()?).copied()
    }

    fn parts(self) -> (u8, u64, u8) {
        let last = u8::try_from(self.0 % 36).unwrap_or(0);
        let rest = self.0 / 36;
        let first = u8::try_from(rest / 100_000_000_000).unwrap_or(0);
        (first, rest % 100_000_000_000, last)
    }
}

/// A letter at the end counts with its place among the check letters.
fn last_value(last: u8) -> Option<u8> {
    if last < 10 {
        return Some(last);
    }
    let letter = b'A' + last - 10;
    CHECK_LETTERS.iter().position(|l| *l == letter).and_then(|p| u8::try_from(p).ok())
}

impl fmt::Debug for Upn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upn(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(text: &str) -> Vec<UpnWarning> {
        Upn::parse(text).unwrap().warnings(|la| la == 900 || la == 801).collect()
    }

    #[test]
    fn published_and_invented_numbers_have_the_right_check_letter() {
        for text in ["B801200005001", "R900001000001", "F900001000002"] {
            assert_eq!(warnings(text), [], "{text}");
        }
    }

    #[test]
    fn a_wrong_letter_or_authority_only_warns() {
        assert_eq!(warnings("A801200005001"), [UpnWarning::CheckLetter]);
        assert_eq!(warnings("P207000016049"), [UpnWarning::UnknownAuthority]);
    }

    #[test]
    fn text_survives_packing() {
        for text in ["A000000000000", "Z99999999999Z", "B801200005001", "T80120000500A"] {
            let upn = Upn::parse(text).unwrap();
            assert_eq!(upn.text(), text);
            assert_eq!(Upn::from_number(upn.number()), Some(upn));
        }
        assert!(Upn::parse("T80120000500A").unwrap().is_temporary());
        assert_eq!(Upn::from_number(u64::MAX), None);
    }

    #[test]
    fn small_letters_become_capitals_and_blanks_go() {
        assert_eq!(Upn::parse(" b801200005001 "), Upn::parse("B801200005001"));
    }

    #[test]
    fn what_is_no_upn_is_refused_with_its_place() {
        assert_eq!(Upn::parse(""), Err(UpnError::Empty));
        assert_eq!(Upn::parse("B"), Err(UpnError::Length(1)));
        assert_eq!(Upn::parse("B80120000500"), Err(UpnError::Length(12)));
        assert_eq!(Upn::parse("1801200005001"), Err(UpnError::Character(1)));
        assert_eq!(Upn::parse("B80120000x001"), Err(UpnError::Character(10)));
        assert_eq!(Upn::parse("B80120000500!"), Err(UpnError::Character(13)));
        assert_eq!(Upn::parse("Bé0120000500"), Err(UpnError::Character(2)));
    }

    #[test]
    fn logs_never_show_a_upn() {
        assert_eq!(format!("{:?}", Upn::parse("B801200005001").unwrap()), "Upn(…)");
    }
}
