//! Which register of which school and session has come, and when; its marks are in the records.
//!
//! Owner: ingest's loop, in the transaction that moves its position. Of each part the newest revision is kept, and of equally
//! new ones that with the greater id: any order and repetition ends in the same rows.

use crate::{Store, StoreError, Tx};

/// A part of a register; most have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterRow {
    /// The school.
    pub urn: i32,
    /// The session.
    pub session: i32,
    /// The part's number, from 0.
    pub part: i32,
    /// When the school last changed it.
    pub revised_at: i64,
    /// The register's id.
    pub id: String,
    /// When it was received.
    pub received_at: i64,
    /// Marks that were refused.
    pub refused: i32,
    /// Whether an import of history brought it.
    pub history: bool,
}

/// Writes parts, in the order of their keys; an older revision than the stored one changes nothing.
///
/// # Errors
/// As the database answers.
pub async fn upsert_many(tx: &mut Tx, rows: &[RegisterRow]) -> Result<(), StoreError> {
    let mut sorted: Vec<&RegisterRow> = rows.iter().collect();
    sorted.sort_by_key(|row| (row.urn, row.session, row.part));
    for row in sorted {
        in_tx!(
            tx,
            "register.upsert_many",
            execute,
            sqlx::query(UPSERT),
            row.urn,
            row.session,
            row.part,
            row.revised_at,
            row.id.as_str(),
            row.received_at,
            row.refused,
            i16::from(row.history)
        )?;
    }
    Ok(())
}

/// The newest revisions of a school's registers from session `from` to session `to`, both included, in order; parts of older
/// revisions than a register's newest are left out.
///
/// # Errors
/// As the database answers.
pub async fn list(store: &Store, urn: i32, from: i32, to: i32) -> Result<Vec<RegisterRow>, StoreError> {
    let rows = on_pool!(store, "register.list", fetch_all, sqlx::query_as::<_, Row>(LIST), urn, from, to)?;
    Ok(rows.into_iter().map(decode).collect())
}

/// The schools that sent a register of a session from `from` to `session` themselves, and when of each the newest of `session` was
/// received, where there is any; in order.
///
/// # Errors
/// As the database answers.
pub async fn heard(store: &Store, from: i32, session: i32) -> Result<Vec<(i32, Option<i64>)>, StoreError> {
    on_pool!(store, "register.heard", fetch_all, sqlx::query_as::<_, (i32, Option<i64>)>(HEARD), from, session)
}

type Row = (i32, i32, i32, i64, String, i64, i32, i16);

fn decode((urn, session, part, revised_at, id, received_at, refused, history): Row) -> RegisterRow {
    RegisterRow { urn, session, part, revised_at, id, received_at, refused, history: history != 0 }
}

const UPSERT: &str = "
INSERT INTO register (urn, session, part, revised_at, id, received_at, refused, history)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (urn, session, part) DO UPDATE SET
    revised_at = excluded.revised_at, id = excluded.id, received_at = excluded.received_at, refused = excluded.refused,
    history = excluded.history
WHERE excluded.revised_at > register.revised_at
    OR (excluded.revised_at = register.revised_at AND excluded.id > register.id)";

const HEARD: &str = "
SELECT urn, MAX(CASE WHEN session = $2 THEN received_at END) FROM register
WHERE session BETWEEN $1 AND $2 GROUP BY urn HAVING MIN(history) = 0 ORDER BY urn";

const LIST: &str = "
SELECT urn, session, part, revised_at, id, received_at, refused, history
FROM register WHERE urn = $1 AND session BETWEEN $2 AND $3
    AND revised_at = (SELECT MAX(revised_at) FROM register AS newest
                      WHERE newest.urn = register.urn AND newest.session = register.session)
ORDER BY session, part";
