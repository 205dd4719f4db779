//! `authority.toml`: the authority, its localities, its school calendars, what becomes of retired codes.

use crate::files::AUTHORITY;
use crate::problem::{Place, Problems};
use crate::routes::{self, Notify, Raw};
use crate::suppliers::{self, Suppliers};
use crate::table::{Entry, Table};
use attendance::calendar::{Calendar, Calendars};
use attendance::code::RetiredCodes;
use attendance::{Code, Day, Urn};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDays {
    name: String,
    first: String,
    /// A single day has none.
    last: Option<String>,
}

/// What could be read, for checking the other files also where something is wrong.
pub(crate) struct Read {
    pub(crate) localities: Vec<String>,
    pub(crate) authority: Result<Authority, Problems>,
}

pub(crate) struct Authority {
    pub(crate) name: String,
    pub(crate) code: u16,
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

pub(crate) fn read(text: &str) -> Read {
    let mut problems = Problems::default();
    let Some(mut file) = problems.take(Table::parse(AUTHORITY, text)) else {
        return Read { localities: Vec::new(), authority: Err(problems) };
    };
    let names: Option<Vec<String>> = file.required("localities", &mut problems);
    if let Some(names) = &names {
        localities(names, &mut problems);
    }
    let localities = names.unwrap_or_default();
    let authority = problems.take(authority(file, &localities));
    Read { localities, authority: problems.finish(authority) }
}

fn authority(mut file: Table<'_>, localities: &[String]) -> Result<Authority, Problems> {
    let mut problems = Problems::default();
    let name: Option<String> = file.required("name", &mut problems);
    let code: Option<i64> = file.required("code", &mut problems);
    let code = code.and_then(|code| {
        let code = u16::try_from(code).ok().filter(|code| (100..=999).contains(code));
        problems.part(|| at("code"), code.ok_or("an authority's code has three digits, Dorset's is 838"))
    });
    if !file.has("calendar") {
        problems
            .add(at("calendar"), "there is none; give its terms as [[calendar.term]] with name, first and last day");
    }
    let calendar = file.table("calendar", &mut problems);
    let own = file.tables("school_calendar", &mut problems).unwrap_or_default();
    let calendars = problems.take(calendars(calendar, own));
    let codes: BTreeMap<String, String> = file.optional("retired_codes", &mut problems).unwrap_or_default();
    let retired_codes = retired_codes(&codes, &mut problems);
    let notify = problems.take(notify(&mut file, localities));
    let carried = file.entries("supplier", "name", &mut problems).unwrap_or_default();
    let suppliers = problems.take(suppliers::read(&carried));
    file.finish(&mut problems);
    let parts = name.zip(code).zip(calendars).zip(notify.zip(suppliers));
    problems.finish(parts.map(|(((name, code), (calendars, schools)), (notify, suppliers))| Authority {
        name,
        code,
        calendars,
        retired_codes,
        notify,
        suppliers,
        schools,
    }))
}

fn notify(file: &mut Table<'_>, localities: &[String]) -> Result<Notify, Problems> {
    let mut problems = Problems::default();
    let raw = Raw {
        notify: &file.entry("notify", &mut problems).unwrap_or_default(),
        receivers: &file.entries("receiver", "name", &mut problems).unwrap_or_default(),
        teams: &file.entries("team", "name", &mut problems).unwrap_or_default(),
        routes: &file.entries("route", "", &mut problems).unwrap_or_default(),
        localities,
    };
    let notify = problems.take(routes::read(&raw));
    problems.finish(notify)
}

/// The calendars with the schools that keep their own.
fn calendars(default: Option<Table<'_>>, own: Vec<Table<'_>>) -> Result<(Calendars, Vec<Urn>), Problems> {
    let mut problems = Problems::default();
    let default = default.and_then(|table| problems.take(calendar(table)));
    let mut calendars = Calendars::new(default.unwrap_or_default());
    let mut schools = Vec::new();
    for mut table in own {
        let path = format!("{}, schools", table.path());
        let urns: Vec<i64> = table.required("schools", &mut problems).unwrap_or_default();
        let calendar = problems.take(calendar(table));
        for urn in urns {
            let urn = u32::try_from(urn)
                .map_err(|_| format!("{urn} is no school's URN"))
                .and_then(|urn| Urn::new(urn).map_err(|e| e.to_string()));
            let Some(urn) = problems.part(|| at(&path), urn) else { continue };
            if schools.contains(&urn) {
                problems.add(at(&path), format!("school {urn} has two calendars of its own"));
            }
            schools.push(urn);
            if let Some(calendar) = &calendar {
                calendars.set(urn, calendar.clone());
            }
        }
    }
    problems.or((calendars, schools))
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

fn calendar(mut table: Table<'_>) -> Result<Calendar, Problems> {
    let mut problems = Problems::default();
    let path = table.path().to_owned();
    let terms: Option<Vec<Entry<RawDays>>> = table.entries("term", "name", &mut problems);
    let closed: Vec<Entry<RawDays>> = table.entries("closed", "name", &mut problems).unwrap_or_default();
    table.finish(&mut problems);
    let ranges = |entries: &[Entry<RawDays>], kind: &str, problems: &mut Problems| -> Vec<(Day, Day)> {
        let read = entries.iter().filter_map(|entry| entry.read.as_ref());
        read.filter_map(|days| problems.take(range(days, &format!("{path}, {kind} {:?}", days.name)))).collect()
    };
    if terms.as_ref().is_some_and(Vec::is_empty) {
        problems.add(at(&path), "there is no term; give each as [[calendar.term]] with name, first and last day");
    }
    let spans = ranges(&terms.unwrap_or_default(), "term", &mut problems);
    let closures = ranges(&closed, "closed", &mut problems);
    for (before, after) in spans.iter().zip(spans.iter().skip(1)) {
        if after.0 <= before.1 {
            problems.add(
                at(&path),
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
        let authority = read(GOOD).authority.unwrap_or_else(|e| panic!("{e}"));
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
        let told = read(&wrong).authority.err().unwrap_or_default().to_string();
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

    #[test]
    fn what_is_wrong_in_the_form_of_one_table_hides_no_other() {
        let wrong = GOOD
            .replace("838", "'838'")
            .replace("[retired_codes]", "region = 'South'\n[retired_codes]")
            .replace("H = \"C\"", "H = 5")
            .replace("first = \"2025-10-27\"", "begins = 1")
            .replace("\"2025-12-12\"", "\"2025-08-12\"")
            .replace("[900001]", "[\"x\"]");
        let more = "[[school_calendar]]\nterms = []\n[[calendar.term]]\nname = 5\n";
        let read = read(&format!("{wrong}\n{more}"));
        assert_eq!(read.localities, ["Chesil", "North"], "for the other files");
        let problems = read.authority.err().unwrap_or_default();
        let mut told: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
        told.sort();
        let parts = [
            "calendar, closed \"half term\", line 14, begins: unknown field `begins`",
            "calendar, term 2, line 23, name: invalid type: integer `5`",
            "line 3, code: invalid type: string \"838\", expected i64",
            "line 5: unknown field `region`, expected one of localities, name, code, calendar",
            "line 7, retired_codes: invalid type: integer `5`, expected a string",
            "school_calendar 1, line 17, schools: invalid type: string \"x\"",
            "school_calendar 1, term \"autumn\": it ends on 2025-08-12, before it begins",
            "school_calendar 2, line 20: schools is missing",
            "school_calendar 2, line 21: unknown field `terms`, expected one of schools, term, closed",
            "school_calendar 2: there is no term",
        ];
        for (problem, part) in told.iter().zip(parts) {
            assert!(problem.starts_with(&format!("authority.toml, {part}")), "{part} in\n{problems}");
        }
        assert_eq!(told.len(), parts.len(), "{problems}");
        let told = super::read("calendar = 5\n").authority.err().unwrap_or_default().to_string();
        assert!(told.contains("authority.toml, calendar, line 1: calendar is of type integer, not a table"), "{told}");
        assert!(!told.contains("there is none"), "{told}");
        let told = super::read("").authority.err().unwrap_or_default().to_string();
        for part in
            ["authority.toml: localities is missing", "name is missing", "code is missing", "calendar: there is none"]
        {
            assert!(told.contains(part), "{part} in\n{told}");
        }
    }
}
