//! The answer to a sending: what was taken, what was refused and why, what is odd.

use crate::Reason;
use crate::reason::Rejected;
use attendance::{Session, Timestamp, Upn, Urn};
use serde::Serialize;
use std::fmt::Display;

/// Refused and odd parts that an answer lists, each; the counts are whole.
const LISTED: usize = 1_000;

/// Pupils on no roster that a warning names.
const STRANGERS: usize = 10;

/// What was said of one sending.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Answer {
    pub(crate) dry_run: bool,
    pub(crate) accepted: Accepted,
    pub(crate) registers: Vec<Taken>,
    pub(crate) rejected_count: usize,
    pub(crate) rejected: Vec<Refused>,
    pub(crate) warnings_count: usize,
    pub(crate) warnings: Vec<Odd>,
    /// The stamp of what had no time of revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) revised_at: Option<String>,
    #[serde(skip)]
    pub(crate) reasons: Vec<Reason>,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Accepted {
    pub(crate) registers: usize,
    pub(crate) marks: usize,
    pub(crate) pupils: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct Taken {
    pub(crate) id: String,
    pub(crate) school_urn: u32,
    pub(crate) date: String,
    pub(crate) session: &'static str,
    pub(crate) revised_at: String,
    pub(crate) marks: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct Refused {
    place: String,
    field: &'static str,
    reason: &'static str,
    what: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Odd {
    place: String,
    what: String,
}

impl Answer {
    pub(crate) fn reject(&mut self, place: impl Display, rejected: Rejected) {
        self.rejected_count += 1;
        self.reasons.push(rejected.reason);
        if self.rejected.len() < LISTED {
            let Rejected { reason, field, what } = rejected;
            self.rejected.push(Refused { place: place.to_string(), field, reason: reason.text(), what });
        }
    }

    pub(crate) fn warn(&mut self, place: impl Display, what: &str) {
        self.warnings_count += 1;
        if self.warnings.len() < LISTED {
            self.warnings.push(Odd { place: place.to_string(), what: what.to_owned() });
        }
    }

    /// Warns of a UPN that is taken but odd; `own` is the authority's own code.
    pub(crate) fn look_at(&mut self, place: impl Display, upn: Upn, own: u16) {
        let known = |code| code == own || crate::local_authorities::is_known(code);
        for warning in upn.warnings(known) {
            self.warn(&place, warning.text());
        }
    }

    /// Warns of pupils who are on no roster that the school sent.
    pub(crate) fn look_at_strangers(&mut self, school: Urn, session: Session, strangers: impl Iterator<Item = Upn>) {
        let upns: Vec<String> = strangers.map(Upn::text).collect();
        if upns.is_empty() {
            return;
        }
        let (count, named) = (upns.len(), upns.iter().take(STRANGERS).cloned().collect::<Vec<_>>().join(", "));
        let more = if count > STRANGERS { " and others" } else { "" };
        let what = format!(
            "{count} of the pupils are on no roster of the school that day: {named}{more}; their marks count; correct the \
             roster by /v1/pupils"
        );
        self.warn(format_args!("school {school}, {session}"), &what);
    }

    /// Says with which time of revision the rest was stamped.
    pub(crate) fn stamped(&mut self, stamp: Timestamp) {
        self.revised_at = Some(stamp.to_string());
        self.warn("revised_at", RETRY);
    }

    pub(crate) fn is_nothing_accepted(&self) -> bool {
        self.accepted.registers == 0 && self.accepted.pupils == 0
    }
}

/// What a sender without times of revision must know.
pub(crate) const RETRY: &str =
    "revised_at was missing, so this is the time of receipt; a retry must send it, else it counts as a newer revision";
