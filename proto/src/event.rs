//! Events: what a slice holds, as the domain's types.

use crate::v1::{self, event::Kind as RawKind};
use crate::{ContractError, decode, enrolment};
use attendance::enrolment::RosterEntry;
use attendance::mark::{MinutesLate, Revision};
use attendance::{Code, Session, Timestamp, Upn, Urn};
use prost::Message;

/// Something that changes pupils.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Marks of one register.
    Marks(MarksPart),
    /// A roster's entry for a pupil.
    Enrolment(Upn, RosterEntry),
    /// Everything about the pupil goes.
    Erasure(Upn),
    /// The events held back for a pupil.
    Replay(Upn, Vec<Event>),
}

/// Where marks come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// A school sends them.
    #[default]
    Live,
    /// An import of history: what they change is no news.
    History,
}

/// The marks of one partition's pupils in one register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarksPart {
    /// The register's id.
    pub register: [u8; 16],
    /// When it was received.
    pub received_at: Timestamp,
    /// The school.
    pub school: Urn,
    /// The session.
    pub session: Session,
    /// Where they come from.
    pub origin: Origin,
    /// A mark a pupil.
    pub marks: Vec<(Upn, Revision)>,
}

impl Event {
    /// The events of a slice.
    pub fn of_slice(bytes: &[u8]) -> Result<Vec<Self>, ContractError> {
        let slice: v1::Slice = decode("Slice", bytes)?;
        slice.events.into_iter().map(Self::parse).collect()
    }

    /// A slice of events.
    pub fn to_slice(events: &[Self]) -> Vec<u8> {
        v1::Slice { events: events.iter().map(Self::raw).collect() }.encode_to_vec()
    }

    fn parse(raw: v1::Event) -> Result<Self, ContractError> {
        match raw.kind {
            Some(RawKind::Register(part)) => MarksPart::parse(&part).map(Self::Marks),
            Some(RawKind::Enrolment(entry)) => {
                let pupil = upn("Enrolment", entry.upn)?;
                Ok(Self::Enrolment(pupil, enrolment::parse_entry(entry)?))
            }
            Some(RawKind::Erasure(erasure)) => Ok(Self::Erasure(upn("Erasure", erasure.upn)?)),
            Some(RawKind::Replay(replay)) => {
                let parts = replay.parts.into_iter().map(Self::parse).collect::<Result<_, _>>()?;
                Ok(Self::Replay(upn("Replay", replay.upn)?, parts))
            }
            None => Err(ContractError::value("Event", "kind")),
        }
    }

    fn raw(&self) -> v1::Event {
        let kind = match self {
            Self::Marks(part) => RawKind::Register(part.raw()),
            Self::Enrolment(upn, entry) => RawKind::Enrolment(enrolment::raw_entry(*upn, entry)),
            Self::Erasure(upn) => RawKind::Erasure(v1::Erasure { upn: upn.number() }),
            Self::Replay(upn, parts) => {
                RawKind::Replay(v1::Replay { upn: upn.number(), parts: parts.iter().map(Self::raw).collect() })
            }
        };
        v1::Event { kind: Some(kind) }
    }
}

impl MarksPart {
    fn parse(raw: &v1::RegisterPart) -> Result<Self, ContractError> {
        let wrong = |field| move || ContractError::value("RegisterPart", field);
        let count = raw.upns.len();
        if raw.codes.len() != count {
            return Err(wrong("codes")());
        }
        if !raw.minutes_late.is_empty() && raw.minutes_late.len() != count {
            return Err(wrong("minutes_late")());
        }
        let revised_at = Timestamp::from_micros(raw.revised_at);
        let minutes = raw.minutes_late.iter().copied().chain(std::iter::repeat(0));
        let mut marks = Vec::with_capacity(count);
        for ((upn, code), minutes) in raw.upns.iter().zip(&raw.codes).zip(minutes) {
            let upn = Upn::from_number(*upn).ok_or_else(wrong("upns"))?;
            let code = Code::from_number(*code).ok_or_else(wrong("codes"))?;
            let minutes_late = minutes_late(minutes).map_err(|()| wrong("minutes_late")())?;
            marks.push((upn, Revision { revised_at, code, minutes_late }));
        }
        Ok(Self {
            register: raw.register_id.as_slice().try_into().map_err(|_| wrong("register_id")())?,
            received_at: Timestamp::from_micros(raw.received_at),
            school: Urn::new(raw.school_urn).map_err(|_| wrong("school_urn")())?,
            session: Session::from_number(raw.session),
            origin: if raw.history { Origin::History } else { Origin::Live },
            marks,
        })
    }

