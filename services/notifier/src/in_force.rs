//! The policy in force, kept fresh from the database's row.

use policy::{Files, Policy};
use service::clock::NewestSession;
use service::readiness::Check;
use std::sync::Arc;
use std::time::Duration;
use store::{Store, StoreError, installation, policy_set};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often the rows are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A policy with its version.
#[derive(Debug)]
pub(crate) struct InForce {
    pub(crate) version: i64,
    pub(crate) policy: Policy,
}

/// Why there is no policy to route by.
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

async fn load(store: &Store) -> Result<Arc<InForce>, InForceError> {
    let set = policy_set::in_force(store).await?.ok_or(InForceError::Nothing)?;
    let version = set.version;
    let unreadable = |problem: String| InForceError::Unreadable { version, problem };
    let files: Files = serde_json::from_str(&set.files).map_err(|error| unreadable(error.to_string()))?;
    let (policy, _) = Policy::read(&files).map_err(|problems| unreadable(problems.to_string()))?;
    Ok(Arc::new(InForce { version, policy }))
}

/// Waits for a policy; none where the service is asked to stop before there is one.
pub(crate) async fn first(
    store: &Store,
    check: &Check,
    stop: &CancellationToken,
) -> Result<Option<Arc<InForce>>, InForceError> {
    loop {
        match load(store).await {
            Ok(in_force) => {
                check.set_ok();
                return Ok(Some(in_force));
            }
            Err(error) if error.is_retryable() => check.set_failed(error.to_string()),
            Err(error) => return Err(error),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stop.cancelled() => return Ok(None),
        }
    }
}

/// Looks at the policy in force and the clock again and again.
pub(crate) async fn keep_fresh(
    store: Store,
    sender: watch::Sender<Arc<InForce>>,
    newest: NewestSession,
    check: Check,
    stop: CancellationToken,
) -> Result<(), InForceError> {
    while !stop.is_cancelled() {
        match look(&store, &sender, &newest).await {
            Ok(()) => check.set_ok(),
            Err(error) if error.is_retryable() => check.set_failed(error.to_string()),
            Err(error) => return Err(error),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stop.cancelled() => {}
        }
    }
    Ok(())
}

async fn look(store: &Store, sender: &watch::Sender<Arc<InForce>>, newest: &NewestSession) -> Result<(), InForceError> {
    let held = sender.borrow().version;
    if policy_set::version(store).await?.is_some_and(|version| version != held) {
        let in_force = load(store).await?;
        tracing::info!(policy.version = in_force.version, "another policy is in force");
        sender.send_replace(in_force);
    }
    if let Some(session) = installation::get(store).await?.and_then(|row| row.clock_session) {
        newest.advance(attendance::Session::from_number(session));
    }
    Ok(())
}
