//! A run of alert changes, applied to their cases within the transaction of its batch: cases, alerts, and what their receivers are
//! owed, each in one statement for all.

use crate::change::{Checked, check};
use crate::message::Told;
use crate::metrics::IntakeLabel;
use crate::moved::Moved;
use crate::order::order;
use crate::random::{self, Random};
use attendance::{Timestamp, Urn};
use installation::InForce;
use proto::v1;
use std::collections::{BTreeMap, BTreeSet};
use store::casework::{AlertRow, CaseChange, GapRow, KnownCase};
use store::{StoreError, Tx, casework, delivery};
use transport::WorkError;
use uuid::Uuid;

/// What changes are applied with.
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

/// A child and a school year: one case.
pub(crate) type CaseKey = (i64, i16);

/// A case after the changes, and what it was before them.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) id: i64,
    pub(crate) reference: String,
    /// The locality that it belongs to; none where nobody claims it.
    pub(crate) locality: Option<String>,
    pub(crate) moved: Moved,
}

pub(crate) fn store_error(error: StoreError) -> WorkError {
    match error {
        // Two cases drew one reference, which the next attempt does not do again.
        StoreError::Constraint { doing: "casework.upsert_cases", .. } => WorkError::Unavailable(error.into()),
        error if error.is_retryable() => WorkError::Unavailable(error.into()),
        error => WorkError::Fatal(error.into()),
    }
}

