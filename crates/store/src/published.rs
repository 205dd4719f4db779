//! Published alerts: for each pupil, school year and rule, what was last said. The difference to what is wanted is an alert change.
//!
//! Owner: rules, the owner of the partition, in the transaction that puts the change into the outbox.

use crate::dialect::{self, BulkWrite, Column, postgres, sqlite};
use crate::{Store, StoreError, Tx};

/// What was last published for a pupil, school year and rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedRow {
    /// The pupil.
    pub upn: i64,
    /// The school year.
    pub school_year: i16,
    /// The rule's name.
    pub rule: String,
    /// The partition that the pupil belongs to.
    pub part: i32,
    /// The alert's id, a UUID as text.
    pub alert_id: String,
    /// How often this rule has been raised anew for the pupil in this year, from 1.
    pub episode: i32,
    /// The number of the last change within the alert, from 1, without gaps.
    pub version: i32,
    /// The level; 0 for none.
    pub level: i16,
    /// The session since when.
    pub since: i32,
    /// The session as of which it was raised.
    pub raised_at: i32,
    /// The rest, as the domain packs it.
    pub body: Vec<u8>,
}

/// Rows a statement, so that no load meets the statement time-out.
const PAGE: i64 = 20_000;

/// What is published of a partition, in the order of keys.
///
/// # Errors
/// As the database answers.
pub async fn load_partition(store: &Store, part: i32) -> Result<Vec<PublishedRow>, StoreError> {
    let mut loaded: Vec<PublishedRow> = Vec::new();
    loop {
        let (upn, year, rule) = match loaded.last() {
            Some(last) => (last.upn, last.school_year, last.rule.as_str()),
            None => (i64::MIN, i16::MIN, ""),
        };
        let page = on_pool!(
            store,
            "published.load_partition",
            fetch_all,
            sqlx::query_as::<_, Row>(LOAD_PAGE),
            part,
            upn,
            year,
            rule,
            PAGE
        )?;
        if page.is_empty() {
            return Ok(loaded);
        }
        loaded.extend(page.into_iter().map(decode));
    }
}

/// What is published of a pupil, in the order of school years and rules.
///
/// # Errors
/// As the database answers.
pub async fn load(store: &Store, upn: i64) -> Result<Vec<PublishedRow>, StoreError> {
    let rows = on_pool!(store, "published.load", fetch_all, sqlx::query_as::<_, Row>(LOAD), upn)?;
    Ok(rows.into_iter().map(decode).collect())
}

/// Writes rows, new or known, in the order of their keys; of rows with the same key the last.
///
/// # Errors
/// As the database answers.
pub async fn upsert_many(tx: &mut Tx, rows: &[PublishedRow]) -> Result<(), StoreError> {
    let sorted = dialect::last_of_each_key(rows, |row| (row.upn, row.school_year, row.rule.as_str()));
    dialect::write_many(tx, &UPSERT, &sorted, |rows| {
        vec![
            Column::Big(rows.iter().map(|row| row.upn).collect()),
            Column::Small(rows.iter().map(|row| row.school_year).collect()),
            Column::Text(rows.iter().map(|row| row.rule.as_str()).collect()),
            Column::Int(rows.iter().map(|row| row.part).collect()),
            Column::Text(rows.iter().map(|row| row.alert_id.as_str()).collect()),
            Column::Int(rows.iter().map(|row| row.episode).collect()),
            Column::Int(rows.iter().map(|row| row.version).collect()),
            Column::Small(rows.iter().map(|row| row.level).collect()),
            Column::Int(rows.iter().map(|row| row.since).collect()),
            Column::Int(rows.iter().map(|row| row.raised_at).collect()),
            Column::Bytes(rows.iter().map(|row| row.body.as_slice()).collect()),
        ]
    })
    .await?;
    Ok(())
}

/// Deletes all that is published of a pupil; gives how many rows there were.
///
/// # Errors
/// As the database answers.
pub async fn delete(tx: &mut Tx, upn: i64) -> Result<u64, StoreError> {
    in_tx!(tx, "published.delete", execute, sqlx::query(DELETE), upn)
}

type Row = (i64, i16, String, i32, String, i32, i32, i16, i32, i32, Vec<u8>);

fn decode(row: Row) -> PublishedRow {
    let (upn, school_year, rule, part, alert_id, episode, version, level, since, raised_at, body) = row;
    PublishedRow { upn, school_year, rule, part, alert_id, episode, version, level, since, raised_at, body }
}

const UPSERT: BulkWrite = BulkWrite {
    doing: "published.upsert_many",
    postgres: postgres::PUBLISHED_UPSERT,
    sqlite: sqlite::PUBLISHED_UPSERT,
};

const LOAD_PAGE: &str = "
SELECT upn, school_year, rule, part, alert_id, episode, version, level, since, raised_at, body FROM published
WHERE part = $1 AND (upn, school_year, rule) > ($2, $3, $4)
ORDER BY upn, school_year, rule LIMIT $5";

const LOAD: &str = "
SELECT upn, school_year, rule, part, alert_id, episode, version, level, since, raised_at, body FROM published
WHERE upn = $1 ORDER BY school_year, rule";

const DELETE: &str = "DELETE FROM published WHERE upn = $1";
