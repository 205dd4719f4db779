//! What one transaction of a partition makes real, beside its position: published rows with the outbox, dead letters,
//! holds, erasures. Values only; `commit` writes them.

use crate::memory::Cause;
use crate::place;
use crate::pupil::{PublishedAlert, Pupil, Wanted};
use attendance::alert::Change;
use attendance::evidence::Evidence;
use attendance::forecast::{Foreseen, Interval};
use attendance::judge::Measured;
use attendance::rate::Counts;
use attendance::{Day, Session, Upn};
use installation::InForce;
use prost::Message;
use proto::{Origin, v1};
use store::dead_letter::NewDeadLetter;
use store::enrolment::EnrolmentRow;
use store::pupil_school::PupilSchool;
use store::record::RecordRow;
use uuid::Uuid;

/// A change with all that its row and its message need.
#[derive(Clone, Debug)]
pub(crate) struct Decided {
    pub(crate) upn: Upn,
    pub(crate) published: PublishedAlert,
    pub(crate) as_of: Session,
    pub(crate) message: v1::AlertChange,
}

/// What a transaction makes real.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) decided: Vec<Decided>,
    pub(crate) erased: Vec<Upn>,
    pub(crate) dead_letters: Vec<NewDeadLetter>,
    pub(crate) held: Vec<Held>,
    pub(crate) lifted: Vec<Upn>,
    /// Pupils that were judged, each with the day on which time alone may change that: it and their rule set move in memory once this is
    /// known to be done.
    pub(crate) judged: Vec<(Upn, Option<Day>)>,
    /// By which rule set: another may come into force before the commit is done.
    pub(crate) judged_with: i64,
}

/// A pupil that is passed over from now on.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) upn: Upn,
    pub(crate) reason: String,
    /// The first event that is not in the stored record.
    pub(crate) offset: i64,
    /// What memory holds of the pupil: written with the hold, since no pass will.
    pub(crate) rows: Rows,
}

/// What a pass, or a hold, writes of pupils.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    pub(crate) records: Vec<RecordRow>,
    pub(crate) rosters: Vec<EnrolmentRow>,
    pub(crate) schools: Vec<PupilSchool>,
}

/// The changes of one outbox row: a message stays far below a broker's limit of 1 MiB.
const CHANGES_A_ROW: usize = 500;

impl Effects {
    /// Whether the database has to know of it.
    pub(crate) fn is_durable(&self) -> bool {
        let Self { decided, erased, dead_letters, held, lifted, judged: _, judged_with: _ } = self;
        !(decided.is_empty() && erased.is_empty() && dead_letters.is_empty() && held.is_empty() && lifted.is_empty())
    }

    /// The payloads of the outbox rows, in order. An erasure comes before the changes: what is decided for an erased pupil
    /// rests on marks that came after.
    pub(crate) fn outbox(&self) -> Vec<Vec<u8>> {
        let erased = self.erased.iter().map(|upn| v1::AlertChange {
            upn: upn.number(),
            change: v1::Change::Erased.into(),
            ..Default::default()
        });
        let changes: Vec<v1::AlertChange> =
            erased.chain(self.decided.iter().map(|decided| decided.message.clone())).collect();
        changes
            .chunks(CHANGES_A_ROW)
            .map(|part| v1::AlertBatch { changes: part.to_vec(), ..Default::default() }.encode_to_vec())
            .collect()
    }
}

/// Where and when a decision is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment<'a> {
    pub(crate) in_force: &'a InForce,
    /// Under which alert ids are made: the installation's own, so that an id tells nobody the UPN.
    pub(crate) namespace: Uuid,
    /// The newest session known.
    pub(crate) as_of: Session,
    /// Whether what time alone raises is told.
    pub(crate) passing: Passing,
}

/// Whether all that was written is here: else what time alone raises may be settled already by what is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passing {
    /// It is here.
    Told,
    /// There is a backlog: the pupil is looked at again after it.
    Later,
}

