//! The county's part of an authority's policy folder: `authority.toml` with its calendar, `schools.csv` as GIAS writes it,
//! and `localities.csv`. Takes a county; gives names and texts, ASCII only and thus valid Windows-1252; whoever calls writes the files.

use crate::calendar::{days_between, is_weekend, plus};
use crate::county::County;
use crate::schools::School;
use crate::types::Locality;
use attendance::Phase;

/// A file of the policy folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFile {
    /// Its name within the folder.
    pub name: &'static str,
    /// Its contents.
    pub text: String,
}

const GIAS_COLUMNS: [&str; 14] = [
    "URN",
    "LA (code)",
    "LA (name)",
    "EstablishmentNumber",
    "EstablishmentName",
    "EstablishmentStatus (name)",
    "PhaseOfEducation (name)",
    "OpenDate",
    "CloseDate",
    "Locality",
    "Town",
    "Postcode",
    "StatutoryLowAge",
    "StatutoryHighAge",
];

/// `schools.csv` and `localities.csv`.
pub fn policy_files(county: &County) -> Vec<PolicyFile> {
    vec![
        PolicyFile { name: "authority.toml", text: authority_toml(county) },
        PolicyFile { name: "schools.csv", text: schools_csv(county) },
        PolicyFile { name: "localities.csv", text: localities_csv(county) },
    ]
}

/// The authority with its localities and the county's calendar: three terms of two half terms, and each school day's
/// weekday in between that is none.
fn authority_toml(county: &County) -> String {
    let names: Vec<String> = Locality::ALL.iter().map(|locality| format!("{:?}", locality.name())).collect();
    let mut text = format!("name = \"Invented County\"\ncode = 900\nlocalities = [{}]\n", names.join(", "));
    let calendar = county.calendar();
    for (name, halves) in ["autumn", "spring", "summer"].iter().zip(calendar.half_terms().chunks(2)) {
        if let [first, .., last] | [first @ last] = halves {
            text +=
                &format!("\n[[calendar.term]]\nname = \"{name}\"\nfirst = \"{}\"\nlast = \"{}\"\n", first.0, last.1);
            let between = (0..=days_between(first.0, last.1)).map(|days| plus(first.0, days.into()));
            for closed in between.filter(|day| !is_weekend(*day) && !calendar.days().contains(day)) {
                text += &format!("\n[[calendar.closed]]\nname = \"holiday\"\nfirst = \"{closed}\"\n");
            }
        }
    }
    text
}

fn schools_csv(county: &County) -> String {
    let header = GIAS_COLUMNS.map(str::to_owned);
    table(std::iter::once(header).chain(county.schools().iter().map(gias_row)))
}

fn localities_csv(county: &County) -> String {
    let header = ["URN".to_owned(), "locality".to_owned()];
    let row = |school: &School| [school.urn.to_string(), school.locality.name().to_owned()];
    table(std::iter::once(header).chain(county.schools().iter().map(row)))
}

fn gias_row(school: &School) -> [String; 14] {
    // GIAS says "Not applicable" of special schools.
    let (phase, low, high) = match school.phase {
        Phase::Primary => ("Primary", 4, 11),
        Phase::Secondary => ("Secondary", 11, 16),
        Phase::Special => ("Not applicable", 4, 16),
    };
    [
        school.urn.to_string(),
        "900".to_owned(),
        "Invented County".to_owned(),
        school.establishment.to_string(),
        school.name.clone(),
        "Open".to_owned(),
        phase.to_owned(),
        school.opened.strftime("%d-%m-%Y").to_string(),
        String::new(),
        // An address line, not the authority's locality.
        String::new(),
        school.town.clone(),
        school.postcode.clone(),
        low.to_string(),
        high.to_string(),
    ]
}

/// Every field quoted, lines ended as GIAS ends them.
fn table<const N: usize>(rows: impl Iterator<Item = [String; N]>) -> String {
    let quoted = |field: &String| format!("\"{}\"", field.replace('"', "\"\""));
    rows.map(|row| row.iter().map(quoted).collect::<Vec<_>>().join(",") + "\r\n").collect()
}
