//! What a message of registers holds: events, the row of a register received, or a dead letter. Reads HTTP's own messages and
//! suppliers' alike, and trusts neither.

use crate::accept::{Accepted, Moment, RawRegister, accept_from, check_locality};
use crate::parse::json::{JsonRegister, one_or_many};
use crate::reason::{Reason, Rejected};
use crate::roll::row_urn;
use crate::validate::Admission;
use attendance::enrolment::Field;
use attendance::{Session, Urn};
use policy::Policy;
use prost::Message as _;
use proto::{Event, MarksPart, Origin, RosterPart, v1};
use store::dead_letter::NewDeadLetter;
use store::register::RegisterRow;
use transport::Message;
use uuid::Uuid;

/// The header that `earlybell import` writes: history, of any school year.
pub const IMPORT: &str = "import";
/// What refused marks of one message a dead letter lists; the message itself holds all.
const LISTED: usize = 20;

/// What came of messages.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    pub(crate) events: Vec<Event>,
    pub(crate) rows: Vec<RegisterRow>,
    pub(crate) letters: Vec<NewDeadLetter>,
    pub(crate) reasons: Vec<Reason>,
    pub(crate) newest: Option<Session>,
}

/// By what messages are read.
pub(crate) struct Reading<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) moment: Moment,
    pub(crate) namespace: Uuid,
    /// The supplier whose topic it is; none for HTTP's.
    pub(crate) supplier: Option<&'a str>,
}

impl Reading<'_> {
    /// Reads a message into `intake`.
    pub(crate) fn message(&self, message: &Message, intake: &mut Intake) {
        let mut problems = Vec::new();
        let mut school = None;
        match message.header("kind") {
            None | Some(b"register") => match registers(message) {
                Ok(registers) => {
                    let origin = self.origin(message);
                    let several = registers.len() > 1;
                    for (number, raw) in registers.iter().enumerate() {
                        let place = if several { format!("registers[{number}]") } else { String::new() };
                        school = school.or(Urn::parse(&raw.school_urn).ok());
                        self.register(raw, (&place, origin), intake, &mut problems);
                    }
                }
                Err(rejected) => problems.push((String::new(), rejected)),
            },
            Some(b"roster") => match self.roster(message, intake) {
                Ok(()) => {}
                Err(rejected) => problems.push((String::new(), rejected)),
            },
            Some(_) => {
                let what = "the header `kind` is neither register nor roster";
                problems.push((String::new(), Rejected::of_field(Reason::Content, "kind", what)));
            }
        }
        if !problems.is_empty() {
            intake.reasons.extend(problems.iter().map(|(_, rejected)| rejected.reason));
            intake.letters.extend(self.letter(message, school, &problems));
        }
    }

    /// What our own import has written; a supplier's headers count for nothing here.
    fn origin(&self, message: &Message) -> Origin {
        let is_import = self.supplier.is_none() && message.header(IMPORT).is_some();
        if is_import { Origin::History } else { Origin::Live }
    }

    fn register(
        &self,
        raw: &RawRegister,
        (place, origin): (&str, Origin),
        intake: &mut Intake,
        problems: &mut Vec<(String, Rejected)>,
    ) {
        let accepted = accept_from(raw, Admission::Policy(self.policy), &self.moment, (None, origin))
            .and_then(|accepted| self.carried(accepted.school).map(|()| accepted));
        let accepted = match accepted {
            Ok(accepted) => accepted,
            Err(rejected) => return problems.push((place.to_owned(), rejected)),
        };
        let dot = if place.is_empty() { "" } else { "." };
        let marks = accepted.refused.iter();
        problems.extend(marks.map(|(at, rejected)| (format!("{place}{dot}marks[{at}]"), rejected.clone())));
        let id = accepted.id(self.namespace);
        tracing::info!(register.id = %id, register.marks = accepted.marks.len(), "register passed on to events");
        intake.newest = intake.newest.max(Some(accepted.session));
        intake.rows.push(row(&accepted, id, origin));
        if !accepted.marks.is_empty() {
            intake.events.push(Event::Marks(MarksPart {
                register: *id.as_bytes(),
                received_at: accepted.received_at,
                school: accepted.school,
                session: accepted.session,
                origin,
                marks: accepted.marks,
            }));
        }
    }

    fn roster(&self, message: &Message, intake: &mut Intake) -> Result<(), Rejected> {
        let what = |error| format!("{error}; write a RosterPart of register.proto");
        let part = RosterPart::from_bytes(&message.payload)
            .map_err(|error| Rejected::of_field(Reason::Content, "content-type", what(error)))?;
        for (_, entry) in &part.entries {
            self.carried(entry.school)?;
            if !self.policy.schools.contains_key(&entry.school) {
                let what = format!("schools.csv names no school {}", entry.school);
                return Err(Rejected::of_field(Reason::UnknownSchool, "school_urn", what));
            }
            if let Field::Value(locality) = &entry.home_locality {
                check_locality(locality, self.policy)?;
            }
            self.moment.check_stamp(entry.revised_at)?;
        }
        intake.events.extend(part.entries.into_iter().map(|(upn, entry)| Event::Enrolment(upn, entry)));
        Ok(())
    }

    fn carried(&self, school: Urn) -> Result<(), Rejected> {
        let Some(supplier) = self.supplier else { return Ok(()) };
        if self.policy.suppliers.get(supplier).is_some_and(|schools| schools.contains(&school)) {
            return Ok(());
        }
        let what = format!("the policy does not let supplier {supplier} carry school {school}; see authority.toml");
        Err(Rejected::of_field(Reason::NotCarried, "school_urn", what))
    }

    /// The message as it came; what is wrong with it in words that name no pupil.
    fn letter(&self, message: &Message, school: Option<Urn>, problems: &[(String, Rejected)]) -> Option<NewDeadLetter> {
        let (place, first) = problems.first()?;
        let line = |(place, rejected): &(String, Rejected)| format!("{place} {}", rejected.field).trim().to_owned();
        let mut listed: Vec<String> = problems.iter().take(LISTED).map(line).collect();
        if problems.len() > LISTED {
            listed.push(format!("and {} more", problems.len() - LISTED));
        }
        // What a school wrote into a field could be anything, where columns are shifted a name too.
        let what = if first.reason.quotes() { first.reason.text() } else { &first.what };
        Some(NewDeadLetter {
            source: self.supplier.unwrap_or("http").to_owned(),
            topic: message.topic.to_string(),
            part: i32::try_from(message.partition).unwrap_or(i32::MAX),
            message_offset: message.offset,
            message_at: message.timestamp_ms.unwrap_or(0) * 1_000,
            headers: crate::letter::headers(message),
            place: place.clone(),
            reason: first.reason.text().to_owned(),
            detail: format!("{what} ({})", listed.join(", ")),
            urn: school.and_then(|urn| i32::try_from(urn.number()).ok()),
            upn: None,
            payload: message.payload.to_vec(),
            created_at: self.moment.now.micros(),
        })
    }
}

