//! How schools stand of which registers did not come: the newest silence of each, over or not.
//!
//! Owner: ingest, the owner of the first partition of registers, under its position row.

use crate::{Store, StoreError, Tx};

/// How a school stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StandingRow {
    /// The school.
    pub urn: i32,
    /// 1 heard, 2 incomplete, 3 silent.
    pub state: i16,
    /// The first session of the silence.
    pub since: i32,
    /// The how manieth it is.
    pub episode: i32,
    /// Its changes so far.
    pub version: i32,
}

/// Writes how a school stands.
///
/// # Errors
/// As the database answers.
pub async fn put(tx: &mut Tx, row: &StandingRow) -> Result<(), StoreError> {
    let StandingRow { urn, state, since, episode, version } = *row;
    in_tx!(tx, "school_watch.put", execute, sqlx::query(PUT), urn, state, since, episode, version)?;
    Ok(())
}

/// How schools stand, in the order of their URNs.
///
/// # Errors
/// As the database answers.
pub async fn list(store: &Store) -> Result<Vec<StandingRow>, StoreError> {
    let rows = on_pool!(store, "school_watch.list", fetch_all, sqlx::query_as::<_, (i32, i16, i32, i32, i32)>(LIST))?;
    let row = |(urn, state, since, episode, version)| StandingRow { urn, state, since, episode, version };
    Ok(rows.into_iter().map(row).collect())
}

const PUT: &str = "
INSERT INTO school_watch (urn, state, since, episode, version) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (urn) DO UPDATE SET
    state = excluded.state, since = excluded.since, episode = excluded.episode, version = excluded.version";

const LIST: &str = "SELECT urn, state, since, episode, version FROM school_watch ORDER BY urn";
