//! Who sends: a bearer key, looked up by its prefix, compared in constant time, remembered for a few seconds.

use crate::http::problem::Problem;
use crate::key;
use attendance::Urn;
use axum::http::{HeaderMap, StatusCode, header};
use service::clock::Clock;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use store::api_key::{self, ApiKey};
use store::{Store, StoreError};
use tokio::time::Instant;

/// How long a key may be used after it was revoked, at most.
const REMEMBERED: Duration = Duration::from_secs(3);
/// Keys remembered at once.
const MOST: usize = 10_000;

/// Who sends, and what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// The key's name.
    name: String,
    /// The schools that it may send and see; none for all.
    schools: Option<BTreeSet<u32>>,
}

impl Access {
    fn of(name: String, urns: &str) -> Self {
        let listed = || urns.split(',').filter_map(|urn| urn.parse().ok()).collect();
        Self { name, schools: (urns != "*").then(listed) }
    }

    /// Whoever may send for every school.
    pub(crate) fn to_all(name: &str) -> Self {
        Self { name: name.to_owned(), schools: None }
    }

    /// Whether the sender may send and see a school's.
    pub(crate) fn check(&self, school: Urn) -> Result<(), Problem> {
        if self.schools.as_ref().is_none_or(|urns| urns.contains(&school.number())) {
            return Ok(());
        }
        let what = format!(
            "the key is not for school {school}: nothing is stored or shown; ask the authority for a key of that school"
        );
        Err(Problem::new(StatusCode::FORBIDDEN, what))
    }

    /// The key's name: one for a key and those that replace it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// As the audit names it.
    pub(crate) fn actor(&self) -> String {
        format!("key {}", self.name)
    }
}

/// The keys that there are.
pub(crate) struct Keys {
    store: Store,
    clock: Clock,
    remembered: Mutex<HashMap<String, (Instant, ApiKey)>>,
}

impl Keys {
    pub(crate) fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, remembered: Mutex::default() }
    }

    /// What the sender of these headers may do.
    pub(crate) async fn access(&self, headers: &HeaderMap) -> Result<Access, Problem> {
        let refused = |what: &str| Problem::new(StatusCode::UNAUTHORIZED, what);
        let given = headers.get(header::AUTHORIZATION);
        let given = given.ok_or_else(|| refused("a key is missing; send Authorization: Bearer <key>"))?;
        let wrong = || refused("the key is wrong; look for a typing error, or ask the authority for a new one");
        let text = given.to_str().ok().and_then(|text| text.split_once(' '));
        let (_, text) = text.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).ok_or_else(wrong)?;
        let text = text.trim();
        let prefix = key::prefix(text).ok_or_else(wrong)?;
        let found = self.find(prefix).await.map_err(|error| {
            tracing::warn!(%error, "a key could not be looked up");
            Problem::unavailable("the key cannot be looked up just now; send again", 2)
        })?;
        let found = found.filter(|found| key::is_of(text, &found.key.hash)).ok_or_else(wrong)?;
        if found.revoked_at.is_some() {
            return Err(refused("the key was revoked; ask the authority for a new one"));
        }
        if found.key.expires_at.is_some_and(|at| at <= self.clock.wall_now().micros()) {
            return Err(refused("the key has expired; ask the authority for a new one"));
        }
        Ok(Access::of(found.key.name, &found.key.urns))
    }

    async fn find(&self, prefix: &str) -> Result<Option<ApiKey>, StoreError> {
        let now = Instant::now();
        let remembered = |keys: &HashMap<String, (Instant, ApiKey)>| {
            keys.get(prefix).filter(|(at, _)| now - *at < REMEMBERED).map(|(_, key)| key.clone())
        };
        if let Some(key) = remembered(&self.remembered.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(Some(key));
        }
        let found = api_key::find(&self.store, prefix).await?;
        if let Some(key) = &found {
            let mut keys = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
            if keys.len() >= MOST {
                keys.clear();
            }
            keys.insert(prefix.to_owned(), (now, key.clone()));
        }
        Ok(found)
    }
}
