//! Attendance and absence codes: what each counts as, and how a register's text becomes one.
//!
//! Source: "Working together to improve school attendance" (August 2024), chapter on attendance codes;
//! Regulations 2024, regulation 10. Retired codes stay readable for registers of the years in which they held.

use crate::day::Day;
use std::fmt;

/// What a code says about one possible session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Meaning {
    /// In school.
    Present,
    /// At an approved educational activity elsewhere: counts as attending.
    ApprovedActivity,
    /// Absent with leave.
    Authorised,
    /// Absent without leave, or without a reason so far.
    Unauthorised,
    /// The pupil could not or need not attend: the session does not count.
    NotPossible,
    /// A note of the school's own administration: the session does not count.
    Administrative,
    /// No mark was taken: missing data, not absence.
    NotTaken,
}

impl Meaning {
    /// Whether the session counts in the denominator of a rate.
    pub fn is_possible(self) -> bool {
        matches!(self, Self::Present | Self::ApprovedActivity | Self::Authorised | Self::Unauthorised)
    }

    /// Whether the session counts as missed.
    pub fn is_absent(self) -> bool {
        matches!(self, Self::Authorised | Self::Unauthorised)
    }
}

/// The school year's first day from which H, J and Y are retired.
pub const RETIRED_FROM: Day = Day::from_days(19_936);

macro_rules! codes {
    ($($variant:ident = $number:literal, $text:literal, $meaning:ident, $title:literal;)+) => {
        /// A code of the register. The order is that of the texts, which decides between two marks of one moment;
        /// the numbers are those that stored records carry and never change (gaps leave room).
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Code { $(#[doc = $title] $variant = $number,)+ }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Code] = &[$(Code::$variant),+];

            /// The code as registers write it.
            pub fn text(self) -> &'static str { match self { $(Code::$variant => $text,)+ } }

            /// What the code counts as.
            pub fn meaning(self) -> Meaning { match self { $(Code::$variant => Meaning::$meaning,)+ } }

            /// What the code says, in the guidance's words.
            pub fn title(self) -> &'static str { match self { $(Code::$variant => $title,)+ } }

            /// The code of a stored number; none for a number that no code has.
            pub fn from_number(number: u8) -> Option<Code> {
                match number { $($number => Some(Code::$variant),)+ _ => None }
            }

            fn of_text(text: &str) -> Option<Code> {
                match text { $($text => Some(Code::$variant),)+ "--" | "*" => Some(Code::NotTaken), _ => None }
            }
        }
    };
}

codes! {
    Closure = 4, "#", Administrative, "planned whole-school closure";
    NotTaken = 8, "-", NotTaken, "no mark taken";
    Present = 12, "/", Present, "present, morning session";
    B = 16, "B", ApprovedActivity, "any other approved educational activity";
    C = 20, "C", Authorised, "leave of absence, exceptional circumstances";
    C1 = 24, "C1", Authorised, "leave: regulated performance or employment abroad";
    C2 = 28, "C2", Authorised, "leave: part-time timetable";
    D = 32, "D", NotPossible, "dual registered, expected at the other school";
    E = 36, "E", Authorised, "suspended or excluded, no provision made";
    F = 40, "F", Authorised, "extended holiday, agreed (retired in 2013)";
    G = 44, "G", Unauthorised, "holiday not granted by the school";
    H = 48, "H", Authorised, "holiday, agreed (retired in August 2024)";
    I = 52, "I", Authorised, "illness";
    J = 56, "J", ApprovedActivity, "interview (retired in August 2024)";
    J1 = 60, "J1", Authorised, "interview for a job or a place";
    K = 64, "K", ApprovedActivity, "education provision arranged by the local authority";
    L = 68, "L", Present, "late, before the register closed";
    M = 72, "M", Authorised, "medical or dental appointment";
    N = 76, "N", Unauthorised, "reason not yet established";
    O = 80, "O", Unauthorised, "other or unknown circumstances";
    P = 84, "P", ApprovedActivity, "approved sporting activity";
    Q = 88, "Q", NotPossible, "unable to attend: lack of access arrangements";
    R = 92, "R", Authorised, "religious observance";
    S = 96, "S", Authorised, "study leave";
    T = 100, "T", Authorised, "parent travelling for occupational purposes";
    U = 104, "U", Unauthorised, "arrived after registration closed";
    V = 108, "V", ApprovedActivity, "educational visit or trip";
    W = 112, "W", ApprovedActivity, "work experience";
    X = 116, "X", NotPossible, "not of compulsory school age, not required to attend";
    Y = 120, "Y", NotPossible, "unable to attend (retired in August 2024)";
    Y1 = 124, "Y1", NotPossible, "transport normally provided not available";
    Y2 = 128, "Y2", NotPossible, "widespread disruption to travel";
    Y3 = 132, "Y3", NotPossible, "part of the school premises closed";
    Y4 = 136, "Y4", NotPossible, "whole school unexpectedly closed";
    Y5 = 140, "Y5", NotPossible, "criminal justice detention";
    Y6 = 144, "Y6", NotPossible, "public health guidance or law";
    Y7 = 148, "Y7", NotPossible, "any other unavoidable cause";
    Z = 152, "Z", Administrative, "prospective pupil, not yet on roll";
    PresentAfternoon = 156, "\\", Present, "present, afternoon session";
}

/// Which codes a rule counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CodeSet(u64);

impl CodeSet {
    /// All absence, authorised or not.
    pub const ABSENT: Self = Self(Self::AUTHORISED.0 | Self::UNAUTHORISED.0);
    /// Absence with leave.
    pub const AUTHORISED: Self = Self::of(&[
        Code::C,
        Code::C1,
        Code::C2,
        Code::E,
        Code::F,
        Code::H,
        Code::I,
        Code::J1,
        Code::M,
        Code::R,
        Code::S,
        Code::T,
    ]);
    /// Absence without leave, or without a reason so far.
    pub const UNAUTHORISED: Self = Self::of(&[Code::G, Code::N, Code::O, Code::U]);

    /// These codes.
    pub const fn of(codes: &[Code]) -> Self {
        let (mut set, mut rest) = (0, codes);
        while let [code, others @ ..] = rest {
            set |= Self::bit(*code);
            rest = others;
        }
        Self(set)
    }

    /// Numbers of codes are multiples of four below 160.
    const fn bit(code: Code) -> u64 {
        1 << (code as u8 / 4)
    }

    /// Whether the code is one of them.
    pub fn contains(self, code: Code) -> bool {
        self.0 & Self::bit(code) != 0
    }

    /// The codes, in order.
    pub fn codes(self) -> impl Iterator<Item = Code> {
        Code::ALL.iter().copied().filter(move |code| self.contains(*code))
    }
}

/// As a sentence lists them: "G, N, O or U".
impl fmt::Display for CodeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<&str> = self.codes().map(Code::text).collect();
        match texts.split_last() {
            Some((last, [])) => f.write_str(last),
            Some((last, others)) => write!(f, "{} or {last}", others.join(", ")),
            None => Ok(()),
        }
    }
}

