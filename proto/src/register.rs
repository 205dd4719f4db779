//! Rosters on the way from ingest's HTTP side to its loop, as the domain's types. Registers travel as the school wrote
//! them (`v1::Register`): ingest reads them again.

use crate::{ContractError, decode, enrolment, v1};
use attendance::enrolment::RosterEntry;
use attendance::{Timestamp, Upn};
use prost::Message;

/// Entries of a roster that were received together.
#[derive(Clone, Debug, PartialEq)]
pub struct RosterPart {
    /// Made from the content.
    pub id: [u8; 16],
    /// When it was received.
    pub received_at: Timestamp,
    /// What it says, an entry a pupil and school.
    pub entries: Vec<(Upn, RosterEntry)>,
}

impl RosterPart {
    /// Reads a message.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ContractError> {
        let raw: v1::RosterPart = decode("RosterPart", bytes)?;
        let id = raw.id.as_slice().try_into().map_err(|_| ContractError::value("RosterPart", "id"))?;
        let entry = |raw: v1::Enrolment| {
            let upn = Upn::from_number(raw.upn).ok_or_else(|| ContractError::value("Enrolment", "upn"))?;
            Ok((upn, enrolment::parse_entry(raw)?))
        };
        let entries = raw.entries.into_iter().map(entry).collect::<Result<_, ContractError>>()?;
        Ok(Self { id, received_at: Timestamp::from_micros(raw.received_at), entries })
    }

    /// Writes a message.
    pub fn to_bytes(&self) -> Vec<u8> {
        let entries = self.entries.iter().map(|(upn, entry)| enrolment::raw_entry(*upn, entry)).collect();
        let raw = v1::RosterPart { id: self.id.to_vec(), received_at: self.received_at.micros(), entries };
        raw.encode_to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use attendance::enrolment::{Field, Kind};
    use attendance::{Day, Urn};

    #[test]
    fn a_roster_survives_the_wire_and_broken_bytes_are_an_error() {
        let entry = RosterEntry {
            from: Field::Value(Day::parse("2025-09-03").unwrap()),
            to: Field::Empty,
            home_locality: Field::Value("North".into()),
            part_time_review: Field::Value(Day::parse("2025-10-03").unwrap()),
            ..RosterEntry::new(Urn::new(900_001).unwrap(), Kind::Main, Timestamp::from_micros(9))
        };
        let upn = Upn::parse("R900001000001").unwrap();
        let part = RosterPart { id: [3; 16], received_at: Timestamp::from_micros(5), entries: vec![(upn, entry)] };
        assert_eq!(RosterPart::from_bytes(&part.to_bytes()), Ok(part));
        assert!(RosterPart::from_bytes(b"\xFF").is_err());
        assert!(RosterPart::from_bytes(b"").is_err(), "without an id");
    }
}
