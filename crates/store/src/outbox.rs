//! The outbox: alert changes that are committed and not yet known to be on Kafka, a row a batch.
//!
//! Owner: rules, the owner of the partition; of [`SCHOOLS`] ingest, the owner of the first partition of registers. A row's number is
//! given under the position row, so number order is commit order; rows are relayed in that order and deleted after the ack, in a
//! transaction of the owner's.

use crate::{Store, StoreError, Tx};

/// The partition under which ingest puts its changes of schools: no partition of events has its number.
pub const SCHOOLS: i32 = -1;

/// A row waiting to be relayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// The partition.
    pub part: i32,
    /// Its number in the partition, from 1.
    pub number: i64,
    /// When it was put.
    pub put_at: i64,
    /// The changes, encoded.
    pub payload: Vec<u8>,
}

/// How much of a partition waits: for metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// The partition.
    pub part: i32,
    /// Rows waiting.
    pub rows: i64,
    /// Bytes of their payloads.
    pub bytes: i64,
    /// When the oldest was put.
    pub oldest_put_at: i64,
}

/// Puts a row.
///
/// # Errors
/// `Constraint` for a number that is taken or below 1.
pub async fn put(tx: &mut Tx, row: &OutboxRow) -> Result<(), StoreError> {
    in_tx!(tx, "outbox.put", execute, sqlx::query(PUT), row.part, row.number, row.put_at, row.payload.as_slice())?;
    Ok(())
}

/// The first `limit` rows of a partition after number `after` (0 for all), in number order.
///
/// # Errors
/// As the database answers.
pub async fn list(store: &Store, part: i32, after: i64, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
    let rows =
        on_pool!(store, "outbox.list", fetch_all, sqlx::query_as::<_, Row>(LIST), part, after, i64::from(limit))?;
    Ok(rows.into_iter().map(|(part, number, put_at, payload)| OutboxRow { part, number, put_at, payload }).collect())
}

/// Deletes the rows of a partition up to and with `number`; gives how many there were.
///
/// # Errors
/// As the database answers.
pub async fn delete_through(tx: &mut Tx, part: i32, number: i64) -> Result<u64, StoreError> {
    in_tx!(tx, "outbox.delete_through", execute, sqlx::query(DELETE_THROUGH), part, number)
}

/// What waits, for each partition in which anything does.
///
/// # Errors
/// As the database answers.
pub async fn backlog(store: &Store) -> Result<Vec<Backlog>, StoreError> {
    let rows = on_pool!(store, "outbox.backlog", fetch_all, sqlx::query_as::<_, (i32, i64, i64, i64)>(BACKLOG))?;
    Ok(rows
        .into_iter()
        .map(|(part, rows, bytes, oldest_put_at)| Backlog { part, rows, bytes, oldest_put_at })
        .collect())
}

type Row = (i32, i64, i64, Vec<u8>);

const PUT: &str = "INSERT INTO outbox (part, number, put_at, payload) VALUES ($1, $2, $3, $4)";

const LIST: &str = "
SELECT part, number, put_at, payload FROM outbox
WHERE part = $1 AND number > $2 ORDER BY number LIMIT $3";

const DELETE_THROUGH: &str = "DELETE FROM outbox WHERE part = $1 AND number <= $2";

const BACKLOG: &str = "
SELECT part, COUNT(*), CAST(SUM(OCTET_LENGTH(payload)) AS bigint), MIN(put_at) FROM outbox
GROUP BY part ORDER BY part";
