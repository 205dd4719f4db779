//! The phase of education, as the published figures divide schools.

use crate::enrolment::YearGroup;

/// The phase of a school.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Reception to year 6.
    Primary,
    /// Years 7 to 11.
    Secondary,
    /// Special schools: reception to year 11.
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

    /// As files write it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
            Self::Special => "special",
        }
    }

    /// The phase of a text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.text() == text)
    }

    /// The phase of a year group, for schools that have both.
    pub fn of_year_group(group: YearGroup) -> Self {
        match group {
            YearGroup::Year(7..) => Self::Secondary,
            YearGroup::N1 | YearGroup::N2 | YearGroup::Reception | YearGroup::Year(_) => Self::Primary,
        }
    }

    /// The phase of a GIAS "`PhaseOfEducation` (name)": special schools have "Not applicable". None where the school has both phases
    /// ("All-through") or the text says nothing.
    pub fn of_gias(text: &str) -> Option<Self> {
        let text = text.trim();
        let has = |part: &str| text.to_ascii_lowercase().contains(part);
        match text {
            "" | "All-through" => None,
            "Not applicable" => Some(Self::Special),
            _ if has("primary") || has("nursery") => Some(Self::Primary),
            _ if has("secondary") || has("16 plus") => Some(Self::Secondary),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_gias_are_known() {
        for (text, phase) in [
            ("Primary", Some(Phase::Primary)),
            ("Middle deemed primary", Some(Phase::Primary)),
            ("Nursery", Some(Phase::Primary)),
            ("Middle deemed secondary", Some(Phase::Secondary)),
            ("16 plus", Some(Phase::Secondary)),
            ("Not applicable", Some(Phase::Special)),
            ("All-through", None),
            ("", None),
        ] {
            assert_eq!(Phase::of_gias(text), phase, "{text}");
        }
    }

    #[test]
    fn a_year_group_tells_the_phase() {
        assert_eq!(Phase::of_year_group(YearGroup::Year(6)), Phase::Primary);
        assert_eq!(Phase::of_year_group(YearGroup::Year(7)), Phase::Secondary);
        assert_eq!(Phase::parse("special"), Some(Phase::Special));
    }
}
