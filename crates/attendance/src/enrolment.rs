//! The roster: where a child is enrolled, from when to when, in which year group, with which needs.
//!
//! Each field's newest value counts, for one pupil, school and kind of enrolment; a missing field changes nothing, an
//! empty one takes the value back. Like a record, a roster is a fold that minds neither order nor repetition.

use crate::{Day, Timestamp, Urn};
use std::fmt;

/// National Curriculum year group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum YearGroup {
    /// First year of nursery.
    N1,
    /// Second year of nursery.
    N2,
    /// Reception.
    Reception,
    /// Years 1 to 14.
    Year(u8),
}

/// A group whose attendance the authority watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// Has a social worker.
    SocialWorker,
    /// Looked after by the authority.
    LookedAfter,
    /// Special educational needs, support.
    SenSupport,
    /// Education, health and care plan.
    Ehcp,
    /// Eligible for free school meals.
    Fsm,
    /// Young carer.
    YoungCarer,
    /// Has a youth justice worker.
    YouthJustice,
}

impl Group {
    /// All groups.
    pub const ALL: [Group; 7] = [
        Self::SocialWorker,
        Self::LookedAfter,
        Self::SenSupport,
        Self::Ehcp,
        Self::Fsm,
        Self::YoungCarer,
        Self::YouthJustice,
    ];

    /// As rosters write it.
    pub fn text(self) -> &'static str {
        match self {
            Self::SocialWorker => "social_worker",
            Self::LookedAfter => "looked_after",
            Self::SenSupport => "sen_support",
            Self::Ehcp => "ehcp",
            Self::Fsm => "fsm",
            Self::YoungCarer => "young_carer",
            Self::YouthJustice => "youth_justice",
        }
    }
}

/// A set of groups.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Groups(u8);

impl Groups {
    /// No group.
    pub const NONE: Self = Self(0);

    /// With one more group.
    #[must_use]
    pub fn with(self, group: Group) -> Self {
        Self(self.0 | 1 << group as u8)
    }

    /// The groups of both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether any group is in both.
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the group is among them.
    pub fn contains(self, group: Group) -> bool {
        self.0 & (1 << group as u8) != 0
    }

    /// The groups.
    pub fn iter(self) -> impl Iterator<Item = Group> {
        Group::ALL.into_iter().filter(move |group| self.contains(*group))
    }

    /// The set as a number, as databases and messages carry it.
    pub fn number(self) -> u8 {
        self.0
    }

    /// The set of a stored number; bits that no group has are left out.
    pub fn from_number(number: u8) -> Self {
        Self(number & 0b111_1111)
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// What is wrong with a roster's field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// Not a year group.
    #[error("{0:?} is no year group: N1, N2, R or 1 to 14")]
    YearGroup(String),
    /// Not a group.
    #[error(
        "{0:?} is no group: social_worker, looked_after, sen_support, ehcp, fsm, young_carer or youth_justice, several with ; between"
    )]
    Group(String),
    /// Not a kind of enrolment.
    #[error("{0:?} is no kind of enrolment: main or subsidiary")]
    Kind(String),
}

impl YearGroup {
    /// Reads `N1`, `N2`, `R` or 1 to 14.
    pub fn parse(text: &str) -> Result<Self, RosterError> {
        match text.trim() {
            "N1" => Ok(Self::N1),
            "N2" => Ok(Self::N2),
            "R" => Ok(Self::Reception),
            other => match other.parse() {
                Ok(year @ 1..=14) => Ok(Self::Year(year)),
                _ => Err(RosterError::YearGroup(other.chars().take(16).collect())),
            },
        }
    }

    /// As rosters write it.
    pub fn text(self) -> String {
        match self {
            Self::N1 => "N1".to_owned(),
            Self::N2 => "N2".to_owned(),
            Self::Reception => "R".to_owned(),
            Self::Year(year) => year.to_string(),
        }
    }
}

impl Groups {
    /// Reads groups with `;` between them.
    pub fn parse(text: &str) -> Result<Self, RosterError> {
        let mut groups = Self::default();
        for name in text.split(';').map(str::trim).filter(|name| !name.is_empty()) {
            let group = Group::ALL.into_iter().find(|group| group.text() == name);
            groups = groups.with(group.ok_or_else(|| RosterError::Group(name.chars().take(24).collect()))?);
        }
        Ok(groups)
    }
}

/// Whether an enrolment is the child's main one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The school that counts as the child's.
    #[default]
    Main,
    /// A second school of a child registered at two.
    Subsidiary,
}

impl Kind {
    /// Reads `main` or `subsidiary`; nothing is main.
    pub fn parse(text: &str) -> Result<Self, RosterError> {
        match text.trim() {
            "" | "main" => Ok(Self::Main),
            "subsidiary" => Ok(Self::Subsidiary),
            other => Err(RosterError::Kind(other.chars().take(24).collect())),
        }
    }

