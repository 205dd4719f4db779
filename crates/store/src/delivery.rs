//! Deliveries: a message that a receiver is owed, with every attempt, and the changes that it tells: each alert, version and
//! receiver is in exactly one message.
//!
//! Owner: the notifier. Intake puts them in the transaction of the change; whoever [`lease`]s one sends it. `sending` is committed
//! before the call: a process that dies leaves a lease that ends, and the message goes out again with the same id.

use crate::dialect::{self, BulkWrite, Column, postgres, sqlite};
use crate::{Store, StoreError, Tx};

/// A delivery to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// The id that every attempt bears.
    pub message_id: String,
    /// The case; `None` for what is about no single one.
    pub case_id: Option<i64>,
    /// The changes that it tells: alert and version.
    pub changes: Vec<(String, i32)>,
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
    /// Until when it is gathered, to become one message with others; none where it goes out on its own.
    pub gather_until: Option<i64>,
}

/// Messages of a receiver that were gathered until a moment that is past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gathered {
    /// The receiver.
    pub receiver: String,
    /// Until when.
    pub until: i64,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatheredMessage {
    /// Its id.
    pub message_id: String,
    /// What it would have said, as JSON.
    pub body: String,
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
    /// `gathered`, `waiting`, `sending`, `delivered` or `given_up`.
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
    /// `gathered`, `waiting`, `sending`, `delivered` or `given_up`.
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
    /// `gathered`, `waiting`, `sending`, `delivered` or `given_up`.
    pub state: String,
}

/// Puts deliveries with the changes that they tell; gives how many there were not before, by their ids.
///
/// # Errors
/// `Constraint` where a receiver was told a change already, else as the database answers.
pub async fn put_many(tx: &mut Tx, rows: &[NewDelivery]) -> Result<u64, StoreError> {
    let rows: Vec<&NewDelivery> = rows.iter().collect();
    let put = dialect::write_many(tx, &INSERT, &rows, |rows| {
        vec![
            Column::Text(rows.iter().map(|row| row.message_id.as_str()).collect()),
            Column::BigOrNull(rows.iter().map(|row| row.case_id).collect()),
            Column::Text(rows.iter().map(|row| row.receiver.as_str()).collect()),
            Column::Text(rows.iter().map(|row| row.gather_until.map_or("waiting", |_| "gathered")).collect()),
            Column::Text(rows.iter().map(|row| row.body.as_str()).collect()),
            Column::Text(rows.iter().map(|row| row.register_id.as_str()).collect()),
            Column::Big(rows.iter().map(|row| row.received_at).collect()),
            Column::Big(rows.iter().map(|row| row.at).collect()),
            Column::Big(rows.iter().map(|row| row.gather_until.unwrap_or(row.at)).collect()),
            Column::Int(rows.iter().map(|row| i32::try_from(row.changes.len()).unwrap_or(i32::MAX)).collect()),
        ]
    })
    .await?;
    let told: Vec<_> = rows
        .iter()
        .flat_map(|row| {
            let told = row.changes.iter();
            told.map(|(alert, version)| (alert.as_str(), row.receiver.as_str(), *version, row.message_id.as_str()))
        })
        .collect();
    let told: Vec<_> = told.iter().collect();
    dialect::write_many(tx, &TELL, &told, |rows| {
        vec![
            Column::Text(rows.iter().map(|row| row.0).collect()),
            Column::Text(rows.iter().map(|row| row.1).collect()),
            Column::Int(rows.iter().map(|row| row.2).collect()),
            Column::Text(rows.iter().map(|row| row.3).collect()),
        ]
    })
    .await?;
    Ok(put)
}

/// How many changes the messages that a receiver is owed since a moment tell.
///
/// # Errors
/// As the database answers.
pub async fn changes_since(tx: &mut Tx, receiver: &str, since: i64) -> Result<i64, StoreError> {
    in_tx!(tx, "delivery.changes_since", fetch_one, sqlx::query_scalar(CHANGES_SINCE), receiver, since)
}

/// Whose messages were gathered until a moment that is past.
///
/// # Errors
/// As the database answers.
pub async fn gathered(store: &Store, now: i64) -> Result<Vec<Gathered>, StoreError> {
    let rows = on_pool!(store, "delivery.gathered", fetch_all, sqlx::query_as::<_, (String, i64)>(GATHERED), now)?;
    Ok(rows.into_iter().map(|(receiver, until)| Gathered { receiver, until }).collect())
}

/// The messages gathered, in order.
///
/// # Errors
/// As the database answers.
pub async fn gathered_messages(tx: &mut Tx, gathered: &Gathered) -> Result<Vec<GatheredMessage>, StoreError> {
    let rows = in_tx!(
        tx,
        "delivery.gathered_messages",
        fetch_all,
        sqlx::query_as::<_, (String, String)>(GATHERED_MESSAGES),
        gathered.receiver.as_str(),
        gathered.until
    )?;
    Ok(rows.into_iter().map(|(message_id, body)| GatheredMessage { message_id, body }).collect())
}

