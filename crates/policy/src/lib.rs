//! What the authority decided, read from its files: `authority.toml`, `rules.toml`, `schools.csv` (as GIAS publishes it),
//! `localities.csv` and, where it has its own, `projection.toml`.
//!
//! Takes the files' bytes, gives a [`Policy`] or every problem at once, each with its place. No IO but in [`files`].
//! The services read the same bytes from the database row that `earlybell apply` wrote, so that two processes never
//! judge by different rules.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod authority;
pub mod files;
mod problem;
mod projection;
pub mod receivers;
pub mod routes;
mod rules;
mod schools;
mod suppliers;
mod table;

use attendance::calendar::Calendars;
use attendance::code::RetiredCodes;
use attendance::enrolment::Roster;
use attendance::forecast::Model;
use attendance::judge::Standard;
use attendance::profile::Profile;
use attendance::record::YearRecord;
use attendance::rule::RuleSet;
use attendance::silence::Watch;
use attendance::{Day, Phase, Urn};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use files::Files;
pub use problem::{Place, Problem, Problems};
pub use routes::Notify;
pub use schools::School;

/// The rules that the program ships with.
pub const DEFAULT_RULES: &str = include_str!("../../../deploy/policy/rules.toml");

/// The numbers of the forecast that the program ships with.
pub const DEFAULT_PROJECTION: &str = include_str!("../../../deploy/policy/projection.toml");

/// Everything that the authority decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The authority's name.
    pub authority: String,
    /// The authority's code: three digits (Dorset: 838).
    pub code: u16,
    /// Localities, in the order of the file.
    pub localities: Vec<String>,
    /// Schools by URN.
    pub schools: BTreeMap<Urn, School>,
    /// The rules.
    pub rules: RuleSet,
    /// When a school counts as silent; none where nobody is to be told.
    pub watch: Option<Watch>,
    /// The numbers of the forecast.
    pub model: Arc<Model>,
    /// School calendars.
    pub calendars: Calendars,
    /// What becomes of retired codes.
    pub retired_codes: RetiredCodes,
    /// The suppliers that write registers to Kafka themselves, each with the schools that it may carry.
    pub suppliers: BTreeMap<String, BTreeSet<Urn>>,
    /// Receivers and routes of messages.
    pub notify: Notify,
}

impl Policy {
    /// Reads the files; gives what is odd but usable beside the policy, or every problem.
    pub fn read(files: &Files) -> Result<(Self, Vec<Problem>), Problems> {
        let mut problems = Problems::default();
        let authority::Read { localities, authority } = authority::read(&files.authority);
        let authority = problems.take(authority);
        let rules = problems.take(rules::read(&files.rules));
        let model = problems.take(read_projection(files.projection.as_deref()));
        let schools = problems.take(schools::read(&files.schools, &files.localities, &localities));
        match (authority, rules, model, schools) {
            (Some(authority), Some(rules), Some(model), Some((schools, mut warnings))) => {
                let mut unknown = authority.calendar_schools();
                unknown.retain(|urn| !schools.contains_key(urn));
                for urn in unknown {
                    let place = Place::new(files::AUTHORITY, format!("school_calendar of {urn}"));
                    warnings.push(Problem::new(place, "schools.csv names no such school"));
                }
                for (school, calendar) in authority.calendars.all() {
                    let Some((year, last)) = calendar.told_in_part() else { continue };
                    let whose = school.map_or_else(|| "calendar".to_owned(), |urn| format!("school_calendar of {urn}"));
                    let what = format!(
                        "the school year {year} is told up to {last} only, and forecasts take it to end there; add its terms up to July"
                    );
                    warnings.push(Problem::new(Place::new(files::AUTHORITY, whose), what));
                }
                let policy = Self {
                    authority: authority.name,
                    code: authority.code,
                    localities,
                    schools,
                    rules: rules.rules,
                    watch: rules.watch,
                    model,
                    calendars: authority.calendars,
                    retired_codes: authority.retired_codes,
                    suppliers: authority.suppliers,
                    notify: authority.notify,
                };
                Ok((policy, warnings))
            }
            _ => Err(problems),
        }
    }

