//! Dead letters: messages, or a pupil's part of one, that could not be used, kept whole until somebody replays them.
//!
//! Owner: the service that read the message, in the transaction that moves its position; `dead-letters` marks them replayed.

use crate::dialect::{self, BulkWrite, Column, postgres, sqlite};
use crate::{Store, StoreError, Tx};

/// A message that could not be used. Its key is topic, part, offset and place: the same again is no new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDeadLetter {
    /// Who sent it: a supplier, or the service's own HTTP side.
    pub source: String,
    /// The topic.
    pub topic: String,
    /// Its partition.
    pub part: i32,
    /// The message's offset.
    pub message_offset: i64,
    /// The message's timestamp.
    pub message_at: i64,
    /// The message's headers, as JSON.
    pub headers: String,
    /// Where in the message; empty for all of it.
    pub place: String,
    /// Why, one of a closed set of words.
    pub reason: String,
    /// Why, in a sentence.
    pub detail: String,
    /// The school that it concerns, if known.
    pub urn: Option<i32>,
    /// The pupil, where it is a pupil's part of a message: an erasure takes it along.
    pub upn: Option<i64>,
    /// The message, or its part, as it came.
    pub payload: Vec<u8>,
    /// When it was found unusable.
    pub created_at: i64,
}

/// A dead letter as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its number, rising.
    pub id: i64,
    /// What was stored.
    pub letter: NewDeadLetter,
    /// When it was replayed; `None` while it is open.
    pub replayed_at: Option<i64>,
}

/// Which dead letters: all that the set fields name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter<'a> {
    /// Of this reason only.
    pub reason: Option<&'a str>,
    /// Of this school only.
    pub urn: Option<i32>,
    /// Open ones only, or all.
    pub state: State,
}

/// Whether replayed dead letters count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Those not replayed.
    Open,
    /// All.
    Any,
}

/// How many dead letters have a reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The reason.
    pub reason: String,
    /// Not replayed.
    pub open: i64,
    /// All, replayed ones included.
    pub all: i64,
}

/// Stores dead letters, leaving out those whose key is stored already; gives how many were new.
///
/// # Errors
/// As the database answers.
pub async fn insert_many(tx: &mut Tx, letters: &[NewDeadLetter]) -> Result<u64, StoreError> {
    let key = |letter: &'_ NewDeadLetter| (letter.part, letter.message_offset);
    let mut sorted: Vec<&NewDeadLetter> = letters.iter().collect();
    sorted.sort_by(|a, b| (&a.topic, key(a), &a.place).cmp(&(&b.topic, key(b), &b.place)));
    dialect::write_many(tx, &INSERT, &sorted, |letters| {
        vec![
            Column::Text(letters.iter().map(|letter| letter.source.as_str()).collect()),
            Column::Text(letters.iter().map(|letter| letter.topic.as_str()).collect()),
            Column::Int(letters.iter().map(|letter| letter.part).collect()),
            Column::Big(letters.iter().map(|letter| letter.message_offset).collect()),
            Column::Big(letters.iter().map(|letter| letter.message_at).collect()),
            Column::Text(letters.iter().map(|letter| letter.headers.as_str()).collect()),
            Column::Text(letters.iter().map(|letter| letter.place.as_str()).collect()),
            Column::Text(letters.iter().map(|letter| letter.reason.as_str()).collect()),
            Column::Text(letters.iter().map(|letter| letter.detail.as_str()).collect()),
            Column::IntOrNull(letters.iter().map(|letter| letter.urn).collect()),
            Column::BigOrNull(letters.iter().map(|letter| letter.upn).collect()),
            Column::Bytes(letters.iter().map(|letter| letter.payload.as_slice()).collect()),
            Column::Big(letters.iter().map(|letter| letter.created_at).collect()),
        ]
    })
    .await
}