impl Applying<'_> {
    /// Applies changes, none of them an erasure, and those kept aside that they were missing for.
    pub(crate) async fn apply(
        &self,
        tx: &mut Tx,
        run: Vec<v1::AlertChange>,
        tally: &mut Tally,
    ) -> Result<(), WorkError> {
        if run.is_empty() {
            return Ok(());
        }
        let changes = run.into_iter().map(check).collect::<Result<Vec<_>, _>>()?;
        let ids: BTreeSet<&str> = changes.iter().map(|change| change.alert_id.as_str()).collect();
        let ids: Vec<&str> = ids.into_iter().collect();
        let versions = casework::versions(tx, &ids).await.map_err(store_error)?.into_iter().collect();
        let kept = casework::gaps_of(tx, &ids).await.map_err(store_error)?;
        let kept = kept.into_iter().map(|(alert, version, body)| ((alert, version), body)).collect();
        let order = order(versions, kept, changes)?;
        tally.changes.extend(std::iter::repeat_n(IntakeLabel::Repeated, order.repeated));
        tally.changes.extend(order.aside.iter().map(|_| IntakeLabel::Gap));
        let gaps: Vec<GapRow> = order.aside.iter().map(|gap| gap.gap_row(self.part, self.now.micros())).collect();
        casework::put_gaps(tx, &gaps).await.map_err(store_error)?;
        for (alert_id, version) in &order.filled {
            casework::forget_gap(tx, alert_id, *version).await.map_err(store_error)?;
        }
        if order.next.is_empty() {
            return Ok(());
        }
        let cases = self.cases(tx, &order.next, tally).await?;
        let case_of = |change: &Checked| cases.get(&(change.upn, change.school_year));
        let row = |change: &Checked| case_of(change).map(|case| change.alert_row(case.id, self.now.micros()));
        let rows: Vec<AlertRow> = order.next.iter().filter_map(row).collect();
        casework::upsert_alerts(tx, &rows).await.map_err(store_error)?;
        let ids: Vec<i64> = cases.values().map(|case| case.id).collect();
        casework::settle(tx, &ids).await.map_err(store_error)?;
        tally.changes.extend(order.next.iter().map(|_| IntakeLabel::Applied));
        let deliveries = self.tell(tx, &order.next, &cases, tally).await?;
        tally.deliveries += delivery::put_many(tx, &deliveries).await.map_err(store_error)?;
        Ok(())
    }

    /// Makes or changes the cases of changes.
    async fn cases(
        &self,
        tx: &mut Tx,
        changes: &[Checked],
        tally: &mut Tally,
    ) -> Result<BTreeMap<CaseKey, Case>, WorkError> {
        let upns: BTreeSet<i64> = changes.iter().map(|change| change.upn).collect();
        let upns: Vec<i64> = upns.into_iter().collect();
        let before = known(tx, &upns).await?;
        // Of several changes of a case the newest says where the child is.
        let mut rows: BTreeMap<CaseKey, CaseChange> = BTreeMap::new();
        for change in changes {
            let key = (change.upn, change.school_year);
            let reference = match (before.get(&key), rows.get(&key)) {
                (Some(case), _) => case.reference.clone(),
                (None, Some(row)) => row.reference.clone(),
                (None, None) => random::reference(self.random).map_err(|error| WorkError::Unavailable(error.into()))?,
            };
            let off_roll_since = (change.raw.off_roll_since != 0).then_some(change.raw.off_roll_since);
            let locality = match before.get(&key) {
                // A child on no roll stays with those who look for it.
                Some(case) if off_roll_since.is_some() => case.locality.clone(),
                _ => self.locality(change).map(str::to_owned),
            };
            let seen_by = self.seen_by(change, locality.as_deref());
            tally.unclaimed += u64::from(locality.is_none());
            let school_urn = crate::change::number(change.raw.school_urn);
            let ((upn, school_year), at) = (key, self.now.micros());
            let row = CaseChange { upn, school_year, reference, locality, school_urn, off_roll_since, seen_by, at };
            rows.insert(key, row);
        }
        let is_new = rows.keys().any(|key| !before.contains_key(key));
        let rows: Vec<CaseChange> = rows.into_values().collect();
        casework::upsert_cases(tx, &rows).await.map_err(store_error)?;
        let made = if is_new { Some(known(tx, &upns).await?) } else { None };
        let now = made.as_ref().unwrap_or(&before);
        let case = |row: CaseChange| {
            let key = (row.upn, row.school_year);
            let moved = Moved::between(before.get(&key), &row);
            let CaseChange { reference, locality, .. } = row;
            Some((key, Case { id: now.get(&key)?.id, reference, locality, moved }))
        };
        Ok(rows.into_iter().filter_map(case).collect())
    }

    /// The locality that a change's case belongs to; none where nobody claims it.
    fn locality(&self, change: &Checked) -> Option<&str> {
        self.in_force.policy.locality_of(Some(change.raw.home_locality.as_str()), change.school())
    }

    /// The localities of a child's other schools: they see the case, and do not work it; a line each.
    fn seen_by(&self, change: &Checked, own: Option<&str>) -> String {
        let schools = change.raw.other_school_urns.iter().filter_map(|urn| Urn::new(*urn).ok());
        let others = schools.filter_map(|school| self.in_force.policy.locality(school));
        let others: BTreeSet<&str> = others.filter(|locality| Some(*locality) != own).collect();
        others.into_iter().collect::<Vec<_>>().join("\n")
    }

    /// Deletes all that is about a child, also what messages about many cases say of it.
    pub(crate) async fn erase(&self, tx: &mut Tx, upn: i64, tally: &mut Tally) -> Result<(), WorkError> {
        let references: BTreeSet<String> = known(tx, &[upn]).await?.into_values().map(|case| case.reference).collect();
        for (message_id, body) in delivery::digests_of(tx, upn).await.map_err(store_error)? {
            let told: Told = serde_json::from_str(&body).map_err(|error| WorkError::Fatal(error.into()))?;
            let Told::Storm(mut digest) = told else { continue };
            digest.cases.retain(|case| !references.contains(&case.reference));
            if digest.cases.is_empty() {
                delivery::delete(tx, &message_id).await.map_err(store_error)?;
                continue;
            }
            let told = serde_json::to_string(&Told::Storm(digest)).map_err(|error| WorkError::Fatal(error.into()))?;
            delivery::rewrite(tx, &message_id, &told).await.map_err(store_error)?;
        }
        casework::erase(tx, upn).await.map_err(store_error)?;
        tally.changes.push(IntakeLabel::Erased);
        Ok(())
    }
}

async fn known(tx: &mut Tx, upns: &[i64]) -> Result<BTreeMap<CaseKey, KnownCase>, WorkError> {
    let cases = casework::cases(tx, upns).await.map_err(store_error)?;
    Ok(cases.into_iter().map(|case| ((case.upn, case.school_year), case)).collect())
}
