//! Held pupils: set aside because folding or judging them fails, so that all others go on.
//!
//! Owner: rules, the owner of the partition, under its position row.

use crate::{Store, StoreError, Tx};

/// A pupil set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRow {
    /// The pupil.
    pub upn: i64,
    /// The partition that the pupil belongs to.
    pub part: i32,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: i64,
    /// The offset of the first event that was not folded.
    pub event_offset: i64,
}

/// Holds a pupil; false where it was held already: the first reason and offset stay.
///
/// # Errors
/// As the database answers.
pub async fn put(tx: &mut Tx, row: &HeldRow) -> Result<bool, StoreError> {
    Ok(in_tx!(
        tx,
        "held.put",
        execute,
        sqlx::query(PUT),
        row.upn,
        row.part,
        row.reason.as_str(),
        row.since,
        row.event_offset
    )? == 1)
}

/// The held pupils of a partition, in the order of UPNs.
///
/// # Errors
/// As the database answers.
pub async fn list(store: &Store, part: i32) -> Result<Vec<HeldRow>, StoreError> {
    let rows = on_pool!(store, "held.list", fetch_all, sqlx::query_as::<_, (i64, i32, String, i64, i64)>(LIST), part)?;
    let decode = |(upn, part, reason, since, event_offset)| HeldRow { upn, part, reason, since, event_offset };
    Ok(rows.into_iter().map(decode).collect())
}

/// Lifts the hold of a pupil; false where there was none.
///
/// # Errors
/// As the database answers.
pub async fn lift(tx: &mut Tx, upn: i64) -> Result<bool, StoreError> {
    Ok(in_tx!(tx, "held.lift", execute, sqlx::query(LIFT), upn)? == 1)
}

const PUT: &str = "
INSERT INTO held (upn, part, reason, since, event_offset) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (upn) DO NOTHING";

const LIST: &str = "SELECT upn, part, reason, since, event_offset FROM held WHERE part = $1 ORDER BY upn";

const LIFT: &str = "DELETE FROM held WHERE upn = $1";
