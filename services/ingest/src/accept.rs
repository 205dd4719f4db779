//! From a register as it was sent to one that can be trusted: the same checks for HTTP and for suppliers' topics.
//!
//! A part that is wrong is refused with its place, field and remedy; one bad mark stops no other.

use crate::parse::json::JsonRegister;
use crate::reason::{Reason, Rejected};
use crate::validate::Admission;
use attendance::mark::{MinutesLate, Revision};
use attendance::{Code, Day, Half, SchoolYear, Session, Timestamp, Upn, Urn};
use proto::{Origin, v1};
use uuid::Uuid;

/// How far a time of revision may be ahead of the wall clock, in microseconds.
const AHEAD: i64 = 5 * 60 * 1_000_000;

/// When something is checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// By the wall clock.
    pub(crate) now: Timestamp,
    /// By the installation's clock.
    pub(crate) present: SchoolYear,
}

/// A register as it was sent, in texts.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawRegister {
    pub(crate) school_urn: String,
    pub(crate) date: String,
    pub(crate) session: String,
    pub(crate) revised_at: RawStamp,
    pub(crate) marks: Vec<RawMark>,
    pub(crate) part: u32,
    pub(crate) refused: u32,
    pub(crate) received_at: i64,
}

/// A mark as it was sent.
#[derive(Clone, Debug)]
pub(crate) struct RawMark {
    pub(crate) upn: String,
    pub(crate) code: String,
    pub(crate) minutes_late: Option<String>,
}

/// A time of revision as it was sent.
#[derive(Clone, Debug, Default)]
pub(crate) enum RawStamp {
    #[default]
    Missing,
    Text(String),
    Micros(i64),
}

/// A register that can be trusted.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    pub(crate) school: Urn,
    pub(crate) session: Session,
    pub(crate) revised_at: Timestamp,
    pub(crate) received_at: Timestamp,
    pub(crate) part: u32,
    pub(crate) marks: Vec<(Upn, Revision)>,
    /// Marks that were refused, with their number from 0.
    pub(crate) refused: Vec<(usize, Rejected)>,
    /// Marks that were refused before this was written.
    pub(crate) refused_before: u32,
}

impl From<JsonRegister> for RawRegister {
    fn from(json: JsonRegister) -> Self {
        let mark = |mark: crate::parse::json::JsonMark| RawMark {
            upn: mark.upn.0,
            code: mark.code.0,
            minutes_late: mark.minutes_late.map(|minutes| minutes.0).filter(|minutes| !minutes.is_empty()),
        };
        let stamp = json.revised_at.map(|text| text.0).filter(|text| !text.is_empty());
        Self {
            school_urn: json.school_urn.0,
            date: json.date.0,
            session: json.session.0,
            revised_at: stamp.map_or(RawStamp::Missing, RawStamp::Text),
            marks: json.marks.into_iter().map(mark).collect(),
            ..Self::default()
        }
    }
}

impl From<v1::Register> for RawRegister {
    fn from(message: v1::Register) -> Self {
        let mark = |mark: v1::Mark| RawMark {
            upn: mark.upn,
            code: mark.code,
            minutes_late: mark.minutes_late.map(|minutes| minutes.to_string()),
        };
        Self {
            school_urn: message.school_urn.to_string(),
            date: message.date,
            session: message.session,
            revised_at: message.revised_at.map_or(RawStamp::Missing, RawStamp::Micros),
            marks: message.marks.into_iter().map(mark).collect(),
            part: message.part,
            refused: message.refused,
            received_at: message.received_at,
        }
    }
}

impl Moment {
    /// Whether a register of that day, revised then, can be taken now.
    pub(crate) fn check(&self, day: Day, revised_at: Timestamp, origin: Origin) -> Result<(), Rejected> {
        let today = self.now.day_in_london();
        if day > today {
            let what = format!("{day} lies ahead, today is {today}; send a register once it is taken");
            return Err(Rejected::of_field(Reason::FutureDate, "date", what));
        }
        if origin == Origin::Live && SchoolYear::of(day) < self.present.previous() {
            let what = format!(
                "{day} lies before the school year {}; older years are taken by import only",
                self.present.previous()
            );
            return Err(Rejected::of_field(Reason::OldYear, "date", what));
        }
        self.check_stamp(revised_at)
    }

    /// Whether a time of revision is not ahead of the clock.
    pub(crate) fn check_stamp(&self, revised_at: Timestamp) -> Result<(), Rejected> {
        if revised_at > self.now.plus_micros(AHEAD) {
            let what = format!(
                "{revised_at} is more than 5 minutes ahead of our clock ({}); set the sender's clock",
                self.now
            );
            return Err(Rejected::of_field(Reason::RevisedAhead, "revised_at", what));
        }
        Ok(())
    }
}

