//! A pupil's school year as stored: column by column, with distances instead of values, about four bytes a mark.

use crate::event::{minutes_late, minutes_number};
use crate::{ContractError, decode, v1};
use attendance::mark::Revision;
use attendance::record::YearRecord;
use attendance::{Code, SchoolYear, Session, Timestamp, Urn};
use prost::Message;

/// Times of revision are whole minutes, seconds, milliseconds or microseconds.
const UNITS: [u32; 4] = [60_000_000, 1_000_000, 1_000, 1];

/// Sessions of a school year, weekends and holidays included, at most.
const LONGEST: i32 = 2 * 366;

/// A school year's record as its stored bytes.
pub fn year_to_bytes(record: &YearRecord) -> Vec<u8> {
    let first = first_session(record.year());
    let mut raw =
        v1::YearRecord { schools: record.schools().iter().map(|urn| urn.number()).collect(), ..Default::default() };
    let several = record.schools().len() > 1;
    let late = record.entries().any(|entry| entry.revision.minutes_late.is_some());
    let mut session = first;
    raw.delays =
        record.entries().map(|entry| entry.revision.revised_at.micros().wrapping_sub(due(entry.session))).collect();
    let unit = UNITS.into_iter().find(|unit| raw.delays.iter().all(|delay| delay % i64::from(*unit) == 0)).unwrap_or(1);
    raw.delay_unit = if record.is_empty() { 0 } else { unit };
    let mut before = 0_i64;
    for delay in &mut raw.delays {
        let present = *delay / i64::from(unit);
        *delay = present.wrapping_sub(before);
        before = present;
    }
    for entry in record.entries() {
        raw.sessions.push(u32::try_from(entry.session.number() - session).unwrap_or_default());
        session = entry.session.number();
        if several {
            raw.school.push(u32::from(entry.school));
        }
        raw.codes.push(entry.revision.code.number());
        if late {
            raw.minutes_late.push(minutes_number(entry.revision.minutes_late));
        }
    }
    raw.encode_to_vec()
}

/// A school year's record of its stored bytes. Anything that such a record cannot hold is an error, never left out.
pub fn year_from_bytes(year: SchoolYear, bytes: &[u8]) -> Result<YearRecord, ContractError> {
    let wrong = |field| ContractError::value("YearRecord", field);
    let raw: v1::YearRecord = decode("YearRecord", bytes)?;
    let count = raw.codes.len();
    let fits = |len: usize, optional: bool| len == count || (optional && len == 0);
    if !fits(raw.sessions.len(), false) || !fits(raw.delays.len(), false) || (count > 0) != (raw.delay_unit > 0) {
        return Err(wrong("sessions"));
    }
    if !fits(raw.school.len(), raw.schools.len() <= 1) || !fits(raw.minutes_late.len(), true) {
        return Err(wrong("school"));
    }
    let schools: Vec<Urn> =
        raw.schools.iter().map(|urn| Urn::new(*urn)).collect::<Result<_, _>>().map_err(|_| wrong("schools"))?;
    let places = raw.school.iter().copied().chain(std::iter::repeat(0));
    let minutes = raw.minutes_late.iter().copied().chain(std::iter::repeat(0));
    let mut record = YearRecord::new(year);
    let (mut session, mut delay) = (first_session(year), 0_i64);
    for ((((distance, place), code), difference), minutes) in
        raw.sessions.iter().zip(places).zip(&raw.codes).zip(&raw.delays).zip(minutes)
    {
        session = i32::try_from(*distance)
            .ok()
            .and_then(|distance| session.checked_add(distance))
            .filter(|session| session - first_session(year) <= LONGEST)
            .ok_or_else(|| wrong("sessions"))?;
        delay = delay.wrapping_add(*difference);
        let at = Session::from_number(session);
        let school = usize::try_from(place).ok().and_then(|place| schools.get(place)).ok_or_else(|| wrong("school"))?;
        let revision = Revision {
            revised_at: Timestamp::from_micros(due(at).wrapping_add(delay.wrapping_mul(i64::from(raw.delay_unit)))),
            code: Code::from_number(*code).ok_or_else(|| wrong("codes"))?,
            minutes_late: minutes_late(minutes).map_err(|()| wrong("minutes_late"))?,
        };
        record.apply(*school, at, revision);
    }
    // A repeated session, one of another year or a school without marks would have changed the shape.
    if record.len() != count || record.schools() != schools {
        return Err(wrong("sessions"));
    }
    Ok(record)
}

