//! `schools.csv` exactly as GIAS publishes it, and `localities.csv`: which schools there are and which locality's they
//! are. Columns are found by name: GIAS adds and drops some of its 140 from time to time.

use crate::files::{LOCALITIES, SCHOOLS};
use crate::problem::{Place, Problem, Problems};
use attendance::{Day, Urn};
use csv::StringRecord;
use std::collections::BTreeMap;

/// A school.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct School {
    /// Its name.
    pub name: String,
    /// Its phase, in GIAS's words ("Primary", "Secondary", "Not applicable" for special schools).
    pub phase: String,
    /// The day it opened, where GIAS tells.
    pub opened: Option<Day>,
    /// The day it closed, where it did.
    pub closed: Option<Day>,
    /// The locality that claims it.
    pub locality: Option<String>,
}

impl School {
    /// Whether it exists on a day. The day it closed on still counts.
    pub fn is_open(&self, day: Day) -> bool {
        self.opened.is_none_or(|opened| opened <= day) && self.closed.is_none_or(|closed| day <= closed)
    }
}

type Read = (BTreeMap<Urn, School>, Vec<Problem>);

/// Reads both files; beside the schools come the warnings.
pub(crate) fn read(schools: &str, localities: &str, known: &[String]) -> Result<Read, Problems> {
    let mut problems = Problems::default();
    let mut warnings = Vec::new();
    let mut found = problems.take(read_schools(schools, &mut warnings)).unwrap_or_default();
    let claims = problems.take(read_localities(localities, known, &mut warnings)).unwrap_or_default();
    for (urn, (line, locality)) in claims {
        match found.get_mut(&urn) {
            Some(school) => school.locality = Some(locality),
            None => {
                warnings
                    .push(Problem::new(Place::line(LOCALITIES, line), format!("schools.csv names no school {urn}")));
            }
        }
    }
    for (urn, school) in found.iter().filter(|(_, school)| school.locality.is_none() && school.closed.is_none()) {
        let what = format!("no locality claims {} ({urn}); its alerts go to the default route", school.name);
        warnings.push(Problem::new(Place::new(LOCALITIES, ""), what));
    }
    problems.or((found, warnings))
}

/// The columns of `schools.csv` that are read.
const SCHOOL_COLUMNS: [(&str, Missing); 5] = [
    ("URN", Missing::Refused),
    ("EstablishmentName", Missing::Refused),
    ("OpenDate", Missing::Warned("schools count as open before they opened")),
    ("CloseDate", Missing::Warned("schools that have closed count as open")),
    ("PhaseOfEducation (name)", Missing::Fine),
];

const LOCALITY_COLUMNS: [(&str, Missing); 2] = [("URN", Missing::Refused), ("locality", Missing::Refused)];

/// What a missing column means.
#[derive(Clone, Copy)]
enum Missing {
    Refused,
    /// The file is read without it, with this consequence.
    Warned(&'static str),
    Fine,
}

/// A CSV file with the columns that are asked for.
struct Table<'a> {
    file: &'static str,
    reader: csv::Reader<&'a [u8]>,
    header: StringRecord,
}

