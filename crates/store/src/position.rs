//! Positions: how far a partition has been read, and the fence that lets only its present owner commit.
//!
//! Owner: the service that reads the topic. Every transaction of an owner begins with exactly one of [`claim`], [`advance`], [`touch`] and
//! [`move_checkpoint`]; each raises `version` by one and keeps the row locked until the end. So after a commit of unknown outcome
//! the row tells what became of it: [`settle`].

use crate::{Store, StoreError, Tx};

/// The row of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The topic.
    pub topic: String,
    /// Its partition.
    pub part: i32,
    /// How often this row was claimed or written.
    pub version: i64,
    /// The offset of the first message without effects yet; 0 also where nothing was ever read.
    pub next_offset: i64,
    /// The stored records hold at least all messages before this offset.
    pub checkpoint_offset: i64,
    /// When the checkpoint was last moved; at first, when the partition was first claimed.
    pub checkpoint_at: i64,
    /// The number of the newest outbox row of the partition; 0 before the first.
    pub outbox_number: i64,
}

impl Position {
    /// What its owner holds against it.
    pub fn fence(&self) -> Fence<'_> {
        Fence { topic: &self.topic, part: self.part, version: self.version }
    }
}

/// A partition, and the version that its owner last wrote or read: what compare-and-set compares with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence<'a> {
    /// The topic.
    pub topic: &'a str,
    /// Its partition.
    pub part: i32,
    /// The version held.
    pub version: i64,
}

/// What a transaction of an owner writes into the row, beside the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// By [`advance`].
    Advanced {
        /// The new position.
        next_offset: i64,
        /// The newest outbox row.
        outbox_number: i64,
    },
    /// By [`move_checkpoint`].
    Checkpoint {
        /// The new checkpoint.
        offset: i64,
        /// When.
        at: i64,
    },
    /// By [`touch`]: nothing.
    Touched,
}

/// What became of a commit that was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It was done.
    Done,
    /// It was not done.
    NotDone,
    /// Somebody else has the partition, or it cannot be told: it has to be taken over anew.
    Fenced,
}

impl Written {
    /// Whether `found` bears what was written into `held`, and `held` did not bear it before.
    fn is_in(self, found: &Position, held: &Position) -> bool {
        match self {
            Self::Advanced { next_offset, outbox_number } => {
                let wrote = (next_offset, outbox_number);
                wrote != (held.next_offset, held.outbox_number) && wrote == (found.next_offset, found.outbox_number)
            }
            Self::Checkpoint { offset, at } => {
                let wrote = (offset, at);
                wrote != (held.checkpoint_offset, held.checkpoint_at)
                    && wrote == (found.checkpoint_offset, found.checkpoint_at)
            }
            Self::Touched => false,
        }
    }
}

/// Tells what became of a commit that was not answered, by the row found after it. One more than the version held is ours
/// or a take-over by somebody else, which changes nothing but the version: only a row that bears what was written is ours.
pub fn settle(held: &Position, found: Option<&Position>, written: Written) -> Settled {
    match found {
        Some(found) if found.version == held.version => Settled::NotDone,
        Some(found) if found.version == held.version + 1 && written.is_in(found, held) => Settled::Done,
        _ => Settled::Fenced,
    }
}

/// The row of a partition; `None` where nobody ever claimed it.
///
/// # Errors
/// As the database answers.
pub async fn read(store: &Store, topic: &str, part: i32) -> Result<Option<Position>, StoreError> {
    Ok(on_pool!(store, "position.read", fetch_optional, sqlx::query_as::<_, Row>(READ), topic, part)?.map(decode))
}

/// All partitions of a topic, in order: for lag and the checkpoint's age.
///
/// # Errors
/// As the database answers.
pub async fn list(store: &Store, topic: &str) -> Result<Vec<Position>, StoreError> {
    let rows = on_pool!(store, "position.list", fetch_all, sqlx::query_as::<_, Row>(LIST), topic)?;
    Ok(rows.into_iter().map(decode).collect())
}

