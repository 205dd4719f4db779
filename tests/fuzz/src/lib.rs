//! What the fuzz targets do with arbitrary bytes, one function a parser: read them as the service does, then look whether what
//! came out holds together. A function panics where it does not; refusing bytes is always right.
//!
//! `cargo fuzz` drives them by coverage (`make fuzz`); the tests drive them with the seeds and with mutations of those.

use attendance::code::RetiredCodes;
use attendance::enrolment::Kind;
use attendance::mark::MinutesLate;
use attendance::rate::Share;
use attendance::{Code, Day, Half, SchoolYear, Timestamp, Upn, Urn};
use ingest::outside::{Body, Outside};
use policy::{Files, Policy};
use proto::Event;
use std::fmt::{Debug, Display};
use std::sync::LazyLock;

/// What drives a parser.
pub type Target = fn(&[u8]);

/// All of them, by name.
pub const TARGETS: [(&str, Target); 12] = [
    ("registers_json", registers_json),
    ("registers_csv", registers_csv),
    ("pupils_json", pupils_json),
    ("pupils_csv", pupils_csv),
    ("supplier_json", supplier_json),
    ("supplier_protobuf", supplier_protobuf),
    ("events", events),
    ("records", records),
    ("rosters", rosters),
    ("policies", policies),
    ("values", values),
    ("letters", letters),
];

static OUTSIDE: LazyLock<Outside> = LazyLock::new(|| {
    let files = Files {
        authority: "name = \"Invented\"\ncode = 900\nlocalities = [\"North\"]\n\
                    [calendar]\nterm = [{ name = \"autumn\", first = \"2025-09-01\", last = \"2025-12-19\" }]\n\
                    [[supplier]]\nname = \"acme\"\nschools = [900001]\n"
            .to_owned(),
        rules: policy::DEFAULT_RULES.to_owned(),
        schools: "URN,EstablishmentName\n900001,One\n".to_owned(),
        localities: "URN,locality\n900001,North\n".to_owned(),
        projection: None,
    };
    let (policy, _) = Policy::read(&files).unwrap_or_else(|problems| panic!("the targets' own policy: {problems}"));
    let now = Timestamp::parse("2025-10-01T12:00:00Z").unwrap_or_else(|error| panic!("{error}"));
    Outside::new(policy, now)
});

fn holds(found: Result<usize, String>) {
    if let Err(contradiction) = found {
        panic!("{contradiction}");
    }
}

/// Bodies of `POST /v1/registers`, JSON, packed or not.
pub fn registers_json(bytes: &[u8]) {
    holds(OUTSIDE.body(bytes, Body::RegistersJson));
}

/// Bodies of `POST /v1/registers`, CSV, packed or not.
pub fn registers_csv(bytes: &[u8]) {
    holds(OUTSIDE.body(bytes, Body::RegistersCsv));
}

/// Bodies of `POST /v1/pupils`, JSON, packed or not.
pub fn pupils_json(bytes: &[u8]) {
    holds(OUTSIDE.body(bytes, Body::PupilsJson));
}

/// Bodies of `POST /v1/pupils`, CSV, packed or not.
pub fn pupils_csv(bytes: &[u8]) {
    holds(OUTSIDE.body(bytes, Body::PupilsCsv));
}

/// A supplier's messages of JSON.
pub fn supplier_json(bytes: &[u8]) {
    holds(OUTSIDE.message("acme", "application/json", bytes));
}

/// A supplier's messages of protobuf.
pub fn supplier_protobuf(bytes: &[u8]) {
    holds(OUTSIDE.message("acme", "application/protobuf", bytes));
}

/// Slices of events: what was read survives being written.
///
/// # Panics
///
/// Where it does not.
pub fn events(bytes: &[u8]) {
    let Ok(events) = Event::of_slice(bytes) else { return };
    assert_eq!(Event::of_slice(&Event::to_slice(&events)).as_ref(), Ok(&events));
}

