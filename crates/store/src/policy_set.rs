//! Policy sets: every set of rules, calendars and directory that was ever put in force, and which one is.
//!
//! Owner: `earlybell apply`. Versions never repeat: rolling back puts the old files in force under a new version.

use crate::{Store, StoreError, Tx};

/// A set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySet {
    /// Its version, from 1, without gaps.
    pub version: i64,
    /// When it was put in force.
    pub applied_at: i64,
    /// By whom.
    pub applied_by: String,
    /// Its files, as JSON.
    pub files: String,
}

/// Puts a set in force, gives its new version. Two at once follow each other.
///
/// # Errors
/// As the database answers.
pub async fn put_in_force(tx: &mut Tx, files: &str, by: &str, at: i64) -> Result<i64, StoreError> {
    let doing = "policy_set.put_in_force";
    // The pointer's row lock gives the versions out, so it goes first.
    let version: i64 = in_tx!(tx, doing, fetch_one, sqlx::query_scalar(NEXT_VERSION))?;
    in_tx!(tx, doing, execute, sqlx::query(INSERT), version, at, by, files)?;
    Ok(version)
}

/// The set in force; `None` before the first.
///
/// # Errors
/// As the database answers.
pub async fn in_force(store: &Store) -> Result<Option<PolicySet>, StoreError> {
    let row = on_pool!(store, "policy_set.in_force", fetch_optional, sqlx::query_as::<_, Row>(IN_FORCE))?;
    Ok(row.map(decode))
}

/// The version in force; `None` before the first. Cheap: to be asked often.
///
/// # Errors
/// As the database answers.
pub async fn version(store: &Store) -> Result<Option<i64>, StoreError> {
    on_pool!(store, "policy_set.version", fetch_optional, sqlx::query_scalar(VERSION))
}

/// A set that was once in force.
///
/// # Errors
/// As the database answers.
pub async fn get(store: &Store, version: i64) -> Result<Option<PolicySet>, StoreError> {
    let row = on_pool!(store, "policy_set.get", fetch_optional, sqlx::query_as::<_, Row>(GET), version)?;
    Ok(row.map(decode))
}

type Row = (i64, i64, String, String);

fn decode((version, applied_at, applied_by, files): Row) -> PolicySet {
    PolicySet { version, applied_at, applied_by, files }
}

const NEXT_VERSION: &str = "
INSERT INTO policy_in_force (id, version) VALUES (1, 1)
ON CONFLICT (id) DO UPDATE SET version = policy_in_force.version + 1
RETURNING version";

const INSERT: &str = "INSERT INTO policy_set (version, applied_at, applied_by, files) VALUES ($1, $2, $3, $4)";

const IN_FORCE: &str = "
SELECT version, applied_at, applied_by, files FROM policy_set
WHERE version = (SELECT version FROM policy_in_force)";

const VERSION: &str = "SELECT version FROM policy_in_force";

const GET: &str = "SELECT version, applied_at, applied_by, files FROM policy_set WHERE version = $1";