/// What is wrong with a code's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Nothing, or blanks only.
    #[error("the code is empty; where no mark was taken, send \"-\"")]
    Empty,
    /// No code of the register.
    #[error("{0:?} is no attendance code; upper and lower case differ")]
    Unknown(String),
    /// A code that was retired before the register's date.
    #[error("code {0} was {retired}; send {instead} instead, or let the authority's policy map it", retired = .0.retirement(), instead = .0.successor())]
    Retired(Code),
}

/// What becomes of retired codes in registers dated after their retirement: the policy's mapping.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetiredCodes {
    mapping: Vec<(Code, Code)>,
}

impl RetiredCodes {
    /// Maps the retired code `from` to the code in force `to`; false where `from` is in force or `to` is not.
    pub fn map(&mut self, from: Code, to: Code) -> bool {
        let possible = from.is_retired() && !to.is_retired();
        if possible {
            self.mapping.retain(|(retired, _)| *retired != from);
            self.mapping.push((from, to));
        }
        possible
    }

    fn of(&self, code: Code) -> Option<Code> {
        self.mapping.iter().find(|(retired, _)| *retired == code).map(|(_, to)| *to)
    }
}

impl Code {
    /// The code that `text`, without the blanks around it, means in a register of `day`.
    pub fn parse(text: &str, day: Day, retired: &RetiredCodes) -> Result<Code, CodeError> {
        let text = text.trim();
        let code = Code::of_text(text)
            .ok_or_else(|| if text.is_empty() { CodeError::Empty } else { CodeError::Unknown(shortened(text)) })?;
        if code.is_retired() && day >= RETIRED_FROM {
            return retired.of(code).ok_or(CodeError::Retired(code));
        }
        Ok(code)
    }

    /// The number that stored records carry.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Whether the code is no longer in force.
    pub fn is_retired(self) -> bool {
        matches!(self, Code::F | Code::H | Code::J | Code::Y)
    }