/// Whether a pupil's home is a locality of the authority.
pub(crate) fn check_locality(locality: &str, policy: &policy::Policy) -> Result<(), Rejected> {
    if policy.localities.iter().any(|known| known == locality) {
        return Ok(());
    }
    // Told in full it might be anything, of any length.
    let told: String = locality.chars().take(60).collect();
    let what = format!("{told:?} is none of the authority's localities: {}", policy.localities.join(", "));
    Err(Rejected::new(Reason::HomeLocality, what))
}

/// Checks a register; without a time of revision it bears `stamp`, or is refused where there is none.
pub(crate) fn accept(
    raw: &RawRegister,
    admission: Admission<'_>,
    moment: &Moment,
    stamp: Option<Timestamp>,
) -> Result<Accepted, Rejected> {
    accept_from(raw, admission, moment, (stamp, Origin::Live))
}

/// As [`accept`], of registers that may be an import's: those may be of older school years.
pub(crate) fn accept_from(
    raw: &RawRegister,
    admission: Admission<'_>,
    moment: &Moment,
    (stamp, origin): (Option<Timestamp>, Origin),
) -> Result<Accepted, Rejected> {
    let school = Urn::parse(&raw.school_urn).map_err(|e| Rejected::new(Reason::SchoolUrn, e))?;
    let day = Day::parse(&raw.date).map_err(|e| Rejected::new(Reason::Date, e))?;
    let half = Half::parse(&raw.session).map_err(|e| Rejected::new(Reason::Session, e))?;
    let revised_at = match &raw.revised_at {
        RawStamp::Micros(micros) => Timestamp::from_micros(*micros),
        RawStamp::Text(text) => Timestamp::parse(text).map_err(|e| Rejected::new(Reason::RevisedAt, e))?,
        RawStamp::Missing => stamp.ok_or_else(|| {
            let what = "it is missing; on Kafka a register must say when the school's system last changed it";
            Rejected::of_field(Reason::NoRevisedAt, "revised_at", what)
        })?,
    };
    admission.school(school, day)?;
    moment.check(day, revised_at, origin)?;
    let mut marks = Vec::with_capacity(raw.marks.len());
    let mut refused = Vec::new();
    for (number, mark) in raw.marks.iter().enumerate() {
        match accept_mark(mark, day, revised_at, admission) {
            Ok(mark) => marks.push(mark),
            Err(rejected) => refused.push((number, rejected)),
        }
    }
    if raw.marks.is_empty() {
        let what = "the register holds no mark; list at least one pupil, and send \"-\" where no mark was taken";
        return Err(Rejected::of_field(Reason::NoMarks, "marks", what));
    }
    let received_at = if raw.received_at > 0 { Timestamp::from_micros(raw.received_at) } else { moment.now };
    let session = Session::new(day, half);
    let (part, refused_before) = (raw.part.min(10_000), raw.refused);
    Ok(Accepted { school, session, revised_at, received_at, part, marks, refused, refused_before })
}

fn accept_mark(
    mark: &RawMark,
    day: Day,
    revised_at: Timestamp,
    admission: Admission<'_>,
) -> Result<(Upn, Revision), Rejected> {
    let upn = Upn::parse(&mark.upn).map_err(|e| Rejected::new(Reason::Upn, e))?;
    let code = Code::parse(&mark.code, day, admission.retired_codes());
    let code = code.map_err(|e| Rejected::of_field(Reason::from(&e), "code", e))?;
    let minutes_late = mark.minutes_late.as_deref().map(MinutesLate::parse).transpose();
    let minutes_late = minutes_late.map_err(|e| Rejected::new(Reason::MinutesLate, e))?;
    Ok((upn, Revision { revised_at, code, minutes_late }))
}

impl Accepted {
    /// The register's id, made from its content: the same content always has the same.
    pub(crate) fn id(&self, namespace: Uuid) -> Uuid {
        let mut content = format!("register {} {} {}", self.school, self.session.number(), self.revised_at.micros());
        for (upn, revision) in &self.marks {
            let minutes = revision.minutes_late.map_or(-1, |minutes| i32::from(minutes.minutes()));
            content.push_str(&format!("\n{} {} {minutes}", upn.number(), revision.code));
        }
        Uuid::new_v5(&namespace, content.as_bytes())
    }

    /// As it travels on the topic of registers.
    pub(crate) fn message(&self, id: Uuid) -> v1::Register {
        let mark = |(upn, revision): &(Upn, Revision)| v1::Mark {
            upn: upn.text(),
            code: revision.code.text().to_owned(),
            minutes_late: revision.minutes_late.map(|minutes| u32::from(minutes.minutes())),
        };
        v1::Register {
            id: id.as_bytes().to_vec(),
            school_urn: self.school.number(),
            date: self.session.day().to_string(),
            session: self.session.half().text().to_owned(),
            revised_at: Some(self.revised_at.micros()),
            marks: self.marks.iter().map(mark).collect(),
            received_at: self.received_at.micros(),
            part: self.part,
            refused: self.refused_before + u32::try_from(self.refused.len()).unwrap_or(0),
        }
    }