/// Puts one message in the place of these; false, and nothing else done, where another process has. `into` names no changes: those
/// of the messages become its own, and count in the hour in which they came.
///
/// # Errors
/// As the database answers.
pub async fn merge(tx: &mut Tx, into: &NewDelivery, from: &[GatheredMessage]) -> Result<bool, StoreError> {
    if put_many(tx, std::slice::from_ref(into)).await? == 0 {
        return Ok(false);
    }
    let from: Vec<&GatheredMessage> = from.iter().collect();
    dialect::write_many(tx, &MOVE, &from, |rows| {
        vec![
            Column::Text(rows.iter().map(|row| row.message_id.as_str()).collect()),
            Column::Text(rows.iter().map(|_| into.message_id.as_str()).collect()),
        ]
    })
    .await?;
    dialect::write_many(tx, &DELETE, &from, |rows| {
        vec![Column::Text(rows.iter().map(|row| row.message_id.as_str()).collect())]
    })
    .await?;
    Ok(true)
}

/// The messages about many cases that tell of a child: id and what they say.
///
/// # Errors
/// As the database answers.
pub async fn digests_of(tx: &mut Tx, upn: i64) -> Result<Vec<(String, String)>, StoreError> {
    in_tx!(tx, "delivery.digests_of", fetch_all, sqlx::query_as::<_, (String, String)>(DIGESTS_OF), upn)
}

/// Lets a message say something else.
///
/// # Errors
/// As the database answers.
pub async fn rewrite(tx: &mut Tx, message_id: &str, body: &str) -> Result<(), StoreError> {
    in_tx!(tx, "delivery.rewrite", execute, sqlx::query(REWRITE), message_id, body)?;
    Ok(())
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

/// Deletes a message with its attempts and what it tells.
///
/// # Errors
/// As the database answers.
pub async fn delete(tx: &mut Tx, message_id: &str) -> Result<(), StoreError> {
    in_tx!(tx, "delivery.delete", execute, sqlx::query(DELETE.sqlite), message_id)?;
    Ok(())
}

type Row = (i64, String, String, String, i32, i64, Option<String>);

const INSERT: BulkWrite =
    BulkWrite { doing: "delivery.put_many", postgres: postgres::DELIVERY_INSERT, sqlite: sqlite::DELIVERY_INSERT };

const TELL: BulkWrite =
    BulkWrite { doing: "delivery.tell", postgres: postgres::TOLD_INSERT, sqlite: sqlite::TOLD_INSERT };

const MOVE: BulkWrite = BulkWrite {
    doing: "delivery.move",
    postgres:
        "UPDATE told SET message_id = given.into_id FROM UNNEST($1::text[], $2::text[]) AS given (from_id, into_id)
        WHERE told.message_id = given.from_id",
    sqlite: "UPDATE told SET message_id = $2 WHERE message_id = $1",
};

const DELETE: BulkWrite = BulkWrite {
    doing: "delivery.delete",
    postgres: "DELETE FROM delivery WHERE message_id = ANY ($1)",
    sqlite: "DELETE FROM delivery WHERE message_id = $1",
};

const CHANGES_SINCE: &str = "
SELECT CAST(COALESCE(SUM(changes), 0) AS bigint) FROM delivery WHERE receiver = $1 AND created_at >= $2";

const GATHERED: &str = "
SELECT DISTINCT receiver, next_at FROM delivery WHERE state = 'gathered' AND next_at <= $1 ORDER BY next_at, receiver";

const GATHERED_MESSAGES: &str = "
SELECT message_id, body FROM delivery WHERE state = 'gathered' AND receiver = $1 AND next_at = $2 ORDER BY id";

const DIGESTS_OF: &str = "
SELECT DISTINCT delivery.message_id, delivery.body FROM child_case
JOIN alert ON alert.case_id = child_case.id
JOIN told ON told.alert_id = alert.alert_id
JOIN delivery ON delivery.message_id = told.message_id
WHERE child_case.upn = $1 AND delivery.case_id IS NULL ORDER BY delivery.message_id";

const REWRITE: &str = "UPDATE delivery SET body = $2 WHERE message_id = $1";

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
SELECT told.alert_id, told.receiver, delivery.state
FROM told JOIN alert ON alert.alert_id = told.alert_id AND alert.version = told.version
JOIN delivery ON delivery.message_id = told.message_id
ORDER BY told.alert_id, told.receiver";

const REPLAY: &str = "
UPDATE delivery SET state = 'waiting', next_at = $3, tried_since = $3, ended_at = NULL
WHERE state = 'given_up' AND (CAST($1 AS bigint) IS NULL OR id = $1) AND (CAST($2 AS text) IS NULL OR receiver = $2)";
