//! Changes of schools, as ingest decides them: the alert of a school, and one message a receiver for all schools of a batch that have fallen
//! silent, so that a supplier's bad morning is one message a team and not one a school. What becomes of it the API shows: a team that has
//! asked the school needs no second message.

use crate::apply::{Applying, store_error};
use crate::change::number;
use crate::message::{self, SchoolSaid, Schools, Told};
use attendance::alert::Change;
use attendance::silence::{RULE, State};
use attendance::{Session, Timestamp, Urn};
use policy::Policy;
use proto::v1;
use routing::Facts;
use std::collections::BTreeMap;
use store::delivery::{self, NewDelivery};
use store::school_alert::{self, SchoolAlertRow};
use store::{Store, StoreError, Tx};
use transport::WorkError;
use uuid::Uuid;

/// A change that was checked.
struct Checked<'a> {
    alert_id: String,
    version: i32,
    school: Urn,
    change: Change,
    state: State,
    raw: &'a v1::SchoolChange,
}

/// A change of ours that does not decode means a bad release: the service stops rather than pass it over.
fn check(raw: &v1::SchoolChange) -> Result<Checked<'_>, WorkError> {
    let bad = |field: &str| WorkError::Fatal(format!("a change of a school has a {field} that it cannot have").into());
    let state = u8::try_from(raw.state).ok().and_then(State::from_number).ok_or_else(|| bad("state"))?;
    Ok(Checked {
        alert_id: Uuid::from_slice(&raw.alert_id).map_err(|_| bad("alert_id"))?.to_string(),
        version: i32::try_from(raw.version).ok().filter(|version| *version > 0).ok_or_else(|| bad("version"))?,
        school: Urn::new(raw.school_urn).map_err(|_| bad("school_urn"))?,
        change: message::change(raw.change()).ok_or_else(|| bad("change"))?,
        state,
        raw,
    })
}

impl Applying<'_> {
    /// Applies changes of schools; gives how many deliveries are new. What was applied before changes nothing.
    pub(crate) async fn schools(&self, tx: &mut Tx, changes: &[v1::SchoolChange]) -> Result<u64, WorkError> {
        let mut new = Vec::new();
        for raw in changes {
            let change = check(raw)?;
            if school_alert::put(tx, &self.school_row(&change)).await.map_err(store_error)? {
                new.push(change);
            }
        }
        let deliveries = self.school_deliveries(&new)?;
        delivery::put_many(tx, &deliveries).await.map_err(store_error)
    }

    fn school_row(&self, change: &Checked<'_>) -> SchoolAlertRow {
        SchoolAlertRow {
            alert_id: change.alert_id.clone(),
            urn: number(change.school.number()),
            version: change.version,
            state: i16::from(change.state.number()),
            since: change.raw.since,
            session: change.raw.session,
            sentence: change.raw.sentence.clone(),
            changed_at: self.now.micros(),
        }
    }

    fn school_deliveries(&self, changes: &[Checked<'_>]) -> Result<Vec<NewDelivery>, WorkError> {
        let policy = &self.in_force.policy;
        let severity = policy.watch.as_ref().map(|watch| watch.severity).unwrap_or_default();
        let mut receivers: BTreeMap<&str, Vec<&Checked<'_>>> = BTreeMap::new();
        for change in changes.iter().filter(|change| change.change == Change::Raised) {
            let (locality, level) = (policy.locality(change.school), change.state.level());
            let facts = Facts { locality, level, rule: RULE, severity, change: change.change };
            for receiver in policy.notify.routes.decide(&facts).receivers() {
                receivers.entry(*receiver).or_default().push(change);
            }
        }
        let delivery = |(receiver, changes): (&str, Vec<&Checked<'_>>)| {
            let schools = changes.iter().map(|change| said(policy, change)).collect();
            let told = Told::Schools(Schools { schools, said_at: self.now.to_string() });
            // A change is told a receiver once, so that the first of them tells this message from all others; it counts as one, since
            // schools leave what a receiver may hear of children as it is.
            let first = changes.first().map(|change| (change.alert_id.clone(), change.version)).unwrap_or_default();
            let about = format!("schools/{}/{}/{receiver}", first.0, first.1);
            Ok(NewDelivery {
                message_id: Uuid::new_v5(&self.namespace, about.as_bytes()).to_string(),
                case_id: None,
                changes: vec![first],
                receiver: receiver.to_owned(),
                body: serde_json::to_string(&told).map_err(|error| WorkError::Fatal(error.into()))?,
                register_id: String::new(),
                received_at: 0,
                at: self.now.micros(),
                gather_until: None,
            })
        };
        receivers.into_iter().map(delivery).collect()
    }
}

fn said(policy: &Policy, change: &Checked<'_>) -> SchoolSaid {
    let title = policy.watch.as_ref().map_or(RULE, |watch| watch.title.as_str());
    SchoolSaid {
        alert: change.alert_id.clone(),
        version: change.raw.version,
        change: change.change.text().to_owned(),
        rule: title.to_owned(),
        school_urn: change.school.number(),
        school: name(policy, change.school).unwrap_or("school not known").to_owned(),
        locality: policy.locality(change.school).map(str::to_owned),
        sentence: change.raw.sentence.clone(),
    }
}

fn name(policy: &Policy, school: Urn) -> Option<&str> {
    policy.schools.get(&school).map(|school| school.name.as_str())
}

/// A school whose registers are missing, as the API shows it.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Missing {
    school_urn: i32,
    school: Option<String>,
    pub(crate) locality: Option<String>,
    state: &'static str,
    since: String,
    sentence: String,
    changed_at: String,
}

/// The schools whose registers are missing, by URN.
pub(crate) async fn missing(store: &Store, policy: &Policy) -> Result<Vec<Missing>, StoreError> {
    let rows = school_alert::open(store).await?;
    let missing = |row: SchoolAlertRow| {
        let school = u32::try_from(row.urn).ok().and_then(|urn| Urn::new(urn).ok());
        Missing {
            school_urn: row.urn,
            school: school.and_then(|school| name(policy, school)).map(str::to_owned),
            locality: school.and_then(|school| policy.locality(school)).map(str::to_owned),
            state: u8::try_from(row.state).ok().and_then(State::from_number).map_or("silent", State::text),
            since: Session::from_number(row.since).to_string(),
            sentence: row.sentence,
            changed_at: Timestamp::from_micros(row.changed_at).to_string(),
        }
    };
    Ok(rows.into_iter().map(missing).collect())
}