/// Microseconds since 1970-01-01 of 9:00 or 13:00 UTC on the session's day: near to when most marks are taken, and cheap.
fn due(session: Session) -> i64 {
    let (day, half) = (session.number().div_euclid(2), session.number().rem_euclid(2));
    (i64::from(day) * 24 + if half == 0 { 9 } else { 13 }) * 3_600_000_000
}

fn first_session(year: SchoolYear) -> i32 {
    year.first_day().days() * 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use attendance::mark::MinutesLate;
    use proptest::prelude::*;

    const YEAR: SchoolYear = SchoolYear::beginning(2025);

    /// Any moment, and such as schools give: of whole minutes, seconds or milliseconds.
    fn moment() -> impl Strategy<Value = i64> {
        let whole = |unit: i64| (0..2_000_000_000_000_000 / unit).prop_map(move |count| count * unit);
        prop_oneof![any::<i64>(), whole(60_000_000), whole(1_000_000), whole(1_000)]
    }

    #[test]
    fn a_year_of_marks_revised_to_the_second_is_small() {
        let mut record = YearRecord::new(YEAR);
        let sessions = (0..730).map(|number| Session::from_number(first_session(YEAR) + number));
        for (number, session) in (0_i64..).zip(sessions.filter(|session| session.day().weekday() < 5).take(380)) {
            let revised_at = session.begins().plus_micros((number * 7_919 % 1_800) * 1_000_000);
            let revision = Revision { revised_at, code: Code::Present, minutes_late: None };
            record.apply(Urn::new(900_001).unwrap(), session, revision);
        }
        let bytes = year_to_bytes(&record);
        assert_eq!(year_from_bytes(YEAR, &bytes), Ok(record));
        assert!(bytes.len() < 2_048, "{} bytes", bytes.len());
    }

    proptest! {
        #[test]
        fn a_record_survives_its_bytes(
            marks in proptest::collection::vec((0_i32..730, 0_u32..3, 0..Code::ALL.len(), moment(), proptest::option::of(0_u32..1000)), 0..200)
        ) {
            let mut record = YearRecord::new(YEAR);
            for (session, school, code, at, minutes) in marks {
                let revision = Revision {
                    revised_at: Timestamp::from_micros(at),
                    code: Code::ALL[code],
                    minutes_late: minutes.map(|m| MinutesLate::new(m).unwrap()),
                };
                record.apply(Urn::new(900_001 + school).unwrap(), Session::from_number(first_session(YEAR) + session), revision);
            }
            prop_assert_eq!(year_from_bytes(YEAR, &year_to_bytes(&record)), Ok(record));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            drop(year_from_bytes(YEAR, &bytes));
        }
    }

    #[test]
    fn bytes_that_no_record_has_are_an_error() {
        let record = |change: fn(&mut v1::YearRecord)| {
            let mut raw = v1::YearRecord {
                schools: vec![900_001],
                sessions: vec![66, 1],
                codes: vec![12, 80],
                delays: vec![5, 1],
                delay_unit: 1,
                ..Default::default()
            };
            change(&mut raw);
            year_from_bytes(YEAR, &raw.encode_to_vec())
        };
        assert_eq!(record(|_| ()).unwrap().len(), 2);
        assert!(record(|raw| raw.sessions[1] = 0).is_err(), "one session twice");
        assert!(record(|raw| raw.sessions[0] = 800).is_err(), "beyond July");
        assert!(record(|raw| raw.codes[0] = 1).is_err());
        assert!(record(|raw| raw.codes.truncate(1)).is_err());
        assert!(record(|raw| raw.delay_unit = 0).is_err());
        assert!(record(|raw| raw.delays.truncate(1)).is_err());
        assert!(record(|raw| raw.schools.clear()).is_err());
        assert!(record(|raw| raw.schools.push(900_002)).is_err(), "two schools, and no mark says whose it is");
    }
}
