//! `POST /v1/registers`: bytes in, registers that can be trusted and an answer out. What needs Kafka comes after.

use crate::accept::{Accepted, Moment, RawRegister, RawStamp, accept};
use crate::http::access::Access;
use crate::http::answer::{Answer, Taken};
use crate::http::body::Format;
use crate::http::problem::Problem;
use crate::parse::json::{JsonRegister, one_or_many};
use crate::parse::registers_csv::RegistersCsv;
use crate::reason::Rejected;
use crate::validate::Admission;
use attendance::{Session, Timestamp, Upn, Urn};
use policy::Policy;
use proto::Origin;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Marks of a message, at most: a larger register comes in parts.
const PART: usize = 1_000;

/// By what a sending is read.
#[derive(Clone, Copy)]
pub(crate) struct Sending<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) access: &'a Access,
    pub(crate) moment: Moment,
    pub(crate) namespace: Uuid,
}

/// Reads the registers of a body; gives them in parts, and the answer.
pub(crate) fn read(
    bytes: &[u8],
    format: Format,
    sending: Sending<'_>,
) -> Result<(Vec<(Uuid, Accepted)>, Answer), Problem> {
    let mut answer = Answer::default();
    let registers = match format {
        Format::Json => of_json(bytes, sending, &mut answer)?,
        Format::Csv => of_csv(bytes, sending, &mut answer)?,
    };
    for register in &registers {
        look_at(register, sending, &mut answer);
    }
    let mut taken = Vec::new();
    for register in registers.into_iter().flat_map(|register| register.parts(PART)) {
        let id = register.id(sending.namespace);
        answer.accepted.registers += 1;
        answer.accepted.marks += register.marks.len();
        answer.registers.push(Taken {
            id: id.to_string(),
            school_urn: register.school.number(),
            date: register.session.day().to_string(),
            session: register.session.half().text(),
            revised_at: register.revised_at.to_string(),
            marks: register.marks.len(),
        });
        taken.push((id, register));
    }
    Ok((taken, answer))
}

/// Warns of what is taken but odd of a whole register.
fn look_at(register: &Accepted, sending: Sending<'_>, answer: &mut Answer) {
    let (school, session, day) = (register.school, register.session, register.session.day());
    let place = format!("school {school}, {session}");
    let mut upns: Vec<Upn> = register.marks.iter().map(|(upn, _)| *upn).collect();
    upns.sort_unstable();
    if let Some([twice, _]) = upns.windows(2).find(|pair| pair.first() == pair.last()) {
        let what = format!(
            "{} and perhaps others are listed twice with one revised_at: the mark with the greater code counts; list each pupil once",
            twice.text()
        );
        answer.warn(&place, &what);
    }
    if !sending.policy.calendars.of(school).is_open(day) {
        let what = format!(
            "the authority's calendar says that the school is closed on {day}: its marks count; look at the date, or tell the authority"
        );
        answer.warn(&place, &what);
    }
}

fn of_json(bytes: &[u8], sending: Sending<'_>, answer: &mut Answer) -> Result<Vec<Accepted>, Problem> {
    let read = one_or_many::<JsonRegister>(bytes);
    let read = read.map_err(|error| Problem::bad_request(format!("the body is no register as JSON: {error}")))?;
    let mut registers = Vec::new();
    for (number, raw) in read.into_iter().map(RawRegister::from).enumerate() {
        if let Ok(school) = Urn::parse(&raw.school_urn) {
            sending.access.check(school)?;
        }
        let missing = matches!(raw.revised_at, RawStamp::Missing);
        match accept(&raw, Admission::Policy(sending.policy), &sending.moment, Some(sending.moment.now)) {
            Ok(register) => {
                let place = |mark| format!("registers[{number}].marks[{mark}]");
                let refused: Vec<usize> = register.refused.iter().map(|(at, _)| *at).collect();
                let sound = (0..raw.marks.len()).filter(|at| !refused.contains(at));
                for (at, (upn, _)) in sound.zip(&register.marks) {
                    answer.look_at(place(at), *upn, sending.policy.code);
                }
                for (at, rejected) in &register.refused {
                    answer.reject(place(*at), rejected.clone());
                }
                if !register.marks.is_empty() {
                    if missing && answer.revised_at.is_none() {
                        answer.stamped(sending.moment.now);
                    }
                    registers.push(register);
                }
            }
            Err(rejected) => answer.reject(format_args!("registers[{number}]"), rejected),
        }
    }
    Ok(registers)
}

fn of_csv(bytes: &[u8], sending: Sending<'_>, answer: &mut Answer) -> Result<Vec<Accepted>, Problem> {
    let broken =
        |error: crate::parse::columns::FileError| Problem::bad_request(format!("the CSV cannot be read: {error}"));
    let mut rows = RegistersCsv::new(bytes, Admission::Policy(sending.policy)).map_err(broken)?;
    for column in rows.unknown_columns() {
        answer.warn("line 1", &format!("registers have no column {column:?}; it is passed over"));
    }
    let mut registers: BTreeMap<(Urn, Session, Timestamp), Accepted> = BTreeMap::new();
    while let Some(row) = rows.next_row().map_err(broken)? {
        let row = match row {
            Ok(row) => row,
            Err(refused) => {
                answer.reject(format_args!("line {}", refused.line), refused.rejected);
                continue;
            }
        };
        let (school, session, mut revision) = (row.mark.school, row.mark.session, row.mark.revision);
        sending.access.check(school)?;
        let place = format!("line {}", rows.line());
        revision.revised_at = row.given.unwrap_or(sending.moment.now);
        if let Err(rejected) = sending.moment.check(session.day(), revision.revised_at, Origin::Live) {
            answer.reject(place, rejected);
            continue;
        }
        if row.given.is_none() && answer.revised_at.is_none() {
            answer.stamped(sending.moment.now);
        }
        answer.look_at(place, row.mark.upn, sending.policy.code);
        let revised_at = revision.revised_at;
        let empty = || Accepted {
            school,
            session,
            revised_at,
            received_at: sending.moment.now,
            part: 0,
            marks: Vec::new(),
            refused: Vec::<(usize, Rejected)>::new(),
            refused_before: 0,
        };
        let register = registers.entry((school, session, revised_at)).or_insert_with(empty);
        register.marks.push((row.mark.upn, revision));
    }
    Ok(registers.into_values().collect())
}
