//! One alert change, applied to its case within the transaction of its batch: version n+1 to an alert at n exactly once;
//! n and less are dropped, what leaves a gap is kept aside until the gap is filled.

use crate::message::{self, Message, level_words};
use crate::metrics::IntakeLabel;
use crate::news::{self, News};
use crate::random::{self, Random};
use attendance::alert::Change;
use attendance::rule::{Level, RuleId};
use attendance::{Session, Timestamp, Urn};
use installation::InForce;
use prost::Message as _;
use proto::v1;
use routing::Facts;
use store::casework::{AlertRow, CaseChange, GapRow};
use store::delivery::NewDelivery;
use store::{StoreError, Tx, casework, delivery};
use transport::WorkError;
use uuid::Uuid;

/// What a change is applied with.
pub(crate) struct Applying<'a> {
    pub(crate) in_force: &'a InForce,
    pub(crate) random: &'a Random,
    /// Under which message ids are made.
    pub(crate) namespace: Uuid,
    pub(crate) part: i32,
    /// Now, by the wall.
    pub(crate) now: Timestamp,
}

/// What became of the changes of a batch: counted once its commit is known to be done.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) changes: Vec<IntakeLabel>,
    pub(crate) unclaimed: u64,
    pub(crate) deliveries: u64,
}

/// A change that was checked: nothing in it can fail any more.
struct Checked {
    alert_id: String,
    change: Change,
    level: Level,
    raw: v1::AlertChange,
}

pub(crate) fn store_error(error: StoreError) -> WorkError {
    match error {
        // Two cases drew one reference, which the next attempt does not do again.
        StoreError::Constraint { doing: "casework.put_case", .. } => WorkError::Unavailable(error.into()),
        error if error.is_retryable() => WorkError::Unavailable(error.into()),
        error => WorkError::Fatal(error.into()),
    }
}

/// A change of ours that does not decode means a bad release: the service stops rather than pass it over.
fn check(raw: v1::AlertChange) -> Result<Checked, WorkError> {
    let bad = |field: &str| WorkError::Fatal(format!("an alert change has a {field} that it cannot have").into());
    let alert_id = Uuid::from_slice(&raw.alert_id).map_err(|_| bad("alert_id"))?.to_string();
    let change = message::change(raw.change()).ok_or_else(|| bad("change"))?;
    let level = u8::try_from(raw.level).ok().and_then(Level::from_number).ok_or_else(|| bad("level"))?;
    if raw.version == 0 {
        return Err(bad("version"));
    }
    Ok(Checked { alert_id, change, level, raw })
}

