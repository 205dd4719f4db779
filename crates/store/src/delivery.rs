//! Deliveries: a message that a receiver is owed, with every attempt. Unique by alert, version and receiver.
//!
//! Owner: the notifier. Intake puts them in the transaction of the change; whoever [`lease`]s one sends it. `sending` is committed
//! before the call: a process that dies leaves a lease that ends, and the message goes out again with the same id.

use crate::dialect::{postgres, sqlite};
use crate::{Store, StoreError, Tx};

/// A delivery to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// The id that every attempt bears.
    pub message_id: String,
    /// The case; `None` for what is about no single one.
    pub case_id: Option<i64>,
    /// The alert, or the import that it sums up.
    pub alert_id: String,
    /// The alert's version.
    pub version: i32,
    /// The receiver's name.
    pub receiver: String,
    /// What is said, as JSON.
    pub body: String,
    /// The id of the register that caused it; empty where none did.
    pub register_id: String,
    /// When the register that caused it was received; 0 where none did.
    pub received_at: i64,
    /// Now.
    pub at: i64,
}

/// A delivery that the caller may try, until its lease ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leased {
    /// Its number.
    pub id: i64,
    /// The id that every attempt bears.
    pub message_id: String,
    /// What is said, as JSON.
    pub body: String,
    /// The id of the register that caused it; empty where none did.
    pub register_id: String,
    /// When the register that caused it was received; 0 where none did.
    pub received_at: i64,
    /// Since when it is tried: when it was made or last replayed.
    pub tried_since: i64,
    /// The number of this attempt, from 1; what [`delivered`], [`failed`] and [`give_up`] compare.
    pub attempt: i32,
}

/// A delivery as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Its number.
    pub id: i64,
    /// The id that every attempt bears.
    pub message_id: String,
    /// The receiver's name.
    pub receiver: String,
    /// `waiting`, `sending`, `delivered` or `given_up`.
    pub state: String,
    /// Attempts so far.
    pub attempts: i32,
    /// When it was made.
    pub created_at: i64,
    /// The last error.
    pub last_error: Option<String>,
}

/// What a receiver is owed: for metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// The receiver.
    pub receiver: String,
    /// Deliveries that wait or are being sent.
    pub count: i64,
    /// Since when the oldest is tried.
    pub oldest: i64,
}

/// How many deliveries of a receiver are in a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// The receiver.
    pub receiver: String,
    /// `waiting`, `sending`, `delivered` or `given_up`.
    pub state: String,
    /// How many.
    pub count: i64,
}

/// What became of the last change of an alert at a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastChange {
    /// The alert.
    pub alert_id: String,
    /// The receiver.
    pub receiver: String,
    /// `waiting`, `sending`, `delivered` or `given_up`.
    pub state: String,
}

/// Puts a delivery; false where there is one of that alert, version and receiver.
///
/// # Errors
/// As the database answers.
pub async fn put(tx: &mut Tx, new: &NewDelivery) -> Result<bool, StoreError> {
    let touched = in_tx!(
        tx,
        "delivery.put",
        execute,
        sqlx::query(PUT),
        new.message_id.as_str(),
        new.case_id,
        new.alert_id.as_str(),
        new.version,
        new.receiver.as_str(),
        new.body.as_str(),
        new.register_id.as_str(),
        new.received_at,
        new.at
    )?;
    Ok(touched == 1)
}

/// Takes up to `limit` due deliveries of a receiver, each `sending` until `until`, and begins an attempt of each. A later version of
/// an alert waits for the earlier ones, so that nobody hears `cleared` before `raised`.
///
/// # Errors
/// As the database answers.
pub async fn lease(tx: &mut Tx, receiver: &str, limit: u32, now: i64, until: i64) -> Result<Vec<Leased>, StoreError> {
    let doing = "delivery.lease";
    let sql = match tx.enter(doing)? {
        crate::tx::Connection::Postgres(_) => postgres::DELIVERY_LEASE,
        crate::tx::Connection::Sqlite(_) => sqlite::DELIVERY_LEASE,
    };
    tx.leave(doing, Ok(()))?;
    let rows = in_tx!(
        tx,
        doing,
        fetch_all,
        sqlx::query_as::<_, (i64, String, String, String, i64, i64, i32)>(sql),
        receiver,
        i64::from(limit),
        now,
        until
    )?;
    let decode = |(id, message_id, body, register_id, received_at, tried_since, attempt)| Leased {
        id,
        message_id,
        body,
        register_id,
        received_at,
        tried_since,
        attempt,
    };
    let mut leased: Vec<Leased> = rows.into_iter().map(decode).collect();
    leased.sort_by_key(|leased| leased.id);
    for one in &leased {
        in_tx!(tx, doing, execute, sqlx::query(BEGIN_ATTEMPT), one.id, one.attempt, now)?;
    }
    Ok(leased)
}