    fn retirement(self) -> &'static str {
        if self == Code::F { "retired in 2013" } else { "retired in August 2024" }
    }

    fn successor(self) -> &'static str {
        match self {
            Code::J => "J1 (or B for an approved activity)",
            Code::Y => "one of Y1 to Y7",
            _ => "C or G",
        }
    }
}

/// At most sixteen characters of what was sent, so that an error never carries a whole file.
fn shortened(text: &str) -> String {
    text.chars().take(16).collect()
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_2025(text: &str) -> Result<Code, CodeError> {
        Code::parse(text, Day::parse("2025-09-03").unwrap(), &RetiredCodes::default())
    }

    #[test]
    fn the_order_of_codes_is_that_of_their_texts() {
        assert!(Code::ALL.windows(2).all(|pair| pair[0] < pair[1] && pair[0].text() < pair[1].text()));
    }

    #[test]
    fn every_code_survives_its_text_and_its_number() {
        let before = Day::parse("2024-03-01").unwrap();
        for &code in Code::ALL {
            assert_eq!(Code::parse(code.text(), before, &RetiredCodes::default()), Ok(code));
            assert_eq!(Code::from_number(code.number()), Some(code));
        }
        assert_eq!(Code::from_number(13), None);
    }

    #[test]
    fn codes_count_as_the_guidance_says() {
        let of =
            |meaning| Code::ALL.iter().filter(move |c| c.meaning() == meaning).map(|c| c.text()).collect::<Vec<_>>();
        assert_eq!(of(Meaning::Present), ["/", "L", "\\"]);
        assert_eq!(of(Meaning::ApprovedActivity), ["B", "J", "K", "P", "V", "W"]);
        assert_eq!(of(Meaning::Authorised), ["C", "C1", "C2", "E", "F", "H", "I", "J1", "M", "R", "S", "T"]);
        assert_eq!(of(Meaning::Unauthorised), ["G", "N", "O", "U"]);
        assert_eq!(of(Meaning::NotPossible), ["D", "Q", "X", "Y", "Y1", "Y2", "Y3", "Y4", "Y5", "Y6", "Y7"]);
        assert_eq!(of(Meaning::Administrative), ["#", "Z"]);
        assert_eq!(of(Meaning::NotTaken), ["-"]);
    }

    #[test]
    fn sets_hold_what_they_say() {
        let of = |counts: fn(Meaning) -> bool| Code::ALL.iter().copied().filter(move |code| counts(code.meaning()));
        assert!(CodeSet::ABSENT.codes().eq(of(Meaning::is_absent)));
        assert!(CodeSet::AUTHORISED.codes().eq(of(|meaning| meaning == Meaning::Authorised)));
        assert!(CodeSet::UNAUTHORISED.codes().eq(of(|meaning| meaning == Meaning::Unauthorised)));
        assert!(CodeSet::of(Code::ALL).codes().eq(Code::ALL.iter().copied()));
        let texts = [CodeSet::UNAUTHORISED, CodeSet::of(&[Code::I]), CodeSet::default()].map(|set| set.to_string());
        assert_eq!(texts, ["G, N, O or U", "I", ""]);
    }

    #[test]
    fn blanks_go_and_case_matters() {
        assert_eq!(in_2025(" C1 "), Ok(Code::C1));
        assert_eq!(in_2025("--"), Ok(Code::NotTaken));
        assert_eq!(in_2025("*"), Ok(Code::NotTaken));
        assert_eq!(in_2025("i"), Err(CodeError::Unknown("i".into())));
        assert_eq!(in_2025("  "), Err(CodeError::Empty));
    }

    #[test]
    fn a_retired_code_is_read_in_its_day_and_refused_with_an_explanation_later() {
        assert_eq!(RETIRED_FROM, Day::parse("2024-08-01").unwrap());
        let h = |date: &str| Code::parse("H", Day::parse(date).unwrap(), &RetiredCodes::default());
        assert_eq!(h("2024-07-31"), Ok(Code::H));
        let refused = h("2024-08-01").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "code H was retired in August 2024; send C or G instead, or let the authority's policy map it"
        );
    }

    #[test]
    fn the_policy_may_map_a_retired_code_to_one_in_force() {
        let mut retired = RetiredCodes::default();
        assert!(retired.map(Code::J, Code::J1));
        assert!(!retired.map(Code::I, Code::C), "I is in force");
        assert!(!retired.map(Code::H, Code::F), "F is itself retired");
        assert_eq!(Code::parse("J", Day::parse("2025-09-03").unwrap(), &retired), Ok(Code::J1));
    }
}
