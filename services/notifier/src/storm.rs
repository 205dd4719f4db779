//! More changes than a receiver's limit in an hour, or than its budget of a day, become one message: what comes above is gathered until
//! the hour or the day is over, then put into one, ranked. Hours are those of the clock, and a day ends at half past four in London, so
//! that everybody knows when the message comes.

use crate::apply::store_error;
use crate::message::{Digest, Message, Said, Told};
use attendance::{Day, Timestamp};
use std::collections::BTreeMap;
use store::delivery::{self, Gathered, GatheredMessage, NewDelivery};
use store::{CommitError, Store, StoreError};
use transport::WorkError;
use uuid::Uuid;

/// Microseconds.
const HOUR: i64 = 3_600_000_000;

/// An hour or a day that a moment lies in, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: i64,
    pub(crate) until: i64,
}

impl Span {
    pub(crate) fn hour(now: Timestamp) -> Self {
        let from = now.micros().div_euclid(HOUR) * HOUR;
        Self { from, until: from.saturating_add(HOUR) }
    }

    /// From half past four to half past four: when teams have seen what came in the day.
    pub(crate) fn day(now: Timestamp) -> Self {
        let ends = |day: Day| Timestamp::in_london(day, 16).micros() + HOUR / 2;
        let today = now.day_in_london();
        let day = if now.micros() < ends(today) { today } else { today.plus(1) };
        Self { from: ends(day.plus(-1)), until: ends(day) }
    }

    /// In words, by its end: an hour ends with the clock's.
    fn words(until: i64) -> &'static str {
        if until.rem_euclid(HOUR) == 0 { "an hour" } else { "a day" }
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
    let digest = digest(&messages, gathered.until, now).map_err(|error| WorkError::Fatal(error.into()))?;
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
        within = Span::words(gathered.until),
        "more changed than the policy's storm or budget: they become one message"
    );
    Ok(true)
}

/// One message of many: a case once, with the newest of each of its alerts; the gravest first.
fn digest(messages: &[GatheredMessage], until: i64, now: Timestamp) -> Result<Digest, serde_json::Error> {
    let mut cases: BTreeMap<String, Message> = BTreeMap::new();
    for message in messages {
        let mut later: Message = serde_json::from_str(&message.body)?;
        if let Some(earlier) = cases.remove(&later.reference) {
            later.changes = Said::in_order(earlier.changes.into_iter().chain(later.changes));
        }
        cases.insert(later.reference.clone(), later);
    }
    let mut cases: Vec<Message> = cases.into_values().collect();
    cases.sort_by_key(|case| std::cmp::Reverse(case.changes.first().map(|said| (said.weight(), said.expected_missed))));
    Ok(Digest { cases, within: Span::words(until).to_owned(), said_at: now.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{level_words, sample};
    use attendance::alert::Change;
    use attendance::rule::Level;

    #[test]
    fn an_hour_is_the_clocks() {
        let hour = Span::hour(Timestamp::from_micros(2 * HOUR + 5));
        assert_eq!((hour.from, hour.until), (2 * HOUR, 3 * HOUR));
        assert_eq!(Span::hour(Timestamp::from_micros(3 * HOUR)).from, 3 * HOUR);
        assert_eq!(Span::words(hour.until), "an hour");
    }

    #[test]
    fn a_day_ends_at_half_past_four_in_london() {
        let day = |text: &str| {
            let Span { from, until } = Span::day(Timestamp::parse(text).unwrap());
            assert_eq!(Span::words(until), "a day");
            [from, until].map(|at| Timestamp::from_micros(at).to_string())
        };
        assert_eq!(day("2025-12-03T16:29:59Z"), ["2025-12-02T16:30:00Z", "2025-12-03T16:30:00Z"]);
        assert_eq!(day("2025-12-03T16:30:00Z"), ["2025-12-03T16:30:00Z", "2025-12-04T16:30:00Z"]);
        assert_eq!(day("2025-07-01T15:29:00Z")[1], "2025-07-01T15:30:00Z", "summer time");
    }

    #[test]
    fn of_equal_weight_the_more_urgent_comes_first() {
        let message = |reference: &str, expected_missed| {
            let mut message = sample(Change::Raised);
            message.reference = reference.into();
            message.changes[0].expected_missed = expected_missed;
            GatheredMessage { message_id: reference.into(), body: serde_json::to_string(&Told::Case(message)).unwrap() }
        };
        let messages = [message("A", Some(12)), message("B", None), message("C", Some(64))];
        let digest = digest(&messages, HOUR / 2, Timestamp::from_micros(0)).unwrap();
        let order: Vec<&str> = digest.cases.iter().map(|case| case.reference.as_str()).collect();
        assert_eq!((order, digest.within.as_str()), (vec!["C", "A", "B"], "a day"));
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
        let digest = digest(&messages, HOUR, Timestamp::from_micros(0)).unwrap();
        let told: Vec<_> = digest.cases.iter().map(|case| (case.reference.as_str(), case.changes.len())).collect();
        assert_eq!(told, [("ONE", 2), ("TWO", 1)]);
        let first = &digest.cases[0].changes[0];
        let severe = level_words(Level::Severe);
        assert_eq!((first.version, first.change.as_str(), first.level.as_str()), (2, "raised", severe));
    }
}