    /// As rosters write it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Subsidiary => "subsidiary",
        }
    }
}

/// What an entry says of a field: nothing, that it has no value, or its value.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field<T> {
    /// The column or field is missing: nothing changes.
    #[default]
    Missing,
    /// Empty: the value is taken back.
    Empty,
    /// The value.
    Value(T),
}

/// What a roster says of one enrolment at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterEntry {
    /// The school.
    pub school: Urn,
    /// The kind.
    pub kind: Kind,
    /// When the school's system last changed it.
    pub revised_at: Timestamp,
    /// Year group.
    pub year_group: Field<YearGroup>,
    /// First day on roll.
    pub from: Field<Day>,
    /// Last day on roll.
    pub to: Field<Day>,
    /// Groups.
    pub groups: Field<Groups>,
    /// The locality in which the child lives.
    pub home_locality: Field<String>,
    /// The household's id, valid within its sender.
    pub household: Field<String>,
    /// The day by which the child's part-time timetable is to be reviewed next.
    pub part_time_review: Field<Day>,
}

impl RosterEntry {
    /// An entry that says no more than that there is an enrolment.
    pub fn new(school: Urn, kind: Kind, revised_at: Timestamp) -> Self {
        Self {
            school,
            kind,
            revised_at,
            year_group: Field::Missing,
            from: Field::Missing,
            to: Field::Missing,
            groups: Field::Missing,
            home_locality: Field::Missing,
            household: Field::Missing,
            part_time_review: Field::Missing,
        }
    }
}

/// A value with the moment that it comes from; of equal moments the greater value counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Newest<T> {
    /// When it was last changed.
    pub at: Timestamp,
    /// The value; none where it was taken back.
    pub value: Option<T>,
}

impl<T: Ord> Newest<T> {
    fn take(held: &mut Option<Self>, at: Timestamp, field: Field<T>) -> bool {
        let value = match field {
            Field::Missing => return false,
            Field::Empty => None,
            Field::Value(value) => Some(value),
        };
        let new = Self { at, value };
        let newer = held.as_ref().is_none_or(|held| *held < new);
        if newer {
            *held = Some(new);
        }
        newer
    }
}

/// One saying about the days of an enrolment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dates {
    /// When it was last changed.
    pub at: Timestamp,
    /// First day on roll.
    pub from: Field<Day>,
    /// Last day on roll.
    pub to: Field<Day>,
}

/// A stretch on roll, both days included; without a `from` it always was, without a `to` it lasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// First day on roll.
    pub from: Option<Day>,
    /// Last day on roll.
    pub to: Option<Day>,
}

impl Period {
    /// Whether the child is on roll on a day.
    pub fn holds(&self, day: Day) -> bool {
        self.from.is_none_or(|from| from <= day) && self.to.is_none_or(|to| day <= to)
    }
}

/// A child's enrolment at a school.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolment {
    /// The school.
    pub school: Urn,
    /// The kind.
    pub kind: Kind,
    /// Year group.
    pub year_group: Option<Newest<YearGroup>>,
    /// Groups.
    pub groups: Option<Newest<Groups>>,
    /// The locality in which the child lives.
    pub home_locality: Option<Newest<String>>,
    /// The household's id.
    pub household: Option<Newest<String>>,
    /// The day by which the child's part-time timetable is to be reviewed next.
    pub part_time_review: Option<Newest<Day>>,
    /// What was said about its days, the oldest first.
    pub dates: Vec<Dates>,
}

impl Enrolment {
    fn new(school: Urn, kind: Kind) -> Self {
        Self {
            school,
            kind,
            year_group: None,
            groups: None,
            home_locality: None,
            household: None,
            part_time_review: None,
            dates: Vec::new(),
        }
    }

    /// The stretches on roll: a `from` after an ended `to` opens a new one, any other corrects it.
    pub fn periods(&self) -> Vec<Period> {
        let mut periods = vec![Period::default()];
        for Dates { from, to, .. } in &self.dates {
            if let (Field::Value(from), Some(ended)) = (from, periods.last().and_then(|period| period.to))
                && *from > ended
            {
                periods.push(Period::default());
            }
            let Some(period) = periods.last_mut() else { continue };
            match from {
                Field::Missing => {}
                Field::Empty => period.from = None,
                Field::Value(day) => period.from = Some(*day),
            }
            match to {
                Field::Missing => {}
                Field::Empty => period.to = None,
                Field::Value(day) => period.to = Some(*day),
            }
        }
        periods
    }

    /// Whether the child is on this roll on a day.
    pub fn is_open(&self, day: Day) -> bool {
        self.periods().iter().any(|period| period.holds(day))
    }

