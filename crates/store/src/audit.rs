//! The audit: who did what. Append only, which the tables' triggers enforce.
//!
//! Owner: whoever acts; the console reads it.

use crate::{CommitError, Store, StoreError, Tx};

/// What somebody did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// When.
    pub at: i64,
    /// Who: a person's or a service's name.
    pub actor: String,
    /// What, as one of the console's or the command line's verbs.
    pub action: String,
    /// The pupil concerned, if one was.
    pub upn: Option<i64>,
    /// The rest, in words or as JSON.
    pub detail: String,
}

/// An entry of the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number, rising.
    pub id: i64,
    /// What was done.
    pub act: Act,
}

/// Appends an entry in the transaction of what it tells.
///
/// # Errors
/// As the database answers.
pub async fn append(tx: &mut Tx, act: &Act) -> Result<(), StoreError> {
    in_tx!(
        tx,
        "audit.append",
        execute,
        sqlx::query(APPEND),
        act.at,
        act.actor.as_str(),
        act.action.as_str(),
        act.upn,
        act.detail.as_str()
    )?;
    Ok(())
}

/// Appends an entry on its own: for what changes nothing here, such as looking at a pupil.
///
/// # Errors
/// As the database answers. After `Unknown` a second attempt can leave two entries.
pub async fn append_alone(store: &Store, act: &Act) -> Result<(), CommitError> {
    let mut tx = store.begin().await.map_err(CommitError::Failed)?;
    append(&mut tx, act).await.map_err(CommitError::Failed)?;
    tx.commit().await
}

/// The first `limit` entries after number `after` (0 for all), in order.
///
/// # Errors
/// As the database answers.
pub async fn list(store: &Store, after: i64, limit: u32) -> Result<Vec<Entry>, StoreError> {
    let rows = on_pool!(store, "audit.list", fetch_all, sqlx::query_as::<_, Row>(LIST), after, i64::from(limit))?;
    let decode = |(id, at, actor, action, upn, detail)| Entry { id, act: Act { at, actor, action, upn, detail } };
    Ok(rows.into_iter().map(decode).collect())
}

type Row = (i64, i64, String, String, Option<i64>, String);

const APPEND: &str = "INSERT INTO audit (at, actor, action, upn, detail) VALUES ($1, $2, $3, $4, $5)";

const LIST: &str = "SELECT id, at, actor, action, upn, detail FROM audit WHERE id > $1 ORDER BY id LIMIT $2";
