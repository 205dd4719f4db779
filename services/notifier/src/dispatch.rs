//! Reconcilers over the table of deliveries: one for each receiver, with workers of its own, so that a receiver that hangs
//! delays nobody else; and one over all of them, which follows the policy, tells what is owed, and puts into one message what was
//! gathered in a storm.

use crate::deliver::Deliverer;
use crate::random::Random;
use crate::storm;
use installation::InForce;
use policy::receivers::Receiver;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use store::delivery::{self, Leased};
use store::{CommitError, StoreError};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How often it is looked at what is owed.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What dispatching works with.
pub(crate) struct Dispatch {
    pub(crate) deliverer: Deliverer,
    pub(crate) in_force: watch::Receiver<Arc<InForce>>,
    pub(crate) wake: watch::Receiver<()>,
    pub(crate) random: Random,
    /// Under which message ids are made.
    pub(crate) namespace: Uuid,
    pub(crate) stop: CancellationToken,
}

/// Randomness could not be had.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no randomness: {0}; look at the system")]
pub struct NoRandomness(String);

/// Runs until stopped; then what is under way ends first.
pub(crate) async fn run(mut dispatch: Dispatch) -> Result<(), NoRandomness> {
    let mut running: BTreeMap<String, (Receiver, CancellationToken)> = BTreeMap::new();
    let mut pools = JoinSet::new();
    let mut next_look = tokio::time::Instant::now();
    while !dispatch.stop.is_cancelled() {
        let in_force = Arc::clone(&dispatch.in_force.borrow_and_update());
        let wanted = &in_force.policy.notify.receivers;
        running.retain(|_, (receiver, stop)| {
            let stays = wanted.contains(receiver);
            if !stays {
                stop.cancel();
            }
            stays
        });
        for receiver in wanted {
            if !running.contains_key(&receiver.name) {
                dispatch.deliverer.metrics.show(&receiver.name);
                let stop = dispatch.stop.child_token();
                running.insert(receiver.name.clone(), (receiver.clone(), stop.clone()));
                let mut seed = [0; 32];
                (dispatch.random)(&mut seed).map_err(NoRandomness)?;
                let pool = Pool {
                    deliverer: dispatch.deliverer.clone(),
                    receiver: receiver.clone(),
                    wake: dispatch.wake.clone(),
                    draws: StdRng::from_seed(seed),
                    stop,
                };
                pools.spawn(pool.run());
            }
        }
        if tokio::time::Instant::now() >= next_look {
            next_look = tokio::time::Instant::now() + LOOK_EVERY;
            let (store, now) = (&dispatch.deliverer.store, dispatch.deliverer.clock.wall_now());
            if let Err(error) = storm::merge_due(store, &dispatch.namespace, now).await {
                tracing::warn!(%error, "messages that were gathered cannot be put into one now");
            }
            if let Err(error) = look(&dispatch.deliverer, &in_force).await {
                tracing::warn!(%error, "what receivers are owed cannot be read now");
            }
        }
        tokio::select! {
            () = dispatch.stop.cancelled() => {}
            () = tokio::time::sleep_until(next_look) => {}
            _ = dispatch.in_force.changed() => {}
            Some(ended) = pools.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a receiver's workers ended by a panic");
                    running.clear();
                }
            }
        }
    }
    while pools.join_next().await.is_some() {}
    Ok(())
}

/// Tells what is owed; what is owed to receivers that the policy no longer names is given up after its time.
async fn look(deliverer: &Deliverer, in_force: &InForce) -> Result<(), StoreError> {
    let now = deliverer.clock.wall_now().micros();
    let metrics = &deliverer.metrics;
    metrics.owed.reset();
    metrics.owed_age_seconds.reset();
    for owed in delivery::owed(&deliverer.store).await? {
        metrics.owed.with_label_values(&[&owed.receiver]).set(owed.count);
        metrics.owed_age_seconds.with_label_values(&[&owed.receiver]).set((now - owed.oldest) / 1_000_000);
        if in_force.policy.notify.receiver(&owed.receiver).is_none() {
            let patience = i64::try_from(deliverer.settings.give_up_after.as_micros()).unwrap_or(i64::MAX);
            let mut tx = deliverer.store.begin().await?;
            let count = delivery::give_up_all(&mut tx, &owed.receiver, now.saturating_sub(patience), now).await?;
            commit(tx).await?;
            if count > 0 {
                tracing::error!(
                    receiver.name = owed.receiver,
                    count,
                    "messages are given up: no such receiver any more"
                );
            }
        }
    }
    Ok(())
}

async fn commit(tx: store::Tx) -> Result<(), StoreError> {
    tx.commit().await.map_err(CommitError::into_cause)
}

/// The workers of one receiver.
struct Pool {
    deliverer: Deliverer,
    receiver: Receiver,
    wake: watch::Receiver<()>,
    draws: StdRng,
    stop: CancellationToken,
}

impl Pool {
    async fn run(mut self) {
        let most = usize::try_from(self.receiver.patience.workers).unwrap_or(1).max(1);
        let mut attempts: JoinSet<()> = JoinSet::new();
        while !self.stop.is_cancelled() {
            self.wake.borrow_and_update();
            let free = most - attempts.len().min(most);
            let mut found = 0;
            if free > 0 {
                match self.lease(u32::try_from(free).unwrap_or(1)).await {
                    Ok(leased) => {
                        found = leased.len();
                        for one in leased {
                            let draw = self.draws.random::<f64>();
                            attempts.spawn(self.deliverer.clone().attempt(self.receiver.clone(), one, draw));
                        }
                    }
                    Err(error) => {
                        let name = &self.receiver.name;
                        tracing::warn!(receiver.name = name, %error, "no delivery can be taken now");
                    }
                }
            }
            // All free workers got work: one that ends looks for more. Else only a tick or a wake-up brings some.
            let busy = found == free;
            tokio::select! {
                () = self.stop.cancelled() => {}
                Some(_) = attempts.join_next() => {}
                () = tokio::time::sleep(self.deliverer.settings.tick), if !busy || attempts.is_empty() => {}
                _ = self.wake.changed(), if !busy => {}
            }
        }
        while attempts.join_next().await.is_some() {}
    }

    /// Takes due deliveries; their state `sending` is committed before anything is sent.
    async fn lease(&self, limit: u32) -> Result<Vec<Leased>, StoreError> {
        let now = self.deliverer.clock.wall_now().micros();
        let lease = self.deliverer.lease(&self.receiver.patience) * 2;
        let until = now.saturating_add(i64::try_from(lease.as_micros()).unwrap_or(i64::MAX));
        let mut tx = self.deliverer.store.begin().await?;
        let leased = delivery::lease(&mut tx, &self.receiver.name, limit, now, until).await?;
        if leased.is_empty() {
            tx.rollback().await;
            return Ok(leased);
        }
        commit(tx).await?;
        Ok(leased)
    }
}
