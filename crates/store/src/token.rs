//! Reader tokens: who may read cases, of which localities. The token itself is never stored, only its hash.
//!
//! Owner: `earlybell token`; the notifier reads.

use crate::{Store, StoreError, Tx};

/// A token to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// Who has it.
    pub name: String,
    /// SHA-256 of the token, which is random and long: nothing slower is needed.
    pub hash: Vec<u8>,
    /// The localities, as the caller encodes them.
    pub localities: String,
    /// Now.
    pub at: i64,
    /// From when it is no longer valid.
    pub expires_at: Option<i64>,
}

/// A stored token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// Its number.
    pub id: i64,
    /// Who has it.
    pub name: String,
    /// The localities, as the caller encoded them.
    pub localities: String,
    /// When it was made.
    pub created_at: i64,
    /// From when it is no longer valid.
    pub expires_at: Option<i64>,
    /// When it was revoked.
    pub revoked_at: Option<i64>,
}

impl TokenRow {
    /// Whether it is valid at a moment.
    pub fn is_valid(&self, now: i64) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// Stores a token; gives its number.
///
/// # Errors
/// `Constraint` for a hash that is there, else as the database answers.
pub async fn create(tx: &mut Tx, new: &NewToken) -> Result<i64, StoreError> {
    let (name, hash, localities) = (new.name.as_str(), new.hash.as_slice(), new.localities.as_str());
    in_tx!(tx, "token.create", fetch_one, sqlx::query_scalar(CREATE), name, hash, localities, new.at, new.expires_at)
}

/// The token with that hash, valid or not.
///
/// # Errors
/// As the database answers.
pub async fn find(store: &Store, hash: &[u8]) -> Result<Option<TokenRow>, StoreError> {
    let row = on_pool!(store, "token.find", fetch_optional, sqlx::query_as::<_, Row>(FIND), hash)?;
    Ok(row.map(decode))
}

/// All tokens, in order.
///
/// # Errors
/// As the database answers.
pub async fn list(store: &Store) -> Result<Vec<TokenRow>, StoreError> {
    let rows = on_pool!(store, "token.list", fetch_all, sqlx::query_as::<_, Row>(LIST))?;
    Ok(rows.into_iter().map(decode).collect())
}

/// Revokes a token; false where there is none of that number, or it was revoked before.
///
/// # Errors
/// As the database answers.
pub async fn revoke(tx: &mut Tx, id: i64, at: i64) -> Result<bool, StoreError> {
    Ok(in_tx!(tx, "token.revoke", execute, sqlx::query(REVOKE), id, at)? == 1)
}

type Row = (i64, String, String, i64, Option<i64>, Option<i64>);

fn decode((id, name, localities, created_at, expires_at, revoked_at): Row) -> TokenRow {
    TokenRow { id, name, localities, created_at, expires_at, revoked_at }
}

const CREATE: &str = "
INSERT INTO reader_token (name, hash, localities, created_at, expires_at) VALUES ($1, $2, $3, $4, $5) RETURNING id";

const FIND: &str = "
SELECT id, name, localities, created_at, expires_at, revoked_at FROM reader_token WHERE hash = $1";

const LIST: &str = "SELECT id, name, localities, created_at, expires_at, revoked_at FROM reader_token ORDER BY id";

const REVOKE: &str = "UPDATE reader_token SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
