//! How far each file of an import of history has come, so that one that was broken off goes on where it stopped.
//!
//! Owner: `earlybell import`. A file is known by a digest of what is in it.

use crate::{Store, StoreError, Tx};

/// A file's progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportFile {
    /// The digest of what is in it.
    pub digest: String,
    /// What it was called.
    pub name: String,
    /// Rows whose messages Kafka has acknowledged, from the first.
    pub rows: i64,
    /// Marks in them that were taken.
    pub marks: i64,
    /// When that was written.
    pub changed_at: i64,
    /// When its last row was; `None` while it is not done.
    pub finished_at: Option<i64>,
}

/// Writes a file's progress; it never goes back.
///
/// # Errors
/// As the database answers.
pub async fn put(tx: &mut Tx, file: &ImportFile) -> Result<(), StoreError> {
    in_tx!(
        tx,
        "import_file.put",
        execute,
        sqlx::query(PUT),
        file.digest.as_str(),
        file.name.as_str(),
        file.rows,
        file.marks,
        file.changed_at,
        file.finished_at
    )?;
    Ok(())
}

/// A file's progress; `None` where none of it was imported.
///
/// # Errors
/// As the database answers.
pub async fn get(store: &Store, digest: &str) -> Result<Option<ImportFile>, StoreError> {
    let row = on_pool!(store, "import_file.get", fetch_optional, sqlx::query_as::<_, Row>(GET), digest)?;
    let decode = |(digest, name, rows, marks, changed_at, finished_at)| ImportFile {
        digest,
        name,
        rows,
        marks,
        changed_at,
        finished_at,
    };
    Ok(row.map(decode))
}

type Row = (String, String, i64, i64, i64, Option<i64>);

const PUT: &str = "
INSERT INTO import_file (digest, name, rows, marks, changed_at, finished_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (digest) DO UPDATE SET
    name = excluded.name, rows = excluded.rows, marks = excluded.marks, changed_at = excluded.changed_at,
    finished_at = excluded.finished_at
WHERE excluded.rows >= import_file.rows";

const GET: &str = "SELECT digest, name, rows, marks, changed_at, finished_at FROM import_file WHERE digest = $1";
