//! Enrolments: a pupil's schools and groups, packed.
//!
//! Owner: rules, the owner of the partition, under its position row.

use crate::dialect::{self, BulkWrite, Column, postgres, sqlite};
use crate::{Store, StoreError, Tx};

/// A pupil's enrolments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentRow {
    /// The pupil.
    pub upn: i64,
    /// The partition that the pupil belongs to.
    pub part: i32,
    /// The enrolments, as the domain packs them.
    pub body: Vec<u8>,
}

/// Rows a statement, so that no load meets the statement time-out.
const PAGE: i64 = 20_000;

/// The enrolments of a partition, in the order of UPNs.
///
/// # Errors
/// As the database answers.
pub async fn load_partition(store: &Store, part: i32) -> Result<Vec<EnrolmentRow>, StoreError> {
    let mut loaded = Vec::new();
    let mut after = i64::MIN;
    loop {
        let page = on_pool!(
            store,
            "enrolment.load_partition",
            fetch_all,
            sqlx::query_as::<_, Row>(LOAD_PAGE),
            part,
            after,
            PAGE
        )?;
        let Some(last) = page.last() else { return Ok(loaded) };
        after = last.0;
        loaded.extend(page.into_iter().map(decode));
    }
}

/// A pupil's enrolments.
///
/// # Errors
/// As the database answers.
pub async fn load(store: &Store, upn: i64) -> Result<Option<EnrolmentRow>, StoreError> {
    Ok(on_pool!(store, "enrolment.load", fetch_optional, sqlx::query_as::<_, Row>(LOAD), upn)?.map(decode))
}

/// Writes enrolments, new or known, in the order of UPNs; of rows with the same UPN the last.
///
/// # Errors
/// As the database answers.
pub async fn upsert_many(tx: &mut Tx, rows: &[EnrolmentRow]) -> Result<(), StoreError> {
    let sorted = dialect::last_of_each_key(rows, |row| row.upn);
    dialect::write_many(tx, &UPSERT, &sorted, |rows| {
        vec![
            Column::Big(rows.iter().map(|row| row.upn).collect()),
            Column::Int(rows.iter().map(|row| row.part).collect()),
            Column::Bytes(rows.iter().map(|row| row.body.as_slice()).collect()),
        ]
    })
    .await?;
    Ok(())
}

/// Deletes a pupil's enrolments; false where there were none.
///
/// # Errors
/// As the database answers.
pub async fn delete(tx: &mut Tx, upn: i64) -> Result<bool, StoreError> {
    Ok(in_tx!(tx, "enrolment.delete", execute, sqlx::query(DELETE), upn)? == 1)
}

type Row = (i64, i32, Vec<u8>);

fn decode((upn, part, body): Row) -> EnrolmentRow {
    EnrolmentRow { upn, part, body }
}

const UPSERT: BulkWrite = BulkWrite {
    doing: "enrolment.upsert_many",
    postgres: postgres::ENROLMENT_UPSERT,
    sqlite: sqlite::ENROLMENT_UPSERT,
};

const LOAD_PAGE: &str = "SELECT upn, part, body FROM enrolment WHERE part = $1 AND upn > $2 ORDER BY upn LIMIT $3";

const LOAD: &str = "SELECT upn, part, body FROM enrolment WHERE upn = $1";

const DELETE: &str = "DELETE FROM enrolment WHERE upn = $1";
