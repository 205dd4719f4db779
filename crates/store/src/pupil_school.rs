//! The schools of pupils, by their marks and enrolments: what a school asks about its own registers is answered from the records
//! and the enrolments of its pupils.
//!
//! Owner: rules, the owner of the partition, under its position row, with the records.

use crate::dialect::{self, BulkWrite, Column, postgres, sqlite};
use crate::{Store, StoreError, Tx};

/// That a pupil has a mark or an enrolment at a school.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PupilSchool {
    /// The school.
    pub urn: i32,
    /// The pupil.
    pub upn: i64,
}

/// Adds rows; those that there are stay.
///
/// # Errors
/// As the database answers.
pub async fn insert_many(tx: &mut Tx, rows: &[PupilSchool]) -> Result<(), StoreError> {
    let sorted = dialect::last_of_each_key(rows, |row| *row);
    dialect::write_many(tx, &INSERT, &sorted, |rows| {
        vec![
            Column::Int(rows.iter().map(|row| row.urn).collect()),
            Column::Big(rows.iter().map(|row| row.upn).collect()),
        ]
    })
    .await?;
    Ok(())
}

/// Deletes a pupil's rows; gives how many there were.
///
/// # Errors
/// As the database answers.
pub async fn delete(tx: &mut Tx, upn: i64) -> Result<u64, StoreError> {
    in_tx!(tx, "pupil_school.delete", execute, sqlx::query(DELETE), upn)
}

/// The stored records of a school's pupils in a school year: UPN and body, in the order of UPNs. Marks at other schools are
/// in them too.
///
/// # Errors
/// As the database answers.
pub async fn records(store: &Store, urn: i32, school_year: i16) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
    on_pool!(store, "pupil_school.records", fetch_all, sqlx::query_as::<_, (i64, Vec<u8>)>(RECORDS), urn, school_year)
}

/// The stored enrolments of a school's pupils: UPN and body, in the order of UPNs. Enrolments at other schools are in them too.
///
/// # Errors
/// As the database answers.
pub async fn enrolments(store: &Store, urn: i32) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
    on_pool!(store, "pupil_school.enrolments", fetch_all, sqlx::query_as::<_, (i64, Vec<u8>)>(ENROLMENTS), urn)
}

const INSERT: BulkWrite = BulkWrite {
    doing: "pupil_school.insert_many",
    postgres: postgres::PUPIL_SCHOOL_INSERT,
    sqlite: sqlite::PUPIL_SCHOOL_INSERT,
};

const DELETE: &str = "DELETE FROM pupil_school WHERE upn = $1";

const RECORDS: &str = "
SELECT record.upn, record.body FROM pupil_school JOIN record ON record.upn = pupil_school.upn
WHERE pupil_school.urn = $1 AND record.school_year = $2
ORDER BY record.upn";

const ENROLMENTS: &str = "
SELECT enrolment.upn, enrolment.body FROM pupil_school JOIN enrolment ON enrolment.upn = pupil_school.upn
WHERE pupil_school.urn = $1
ORDER BY enrolment.upn";
