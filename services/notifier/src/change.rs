//! An alert change from Kafka, checked: nothing in it can fail any more. One that does not decode means a bad release.

use crate::message;
use attendance::Urn;
use attendance::alert::Change;
use attendance::rule::Level;
use prost::Message as _;
use proto::v1;
use store::casework::{AlertRow, GapRow};
use transport::WorkError;
use uuid::Uuid;

/// A change that was checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Checked {
    pub(crate) alert_id: String,
    /// From 1, without gaps within an alert.
    pub(crate) version: i32,
    pub(crate) change: Change,
    pub(crate) level: Level,
    /// The child, as the tables hold it.
    pub(crate) upn: i64,
    /// The calendar year in which the school year begins.
    pub(crate) school_year: i16,
    pub(crate) raw: v1::AlertChange,
}

/// A change of ours that does not decode means a bad release: the service stops rather than pass it over.
pub(crate) fn check(raw: v1::AlertChange) -> Result<Checked, WorkError> {
    let bad = |field: &str| WorkError::Fatal(format!("an alert change has a {field} that it cannot have").into());
    let alert_id = Uuid::from_slice(&raw.alert_id).map_err(|_| bad("alert_id"))?.to_string();
    let change = message::change(raw.change()).ok_or_else(|| bad("change"))?;
    let level = u8::try_from(raw.level).ok().and_then(Level::from_number).ok_or_else(|| bad("level"))?;
    let version = i32::try_from(raw.version).ok().filter(|version| *version > 0).ok_or_else(|| bad("version"))?;
    let school_year = i16::try_from(raw.school_year).map_err(|_| bad("school_year"))?;
    Ok(Checked { alert_id, version, change, level, upn: row_upn(raw.upn), school_year, raw })
}

impl Checked {
    /// The change that was kept aside.
    pub(crate) fn of_gap(body: &[u8]) -> Result<Self, WorkError> {
        check(v1::AlertChange::decode(body).map_err(|error| WorkError::Fatal(error.into()))?)
    }

    /// The pupil's school; none where none is known.
    pub(crate) fn school(&self) -> Option<Urn> {
        Urn::new(self.raw.school_urn).ok()
    }

    /// The register that caused it; empty where none did.
    pub(crate) fn register_id(&self) -> String {
        Uuid::from_slice(&self.raw.register_id).map(|id| id.to_string()).unwrap_or_default()
    }

    /// The alert after it.
    pub(crate) fn alert_row(&self, case_id: i64, at: i64) -> AlertRow {
        let raw = &self.raw;
        let state = match self.change {
            Change::Raised | Change::Escalated | Change::Reduced | Change::Moved => "open",
            Change::Cleared | Change::Withdrawn | Change::YearEnded => "closed",
        };
        AlertRow {
            alert_id: self.alert_id.clone(),
            case_id,
            rule: raw.rule.clone(),
            episode: number(raw.episode),
            version: self.version,
            change: self.change.text().to_owned(),
            state: state.to_owned(),
            level: i16::from(self.level.number()),
            since: raw.since,
            as_of: raw.as_of,
            evidence: raw.evidence.as_ref().map(prost::Message::encode_to_vec).unwrap_or_default(),
            sentence: raw.sentence.clone(),
            rule_set: i64::try_from(raw.rule_set).unwrap_or(i64::MAX),
            changed_at: at,
        }
    }

    /// What is kept of it until the change before it comes.
    pub(crate) fn gap_row(&self, part: i32, since: i64) -> GapRow {
        GapRow {
            alert_id: self.alert_id.clone(),
            version: self.version,
            upn: self.upn,
            part,
            body: self.raw.encode_to_vec(),
            since,
        }
    }
}

/// A count as the tables hold it.
pub(crate) fn number(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// A UPN as the tables hold it: 48 bits always fit.
pub(crate) fn row_upn(upn: u64) -> i64 {
    i64::try_from(upn).unwrap_or(i64::MAX)
}