    /// What judges.
    pub fn standard(&self) -> Standard<'_> {
        Standard { rules: &self.rules, calendars: &self.calendars, model: &self.model }
    }

    /// The phase of a school, where GIAS tells one.
    pub fn phase(&self, school: Urn) -> Option<Phase> {
        Phase::of_gias(&self.schools.get(&school)?.phase)
    }

    /// Who a child is, as far as rules ask.
    pub fn profile(&self, roster: &Roster, record: &YearRecord) -> Profile {
        Profile::of(roster, record, |school| self.phase(school))
    }

    /// The locality of a school, where one claims it.
    pub fn locality(&self, school: Urn) -> Option<&str> {
        self.schools.get(&school)?.locality.as_deref()
    }

    /// The locality that a child belongs to: where it lives, else its school's; none where nobody claims it. A home that
    /// the authority does not know is nobody's.
    pub fn locality_of(&self, home: Option<&str>, school: Option<Urn>) -> Option<&str> {
        let home = home.and_then(|home| self.localities.iter().find(|name| *name == home));
        home.map(String::as_str).or_else(|| self.locality(school?))
    }

    /// Whether the school is known and takes registers on a day.
    pub fn school_on(&self, school: Urn, day: Day) -> Option<&School> {
        self.schools.get(&school).filter(|school| school.is_open(day))
    }
}

/// The rules about pupils of a `rules.toml` alone.
pub fn read_rules(text: &str) -> Result<RuleSet, Problems> {
    rules::read(text).map(|read| read.rules)
}

/// Reads `projection.toml`; nothing stands for the numbers that ship.
pub fn read_projection(text: Option<&str>) -> Result<Arc<Model>, Problems> {
    projection::read(text.unwrap_or(DEFAULT_PROJECTION)).map(Arc::new)
}

/// A model as `projection.toml`.
pub fn write_projection(model: &Model) -> String {
    projection::write(model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_school_year_that_is_told_in_part_is_warned_of() {
        let files = |last: &str| Files {
            authority: format!(
                "name = 'A'\ncode = 900\nlocalities = ['North']\n\
                 calendar = {{ term = [{{ name = 'year', first = '2025-09-01', last = '{last}' }}] }}\n"
            ),
            rules: DEFAULT_RULES.to_owned(),
            schools: "URN,EstablishmentName\n900001,B\n".to_owned(),
            localities: "URN,locality\n900001,North\n".to_owned(),
            projection: None,
        };
        let warnings = |last: &str| Policy::read(&files(last)).unwrap().1;
        let told = warnings("2025-12-19").iter().map(ToString::to_string).collect::<Vec<_>>();
        let part = "authority.toml, calendar: the school year 2025/26 is told up to 2025-12-19 only";
        assert!(told.iter().any(|warning| warning.starts_with(part)), "{told:?}");
        assert!(warnings("2026-07-17").iter().all(|warning| !warning.to_string().contains("is told up to")));
    }

    #[test]
    fn what_is_wrong_in_one_file_hides_nothing_of_the_others() {
        let files = Files {
            authority: "name = 5\ncode = 900\nlocalities = ['North']\n\
                        calendar = { term = [{ name = 'autumn', first = '2025-09-01', last = '2025-12-19' }] }\n"
                .to_owned(),
            rules: "[[rule]]\n".to_owned(),
            schools: "URN,EstablishmentName\n9,A\n900001,B\n".to_owned(),
            localities: "URN,locality\n900001,South\n".to_owned(),
            projection: None,
        };
        let problems = Policy::read(&files).unwrap_err();
        let told: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 4, "{problems}");
        assert!(
            told[0].starts_with("authority.toml, line 1, name: ")
                && told[1].starts_with("rules.toml, rule 1, line 1: ")
        );
        assert!(
            told[2].starts_with("schools.csv, line 2: ")
                && told[3].starts_with("localities.csv, line 2: \"South\" is none")
        );
    }
}
