//! Where the two databases differ: pools, how a transaction begins, and how many rows are written at once.
//!
//! Takes rows as columns, so that PostgreSQL can have each as one array and SQLite a row at a time.

use sqlx::{PgPool, SqlitePool};

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