    fn apply(&mut self, entry: RosterEntry) -> bool {
        let at = entry.revised_at;
        let dates = Dates { at, from: entry.from, to: entry.to };
        let mut changed = Newest::take(&mut self.year_group, at, entry.year_group);
        changed |= Newest::take(&mut self.groups, at, entry.groups);
        changed |= Newest::take(&mut self.home_locality, at, entry.home_locality);
        changed |= Newest::take(&mut self.household, at, entry.household);
        changed |= Newest::take(&mut self.part_time_review, at, entry.part_time_review);
        let says_dates = dates.from != Field::Missing || dates.to != Field::Missing;
        if says_dates && let Err(place) = self.dates.binary_search(&dates) {
            self.dates.insert(place, dates);
            changed = true;
        }
        changed
    }
}

/// All enrolments of a child, by school and kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    enrolments: Vec<Enrolment>,
}

impl Roster {
    /// The enrolments, by school and kind.
    pub fn enrolments(&self) -> &[Enrolment] {
        &self.enrolments
    }

    /// A roster of enrolments as they were stored.
    pub fn restored(mut enrolments: Vec<Enrolment>) -> Self {
        enrolments.sort_by_key(|enrolment| (enrolment.school, enrolment.kind));
        Self { enrolments }
    }

    /// Takes an entry in; true where it changed something.
    pub fn apply(&mut self, entry: RosterEntry) -> bool {
        let place = (entry.school, entry.kind);
        let at = self.enrolments.partition_point(|held| (held.school, held.kind) < place);
        if self.enrolments.get(at).is_none_or(|held| (held.school, held.kind) != place) {
            self.enrolments.insert(at, Enrolment::new(entry.school, entry.kind));
        }
        self.enrolments.get_mut(at).is_some_and(|enrolment| enrolment.apply(entry))
    }

    /// The child's groups on a day: the union over its open enrolments.
    pub fn groups(&self, day: Day) -> Groups {
        let open = self.enrolments.iter().filter(|enrolment| enrolment.is_open(day));
        let values = open.filter_map(|enrolment| enrolment.groups.as_ref()?.value);
        values.fold(Groups::default(), Groups::union)
    }

    /// The day by which the child's part-time timetable is to be reviewed next: of its open enrolments that name one the main one's, of two
    /// what was said last.
    pub fn part_time_review(&self, day: Day) -> Option<Day> {
        let open = self.enrolments.iter().filter(|enrolment| enrolment.is_open(day));
        let named = open.filter_map(|enrolment| {
            let said = enrolment.part_time_review.as_ref()?;
            Some((enrolment.kind == Kind::Main, said.at, said.value?))
        });
        named.max().map(|(_, _, day)| day)
    }

    /// Where the child lives, by the main enrolment before the subsidiary, by the newer of two main ones; an enrolment
    /// that is open on the day goes before one that is not.
    pub fn home_locality(&self, day: Day) -> Option<&str> {
        let homes = self.enrolments.iter().filter_map(|enrolment| {
            let home = enrolment.home_locality.as_ref()?;
            let rank = (enrolment.is_open(day), enrolment.kind == Kind::Main, home.at, home.value.as_deref());
            Some((rank, home.value.as_deref()?))
        });
        homes.max_by_key(|(rank, _)| *rank).map(|(_, home)| home)
    }

    /// The child's school on a day: that of the open main enrolment, of two the one that began later; else that of the
    /// newest enrolment.
    pub fn school(&self, day: Day) -> Option<Urn> {
        let ranked = self.enrolments.iter().filter_map(|enrolment| {
            let periods = enrolment.periods();
            let begun = periods.iter().filter(|p| p.from.is_none_or(|from| from <= day)).map(|p| p.from).max()?;
            Some(((enrolment.is_open(day), enrolment.kind == Kind::Main, begun, enrolment.school), enrolment.school))
        });
        ranked.max_by_key(|(rank, _)| *rank).map(|(_, school)| school)
    }

    /// The child's year group on a day: that of its school's enrolment, the main one first.
    pub fn year_group(&self, day: Day) -> Option<YearGroup> {
        let school = self.school(day)?;
        let of_school = self.enrolments.iter().filter(|enrolment| enrolment.school == school);
        of_school
            .filter_map(|enrolment| Some((enrolment.kind, enrolment.year_group.as_ref()?.value?)))
            .min()
            .map(|(_, group)| group)
    }

    /// The other schools at which the child is enrolled on a day, by URN.
    pub fn other_schools(&self, day: Day) -> Vec<Urn> {
        let own = self.school(day);
        let open = self.enrolments.iter().filter(|enrolment| enrolment.is_open(day)).map(|enrolment| enrolment.school);
        let mut others: Vec<Urn> = open.filter(|school| Some(*school) != own).collect();
        others.dedup();
        others
    }

