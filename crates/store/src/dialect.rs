//! Where the two databases differ: pools, how a transaction begins, and how many rows are written at once.
//!
//! Takes rows as columns, so that PostgreSQL can have each as one array and SQLite a row at a time.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, PgPool, SqlitePool};

use crate::{StoreError, tx::Tx};

pub(crate) mod postgres;
pub(crate) mod sqlite;

/// Rows a statement: above some 2,000 the server's work a row no longer falls, and a message stays far below its limit.
const CHUNK: usize = 20_000;

/// The pools of a database.
#[derive(Debug, Clone)]
pub(crate) enum Pools {
    Postgres(PgPool),
    /// SQLite has one writer at a time: queueing for its connection is fair, waiting for the file is not.
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
    },
}

/// One column of rows that are written together; all columns of a write have the same length.
pub(crate) enum Column<'a> {
    Small(Vec<i16>),
    Int(Vec<i32>),
    IntOrNull(Vec<Option<i32>>),
    Big(Vec<i64>),
    BigOrNull(Vec<Option<i64>>),
    Text(Vec<&'a str>),
    TextOrNull(Vec<Option<&'a str>>),
    Bytes(Vec<&'a [u8]>),
}

/// The same write in both dialects.
pub(crate) struct BulkWrite {
    pub(crate) doing: &'static str,
    /// One statement over arrays.
    pub(crate) postgres: &'static str,
    /// One statement a row.
    pub(crate) sqlite: &'static str,
}

/// The keys of rows that are read together.
#[derive(Clone, Copy)]
pub(crate) enum Keys<'a> {
    Big(&'a [i64]),
    Text(&'a [&'a str]),
}

/// The same reading in both dialects: PostgreSQL has the keys as one array, SQLite as one JSON list.
pub(crate) struct BulkRead {
    pub(crate) doing: &'static str,
    pub(crate) postgres: &'static str,
    pub(crate) sqlite: &'static str,
}

/// Reads the rows of all keys, within a transaction.
pub(crate) async fn read_many<Row>(tx: &mut Tx, read: &BulkRead, keys: Keys<'_>) -> Result<Vec<Row>, StoreError>
where
    Row: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
{
    let outcome = match tx.enter(read.doing)? {
        crate::tx::Connection::Postgres(connection) => postgres::read(&mut **connection, read.postgres, keys).await,
        crate::tx::Connection::Sqlite(connection) => sqlite::read(&mut **connection, read.sqlite, keys).await,
    };
    tx.leave(read.doing, outcome)
}

/// Reads the rows of all keys, outside of any transaction.
pub(crate) async fn read_from_pool<Row>(
    store: &crate::Store,
    read: &BulkRead,
    keys: Keys<'_>,
) -> Result<Vec<Row>, StoreError>
where
    Row: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
{
    let outcome = match store.pools() {
        Pools::Postgres(pool) => postgres::read(pool, read.postgres, keys).await,
        Pools::Sqlite { readers, .. } => sqlite::read(readers, read.sqlite, keys).await,
    };
    outcome.map_err(|error| crate::codes::statement(read.doing, &error))
}

/// Values that are JSON already, as a list: arrays differ between the databases, and nothing is spliced into a statement.
pub(crate) fn json_list(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(","))
}

/// A text as JSON; control characters, which no name has, become spaces.
pub(crate) fn json_text(text: &str) -> String {
    let mut json = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            control if control.is_control() => json.push(' '),
            plain => json.push(plain),
        }
    }
    json.push('"');
    json
}

/// Writes all rows, in chunks; gives the number of rows that the statements touched.
pub(crate) async fn write_many<'a, Row>(
    tx: &mut Tx,
    write: &BulkWrite,
    rows: &[&'a Row],
    columns: impl Fn(&[&'a Row]) -> Vec<Column<'a>>,
) -> Result<u64, StoreError> {
    let mut touched = 0;
    for chunk in rows.chunks(CHUNK) {
        let columns = columns(chunk);
        let outcome = match tx.enter(write.doing)? {
            crate::tx::Connection::Postgres(connection) => postgres::write(connection, write.postgres, columns).await,
            crate::tx::Connection::Sqlite(connection) => {
                sqlite::write(connection, write.sqlite, &columns, chunk.len()).await
            }
        };
        touched += tx.leave(write.doing, outcome)?;
    }
    Ok(touched)
}

/// The rows in the order of their keys, so that all writers lock in one order; of rows with the same key the last, since
/// PostgreSQL refuses to write a row twice in one statement.
pub(crate) fn last_of_each_key<'a, Row, Key: Ord>(rows: &'a [Row], key: impl Fn(&'a Row) -> Key) -> Vec<&'a Row> {
    let mut sorted: Vec<&Row> = rows.iter().rev().collect();
    sorted.sort_by_key(|row| key(row));
    sorted.dedup_by(|later, kept| key(later) == key(kept));
    sorted
}
