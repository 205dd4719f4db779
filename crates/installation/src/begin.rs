//! How every service begins: the installation's row, the topics' partitions, the first policy.

use crate::in_force::{self, InForce, InForceError, LOOK_EVERY};
use crate::{Parts, clock};
use service::readiness::Check;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use store::{StoreError, installation};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use transport::{Admin, AdminError, Topic};
use uuid::Uuid;

/// The longest that Kafka is waited for at the start.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest that an answer may take before Kafka counts as away.
const SOON: Duration = Duration::from_secs(2);

/// Why a service cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Nothing was founded yet.
    #[error("the database holds no installation; run `earlybell migrate`")]
    NoInstallation,
    /// The row was written by something else.
    #[error("the installation's namespace is no UUID; restore the row from a backup")]
    Namespace,
    /// The topic and the database disagree.
    #[error(
        "topic {topic} has {found} partitions, the installation was founded with {wanted}: a pupil's events would change \
         places; make a new topic with {wanted}, drain the old one, then switch"
    )]
    Partitions {
        /// The topic.
        topic: Topic,
        /// How many it has.
        found: u32,
        /// How many it must have.
        wanted: u32,
    },
    /// No policy that can be read.
    #[error(transparent)]
    InForce(#[from] InForceError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Kafka's administration.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

/// Says whether Kafka answers.
async fn watch_kafka(admin: Admin, topic: Topic, check: Check, stop: CancellationToken) -> Result<(), Infallible> {
    while !stop.is_cancelled() {
        match admin.partition_count(topic.as_str()).await {
            Ok(_) => check.set_ok(),
            Err(error) => check.set_failed(error.to_string()),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stop.cancelled() => {}
        }
    }
    Ok(())
}

/// What a service begins with.
pub struct Begun {
    /// Partitions of the events and of the alerts.
    pub partitions: u32,
    /// Under which ids are made: random, so that an id tells nobody what it was made of.
    pub namespace: Uuid,
    /// The policy in force, kept fresh by a task of the lifecycle.
    pub in_force: watch::Receiver<Arc<InForce>>,
    /// Kafka's administration.
    pub admin: Admin,
}

impl Parts {
    /// Reads the installation's row, checks that `topics` have its number of partitions, waits for a policy, and keeps
    /// policy and clock fresh from then on. None where the service is asked to stop before there is a policy.
    ///
    /// # Errors
    /// What no waiting mends.
    pub async fn begin(&self, topics: &[Topic]) -> Result<Option<Begun>, StartError> {
        let row = installation::get(&self.store).await?.ok_or(StartError::NoInstallation)?;
        let namespace = Uuid::parse_str(&row.namespace).map_err(|_| StartError::Namespace)?;
        let partitions = u32::try_from(row.event_partitions).unwrap_or(0);
        let admin = Admin::new(&self.connection, PATIENCE)?;
        for topic in topics {
            let found = admin.partition_count(topic.as_str()).await?;
            if found != partitions {
                return Err(StartError::Partitions { topic: topic.clone(), found, wanted: partitions });
            }
        }
        clock::note(&row, &self.newest);
        let Some(first) = in_force::first(self).await? else { return Ok(None) };
        let (sender, in_force) = watch::channel(first);
        self.lifecycle.run("policy", in_force::keep_fresh(self.clone(), sender));
        if let Some(topic) = topics.first() {
            let watching = Admin::new(&self.connection, SOON)?;
            let (check, stop) = (self.readiness.check("kafka"), self.lifecycle.soft());
            self.lifecycle.run("kafka", watch_kafka(watching, topic.clone(), check, stop));
        }
        Ok(Some(Begun { partitions, namespace, in_force, admin }))
    }
}
