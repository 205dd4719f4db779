//! The policy in force: the database's row, read and kept fresh. Two processes never work by different rules for longer
//! than it takes to look.

use crate::{Parts, clock};
use attendance::judge::Standard;
use policy::{Files, Policy};
use std::sync::Arc;
use std::time::Duration;
use store::{Store, StoreError, installation, policy_set};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often the policy in force, the installation's clock and Kafka are looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(1);

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
        self.policy.standard()
    }
}

/// Why there is no policy to work by.
#[derive(Debug, thiserror::Error)]
pub enum InForceError {
    /// Nothing was applied yet.
    #[error("no policy is in force; put one in force with `earlybell apply DIR`")]
    Nothing,
    /// The row is no policy of this release.
    #[error(
        "the policy in force (version {version}) does not read: {problem}; this release and the one that applied it \
         differ: apply the folder again"
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
///
/// # Errors
/// There is none, it is of another release, or the database does not answer.
pub async fn load(store: &Store) -> Result<Arc<InForce>, InForceError> {
    let set = policy_set::in_force(store).await?.ok_or(InForceError::Nothing)?;
    let version = set.version;
    let unreadable = |problem: String| InForceError::Unreadable { version, problem };
    let files: Files = serde_json::from_str(&set.files).map_err(|error| unreadable(error.to_string()))?;
    let (policy, _) = Policy::read(&files).map_err(|problems| unreadable(problems.to_string()))?;
    Ok(Arc::new(InForce { version, policy }))
}

/// Waits for a policy; none where the service is asked to stop before there is one.
pub(crate) async fn first(parts: &Parts) -> Result<Option<Arc<InForce>>, InForceError> {
    let (check, stop) = (parts.readiness.check("policy"), parts.lifecycle.soft());
    loop {
        match load(&parts.store).await {
            Ok(in_force) => {
                check.set_ok();
                return Ok(Some(in_force));
            }
            Err(error) if error.is_retryable() => check.set_failed(error.to_string()),
            Err(error) => return Err(error),
        }
        if pause(&stop).await.is_none() {
            return Ok(None);
        }
    }
}

/// Looks at the policy in force and the clock again and again, until the service stops.
pub(crate) async fn keep_fresh(parts: Parts, sender: watch::Sender<Arc<InForce>>) -> Result<(), InForceError> {
    let (check, stop) = (parts.readiness.check("database"), parts.lifecycle.soft());
    loop {
        match look(&parts, &sender).await {
            Ok(()) => check.set_ok(),
            Err(error) if error.is_retryable() => check.set_failed(error.to_string()),
            Err(error) => return Err(error),
        }
        if pause(&stop).await.is_none() {
            return Ok(());
        }
    }
}

async fn look(parts: &Parts, sender: &watch::Sender<Arc<InForce>>) -> Result<(), InForceError> {
    let held = sender.borrow().version;
    if policy_set::version(&parts.store).await?.is_some_and(|version| version != held) {
        let in_force = load(&parts.store).await?;
        tracing::info!(policy.version = in_force.version, "another policy is in force");
        sender.send_replace(in_force);
    }
    if let Some(installation) = installation::get(&parts.store).await? {
        clock::note(&installation, &parts.newest);
    }
    Ok(())
}

/// None where the service is asked to stop.
async fn pause(stop: &CancellationToken) -> Option<()> {
    tokio::select! {
        () = tokio::time::sleep(LOOK_EVERY) => Some(()),
        () = stop.cancelled() => None,
    }
}