fn number(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// The register that caused a change; empty where none did.
fn register_id(raw: &v1::AlertChange) -> String {
    Uuid::from_slice(&raw.register_id).map(|id| id.to_string()).unwrap_or_default()
}

/// A UPN as the tables hold it: 48 bits always fit.
fn row_upn(upn: u64) -> i64 {
    i64::try_from(upn).unwrap_or(i64::MAX)
}

impl Applying<'_> {
    /// Applies one change, and those kept aside that it was missing for.
    pub(crate) async fn apply(&self, tx: &mut Tx, raw: v1::AlertChange, tally: &mut Tally) -> Result<(), WorkError> {
        if raw.change() == v1::Change::Erased {
            casework::erase(tx, row_upn(raw.upn)).await.map_err(store_error)?;
            tally.changes.push(IntakeLabel::Erased);
            return Ok(());
        }
        let checked = check(raw)?;
        let known = casework::version(tx, &checked.alert_id).await.map_err(store_error)?;
        let version = number(checked.raw.version);
        if version <= known {
            tally.changes.push(IntakeLabel::Repeated);
            return Ok(());
        }
        if version > known + 1 {
            return self.keep_aside(tx, &checked, tally).await;
        }
        let alert_id = checked.alert_id.clone();
        self.apply_next(tx, &checked, tally).await?;
        let mut next = version + 1;
        while let Some(body) = casework::take_gap(tx, &alert_id, next).await.map_err(store_error)? {
            let raw = v1::AlertChange::decode(body.as_slice()).map_err(|error| WorkError::Fatal(error.into()))?;
            self.apply_next(tx, &check(raw)?, tally).await?;
            next += 1;
        }
        Ok(())
    }

    async fn keep_aside(&self, tx: &mut Tx, checked: &Checked, tally: &mut Tally) -> Result<(), WorkError> {
        let gap = GapRow {
            alert_id: checked.alert_id.clone(),
            version: number(checked.raw.version),
            upn: row_upn(checked.raw.upn),
            part: self.part,
            body: checked.raw.encode_to_vec(),
            since: self.now.micros(),
        };
        let kept = casework::put_gap(tx, &gap).await.map_err(store_error)?;
        tally.changes.push(if kept { IntakeLabel::Gap } else { IntakeLabel::Repeated });
        Ok(())
    }

    /// Applies the change that comes next: case, alert, deliveries.
    async fn apply_next(&self, tx: &mut Tx, checked: &Checked, tally: &mut Tally) -> Result<(), WorkError> {
        let raw = &checked.raw;
        let locality = self.locality(raw);
        if locality.is_none() {
            tally.unclaimed += 1;
        }
        let case = CaseChange {
            upn: row_upn(raw.upn),
            school_year: i16::try_from(raw.school_year).unwrap_or(i16::MAX),
            reference: random::reference(self.random).map_err(|error| WorkError::Unavailable(error.into()))?,
            locality: locality.clone(),
            school_urn: number(raw.school_urn),
            at: self.now.micros(),
        };
        let (case_id, reference) = casework::put_case(tx, &case).await.map_err(store_error)?;
        casework::put_alert(tx, &self.alert_row(checked, case_id)).await.map_err(store_error)?;
        casework::settle(tx, case_id).await.map_err(store_error)?;
        tally.changes.push(IntakeLabel::Applied);
        if self.news(raw) == News::Old {
            tally.changes.push(IntakeLabel::Silent);
            return Ok(());
        }
        let message = self.message(checked, &reference, locality);
        match self.put_deliveries(tx, checked, case_id, &message).await? {
            Some(count) => tally.deliveries += count,
            None => tally.changes.push(IntakeLabel::Unrouted),
        }
        Ok(())
    }

    fn locality(&self, raw: &v1::AlertChange) -> Option<String> {
        let home = Some(raw.home_locality.as_str());
        self.in_force.policy.locality_of(home, Urn::new(raw.school_urn).ok()).map(str::to_owned)
    }

    fn news(&self, raw: &v1::AlertChange) -> News {
        if raw.history {
            return News::Old;
        }
        let policy = &self.in_force.policy;
        let caused_by = (raw.caused_by != 0).then(|| Session::from_number(raw.caused_by));
        let Ok(school) = Urn::new(raw.school_urn) else { return News::New };
        let calendar = policy.calendars.of(school);
        news::judge(calendar, policy.notify.newer_than, Session::from_number(raw.as_of), caused_by)
    }

    fn alert_row(&self, checked: &Checked, case_id: i64) -> AlertRow {
        let raw = &checked.raw;
        let state = match checked.change {
            Change::Raised | Change::Escalated | Change::Reduced => "open",
            Change::Cleared | Change::Withdrawn => "closed",
        };
        AlertRow {
            alert_id: checked.alert_id.clone(),
            case_id,
            rule: raw.rule.clone(),
            episode: number(raw.episode),
            version: number(raw.version),
            change: checked.change.text().to_owned(),
            state: state.to_owned(),
            level: i16::from(checked.level.number()),
            since: raw.since,
            as_of: raw.as_of,
            evidence: raw.evidence.as_ref().map(prost::Message::encode_to_vec).unwrap_or_default(),
            sentence: raw.sentence.clone(),
            rule_set: i64::try_from(raw.rule_set).unwrap_or(i64::MAX),
            changed_at: self.now.micros(),
        }
    }

    fn message(&self, checked: &Checked, reference: &str, locality: Option<String>) -> Message {
        let (raw, policy) = (&checked.raw, &self.in_force.policy);
        let school = Urn::new(raw.school_urn).ok().and_then(|urn| policy.schools.get(&urn));
        let rule = RuleId::parse(&raw.rule).ok();
        let rule =
            rule.and_then(|id| policy.rules.rule(&id)).map_or_else(|| raw.rule.clone(), |rule| rule.title.clone());
        Message {
            reference: reference.to_owned(),
            school: school.map_or_else(|| "school not known".to_owned(), |school| school.name.clone()),
            locality,
            rule,
            level: level_words(checked.level).to_owned(),
            change: checked.change.text().to_owned(),
            version: raw.version,
            sentence: raw.sentence.clone(),
            link: policy.notify.link.as_ref().map(|link| link.replace("{reference}", reference)),
            said_at: self.now.to_string(),
        }
    }

    /// Puts a delivery for each receiver that the routes name; gives how many are new, none where they name nobody.
    async fn put_deliveries(
        &self,
        tx: &mut Tx,
        checked: &Checked,
        case_id: i64,
        message: &Message,
    ) -> Result<Option<u64>, WorkError> {
        let facts = Facts {
            locality: message.locality.as_deref(),
            level: checked.level,
            rule: &checked.raw.rule,
            change: checked.change,
        };
        let decision = self.in_force.policy.notify.routes.decide(&facts);
        if decision.receivers().is_empty() {
            return Ok(None);
        }
        let mut count = 0;
        let body = serde_json::to_string(message).map_err(|error| WorkError::Fatal(error.into()))?;
        for receiver in decision.receivers() {
            // With the reference, which is random: after an erasure the same alert and version are another message.
            let about = format!("{}/{}/{}/{receiver}", message.reference, checked.alert_id, checked.raw.version);
            let new = NewDelivery {
                message_id: Uuid::new_v5(&self.namespace, about.as_bytes()).to_string(),
                case_id: Some(case_id),
                alert_id: checked.alert_id.clone(),
                version: number(checked.raw.version),
                receiver: (*receiver).to_owned(),
                body: body.clone(),
                register_id: register_id(&checked.raw),
                received_at: checked.raw.received_at,
                at: self.now.micros(),
            };
            if delivery::put(tx, &new).await.map_err(store_error)? {
                count += 1;
            }
        }
        Ok(Some(count))
    }
}
