//! Suppliers in `authority.toml`: who writes registers to Kafka itself, and for which schools. Kafka tells nobody who
//! wrote a record, so a school that is not named here is refused.

use crate::files::AUTHORITY;
use crate::problem::{Place, Problems};
use crate::table::Entry;
use attendance::Urn;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Each supplier's schools.
pub(crate) type Suppliers = BTreeMap<String, BTreeSet<Urn>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSupplier {
    name: String,
    schools: Vec<i64>,
}

pub(crate) fn read(entries: &[Entry<RawSupplier>]) -> Result<Suppliers, Problems> {
    let mut problems = Problems::default();
    let mut suppliers = Suppliers::new();
    for supplier in entries.iter().filter_map(|entry| entry.read.as_ref()) {
        let at = |rest: &str| Place::new(AUTHORITY, format!("supplier {:?}{rest}", supplier.name));
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if supplier.name.is_empty() || supplier.name.len() > 200 || !supplier.name.chars().all(allowed) {
            problems.add(at(""), "its name is part of a topic's: use 1 to 200 of a to z, 0 to 9, - and _");
        }
        let urns = supplier.schools.iter();
        let schools = urns.filter_map(|urn| problems.part(|| at(", schools"), school(*urn))).collect();
        if suppliers.insert(supplier.name.clone(), schools).is_some() {
            problems.add(at(""), "stands there twice; put all its schools in one list");
        }
    }
    problems.or(suppliers)
}

fn school(urn: i64) -> Result<Urn, String> {
    let number = u32::try_from(urn).map_err(|_| format!("{urn} is no school's URN"))?;
    Urn::new(number).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Table;

    fn parse(text: &str) -> Result<Suppliers, Problems> {
        let mut problems = Problems::default();
        read(&Table::parse(AUTHORITY, text)?.entries("supplier", "name", &mut problems).unwrap_or_default())
    }

    #[test]
    fn a_supplier_carries_the_schools_that_are_named() {
        let suppliers = parse("[[supplier]]\nname = \"acme\"\nschools = [900001, 900002]\n").unwrap();
        assert!(suppliers["acme"].contains(&Urn::new(900_002).unwrap()));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let text = "[[supplier]]\nname = \"A.b\"\nschools = [2]\n[[supplier]]\nname = \"A.b\"\nschools = []\n";
        let told = parse(text).unwrap_err().to_string();
        for part in
            ["supplier \"A.b\": its name is part", "supplier \"A.b\", schools: \"2\" is no", "stands there twice"]
        {
            assert!(told.contains(part), "{part} in\n{told}");
        }
    }
}
