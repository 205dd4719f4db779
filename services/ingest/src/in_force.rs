//! The policy in force, read from the database and kept fresh.

use policy::{Files, Policy, Problems};
use std::sync::Arc;
use store::{Store, StoreError, policy_set};

/// A policy with its version.
#[derive(Debug)]
pub(crate) struct InForce {
    pub(crate) version: i64,
    pub(crate) policy: Policy,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Nothing was put in force yet.
    #[error("no policy is in force; run `earlybell apply DIR`")]
    None,
    /// The row is no policy's files.
    #[error("policy {version} in the database cannot be read ({error}); apply the folder again")]
    Files {
        /// The version.
        version: i64,
        /// What is wrong.
        error: serde_json::Error,
    },
    /// The policy has mistakes that this release does not accept.
    #[error("policy {version} is not accepted by this release: {problems}")]
    Problems {
        /// The version.
        version: i64,
        /// What is wrong.
        problems: Problems,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PolicyError {
    /// Whether asking again can help without a new release or policy.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::None => true,
            Self::Store(error) => error.is_retryable(),
            Self::Files { .. } | Self::Problems { .. } => false,
        }
    }
}

/// The policy in force.
pub(crate) async fn load(store: &Store) -> Result<Arc<InForce>, PolicyError> {
    let set = policy_set::in_force(store).await?.ok_or(PolicyError::None)?;
    let version = set.version;
    let files: Files = serde_json::from_str(&set.files).map_err(|error| PolicyError::Files { version, error })?;
    let (policy, _) = Policy::read(&files).map_err(|problems| PolicyError::Problems { version, problems })?;
    Ok(Arc::new(InForce { version, policy }))
}
