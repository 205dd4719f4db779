//! Reader tokens: takes the header of a request, gives who reads and of which localities.

use crate::problem::Problem;
use crate::random::Random;
use attendance::Timestamp;
use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use store::{Store, token};

/// What a token begins with, so that one that leaks is recognised.
const PREFIX: &str = "ebr_";

/// Which cases a token opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Localities {
    /// All, with those that no locality claims.
    All,
    /// Those of these localities.
    These(Vec<String>),
}

impl Localities {
    /// Whether what belongs to a locality, or to none, is opened.
    pub(crate) fn hold(&self, locality: Option<&str>) -> bool {
        match self {
            Self::All => true,
            Self::These(names) => locality.is_some_and(|locality| names.iter().any(|name| name == locality)),
        }
    }

    /// As the table holds it: a JSON list; `null` for all.
    pub fn to_row(&self) -> String {
        match self {
            Self::All => "null".to_owned(),
            Self::These(names) => serde_json::json!(names).to_string(),
        }
    }

    /// As [`Localities::to_row`] wrote it; none for anything else.
    pub fn from_row(text: &str) -> Option<Self> {
        let names: Option<Vec<String>> = serde_json::from_str(text).ok()?;
        Some(names.map_or(Self::All, Self::These))
    }
}

/// A new token: the text, which is shown once, and the hash, which is stored.
///
/// # Errors
/// The system gives no randomness.
pub fn new_token(random: &Random) -> Result<(String, Vec<u8>), String> {
    let mut bytes = [0_u8; 32];
    random(&mut bytes)?;
    let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
    let hash = hash(&text);
    Ok((text, hash))
}

/// Tokens are 256 random bits: a slow hash would protect nothing more.
fn hash(text: &str) -> Vec<u8> {
    Sha256::digest(text.as_bytes()).to_vec()
}

/// Who reads.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    id: i64,
    name: String,
    pub(crate) localities: Localities,
}

impl Reader {
    /// As the audit names it.
    pub(crate) fn actor(&self) -> String {
        format!("token {} ({})", self.id, self.name)
    }
}

/// Finds out who reads.
pub(crate) async fn reader(store: &Store, headers: &HeaderMap, now: Timestamp) -> Result<Reader, Problem> {
    let text = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or(Problem::NoToken)?;
    let (scheme, text) = text.split_once(' ').ok_or(Problem::NoToken)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Problem::NoToken);
    }
    let found = token::find(store, &hash(text.trim())).await?.filter(|row| row.is_valid(now.micros()));
    let row = found.ok_or(Problem::BadToken)?;
    let localities = Localities::from_row(&row.localities).ok_or(Problem::BadToken)?;
    Ok(Reader { id: row.id, name: row.name, localities })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localities_come_back_as_they_were_written() {
        for localities in [Localities::All, Localities::These(vec!["North".into(), "East \"2\"".into()])] {
            assert_eq!(Localities::from_row(&localities.to_row()), Some(localities));
        }
        assert_eq!(Localities::from_row("*"), None);
    }

    #[test]
    fn tokens_differ_and_their_hash_does_not_hold_them() {
        let random = crate::random::of_system();
        let (one, hash) = new_token(&random).unwrap();
        assert_ne!(one, new_token(&random).unwrap().0);
        assert!(one.starts_with("ebr_") && one.len() == 47 && hash.len() == 32);
    }
}
