//! Alerts about schools. There is no case of a school: an alert is all that is kept.
//!
//! Owner: the notifier, in the transaction of its batch.

use crate::{Store, StoreError, Tx};

/// An alert about a school.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchoolAlertRow {
    /// The alert.
    pub alert_id: String,
    /// The school.
    pub urn: i32,
    /// Changes so far.
    pub version: i32,
    /// 1 heard, 2 incomplete, 3 silent.
    pub state: i16,
    /// The first session of the silence.
    pub since: i32,
    /// The newest session that was due.
    pub session: i32,
    /// What is said.
    pub sentence: String,
    /// When it was last changed.
    pub changed_at: i64,
}

/// Writes an alert; false, and nothing done, where as new a version or a newer one is there.
///
/// # Errors
/// As the database answers.
pub async fn put(tx: &mut Tx, row: &SchoolAlertRow) -> Result<bool, StoreError> {
    let written = in_tx!(
        tx,
        "school_alert.put",
        execute,
        sqlx::query(PUT),
        row.alert_id.as_str(),
        row.urn,
        row.version,
        row.state,
        row.since,
        row.session,
        row.sentence.as_str(),
        row.changed_at
    )?;
    Ok(written > 0)
}

/// The alerts that are open, in the order of the schools' URNs.
///
/// # Errors
/// As the database answers.
pub async fn open(store: &Store) -> Result<Vec<SchoolAlertRow>, StoreError> {
    let rows = on_pool!(store, "school_alert.open", fetch_all, sqlx::query_as::<_, Row>(OPEN))?;
    let row = |(alert_id, urn, version, state, since, session, sentence, changed_at): Row| SchoolAlertRow {
        alert_id,
        urn,
        version,
        state,
        since,
        session,
        sentence,
        changed_at,
    };
    Ok(rows.into_iter().map(row).collect())
}

type Row = (String, i32, i32, i16, i32, i32, String, i64);

const PUT: &str = "
INSERT INTO school_alert (alert_id, urn, version, state, since, session, sentence, changed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (alert_id) DO UPDATE SET
    version = excluded.version, state = excluded.state, since = excluded.since, session = excluded.session,
    sentence = excluded.sentence, changed_at = excluded.changed_at
WHERE excluded.version > school_alert.version";

const OPEN: &str = "
SELECT alert_id, urn, version, state, since, session, sentence, changed_at FROM school_alert
WHERE state > 1 ORDER BY urn, alert_id";