/// Stored records: what was read survives being written.
///
/// # Panics
///
/// Where it does not.
pub fn records(bytes: &[u8]) {
    let year = SchoolYear::beginning(2025);
    let Ok(record) = proto::year_from_bytes(year, bytes) else { return };
    assert_eq!(proto::year_from_bytes(year, &proto::year_to_bytes(&record)).as_ref(), Ok(&record));
}

/// Stored rosters: what was read survives being written.
///
/// # Panics
///
/// Where it does not.
pub fn rosters(bytes: &[u8]) {
    let Ok(roster) = proto::roster_from_bytes(bytes) else { return };
    assert_eq!(proto::roster_from_bytes(&proto::roster_to_bytes(&roster)).as_ref(), Ok(&roster));
}

/// Policies: the files with a NUL between them, the fifth or none. What is refused is told with its place.
///
/// # Panics
///
/// Where nothing is told.
pub fn policies(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut texts = text.split('\0').map(str::to_owned);
    let mut next = || texts.next().unwrap_or_default();
    let (authority, rules, schools, localities) = (next(), next(), next(), next());
    let files = Files { authority, rules, schools, localities, projection: texts.next() };
    match Policy::read(&files) {
        Ok((_, warnings)) => drop(warnings.iter().map(ToString::to_string).collect::<Vec<_>>()),
        Err(problems) => assert!(!problems.to_string().is_empty()),
    }
}

/// Single values: what was read is written as something that reads the same.
pub fn values(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    again(&text, Upn::parse, |upn| upn.text());
    again(&text, |text| Upn::parse_bytes(text.as_bytes()), |upn| upn.text());
    again(&text, Urn::parse, shown);
    again(&text, Day::parse, shown);
    again(&text, Timestamp::parse, shown);
    again(&text, SchoolYear::parse, shown);
    again(&text, Half::parse, |half| half.text().to_owned());
    again(&text, Share::parse, shown);
    again(&text, MinutesLate::parse, |minutes| minutes.minutes().to_string());
    drop(Kind::parse(&text));
    let (day, retired) = (Day::from_days(20_332), RetiredCodes::default());
    again(&text, |text| Code::parse(text, day, &retired), |code| code.text().to_owned());
}

fn shown<T: Display>(value: &T) -> String {
    value.to_string()
}

fn again<T: PartialEq + Debug, E: Debug>(
    text: &str,
    read: impl Fn(&str) -> Result<T, E>,
    write: impl Fn(&T) -> String,
) {
    let Ok(value) = read(text) else { return };
    let written = write(&value);
    match read(&written) {
        Ok(same) => assert_eq!(same, value, "{text:?} was written as {written:?}"),
        Err(error) => panic!("{text:?} was written as {written:?}, which cannot be read: {error:?}"),
    }
}

/// Headers of dead letters, as they are stored and replayed.
pub fn letters(bytes: &[u8]) {
    drop(ingest::letter::parse(&String::from_utf8_lossy(bytes)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    /// How many marks and pupils come out of a seed.
    fn seed(name: &str, read: impl Fn(&[u8]) -> Result<usize, String>) -> usize {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
        read(&fs::read(path).unwrap()).unwrap()
    }

    #[test]
    fn the_seeds_reach_what_they_are_for() {
        let body = |kind| move |bytes: &[u8]| OUTSIDE.body(bytes, kind);
        assert_eq!(seed("registers_json/one", body(Body::RegistersJson)), 2);
        assert_eq!(seed("registers_json/packed", body(Body::RegistersJson)), 2);
        assert_eq!(seed("registers_csv/rows", body(Body::RegistersCsv)), 3);
        assert_eq!(seed("registers_csv/quotes", body(Body::RegistersCsv)), 1);
        assert_eq!(seed("pupils_json/one", body(Body::PupilsJson)), 1);
        assert_eq!(seed("pupils_csv/rows", body(Body::PupilsCsv)), 2);
        let message = |kind: &'static str| move |bytes: &[u8]| OUTSIDE.message("acme", kind, bytes);
        assert_eq!(seed("supplier_json/one", message("application/json")), 2);
        assert_eq!(seed("supplier_protobuf/one", message("application/protobuf")), 1);
    }
}