    /// All marks of a part bear the register's time of revision.
    fn raw(&self) -> v1::RegisterPart {
        let late = self.marks.iter().any(|(_, revision)| revision.minutes_late.is_some());
        let minutes = self.marks.iter().filter(|_| late).map(|(_, revision)| minutes_number(revision.minutes_late));
        v1::RegisterPart {
            register_id: self.register.to_vec(),
            school_urn: self.school.number(),
            session: self.session.number(),
            revised_at: self.marks.first().map_or(0, |(_, revision)| revision.revised_at.micros()),
            upns: self.marks.iter().map(|(upn, _)| upn.number()).collect(),
            codes: self.marks.iter().map(|(_, revision)| revision.code.number()).collect(),
            minutes_late: minutes.collect(),
            received_at: self.received_at.micros(),
            history: self.origin == Origin::History,
        }
    }
}

/// Minutes late as a number plus one; 0 for none.
pub(crate) fn minutes_number(minutes: Option<MinutesLate>) -> u32 {
    minutes.map_or(0, |minutes| u32::from(minutes.minutes()) + 1)
}

/// The way back of [`minutes_number`].
pub(crate) fn minutes_late(number: u32) -> Result<Option<MinutesLate>, ()> {
    number.checked_sub(1).map(MinutesLate::new).transpose().map_err(|_| ())
}

fn upn(message: &'static str, number: u64) -> Result<Upn, ContractError> {
    Upn::from_number(number).ok_or_else(|| ContractError::value(message, "upn"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use attendance::enrolment::{Field, Groups, Kind, YearGroup};
    use attendance::{Day, Half};

    fn part(minutes: Option<u32>) -> MarksPart {
        let revision = |code, minutes: Option<u32>| Revision {
            revised_at: Timestamp::parse("2025-09-03T08:52:10.000001Z").unwrap(),
            code,
            minutes_late: minutes.map(|m| MinutesLate::new(m).unwrap()),
        };
        MarksPart {
            register: [7; 16],
            received_at: Timestamp::from_micros(5),
            school: Urn::new(900_001).unwrap(),
            session: Session::new(Day::parse("2025-09-03").unwrap(), Half::Pm),
            origin: if minutes.is_some() { Origin::History } else { Origin::Live },
            marks: vec![
                (Upn::parse("R900001000001").unwrap(), revision(Code::Present, None)),
                (Upn::parse("F900001000002").unwrap(), revision(Code::L, minutes)),
            ],
        }
    }

    #[test]
    fn events_survive_the_wire() {
        let upn = Upn::parse("R900001000001").unwrap();
        let entry = RosterEntry {
            year_group: Field::Value(YearGroup::Reception),
            from: Field::Value(Day::parse("2025-09-03").unwrap()),
            to: Field::Empty,
            groups: Field::Value(Groups::parse("fsm").unwrap()),
            home_locality: Field::Value("North".into()),
            ..RosterEntry::new(Urn::new(900_001).unwrap(), Kind::Subsidiary, Timestamp::from_micros(9))
        };
        let parts = vec![Event::Marks(part(Some(0))), Event::Enrolment(upn, entry)];
        let events = vec![Event::Marks(part(None)), Event::Erasure(upn), Event::Replay(upn, parts)];
        assert_eq!(Event::of_slice(&Event::to_slice(&events)), Ok(events));
    }

    #[test]
    fn what_is_no_slice_or_holds_impossible_values_is_an_error_with_its_place() {
        assert!(matches!(Event::of_slice(b"\xFF\xFF"), Err(ContractError::Form { message: "Slice", .. })));
        let broken = |change: fn(&mut v1::RegisterPart)| {
            let mut raw = part(None).raw();
            change(&mut raw);
            let kind = Some(RawKind::Register(raw));
            Event::of_slice(&v1::Slice { events: vec![v1::Event { kind }] }.encode_to_vec()).unwrap_err().to_string()
        };
        assert!(broken(|raw| raw.codes = vec![12]).contains("RegisterPart.codes"));
        assert!(broken(|raw| raw.codes = vec![12, 13]).contains("RegisterPart.codes"));
        assert!(broken(|raw| raw.upns = vec![1, u64::MAX]).contains("RegisterPart.upns"));
        assert!(broken(|raw| raw.minutes_late = vec![1, 5_000]).contains("RegisterPart.minutes_late"));
        assert!(broken(|raw| raw.school_urn = 1).contains("RegisterPart.school_urn"));
        assert!(broken(|raw| raw.register_id = vec![1]).contains("RegisterPart.register_id"));
    }
}