    /// Since when the child is on no roll: the day after its last day, where every enrolment has ended.
    pub fn off_roll_since(&self, day: Day) -> Option<Day> {
        if self.enrolments.iter().any(|enrolment| enrolment.is_open(day)) {
            return None;
        }
        let ends = self.enrolments.iter().flat_map(Enrolment::periods).filter_map(|period| period.to);
        ends.filter(|to| *to < day).max().map(|last| last.plus(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    fn entry(school: u32, at: i64) -> RosterEntry {
        RosterEntry::new(Urn::new(school).unwrap(), Kind::Main, Timestamp::from_micros(at))
    }

    #[test]
    fn each_fields_newest_value_counts_in_any_order() {
        let groups = |text| Field::Value(Groups::parse(text).unwrap());
        let entries = [
            RosterEntry { groups: groups("fsm"), year_group: Field::Value(YearGroup::Year(6)), ..entry(900_001, 1) },
            RosterEntry { groups: groups("fsm;ehcp"), ..entry(900_001, 3) },
            RosterEntry { groups: Field::Empty, home_locality: Field::Value("North".into()), ..entry(900_001, 2) },
            RosterEntry { part_time_review: Field::Value(day("2025-10-01")), ..entry(900_001, 4) },
            RosterEntry { part_time_review: Field::Value(day("2025-11-03")), ..entry(900_002, 5) },
            RosterEntry { to: Field::Value(day("2025-09-02")), ..entry(900_002, 6) },
            RosterEntry { part_time_review: Field::Empty, ..entry(900_003, 7) },
        ];
        let (mut forwards, mut backwards) = (Roster::default(), Roster::default());
        entries.iter().cloned().for_each(|e| _ = forwards.apply(e));
        entries.iter().rev().cloned().for_each(|e| _ = backwards.apply(e));
        assert_eq!(forwards, backwards);
        let today = day("2025-09-03");
        assert_eq!(forwards.groups(today), Groups::parse("ehcp;fsm").unwrap());
        assert_eq!(forwards.home_locality(today), Some("North"));
        assert_eq!(forwards.part_time_review(today), Some(day("2025-10-01")), "the other school's roll is left");
        assert_eq!(forwards.part_time_review(day("2025-09-02")), Some(day("2025-11-03")));
        assert!(!forwards.apply(entries[0].clone()), "a repetition changes nothing");
    }

    #[test]
    fn a_from_after_an_ended_to_opens_a_new_enrolment_any_other_corrects_it() {
        let mut roster = Roster::default();
        let from = |text, at| RosterEntry { from: Field::Value(day(text)), ..entry(900_001, at) };
        roster.apply(from("2025-09-03", 1));
        roster.apply(from("2025-09-04", 2));
        roster.apply(RosterEntry { to: Field::Value(day("2025-10-01")), ..entry(900_001, 3) });
        roster.apply(from("2025-11-03", 4));
        let period = |from, to: Option<&str>| Period { from: Some(day(from)), to: to.map(day) };
        let expected = [period("2025-09-04", Some("2025-10-01")), period("2025-11-03", None)];
        assert_eq!(roster.enrolments()[0].periods(), expected);
        assert_eq!(roster.off_roll_since(day("2025-10-15")), Some(day("2025-10-02")));
        assert_eq!(roster.off_roll_since(day("2025-11-03")), None);
    }

    #[test]
    fn the_main_enrolment_says_where_the_child_belongs() {
        let mut roster = Roster::default();
        let home = |name: &str| Field::Value(name.to_owned());
        roster.apply(RosterEntry { kind: Kind::Subsidiary, home_locality: home("East"), ..entry(900_002, 9) });
        roster.apply(RosterEntry {
            home_locality: home("North"),
            from: Field::Value(day("2025-09-01")),
            ..entry(900_001, 1)
        });
        let today = day("2025-10-01");
        assert_eq!(roster.home_locality(today), Some("North"));
        assert_eq!(roster.school(today).map(Urn::number), Some(900_001));
        roster.apply(RosterEntry { to: Field::Value(day("2025-09-30")), ..entry(900_001, 2) });
        assert_eq!(roster.school(today).map(Urn::number), Some(900_002), "the main enrolment has ended");
    }

    #[test]
    fn year_groups_groups_and_kinds_are_read_as_rosters_write_them() {
        for text in ["N1", "N2", "R", "1", "14"] {
            assert_eq!(YearGroup::parse(text).unwrap().text(), text);
        }
        assert!(YearGroup::parse("15").is_err() && YearGroup::parse("0").is_err());
        assert!(Groups::parse("fsm; pupil_premium").is_err());
        let all = Group::ALL.iter().fold(Groups::default(), |set, group| set.with(*group));
        assert_eq!(Groups::from_number(all.number()), all);
        assert_eq!(Kind::parse(""), Ok(Kind::Main));
        assert!(Kind::parse("guest").is_err());
    }
}