/// Takes the partition over: a new row at offset 0 and version 1, or the present one with its version raised, which refuses
/// every former owner from the commit on. Waits for a transaction that holds the row.
///
/// # Errors
/// `Conflict` where the row stayed locked for the lock time-out, else as the database answers.
pub async fn claim(tx: &mut Tx, topic: &str, part: i32, at: i64) -> Result<Position, StoreError> {
    Ok(decode(in_tx!(tx, "position.claim", fetch_one, sqlx::query_as::<_, Row>(CLAIM), topic, part, at)?))
}

/// Moves the position, if `held` is still its version and neither number goes back; false where refused: roll back, and drop what
/// memory holds of the partition.
///
/// # Errors
/// As the database answers.
pub async fn advance(tx: &mut Tx, held: Fence<'_>, next_offset: i64, outbox_number: i64) -> Result<bool, StoreError> {
    Ok(in_tx!(
        tx,
        "position.advance",
        execute,
        sqlx::query(ADVANCE),
        held.topic,
        held.part,
        held.version,
        next_offset,
        outbox_number
    )? == 1)
}

/// Raises the version only, if it still is `held`; false where refused. For a chunk of records.
///
/// # Errors
/// As the database answers.
pub async fn touch(tx: &mut Tx, held: Fence<'_>) -> Result<bool, StoreError> {
    Ok(in_tx!(tx, "position.touch", execute, sqlx::query(TOUCH), held.topic, held.part, held.version)? == 1)
}

/// Moves the checkpoint, if `held` is still the version and the checkpoint does not go back; false where refused.
///
/// # Errors
/// `Constraint` for a checkpoint ahead of `next_offset`, else as the database answers.
pub async fn move_checkpoint(
    tx: &mut Tx,
    held: Fence<'_>,
    checkpoint_offset: i64,
    at: i64,
) -> Result<bool, StoreError> {
    Ok(in_tx!(
        tx,
        "position.move_checkpoint",
        execute,
        sqlx::query(MOVE_CHECKPOINT),
        held.topic,
        held.part,
        held.version,
        checkpoint_offset,
        at
    )? == 1)
}

type Row = (String, i32, i64, i64, i64, i64, i64);

fn decode((topic, part, version, next_offset, checkpoint_offset, checkpoint_at, outbox_number): Row) -> Position {
    Position { topic, part, version, next_offset, checkpoint_offset, checkpoint_at, outbox_number }
}

const READ: &str = "
SELECT topic, part, version, next_offset, checkpoint_offset, checkpoint_at, outbox_number FROM position
WHERE topic = $1 AND part = $2";

const LIST: &str = "
SELECT topic, part, version, next_offset, checkpoint_offset, checkpoint_at, outbox_number FROM position
WHERE topic = $1 ORDER BY part";

const CLAIM: &str = "
INSERT INTO position (topic, part, version, next_offset, checkpoint_offset, checkpoint_at, outbox_number)
VALUES ($1, $2, 1, 0, 0, $3, 0)
ON CONFLICT (topic, part) DO UPDATE SET version = position.version + 1
RETURNING topic, part, version, next_offset, checkpoint_offset, checkpoint_at, outbox_number";

const ADVANCE: &str = "
UPDATE position SET version = version + 1, next_offset = $4, outbox_number = $5
WHERE topic = $1 AND part = $2 AND version = $3 AND next_offset <= $4 AND outbox_number <= $5";

const TOUCH: &str = "
UPDATE position SET version = version + 1
WHERE topic = $1 AND part = $2 AND version = $3";

const MOVE_CHECKPOINT: &str = "
UPDATE position SET version = version + 1, checkpoint_offset = $4, checkpoint_at = $5
WHERE topic = $1 AND part = $2 AND version = $3 AND checkpoint_offset <= $4";
