//! What anybody outside may send, read as the service reads it, without Kafka and database: what the fuzz targets drive.
//! Takes bytes; gives a contradiction where there is one.

use crate::accept::Moment;
use crate::http::access::Access;
use crate::http::body::{self, Format};
use crate::http::registers::Sending;
use crate::http::{Kind, read_plain};
use crate::intake::{Intake, Reading};
use attendance::{SchoolYear, Timestamp};
use policy::Policy;
use proto::Event;
use std::sync::Arc;
use transport::{Header, Message};
use uuid::Uuid;

/// The most that is unpacked.
const UNPACKED: usize = 1 << 20;

/// What a body is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// `POST /v1/registers` of JSON.
    RegistersJson,
    /// `POST /v1/registers` of CSV.
    RegistersCsv,
    /// `POST /v1/pupils` of JSON.
    PupilsJson,
    /// `POST /v1/pupils` of CSV.
    PupilsCsv,
}

/// The service's reading of an authority's senders, at one moment.
pub struct Outside {
    policy: Policy,
    moment: Moment,
    access: Access,
}

impl Outside {
    /// By this policy, now being `now`.
    pub fn new(policy: Policy, now: Timestamp) -> Self {
        let present = SchoolYear::of(now.day_in_london());
        Self { policy, moment: Moment { now, present }, access: Access::to_all("outside") }
    }

    /// Reads a request's body, and then, as the loop does, the messages that come of it: what was accepted must come out as
    /// events, whole. What the body holds may be refused. Gives how many marks and pupils came out.
    pub fn body(&self, bytes: &[u8], kind: Body) -> Result<usize, String> {
        let Ok(bytes) = body::unpack(bytes.to_vec(), UNPACKED) else { return Ok(0) };
        let (format, kind) = match kind {
            Body::RegistersJson => (Format::Json, Kind::Registers),
            Body::RegistersCsv => (Format::Csv, Kind::Registers),
            Body::PupilsJson => (Format::Json, Kind::Pupils),
            Body::PupilsCsv => (Format::Csv, Kind::Pupils),
        };
        let sending =
            Sending { policy: &self.policy, access: &self.access, moment: self.moment, namespace: Uuid::nil() };
        let Ok(read) = read_plain(&bytes, format, kind, sending, &"registers".into()) else { return Ok(0) };
        let mut intake = Intake::default();
        for message in read.messages {
            self.take(None, message.headers, &message.payload, &mut intake);
        }
        if let Some(letter) = intake.letters.first() {
            return Err(format!("what was accepted became a dead letter: {}", letter.detail));
        }
        let marks: usize = intake.events.iter().map(marks_of).sum();
        let pupils = intake.events.iter().filter(|event| matches!(event, Event::Enrolment(..))).count();
        let accepted = &read.answer.accepted;
        if (marks, pupils) != (accepted.marks, accepted.pupils) {
            return Err(format!(
                "{} marks and {} pupils were accepted, {marks} and {pupils} came out",
                accepted.marks, accepted.pupils
            ));
        }
        Ok(marks + pupils)
    }

    /// Reads a supplier's message: it becomes events, or a dead letter, or both. Gives how many marks came out.
    pub fn message(&self, supplier: &str, content_type: &str, payload: &[u8]) -> Result<usize, String> {
        let headers = vec![Header::new("content-type", content_type.as_bytes().to_vec())];
        let mut intake = Intake::default();
        self.take(Some(supplier), headers, payload, &mut intake);
        if intake.rows.is_empty() && intake.letters.is_empty() {
            return Err("a message went nowhere".to_owned());
        }
        Event::of_slice(&Event::to_slice(&intake.events))
            .map_err(|error| format!("its events cannot be read: {error}"))?;
        Ok(intake.events.iter().map(marks_of).sum())
    }

    fn take(&self, supplier: Option<&str>, headers: Vec<Header>, payload: &[u8], intake: &mut Intake) {
        let message = Message {
            topic: Arc::from("registers"),
            partition: 0,
            offset: 0,
            timestamp_ms: None,
            key: None,
            headers,
            payload: payload.into(),
        };
        let reading = Reading { policy: &self.policy, moment: self.moment, namespace: Uuid::nil(), supplier };
        reading.message(&message, intake);
    }
}

fn marks_of(event: &Event) -> usize {
    match event {
        Event::Marks(part) => part.marks.len(),
        _ => 0,
    }
}