/// The first `limit` dead letters after number `after` (0 for all) that the filter names, in order, with their payloads.
///
/// # Errors
/// As the database answers.
pub async fn list(store: &Store, filter: Filter<'_>, after: i64, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
    let open_only = i32::from(filter.state == State::Open);
    let rows = on_pool!(
        store,
        "dead_letter.list",
        fetch_all,
        sqlx::query_as::<_, Row>(LIST),
        after,
        filter.reason,
        filter.urn,
        open_only,
        i64::from(limit)
    )?;
    Ok(rows.into_iter().map(decode).collect())
}

/// A dead letter.
///
/// # Errors
/// As the database answers.
pub async fn get(store: &Store, id: i64) -> Result<Option<DeadLetter>, StoreError> {
    Ok(on_pool!(store, "dead_letter.get", fetch_optional, sqlx::query_as::<_, Row>(GET), id)?.map(decode))
}

/// Marks a dead letter as replayed; false where it is none or was replayed before.
///
/// # Errors
/// As the database answers.
pub async fn mark_replayed(tx: &mut Tx, id: i64, at: i64) -> Result<bool, StoreError> {
    Ok(in_tx!(tx, "dead_letter.mark_replayed", execute, sqlx::query(MARK_REPLAYED), id, at)? == 1)
}

/// Deletes a pupil's parts of messages, replayed or not; gives how many there were.
///
/// # Errors
/// As the database answers.
pub async fn delete_of_pupil(tx: &mut Tx, upn: i64) -> Result<u64, StoreError> {
    in_tx!(tx, "dead_letter.delete_of_pupil", execute, sqlx::query(DELETE_OF_PUPIL), upn)
}

/// How many there are, by reason.
///
/// # Errors
/// As the database answers.
pub async fn counts(store: &Store) -> Result<Vec<Count>, StoreError> {
    let rows = on_pool!(store, "dead_letter.counts", fetch_all, sqlx::query_as::<_, (String, i64, i64)>(COUNTS))?;
    Ok(rows.into_iter().map(|(reason, open, all)| Count { reason, open, all }).collect())
}

type Row = (
    i64,
    String,
    String,
    i32,
    i64,
    i64,
    String,
    String,
    String,
    String,
    Option<i32>,
    Option<i64>,
    Vec<u8>,
    i64,
    Option<i64>,
);

fn decode(row: Row) -> DeadLetter {
    let (id, source, topic, part, message_offset, message_at, headers, place, reason, detail, ..) = row;
    let (.., urn, upn, payload, created_at, replayed_at) = row;
    let letter = NewDeadLetter {
        source,
        topic,
        part,
        message_offset,
        message_at,
        headers,
        place,
        reason,
        detail,
        urn,
        upn,
        payload,
        created_at,
    };
    DeadLetter { id, letter, replayed_at }
}

const INSERT: BulkWrite = BulkWrite {
    doing: "dead_letter.insert_many",
    postgres: postgres::DEAD_LETTER_INSERT,
    sqlite: sqlite::DEAD_LETTER_INSERT,
};

const LIST: &str = "
SELECT id, source, topic, part, message_offset, message_at, headers, place, reason, detail, urn, upn, payload, created_at,
    replayed_at
FROM dead_letter
WHERE id > $1 AND (CAST($2 AS text) IS NULL OR reason = $2) AND (CAST($3 AS integer) IS NULL OR urn = $3)
    AND ($4 = 0 OR replayed_at IS NULL)
ORDER BY id LIMIT $5";

const GET: &str = "
SELECT id, source, topic, part, message_offset, message_at, headers, place, reason, detail, urn, upn, payload, created_at,
    replayed_at
FROM dead_letter WHERE id = $1";

const MARK_REPLAYED: &str = "UPDATE dead_letter SET replayed_at = $2 WHERE id = $1 AND replayed_at IS NULL";

const DELETE_OF_PUPIL: &str = "DELETE FROM dead_letter WHERE upn = $1";

const COUNTS: &str = "
SELECT reason, COUNT(*) - COUNT(replayed_at), COUNT(*) FROM dead_letter
GROUP BY reason ORDER BY reason";