/// It arrived; false where the delivery was erased, or another attempt has begun since.
///
/// # Errors
/// As the database answers.
pub async fn delivered(tx: &mut Tx, leased: &Leased, now: i64) -> Result<bool, StoreError> {
    end_attempt(tx, leased, now, None).await?;
    Ok(in_tx!(tx, "delivery.delivered", execute, sqlx::query(DELIVERED), leased.id, leased.attempt, now)? == 1)
}

/// It did not arrive: again at `next_at`. False as in [`delivered`].
///
/// # Errors
/// As the database answers.
pub async fn failed(tx: &mut Tx, leased: &Leased, error: &str, now: i64, next_at: i64) -> Result<bool, StoreError> {
    end_attempt(tx, leased, now, Some(error)).await?;
    Ok(in_tx!(tx, "delivery.failed", execute, sqlx::query(FAILED), leased.id, leased.attempt, next_at, error)? == 1)
}

/// It did not arrive and is not tried again. False as in [`delivered`].
///
/// # Errors
/// As the database answers.
pub async fn give_up(tx: &mut Tx, leased: &Leased, error: &str, now: i64) -> Result<bool, StoreError> {
    end_attempt(tx, leased, now, Some(error)).await?;
    Ok(in_tx!(tx, "delivery.give_up", execute, sqlx::query(GIVE_UP), leased.id, leased.attempt, now, error)? == 1)
}

async fn end_attempt(tx: &mut Tx, leased: &Leased, now: i64, error: Option<&str>) -> Result<(), StoreError> {
    in_tx!(tx, "delivery.end_attempt", execute, sqlx::query(END_ATTEMPT), leased.id, leased.attempt, now, error)?;
    Ok(())
}

/// Gives up what a receiver is owed and was tried since before `before`; gives how many there were. For receivers that are no more.
///
/// # Errors
/// As the database answers.
pub async fn give_up_all(tx: &mut Tx, receiver: &str, before: i64, now: i64) -> Result<u64, StoreError> {
    in_tx!(tx, "delivery.give_up_all", execute, sqlx::query(GIVE_UP_ALL), receiver, before, now)
}

/// What each receiver is owed.
///
/// # Errors
/// As the database answers.
pub async fn owed(store: &Store) -> Result<Vec<Owed>, StoreError> {
    let rows = on_pool!(store, "delivery.owed", fetch_all, sqlx::query_as::<_, (String, i64, i64)>(OWED))?;
    Ok(rows.into_iter().map(|(receiver, count, oldest)| Owed { receiver, count, oldest }).collect())
}

/// The first `limit` deliveries of a state after number `after` (0 for all), in order.
///
/// # Errors
/// As the database answers.
pub async fn list(store: &Store, state: &str, after: i64, limit: u32) -> Result<Vec<DeliveryRow>, StoreError> {
    let rows =
        on_pool!(store, "delivery.list", fetch_all, sqlx::query_as::<_, Row>(LIST), state, after, i64::from(limit))?;
    let decode = |(id, message_id, receiver, state, attempts, created_at, last_error)| DeliveryRow {
        id,
        message_id,
        receiver,
        state,
        attempts,
        created_at,
        last_error,
    };
    Ok(rows.into_iter().map(decode).collect())
}

/// What was owed from number `after` on (0 for all), delivered or not: number and what is said, as JSON, in order. For who
/// watches live.
///
/// # Errors
/// As the database answers.
pub async fn put_since(store: &Store, after: i64, limit: u32) -> Result<Vec<(i64, String)>, StoreError> {
    on_pool!(
        store,
        "delivery.put_since",
        fetch_all,
        sqlx::query_as::<_, (i64, String)>(PUT_SINCE),
        after,
        i64::from(limit)
    )
}