impl<'a> Table<'a> {
    fn new(
        file: &'static str,
        text: &'a str,
        columns: &[(&str, Missing)],
        warnings: &mut Vec<Problem>,
    ) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let place = || Place::line(file, 1);
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
        let header = problems.part(place, reader.headers().cloned()).unwrap_or_default();
        for (name, missing) in columns {
            let times = header.iter().filter(|column| column.trim() == *name).count();
            let missing = if times == 0 { *missing } else { Missing::Fine };
            match missing {
                Missing::Refused => {
                    problems.add(place(), format!("the column {name:?} is missing from the header"));
                }
                Missing::Warned(so) => {
                    let what = format!("the column {name:?} is missing from the header: {so}; name it as GIAS does");
                    warnings.push(Problem::new(place(), what));
                }
                Missing::Fine => {}
            }
            if times > 1 {
                problems.add(place(), format!("the header names the column {name:?} twice; take one out"));
            }
        }
        problems.or(Self { file, reader, header })
    }

    fn rows(&mut self, problems: &mut Problems) -> Vec<(u64, StringRecord)> {
        let mut rows = Vec::new();
        for row in self.reader.records() {
            match row {
                Ok(row) => rows.push((row.position().map_or(0, csv::Position::line), row)),
                Err(error) => problems.add(Place::new(self.file, ""), error),
            }
        }
        rows
    }

    fn field<'r>(&self, row: &'r StringRecord, name: &str) -> &'r str {
        let column = self.header.iter().position(|column| column.trim() == name);
        column.and_then(|column| row.get(column)).unwrap_or("").trim()
    }
}

fn read_schools(text: &str, warnings: &mut Vec<Problem>) -> Result<BTreeMap<Urn, School>, Problems> {
    let mut problems = Problems::default();
    let mut table = Table::new(SCHOOLS, text, &SCHOOL_COLUMNS, warnings)?;
    let mut schools = BTreeMap::new();
    for (line, row) in table.rows(&mut problems) {
        let place = || Place::line(SCHOOLS, line);
        let urn = problems.part(place, Urn::parse(table.field(&row, "URN")));
        let opened = problems.part(place, gias_date(table.field(&row, "OpenDate")));
        let closed = problems.part(place, gias_date(table.field(&row, "CloseDate")));
        let (Some(urn), Some(opened), Some(closed)) = (urn, opened, closed) else { continue };
        let name = table.field(&row, "EstablishmentName").to_owned();
        let phase = table.field(&row, "PhaseOfEducation (name)").to_owned();
        if schools.insert(urn, School { name, phase, opened, closed, locality: None }).is_some() {
            problems.add(place(), format!("school {urn} stands there twice"));
        }
    }
    if schools.is_empty() && problems.0.is_empty() {
        problems.add(Place::new(SCHOOLS, ""), "there is no school in it");
    }
    problems.or(schools)
}

/// GIAS writes `dd-mm-yyyy`, and nothing where there is no date.
fn gias_date(text: &str) -> Result<Option<Day>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || format!("{text:?} is no date as GIAS writes it: dd-mm-yyyy");
    let mut parts = text.split('-');
    let (Some(day), Some(month), Some(year), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(wrong());
    };
    // Schools of earlier centuries are open still.
    match (year.parse(), month.parse(), day.parse()) {
        (Ok(year @ 1000..=2199), Ok(month), Ok(day)) => Day::of(year, month, day).map(Some).ok_or_else(wrong),
        _ => Err(wrong()),
    }
}

type Claims = BTreeMap<Urn, (u64, String)>;