/// Completes a wanted change.
pub(crate) fn decide(moment: Moment<'_>, upn: Upn, pupil: &Pupil, wanted: Wanted, cause: Cause) -> Decided {
    let Wanted { year, rule, difference, evidence } = wanted;
    let published = difference.published;
    let (first, episode) = (year.first_calendar_year(), published.episode);
    // What it is about, so that a change that is decided again bears the same id.
    let about = format!("{}/{rule}/{first}/{episode}", upn.number());
    let alert = Uuid::new_v5(&moment.namespace, about.as_bytes());
    let day = moment.as_of.day();
    // What time brings is news of the day on which it does, even where other rules come with it.
    let by_time = cause.in_time && difference.change.is_rise();
    let caused_by = cause.session.or(by_time.then_some(published.since));
    let message = v1::AlertChange {
        alert_id: alert.as_bytes().to_vec(),
        version: published.version,
        upn: upn.number(),
        rule: rule.text().to_owned(),
        school_year: i32::from(first),
        episode,
        change: v1::Change::from(difference.change).into(),
        level: difference.level.number().into(),
        since: published.since.number(),
        as_of: moment.as_of.number(),
        rule_set: u64::try_from(moment.in_force.version).unwrap_or_default(),
        school_urn: pupil.school(moment.as_of).map_or(0, attendance::Urn::number),
        home_locality: pupil.roster.home_locality(day).unwrap_or_default().to_owned(),
        sentence: evidence.sentence(difference.change),
        evidence: Some(raw_evidence(&evidence)),
        register_id: cause.register.map(|(id, _)| id.to_vec()).unwrap_or_default(),
        received_at: cause.register.map_or(0, |(_, at)| at.micros()),
        caused_by: caused_by.map_or(0, Session::number),
        history: cause.origin == Some(Origin::History),
        off_roll_since: pupil.roster.off_roll_since(day).map_or(0, attendance::Day::days),
        by_rule_set: cause.rule_set && !by_time && difference.change != Change::Moved,
        other_school_urns: pupil.roster.other_schools(day).into_iter().map(attendance::Urn::number).collect(),
    };
    let place = place::of(&pupil.roster, day);
    let published = PublishedAlert { year, rule, alert, published, place };
    Decided { upn, published, as_of: moment.as_of, message }
}

fn raw_evidence(evidence: &Evidence) -> v1::Evidence {
    let (Counts { possible, authorised, unauthorised }, counted, run_days) = match evidence.said.measured {
        Measured::Rate(window) | Measured::Sessions(window) => (window.counts, window.counted, 0),
        Measured::Run { days, .. } => (evidence.year_to_date, 0, days),
        Measured::Unresolved { sessions, .. } => (evidence.year_to_date, sessions, 0),
        Measured::Review { overdue, .. } => (evidence.year_to_date, overdue, 0),
        Measured::Change { missed, .. } => (evidence.year_to_date, missed, 0),
        Measured::Pattern { found, counts } => (counts, found.map_or(0, |found| found.fitting), 0),
        Measured::Chance { counts, .. } | Measured::Expected { counts, .. } => (counts, counts.absent(), 0),
    };
    let strip = evidence.strip.iter().map(|mark| v1::StripMark {
        session: mark.session.number(),
        school_urn: mark.school.map_or(0, attendance::Urn::number),
        code: mark.code.number().into(),
    });
    let said = std::iter::once(&evidence.said).chain(&evidence.also);
    v1::Evidence {
        possible,
        authorised,
        unauthorised,
        counted,
        run_days,
        spells: evidence.spells,
        strip: strip.collect(),
        rules: said.filter_map(|said| said.rule.as_ref()).map(|rule| rule.text().to_owned()).collect(),
        foreseen: evidence.foreseen.as_ref().map(raw_foreseen),
    }
}

fn raw_foreseen(foreseen: &Foreseen) -> v1::Foreseen {
    let range = |value: f64, of: Interval| v1::Range { value, low: of.low, high: of.high };
    v1::Foreseen {
        persistent: Some(range(foreseen.outlook.persistent, foreseen.persistent)),
        severe: Some(range(foreseen.outlook.severe, foreseen.severe)),
        missed: Some(range(foreseen.outlook.missed, foreseen.missed)),
        rest: foreseen.rest,
    }
}