    /// The register in parts of at most `marks` marks.
    pub(crate) fn parts(mut self, marks: usize) -> Vec<Self> {
        if self.marks.len() <= marks {
            return vec![self];
        }
        let all = std::mem::take(&mut self.marks);
        let part = |(number, marks): (u32, &[(Upn, Revision)])| {
            let (refused, refused_before) =
                if number == 0 { (self.refused.clone(), self.refused_before) } else { (Vec::new(), 0) };
            Self { part: number, marks: marks.to_vec(), refused, refused_before, ..self.clone() }
        };
        (0..).zip(all.chunks(marks.max(1))).map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment() -> Moment {
        Moment { now: Timestamp::parse("2025-09-03T12:00:00Z").unwrap(), present: SchoolYear::beginning(2025) }
    }

    fn raw(date: &str, revised_at: RawStamp) -> RawRegister {
        let mark = |upn: &str, code: &str, minutes: Option<&str>| RawMark {
            upn: upn.to_owned(),
            code: code.to_owned(),
            minutes_late: minutes.map(str::to_owned),
        };
        RawRegister {
            school_urn: "900001".to_owned(),
            date: date.to_owned(),
            session: "AM".to_owned(),
            revised_at,
            marks: vec![
                mark("R900001000001", "/", None),
                mark("nobody", "/", None),
                mark("F900001000002", "L", Some("12")),
                mark("F900001000002", "H", None),
                mark("F900001000002", "L", Some("soon")),
            ],
            ..RawRegister::default()
        }
    }

    fn refused(date: &str, stamp: &str) -> Reason {
        let raw = raw(date, RawStamp::Text(stamp.to_owned()));
        accept(&raw, Admission::Anyone, &moment(), None).unwrap_err().reason
    }

    #[test]
    fn bad_marks_are_refused_with_their_number_and_the_others_count() {
        let raw = raw("2025-09-03", RawStamp::Micros(5));
        let accepted = accept(&raw, Admission::Anyone, &moment(), None).unwrap();
        assert_eq!(accepted.marks.len(), 2);
        let reasons: Vec<_> = accepted.refused.iter().map(|(at, rejected)| (*at, rejected.reason)).collect();
        assert_eq!(reasons, [(1, Reason::Upn), (3, Reason::RetiredCode), (4, Reason::MinutesLate)]);
    }

    #[test]
    fn days_and_stamps_that_cannot_be_are_refused() {
        assert_eq!(refused("2025-09-04", "2025-09-03T08:00:00Z"), Reason::FutureDate);
        assert_eq!(refused("2024-07-31", "2025-09-03T08:00:00Z"), Reason::OldYear);
        assert_eq!(refused("2025-09-03", "2025-09-03T12:05:01Z"), Reason::RevisedAhead);
        assert_eq!(refused("2025-09-03", "yesterday"), Reason::RevisedAt);
        let missing = raw("2025-09-03", RawStamp::Missing);
        let stamp = Timestamp::from_micros(7);
        let accepted = accept(&missing, Admission::Anyone, &moment(), Some(stamp)).unwrap();
        assert_eq!(accepted.revised_at, stamp);
        let rejected = accept(&missing, Admission::Anyone, &moment(), None).unwrap_err();
        assert_eq!(rejected.reason, Reason::NoRevisedAt);
    }

    #[test]
    fn a_message_read_again_is_the_same_register_and_has_the_same_id() {
        let sent = accept(&raw("2025-09-03", RawStamp::Micros(5)), Admission::Anyone, &moment(), None).unwrap();
        let message = sent.message(sent.id(Uuid::NAMESPACE_OID));
        let read = accept(&message.into(), Admission::Anyone, &moment(), None).unwrap();
        assert_eq!((read.id(Uuid::NAMESPACE_OID), &read.marks), (sent.id(Uuid::NAMESPACE_OID), &sent.marks));
        assert_eq!(read.refused_before, 3);
    }

    #[test]
    fn a_large_register_comes_in_parts_that_hold_every_mark_once() {
        let sent = accept(&raw("2025-09-03", RawStamp::Micros(5)), Admission::Anyone, &moment(), None).unwrap();
        let parts = sent.clone().parts(1);
        assert_eq!(parts.iter().map(|part| (part.part, part.refused.len())).collect::<Vec<_>>(), [(0, 3), (1, 0)]);
        assert_eq!(parts.into_iter().flat_map(|part| part.marks).collect::<Vec<_>>(), sent.marks);
    }
}