fn read_localities(text: &str, known: &[String], warnings: &mut Vec<Problem>) -> Result<Claims, Problems> {
    let mut problems = Problems::default();
    let mut table = Table::new(LOCALITIES, text, &LOCALITY_COLUMNS, warnings)?;
    let mut claims = Claims::new();
    for (line, row) in table.rows(&mut problems) {
        let place = || Place::line(LOCALITIES, line);
        let locality = table.field(&row, "locality");
        if !known.is_empty() && !known.iter().any(|name| name == locality) {
            problems.add(place(), format!("{locality:?} is none of authority.toml's localities: {}", known.join(", ")));
        }
        let Some(urn) = problems.part(place, Urn::parse(table.field(&row, "URN"))) else { continue };
        if claims.insert(urn, (line, locality.to_owned())).is_some() {
            problems.add(place(), format!("school {urn} stands there twice"));
        }
    }
    problems.or(claims)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHOOLS_CSV: &str = "\"LA (code)\",\"URN\",\"EstablishmentName\",\"OpenDate\",\"CloseDate\",\"Locality\"\n\
        \"900\",\"900001\",\"Hill First School\",\"01-09-1870\",\"\",\"Old Road\"\n\
        \"900\",\"900002\",\"Gone School\",\"\",\"31-08-2024\",\"\"\n\
        \"900\",\"900003\",\"Nobody's School\",\"\",\"\",\"\"\n";

    fn known() -> Vec<String> {
        vec!["North".into()]
    }

    #[test]
    fn columns_are_found_by_name_and_the_locality_is_not_giass_address_line() {
        let (schools, warnings) = read(SCHOOLS_CSV, "locality,URN\nNorth,900001\nNorth,900009\n", &known()).unwrap();
        let school = &schools[&Urn::new(900_001).unwrap()];
        assert_eq!((school.name.as_str(), school.locality.as_deref()), ("Hill First School", Some("North")));
        let gone = &schools[&Urn::new(900_002).unwrap()];
        let day = |text| Day::parse(text).unwrap();
        assert!(gone.is_open(day("2024-08-31")) && !gone.is_open(day("2024-09-01")));
        let told: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("line 3: schools.csv names no school 900009"), "{told:?}");
        assert!(told[1].contains("no locality claims Nobody's School (900003)"), "{told:?}");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let schools = SCHOOLS_CSV.replace("31-08-2024", "2024-08-31").replace("900003", "900001");
        let told = read(&schools, "URN,locality\n900001,South\n9,North\n", &known()).unwrap_err().to_string();
        for part in [
            "schools.csv, line 3: \"2024-08-31\" is no date as GIAS writes it",
            "schools.csv, line 4: school 900001 stands there twice",
            "localities.csv, line 2: \"South\" is none of authority.toml's localities: North",
            "localities.csv, line 3: \"9\" is no school's URN",
        ] {
            assert!(told.contains(part), "{part} in\n{told}");
        }
        let told = read("a,b\n", "URN\n", &known()).unwrap_err().to_string();
        assert!(
            told.contains("\"EstablishmentName\" is missing") && told.contains("\"locality\" is missing"),
            "{told}"
        );
    }

    #[test]
    fn a_missing_date_of_closing_or_opening_is_warned_of_with_its_consequence() {
        let told = |schools: &str| -> Vec<String> {
            let (_, warnings) = read(schools, "URN,locality\n900001,North\n900003,North\n", &known()).unwrap();
            warnings.iter().map(ToString::to_string).filter(|told| told.contains("column")).collect()
        };
        assert!(told(SCHOOLS_CSV).is_empty());
        let consequence = "schools.csv, line 1: the column \"CloseDate\" is missing from the header: schools that have closed \
            count as open; name it as GIAS does";
        assert_eq!(told(&SCHOOLS_CSV.replace("CloseDate", "Close Date").replace("31-08-2024", "")), [consequence]);
        let told = told(&SCHOOLS_CSV.replace("OpenDate", "Opened"));
        assert!(told.len() == 1 && told[0].contains("\"OpenDate\"") && told[0].contains("open before they opened"));
    }

    #[test]
    fn a_column_that_is_read_may_stand_there_once_only_and_others_as_often_as_they_like() {
        let told =
            |schools: &str, localities: &str| read(schools, localities, &known()).err().unwrap_or_default().to_string();
        let localities = "URN,locality,note,note\n900001,North,,\n";
        assert_eq!(told(&SCHOOLS_CSV.replace("LA (code)", "Locality"), localities), "");
        for column in ["URN", "CloseDate"] {
            let told = told(&SCHOOLS_CSV.replace("LA (code)", column), localities);
            assert_eq!(
                told,
                format!("schools.csv, line 1: the header names the column {column:?} twice; take one out")
            );
        }
        let told = told(SCHOOLS_CSV, "URN,locality, locality\n900001,North,South\n");
        assert_eq!(told, "localities.csv, line 1: the header names the column \"locality\" twice; take one out");
    }
}
