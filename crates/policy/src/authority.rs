//! `authority.toml`: the authority, its localities, its school calendars, what becomes of retired codes.

use crate::files::AUTHORITY;
use crate::problem::{Place, Problems};
use crate::receivers::RawReceiver;
use crate::routes::{self, Notify, Raw, RawNotify, RawRoute, RawTeam};
use crate::suppliers::{self, RawSupplier, Suppliers};
use attendance::calendar::{Calendar, Calendars};
use attendance::code::RetiredCodes;
use attendance::{Code, Day, Urn};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAuthority {
    name: String,
    code: i64,
    localities: Vec<String>,
    calendar: RawCalendar,
    #[serde(default)]
    school_calendar: Vec<RawSchoolCalendar>,
    #[serde(default)]
    retired_codes: BTreeMap<String, String>,
    #[serde(default)]
    notify: RawNotify,
    #[serde(default)]
    receiver: Vec<RawReceiver>,
    #[serde(default)]
    team: Vec<RawTeam>,
    #[serde(default)]
    route: Vec<RawRoute>,
    #[serde(default)]
    supplier: Vec<RawSupplier>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCalendar {
    term: Vec<RawDays>,
    #[serde(default)]
    closed: Vec<RawDays>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSchoolCalendar {
    schools: Vec<i64>,
    term: Vec<RawDays>,
    #[serde(default)]
    closed: Vec<RawDays>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDays {
    name: String,
    first: String,
    /// A single day has none.
    last: Option<String>,
}

pub(crate) struct Authority {
    pub(crate) name: String,
    pub(crate) code: u16,
    pub(crate) localities: Vec<String>,
    pub(crate) calendars: Calendars,
    pub(crate) retired_codes: RetiredCodes,
    pub(crate) notify: Notify,
    pub(crate) suppliers: Suppliers,
    schools: Vec<Urn>,
}

impl Authority {
    /// The schools that keep a calendar of their own.
    pub(crate) fn calendar_schools(&self) -> Vec<Urn> {
        self.schools.clone()
    }
}

fn at(path: impl Into<String>) -> Place {
    Place::new(AUTHORITY, path)
}

pub(crate) fn read(text: &str) -> Result<Authority, Problems> {
    let mut problems = Problems::default();
    let raw: Option<RawAuthority> = problems.part(|| at(""), toml::from_str(text));
    let Some(raw) = raw else { return Err(problems) };
    let code = u16::try_from(raw.code).ok().filter(|code| (100..=999).contains(code));
    let code = problems.part(|| at("code"), code.ok_or("an authority's code has three digits, Dorset's is 838"));
    localities(&raw.localities, &mut problems);
    let default = problems.take(calendar(&raw.calendar.term, &raw.calendar.closed, "calendar"));
    let mut calendars = Calendars::new(default.unwrap_or_default());
    let mut schools = Vec::new();
    for (number, own) in raw.school_calendar.iter().enumerate() {
        let path = format!("school_calendar {}", number + 1);
        let calendar = problems.take(calendar(&own.term, &own.closed, &path));
        for urn in &own.schools {
            let urn = u32::try_from(*urn)
                .map_err(|_| format!("{urn} is no school's URN"))
                .and_then(|urn| Urn::new(urn).map_err(|e| e.to_string()));
            let Some(urn) = problems.part(|| at(format!("{path}, schools")), urn) else { continue };
            if schools.contains(&urn) {
                problems.add(at(format!("{path}, schools")), format!("school {urn} has two calendars of its own"));
            }
            schools.push(urn);
            if let Some(calendar) = &calendar {
                calendars.set(urn, calendar.clone());
            }
        }
    }
    let retired_codes = retired_codes(&raw.retired_codes, &mut problems);
    let notify = problems.take(notify(&raw)).unwrap_or_default();
    let suppliers = problems.take(suppliers::read(&raw.supplier)).unwrap_or_default();
    let code = code.unwrap_or_default();
    problems.or(Authority {
        name: raw.name,
        code,
        localities: raw.localities,
        calendars,
        retired_codes,
        notify,
        suppliers,
        schools,
    })
}

fn notify(raw: &RawAuthority) -> Result<Notify, Problems> {
    routes::read(&Raw {
        notify: &raw.notify,
        receivers: &raw.receiver,
        teams: &raw.team,
        routes: &raw.route,
        localities: &raw.localities,
    })
}

fn localities(names: &[String], problems: &mut Problems) {
    if names.is_empty() {
        problems.add(at("localities"), "there is none; alerts go to a locality's team");
    }
    for (number, name) in names.iter().enumerate() {
        if name.trim().is_empty() || name.trim() != name {
            problems.add(at("localities"), format!("{name:?} is empty or has blanks around it"));
        }
        if names.iter().take(number).any(|before| before == name) {
            problems.add(at("localities"), format!("{name:?} stands there twice"));
        }
    }
}

fn calendar(terms: &[RawDays], closed: &[RawDays], path: &str) -> Result<Calendar, Problems> {
    let mut problems = Problems::default();
    let ranges = |raw: &[RawDays], kind: &str, problems: &mut Problems| -> Vec<(Day, Day)> {
        raw.iter().filter_map(|days| problems.take(range(days, &format!("{path}, {kind} {:?}", days.name)))).collect()
    };
    let spans = ranges(terms, "term", &mut problems);
    let closures = ranges(closed, "closed", &mut problems);
    if terms.is_empty() {
        problems.add(at(path), "there is no term; give each as [[calendar.term]] with name, first and last day");
    }
    for (before, after) in spans.iter().zip(spans.iter().skip(1)) {
        if after.0 <= before.1 {
            problems.add(
                at(path),
                format!("the term from {} begins before that from {} ends; put terms in order", after.0, before.0),
            );
        }
    }
    let is_closed = |day: Day| closures.iter().any(|(first, last)| (*first..=*last).contains(&day));
    let days = spans.iter().flat_map(|(first, last)| (first.days()..=last.days()).map(Day::from_days));
    let open: Vec<Day> = days.filter(|day| day.weekday() < 5 && !is_closed(*day)).collect();
    problems.or(Calendar::new(spans.iter().map(|(first, _)| *first), open))
}

fn range(raw: &RawDays, path: &str) -> Result<(Day, Day), Problems> {
    let mut problems = Problems::default();
    let first = problems.part(|| at(path), Day::parse(&raw.first));
    let last = problems.part(|| at(path), Day::parse(raw.last.as_ref().unwrap_or(&raw.first)));
    let (Some(first), Some(last)) = (first, last) else { return Err(problems) };
    if last < first {
        problems.add(at(path), format!("it ends on {last}, before it begins on {first}"));
    } else if last.days() - first.days() > 366 {
        problems.add(at(path), format!("from {first} to {last} is more than a year"));
    }
    problems.or((first, last))
}

fn retired_codes(raw: &BTreeMap<String, String>, problems: &mut Problems) -> RetiredCodes {
    let mut mapping = RetiredCodes::default();
    for (from, to) in raw {
        let code = |text: &str| Code::ALL.iter().copied().find(|code| code.text() == text);
        let mapped = match (code(from), code(to)) {
            (Some(from), Some(to)) => mapping.map(from, to),
            _ => false,
        };
        if !mapped {
            problems.add(at("retired_codes"), format!("{from} = {to:?}: map F, H, J or Y to a code in force"));
        }
    }
    mapping
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        name = "Dorset"
        code = 838
        localities = ["Chesil", "North"]
        [retired_codes]
        H = "C"
        [[calendar.term]]
        name = "autumn"
        first = "2025-09-03"
        last = "2025-12-19"
        [[calendar.closed]]
        name = "half term"
        first = "2025-10-27"
        last = "2025-10-31"
        [[school_calendar]]
        schools = [900001]
        term = [{ name = "autumn", first = "2025-09-01", last = "2025-12-12" }]
    "#;

    #[test]
    fn terms_and_closures_make_a_calendar_and_a_school_may_keep_its_own() {
        let authority = read(GOOD).unwrap_or_else(|e| panic!("{e}"));
        let open = |urn, text| authority.calendars.of(Urn::new(urn).unwrap()).is_open(Day::parse(text).unwrap());
        assert!(open(900_002, "2025-09-03") && !open(900_002, "2025-09-01"));
        assert!(!open(900_002, "2025-10-28"), "half term");
        assert!(!open(900_002, "2025-09-06"), "a Saturday");
        assert!(open(900_001, "2025-09-01") && !open(900_001, "2025-12-15"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let wrong = GOOD
            .replace("838", "8")
            .replace("\"North\"", "\"Chesil\"")
            .replace("H = \"C\"", "I = \"C\"")
            .replace("last = \"2025-12-19\"", "last = \"2025-02-30\"")
            .replace("900001", "9");
        let told = read(&wrong).err().unwrap_or_default().to_string();
        for part in [
            "authority.toml, code: an authority's code has three digits",
            "localities: \"Chesil\" stands there twice",
            "retired_codes: I = \"C\"",
            "calendar, term \"autumn\": \"2025-02-30\" is no date",
            "school_calendar 1, schools: \"9\" is no school's URN",
        ] {
            assert!(told.contains(part), "{part} in\n{told}");
        }
    }
}