fn registers(message: &Message) -> Result<Vec<RawRegister>, Rejected> {
    let refused = |what: String| Rejected::of_field(Reason::Content, "content-type", what);
    let given = message.header("content-type").map(String::from_utf8_lossy).unwrap_or_default();
    match given.split(';').next().unwrap_or_default().trim() {
        "application/protobuf" => {
            let register = v1::Register::decode(&*message.payload);
            let register = register.map_err(|error| refused(format!("the bytes are no Register: {error}")))?;
            Ok(vec![register.into()])
        }
        "application/json" => {
            let registers = one_or_many::<JsonRegister>(&message.payload);
            let registers = registers.map_err(|error| {
                refused(format!("the bytes are no register as JSON: line {}, column {}", error.line(), error.column()))
            })?;
            if registers.is_empty() {
                return Err(refused("the list holds no register".to_owned()));
            }
            Ok(registers.into_iter().map(RawRegister::from).collect())
        }
        _ => Err(refused("the header `content-type` must be application/protobuf or application/json".to_owned())),
    }
}

fn row(accepted: &Accepted, id: Uuid, origin: Origin) -> RegisterRow {
    let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    RegisterRow {
        urn: row_urn(accepted.school),
        session: accepted.session.number(),
        part: i32::try_from(accepted.part).unwrap_or(i32::MAX),
        revised_at: accepted.revised_at.micros(),
        id: id.to_string(),
        received_at: accepted.received_at.micros(),
        refused: number(accepted.refused.len())
            .saturating_add(i32::try_from(accepted.refused_before).unwrap_or(i32::MAX)),
        history: origin == Origin::History,
    }
}
