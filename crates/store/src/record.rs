//! Records: a pupil's marks of a school year, packed. Checkpoints of what the owner of the partition holds in memory.
//!
//! Owner: rules, the owner of the partition, under its position row.

use crate::dialect::{self, BulkWrite, Column, postgres, sqlite};
use crate::{Store, StoreError, Tx};

/// A record of a pupil and school year.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRow {
    /// The pupil.
    pub upn: i64,
    /// The school year.
    pub school_year: i16,
    /// The partition that the pupil belongs to.
    pub part: i32,
    /// The record, as the domain packs it.
    pub body: Vec<u8>,
    /// When its judgement can next change without an event.
    pub due_at: Option<i64>,
    /// The version of the policy set that judged it; 0 for never judged.
    pub judged_with: i64,
}

/// The records of a partition, a page at a time: each page is a statement, so no time-out and no snapshot spans the load. What is
/// written meanwhile is in it or not; a record is a fold that does not mind being ahead.
#[derive(Debug)]
pub struct RecordPages<'a> {
    store: &'a Store,
    part: i32,
    years: &'a [i16],
    after: i64,
}

/// Records a page: some 10 MB.
const PAGE: i64 = 20_000;

/// The records of a partition in the given school years, in the order of years given and UPNs.
pub fn load_partition<'a>(store: &'a Store, part: i32, years: &'a [i16]) -> RecordPages<'a> {
    RecordPages { store, part, years, after: i64::MIN }
}

impl RecordPages<'_> {
    /// The next page, never empty; `None` after the last. After an error the same page can be asked for again.
    ///
    /// # Errors
    /// As the database answers.
    pub async fn next(&mut self) -> Result<Option<Vec<RecordRow>>, StoreError> {
        while let [year, later @ ..] = self.years {
            let rows = on_pool!(
                self.store,
                "record.load_partition",
                fetch_all,
                sqlx::query_as::<_, Row>(LOAD_PAGE),
                self.part,
                *year,
                self.after,
                PAGE
            )?;
            if let Some(last) = rows.last() {
                self.after = last.0;
                return Ok(Some(rows.into_iter().map(decode).collect()));
            }
            self.years = later;
            self.after = i64::MIN;
        }
        Ok(None)
    }
}

/// A pupil's record of a school year.
///
/// # Errors
/// As the database answers.
pub async fn load(store: &Store, upn: i64, school_year: i16) -> Result<Option<RecordRow>, StoreError> {
    Ok(on_pool!(store, "record.load", fetch_optional, sqlx::query_as::<_, Row>(LOAD), upn, school_year)?.map(decode))
}

/// Writes records, new or known, in the order of their keys; of rows with the same key the last.
///
/// # Errors
/// As the database answers.
pub async fn upsert_many(tx: &mut Tx, rows: &[RecordRow]) -> Result<(), StoreError> {
    let sorted = dialect::last_of_each_key(rows, |row| (row.upn, row.school_year));
    dialect::write_many(tx, &UPSERT, &sorted, |rows| {
        vec![
            Column::Big(rows.iter().map(|row| row.upn).collect()),
            Column::Small(rows.iter().map(|row| row.school_year).collect()),
            Column::Int(rows.iter().map(|row| row.part).collect()),
            Column::Bytes(rows.iter().map(|row| row.body.as_slice()).collect()),
            Column::BigOrNull(rows.iter().map(|row| row.due_at).collect()),
            Column::Big(rows.iter().map(|row| row.judged_with).collect()),
        ]
    })
    .await?;
    Ok(())
}

/// Deletes a pupil's records of all years; gives how many there were.
///
/// # Errors
/// As the database answers.
pub async fn delete(tx: &mut Tx, upn: i64) -> Result<u64, StoreError> {
    in_tx!(tx, "record.delete", execute, sqlx::query(DELETE), upn)
}

type Row = (i64, i16, i32, Vec<u8>, Option<i64>, i64);

fn decode((upn, school_year, part, body, due_at, judged_with): Row) -> RecordRow {
    RecordRow { upn, school_year, part, body, due_at, judged_with }
}

const UPSERT: BulkWrite =
    BulkWrite { doing: "record.upsert_many", postgres: postgres::RECORD_UPSERT, sqlite: sqlite::RECORD_UPSERT };

const LOAD_PAGE: &str = "
SELECT upn, school_year, part, body, due_at, judged_with FROM record
WHERE part = $1 AND school_year = $2 AND upn > $3
ORDER BY upn LIMIT $4";

const LOAD: &str = "
SELECT upn, school_year, part, body, due_at, judged_with FROM record
WHERE upn = $1 AND school_year = $2";

const DELETE: &str = "DELETE FROM record WHERE upn = $1";
