//! Who a child is, as far as rules ask: phase, year group, groups, and what is arranged for it.

use crate::enrolment::{Groups, Roster, YearGroup};
use crate::record::YearRecord;
use crate::{Day, Phase, Urn};

/// Phase, year group and groups of a child, as of the newest session of its record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// The phase of its school, where that is known, else that of its year group.
    pub phase: Option<Phase>,
    /// Its year group, where a roster tells.
    pub year_group: Option<YearGroup>,
    /// Its groups.
    pub groups: Groups,
    /// The day by which its part-time timetable is to be reviewed next.
    pub part_time_review: Option<Day>,
}

impl Profile {
    /// The day and school of the newest session: with the roster all that a profile depends on.
    pub fn place(record: &YearRecord) -> Option<(Day, Option<Urn>)> {
        record.entries().next_back().map(|newest| (newest.session.day(), record.school(newest)))
    }

    /// The profile of a child with this roster (empty where none names it) and school year. It depends on these alone, so that it is the
    /// same wherever it is asked for. `phase_of` tells a school's phase.
    pub fn of(roster: &Roster, record: &YearRecord, phase_of: impl Fn(Urn) -> Option<Phase>) -> Self {
        let Some((day, newest_school)) = Self::place(record) else { return Self::default() };
        let year_group = roster.year_group(day);
        let school = roster.school(day).or(newest_school);
        let phase = school.and_then(phase_of).or_else(|| year_group.map(Phase::of_year_group));
        Self { phase, year_group, groups: roster.groups(day), part_time_review: roster.part_time_review(day) }
    }
}

/// Whom a rule is for. Of each part nothing means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applies {
    /// Phases.
    pub phases: Vec<Phase>,
    /// Year groups.
    pub year_groups: Vec<YearGroup>,
    /// Year groups that it is not for. A child whose year group is not known is not left out.
    pub except: Vec<YearGroup>,
    /// Groups, of which the child must be in one at least.
    pub groups: Groups,
}

impl Applies {
    /// Whether the rule is for this child. What is not known of a child is neither what is asked for nor what is left out.
    pub fn to(&self, profile: &Profile) -> bool {
        (self.phases.is_empty() || profile.phase.is_some_and(|phase| self.phases.contains(&phase)))
            && (self.year_groups.is_empty()
                || profile.year_group.is_some_and(|group| self.year_groups.contains(&group)))
            && profile.year_group.is_none_or(|group| !self.except.contains(&group))
            && (self.groups.is_empty() || self.groups.meets(profile.groups))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrolment::Group;

    #[test]
    fn a_rule_is_for_those_who_meet_all_that_it_asks_for() {
        let social = Groups::default().with(Group::SocialWorker);
        let child = Profile {
            phase: Some(Phase::Secondary),
            year_group: Some(YearGroup::Year(7)),
            groups: social,
            part_time_review: None,
        };
        let unknown = Profile::default();
        let all = Applies::default();
        assert!(all.to(&child) && all.to(&unknown));
        let secondary = Applies { phases: vec![Phase::Secondary], ..Applies::default() };
        assert!(secondary.to(&child) && !secondary.to(&unknown));
        let seventh = Applies { year_groups: vec![YearGroup::Year(7)], ..secondary.clone() };
        assert!(seventh.to(&child) && !seventh.to(&Profile { year_group: Some(YearGroup::Year(8)), ..child }));
        let others = Applies { except: vec![YearGroup::Year(7)], ..Applies::default() };
        assert!(!others.to(&child) && others.to(&Profile { year_group: Some(YearGroup::Year(8)), ..child }));
        assert!(others.to(&unknown), "nobody is left out for want of a roster");
        let some = Applies { groups: social.with(Group::YouthJustice), ..Applies::default() };
        assert!(some.to(&child) && !some.to(&Profile { groups: Groups::default().with(Group::Fsm), ..child }));
    }
}
