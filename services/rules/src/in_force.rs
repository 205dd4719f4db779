//! The rule set in force: the database's row, read and kept fresh. Two processes never judge by different rules for
//! longer than it takes to look.

use attendance::judge::Standard;
use policy::{Files, Policy};
use std::sync::Arc;
use store::{Store, StoreError, policy_set};

/// A policy with its version.
#[derive(Debug)]
pub struct InForce {
    /// The version: it only grows; going back to an old policy makes a new one.
    pub version: i64,
    /// The policy.
    pub policy: Policy,
}

impl InForce {
    /// What the judge takes.
    pub fn standard(&self) -> Standard<'_> {
        Standard { rules: &self.policy.rules, calendars: &self.policy.calendars }
    }
}

/// Why there is no rule set to judge by.
#[derive(Debug, thiserror::Error)]
pub enum InForceError {
    /// Nothing was applied yet.
    #[error("no policy is in force; put one in force with `earlybell apply DIR`")]
    Nothing,
    /// The row is no policy of this release.
    #[error(
        "the policy in force (version {version}) does not read: {problem}; this release and the one that applied it differ"
    )]
    Unreadable {
        /// Its version.
        version: i64,
        /// What is wrong.
        problem: String,
    },
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl InForceError {
    /// Whether it may pass by itself.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Unreadable { .. } => false,
            Self::Store(error) => error.is_retryable(),
        }
    }
}

/// Reads the policy in force.
pub async fn load(store: &Store) -> Result<Arc<InForce>, InForceError> {
    let set = policy_set::in_force(store).await?.ok_or(InForceError::Nothing)?;
    let version = set.version;
    let unreadable = |problem: String| InForceError::Unreadable { version, problem };
    let files: Files = serde_json::from_str(&set.files).map_err(|error| unreadable(error.to_string()))?;
    let (policy, _) = Policy::read(&files).map_err(|problems| unreadable(problems.to_string()))?;
    Ok(Arc::new(InForce { version, policy }))
}

/// Reads it again where its version is no longer `held`'s.
pub(crate) async fn refresh(store: &Store, held: &Arc<InForce>) -> Result<Option<Arc<InForce>>, InForceError> {
    match policy_set::version(store).await? {
        Some(version) if version != held.version => load(store).await.map(Some),
        _ => Ok(None),
    }
}
