//! Keys with which schools and suppliers send registers. Stored hashed: the key itself is shown once and kept nowhere.
//!
//! Owner: `earlybell key`; ingest reads.

use crate::{Store, StoreError, Tx};

/// A key to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiKey {
    /// Whose it is. Several keys may have one name: rotation.
    pub name: String,
    /// The part of the key by which it is found; no secret.
    pub prefix: String,
    /// SHA-256 of the whole key.
    pub hash: Vec<u8>,
    /// The schools' URNs with commas between, or `*` for all.
    pub urns: String,
    /// When it was made.
    pub created_at: i64,
    /// From when on it is refused; `None` for never.
    pub expires_at: Option<i64>,
}

/// A key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its number, rising.
    pub id: i64,
    /// What was stored.
    pub key: NewApiKey,
    /// Since when it is refused; `None` while it is not.
    pub revoked_at: Option<i64>,
}

/// Stores a key.
///
/// # Errors
/// `Constraint` where the prefix is taken, else as the database answers.
pub async fn insert(tx: &mut Tx, key: &NewApiKey) -> Result<(), StoreError> {
    in_tx!(
        tx,
        "api_key.insert",
        execute,
        sqlx::query(INSERT),
        key.name.as_str(),
        key.prefix.as_str(),
        key.hash.as_slice(),
        key.urns.as_str(),
        key.created_at,
        key.expires_at
    )?;
    Ok(())
}

/// The key with that prefix, valid or not.
///
/// # Errors
/// As the database answers.
pub async fn find(store: &Store, prefix: &str) -> Result<Option<ApiKey>, StoreError> {
    Ok(on_pool!(store, "api_key.find", fetch_optional, sqlx::query_as::<_, Row>(FIND), prefix)?.map(decode))
}

/// All keys, by name, the newest of a name first.
///
/// # Errors
/// As the database answers.
pub async fn list(store: &Store) -> Result<Vec<ApiKey>, StoreError> {
    let rows = on_pool!(store, "api_key.list", fetch_all, sqlx::query_as::<_, Row>(LIST))?;
    Ok(rows.into_iter().map(decode).collect())
}

/// Revokes the keys of a name but for its newest `keep`; gives how many were revoked now.
///
/// # Errors
/// As the database answers.
pub async fn revoke(tx: &mut Tx, name: &str, keep: u32, at: i64) -> Result<u64, StoreError> {
    in_tx!(tx, "api_key.revoke", execute, sqlx::query(REVOKE), name, i64::from(keep), at)
}

type Row = (i64, String, String, Vec<u8>, String, i64, Option<i64>, Option<i64>);

fn decode((id, name, prefix, hash, urns, created_at, expires_at, revoked_at): Row) -> ApiKey {
    ApiKey { id, key: NewApiKey { name, prefix, hash, urns, created_at, expires_at }, revoked_at }
}

const INSERT: &str = "
INSERT INTO api_key (name, prefix, hash, urns, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)";

const FIND: &str = "
SELECT id, name, prefix, hash, urns, created_at, expires_at, revoked_at FROM api_key WHERE prefix = $1";

const LIST: &str = "
SELECT id, name, prefix, hash, urns, created_at, expires_at, revoked_at FROM api_key ORDER BY name, id DESC";

const REVOKE: &str = "
UPDATE api_key SET revoked_at = $3
WHERE name = $1 AND revoked_at IS NULL
    AND id NOT IN (SELECT id FROM api_key WHERE name = $1 AND revoked_at IS NULL ORDER BY id DESC LIMIT $2)";
