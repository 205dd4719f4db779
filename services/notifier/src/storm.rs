//! More changes than a receiver's limit in an hour become one message: what comes above it is gathered until the hour is over, then
//! put into one. Hours are those of the clock, so that everybody knows when the message comes.

use crate::apply::store_error;
use crate::message::{Digest, Message, Said, Told};
use attendance::Timestamp;
use std::collections::BTreeMap;
use store::delivery::{self, Gathered, GatheredMessage, NewDelivery};
use store::{CommitError, Store, StoreError};
use transport::WorkError;
use uuid::Uuid;

/// Microseconds.
const HOUR: i64 = 3_600_000_000;

/// The hour that a moment lies in, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hour {
    pub(crate) from: i64,
    pub(crate) until: i64,
}

impl Hour {
    pub(crate) fn of(now: Timestamp) -> Self {
        let from = now.micros().div_euclid(HOUR) * HOUR;
        Self { from, until: from.saturating_add(HOUR) }
    }
}

/// Puts what was gathered until now into one message each; gives how many it made. Two processes at once make it once.
pub(crate) async fn merge_due(store: &Store, namespace: &Uuid, now: Timestamp) -> Result<u64, WorkError> {
    let mut count = 0;
    for gathered in delivery::gathered(store, now.micros()).await.map_err(store_error)? {
        count += u64::from(merge(store, namespace, &gathered, now).await?);
    }
    Ok(count)
}

async fn merge(store: &Store, namespace: &Uuid, gathered: &Gathered, now: Timestamp) -> Result<bool, WorkError> {
    let mut tx = store.begin().await.map_err(store_error)?;
    let messages = delivery::gathered_messages(&mut tx, gathered).await.map_err(store_error)?;
    let Some(first) = messages.first() else {
        tx.rollback().await;
        return Ok(false);
    };
    let about = format!("gathered/{}", first.message_id);
    let digest = digest(&messages, now).map_err(|error| WorkError::Fatal(error.into()))?;
    let into = NewDelivery {
        message_id: Uuid::new_v5(namespace, about.as_bytes()).to_string(),
        case_id: None,
        changes: Vec::new(),
        receiver: gathered.receiver.clone(),
        body: serde_json::to_string(&Told::Storm(digest)).map_err(|error| WorkError::Fatal(error.into()))?,
        register_id: String::new(),
        received_at: 0,
        at: now.micros(),
        gather_until: None,
    };
    if !delivery::merge(&mut tx, &into, &messages).await.map_err(store_error)? {
        tx.rollback().await;
        return Ok(false);
    }
    let committed: Result<(), StoreError> = tx.commit().await.map_err(CommitError::into_cause);
    committed.map_err(store_error)?;
    tracing::info!(
        receiver.name = gathered.receiver,
        messages = messages.len(),
        "more changed in an hour than the policy's storm: they become one message"
    );
    Ok(true)
}

/// One message of many: a case once, with the newest of each of its alerts; the gravest first.
fn digest(messages: &[GatheredMessage], now: Timestamp) -> Result<Digest, serde_json::Error> {
    let mut cases: BTreeMap<String, Message> = BTreeMap::new();
    for message in messages {
        let mut later: Message = serde_json::from_str(&message.body)?;
        if let Some(earlier) = cases.remove(&later.reference) {
            later.changes = Said::in_order(earlier.changes.into_iter().chain(later.changes));
        }
        cases.insert(later.reference.clone(), later);
    }
    let mut cases: Vec<Message> = cases.into_values().collect();
    cases.sort_by_key(|case| std::cmp::Reverse(case.changes.first().map(Said::weight)));
    Ok(Digest { cases, said_at: now.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{level_words, sample};
    use attendance::alert::Change;
    use attendance::rule::Level;

    #[test]
    fn an_hour_is_the_clocks() {
        let hour = Hour::of(Timestamp::from_micros(2 * HOUR + 5));
        assert_eq!((hour.from, hour.until), (2 * HOUR, 3 * HOUR));
        assert_eq!(Hour::of(Timestamp::from_micros(3 * HOUR)).from, 3 * HOUR);
    }

    #[test]
    fn a_digest_has_a_case_once_with_the_newest_of_each_alert_and_the_gravest_first() {
        let message = |reference: &str, alert: &str, version, change: Change, level| {
            let mut message = sample(change);
            message.reference = reference.into();
            message.changes[0].alert = alert.into();
            message.changes[0].version = version;
            message.changes[0].level = level_words(level).into();
            GatheredMessage {
                message_id: format!("{reference}{alert}{version}"),
                body: serde_json::to_string(&Told::Case(message)).unwrap(),
            }
        };
        let messages = [
            message("ONE", "a", 1, Change::Raised, Level::AtRisk),
            message("TWO", "b", 1, Change::Raised, Level::Persistent),
            message("ONE", "c", 1, Change::Raised, Level::AtRisk),
            message("ONE", "a", 2, Change::Escalated, Level::Severe),
        ];
        let digest = digest(&messages, Timestamp::from_micros(0)).unwrap();
        let told: Vec<_> = digest.cases.iter().map(|case| (case.reference.as_str(), case.changes.len())).collect();
        assert_eq!(told, [("ONE", 2), ("TWO", 1)]);
        let first = &digest.cases[0].changes[0];
        let severe = level_words(Level::Severe);
        assert_eq!((first.version, first.change.as_str(), first.level.as_str()), (2, "raised", severe));
    }
}