/// How many deliveries there are, by receiver and state.
///
/// # Errors
/// As the database answers.
pub async fn tally(store: &Store) -> Result<Vec<Tally>, StoreError> {
    let rows = on_pool!(store, "delivery.tally", fetch_all, sqlx::query_as::<_, (String, String, i64)>(TALLY))?;
    Ok(rows.into_iter().map(|(receiver, state, count)| Tally { receiver, state, count }).collect())
}

/// What became of the newest version of each alert, a row a receiver.
///
/// # Errors
/// As the database answers.
pub async fn last_changes(store: &Store) -> Result<Vec<LastChange>, StoreError> {
    let rows = on_pool!(
        store,
        "delivery.last_changes",
        fetch_all,
        sqlx::query_as::<_, (String, String, String)>(LAST_CHANGES)
    )?;
    Ok(rows.into_iter().map(|(alert_id, receiver, state)| LastChange { alert_id, receiver, state }).collect())
}

/// Sets a delivery that was given up, or all of a receiver, to be tried anew; gives how many there were.
///
/// # Errors
/// As the database answers.
pub async fn replay(tx: &mut Tx, id: Option<i64>, receiver: Option<&str>, now: i64) -> Result<u64, StoreError> {
    in_tx!(tx, "delivery.replay", execute, sqlx::query(REPLAY), id, receiver, now)
}

type Row = (i64, String, String, String, i32, i64, Option<String>);

const PUT: &str = "
INSERT INTO delivery (message_id, case_id, alert_id, version, receiver, state, body, register_id, received_at, created_at,
                      tried_since, next_at, attempts)
VALUES ($1, $2, $3, $4, $5, 'waiting', $6, $7, $8, $9, $9, $9, 0)
ON CONFLICT (alert_id, receiver, version) DO NOTHING";

const BEGIN_ATTEMPT: &str = "INSERT INTO attempt (delivery_id, number, started_at) VALUES ($1, $2, $3)";

const END_ATTEMPT: &str = "UPDATE attempt SET ended_at = $3, error = $4 WHERE delivery_id = $1 AND number = $2";

const DELIVERED: &str = "
UPDATE delivery SET state = 'delivered', ended_at = $3, last_error = NULL
WHERE id = $1 AND attempts = $2 AND state = 'sending'";

const FAILED: &str = "
UPDATE delivery SET state = 'waiting', next_at = $3, last_error = $4
WHERE id = $1 AND attempts = $2 AND state = 'sending'";

const GIVE_UP: &str = "
UPDATE delivery SET state = 'given_up', ended_at = $3, last_error = $4
WHERE id = $1 AND attempts = $2 AND state = 'sending'";

const GIVE_UP_ALL: &str = "
UPDATE delivery SET state = 'given_up', ended_at = $3, last_error = 'the policy names no such receiver any more'
WHERE receiver = $1 AND tried_since < $2 AND state IN ('waiting', 'sending')";

const OWED: &str = "
SELECT receiver, COUNT(*), MIN(tried_since) FROM delivery WHERE state IN ('waiting', 'sending')
GROUP BY receiver ORDER BY receiver";

const LIST: &str = "
SELECT id, message_id, receiver, state, attempts, created_at, last_error FROM delivery
WHERE state = $1 AND id > $2 ORDER BY id LIMIT $3";

const PUT_SINCE: &str = "SELECT id, body FROM delivery WHERE id > $1 ORDER BY id LIMIT $2";

const TALLY: &str = "SELECT receiver, state, COUNT(*) FROM delivery GROUP BY receiver, state ORDER BY receiver, state";

const LAST_CHANGES: &str = "
SELECT delivery.alert_id, delivery.receiver, delivery.state
FROM delivery JOIN alert ON alert.alert_id = delivery.alert_id AND alert.version = delivery.version
ORDER BY delivery.alert_id, delivery.receiver";

const REPLAY: &str = "
UPDATE delivery SET state = 'waiting', next_at = $3, tried_since = $3, ended_at = NULL
WHERE state = 'given_up' AND (CAST($1 AS bigint) IS NULL OR id = $1) AND (CAST($2 AS text) IS NULL OR receiver = $2)";
