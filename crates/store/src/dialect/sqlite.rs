//! What only SQLite needs: one writer that takes its lock at once, a prepared statement a row.

use std::str::FromStr;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Connection, Error, FromRow, SqliteExecutor};

use super::{Column, Keys, Pools};
use crate::Options;

/// Takes the write lock at once: with a plain BEGIN most transactions that read first and then write fail as busy.
pub(crate) const BEGIN: &str = "BEGIN IMMEDIATE";

pub(crate) const SCHEMA_EXISTS: &str =
    "SELECT COUNT(*) > 0 FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations'";

pub(crate) async fn connect(url: &str, options: &Options) -> Result<Pools, Error> {
    if url.contains(":memory:") || url.contains("mode=memory") {
        // Each connection would have a database of its own.
        return Err(Error::Configuration("SQLite needs a file, not memory".into()));
    }
    let connect = SqliteConnectOptions::from_str(url)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(options.lock_timeout)
        .foreign_keys(true);
    let pool = |connections| {
        SqlitePoolOptions::new().max_connections(connections).acquire_timeout(options.acquire_timeout).after_release(
            |connection: &mut SqliteConnection, _| {
                let outside = !connection.is_in_transaction();
                Box::pin(std::future::ready(Ok(outside)))
            },
        )
    };
    // The writer first: it creates the file and sets the journal, which two at once would fight for.
    let writer = pool(1).connect_with(connect.clone()).await?;
    let readers = pool(options.max_connections).min_connections(options.min_connections).connect_with(connect).await?;
    Ok(Pools::Sqlite { writer, readers })
}

/// Runs one statement for each of `rows` rows.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    sql: &'static str,
    columns: &[Column<'_>],
    rows: usize,
) -> Result<u64, Error> {
    let mut touched = 0;
    for row in 0..rows {
        let mut query = sqlx::query(sql);
        for column in columns {
            query = match column {
                Column::Small(values) => query.bind(values.get(row).copied()),
                Column::Int(values) => query.bind(values.get(row).copied()),
                Column::IntOrNull(values) => query.bind(values.get(row).copied().flatten()),
                Column::Big(values) => query.bind(values.get(row).copied()),
                Column::BigOrNull(values) => query.bind(values.get(row).copied().flatten()),
                Column::Text(values) => query.bind(values.get(row).copied()),
                Column::TextOrNull(values) => query.bind(values.get(row).copied().flatten()),
                Column::Bytes(values) => query.bind(values.get(row).copied()),
            };
        }
        touched += query.execute(&mut *connection).await?.rows_affected();
    }
    Ok(touched)
}

/// Runs one query for all keys, which are one JSON list.
pub(super) async fn read<'c, Row>(
    executor: impl SqliteExecutor<'c>,
    sql: &'static str,
    keys: Keys<'_>,
) -> Result<Vec<Row>, Error>
where
    Row: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
{
    let list = match keys {
        Keys::Big(keys) => super::json_list(keys.iter().map(ToString::to_string)),
        Keys::Text(keys) => super::json_list(keys.iter().map(|key| super::json_text(key))),
    };
    sqlx::query_as(sql).bind(list).fetch_all(executor).await
}

/// Version as text, no number, and the clock in microseconds.
pub(crate) const ABOUT: &str =
    "SELECT 'SQLite ' || sqlite_version(), 0, CAST(unixepoch('subsec') * 1000000 AS INTEGER)";

pub(crate) const RECORD_UPSERT: &str = "
INSERT INTO record (upn, school_year, part, body, due_at, judged_with) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (upn, school_year) DO UPDATE SET
    part = excluded.part, body = excluded.body, due_at = excluded.due_at, judged_with = excluded.judged_with";

pub(crate) const ENROLMENT_UPSERT: &str = "
INSERT INTO enrolment (upn, part, body) VALUES ($1, $2, $3)
ON CONFLICT (upn) DO UPDATE SET part = excluded.part, body = excluded.body";

pub(crate) const PUPIL_SCHOOL_INSERT: &str = "
INSERT INTO pupil_school (urn, upn) VALUES ($1, $2)
ON CONFLICT (urn, upn) DO NOTHING";

pub(crate) const PUBLISHED_UPSERT: &str = "
INSERT INTO published (upn, school_year, rule, part, alert_id, episode, version, level, since, raised_at, body)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (upn, school_year, rule) DO UPDATE SET
    part = excluded.part, alert_id = excluded.alert_id, episode = excluded.episode, version = excluded.version,
    level = excluded.level, since = excluded.since, raised_at = excluded.raised_at, body = excluded.body";

pub(crate) const DEAD_LETTER_INSERT: &str = "
INSERT INTO dead_letter (source, topic, part, message_offset, message_at, headers, place, reason, detail, urn, upn, payload,
                         created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (topic, part, message_offset, place) DO NOTHING";

/// Cases after a number, by localities (a JSON list), level and state.
pub(crate) const CASE_LIST: &str = "
SELECT id, reference, school_year, locality, school_urn, state, level, opened_at, changed_at, off_roll_since, seen_by
FROM child_case
WHERE id > $1 AND (CAST($2 AS text) IS NULL OR EXISTS (
        SELECT 1 FROM json_each($2)
        WHERE value = locality OR value <> '' AND instr(char(10) || seen_by || char(10), char(10) || value || char(10)) > 0))
    AND (CAST($3 AS smallint) IS NULL OR level = $3) AND (CAST($4 AS text) IS NULL OR state = $4)
ORDER BY id LIMIT $5";

pub(crate) const CASE_UPSERT: &str = "
INSERT INTO child_case (upn, school_year, reference, locality, school_urn, off_roll_since, seen_by, state, level, opened_at,
                        changed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'open', 0, $8, $8)
ON CONFLICT (upn, school_year) DO UPDATE SET
    locality = excluded.locality, school_urn = excluded.school_urn, off_roll_since = excluded.off_roll_since,
    seen_by = excluded.seen_by, changed_at = excluded.changed_at";

pub(crate) const ALERT_UPSERT: &str = "
INSERT INTO alert (alert_id, case_id, rule, episode, version, change, state, level, since, as_of, evidence, sentence, rule_set,
                   changed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (alert_id) DO UPDATE SET
    version = excluded.version, change = excluded.change, state = excluded.state, level = excluded.level,
    since = excluded.since, as_of = excluded.as_of, evidence = excluded.evidence, sentence = excluded.sentence,
    rule_set = excluded.rule_set, changed_at = excluded.changed_at";

pub(crate) const CASE_SETTLE: &str = "
UPDATE child_case SET
    level = COALESCE((SELECT MAX(level) FROM alert WHERE case_id = $1 AND state = 'open'), 0),
    state = CASE WHEN EXISTS (SELECT 1 FROM alert WHERE case_id = $1 AND state = 'open') THEN 'open' ELSE 'closed' END
WHERE id = $1";

pub(crate) const GAP_INSERT: &str = "
INSERT INTO alert_gap (alert_id, version, upn, part, body, since) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (alert_id, version) DO NOTHING";

pub(crate) const DELIVERY_INSERT: &str = "
INSERT INTO delivery (message_id, case_id, receiver, state, body, register_id, received_at, created_at, tried_since, next_at,
                      changes, attempts)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10, 0)
ON CONFLICT (message_id) DO NOTHING";

pub(crate) const TOLD_INSERT: &str =
    "INSERT INTO told (alert_id, receiver, version, message_id) VALUES ($1, $2, $3, $4)";

/// Due deliveries of a receiver; there is one writer, so none is being taken.
pub(crate) const DELIVERY_LEASE: &str = "
UPDATE delivery SET state = 'sending', next_at = $4, attempts = attempts + 1
WHERE id IN (
    SELECT id FROM delivery AS due
    WHERE receiver = $1 AND state IN ('waiting', 'sending') AND next_at <= $3 AND NOT EXISTS (
        SELECT 1 FROM told
        JOIN told AS before ON before.alert_id = told.alert_id AND before.receiver = told.receiver
            AND before.version < told.version AND before.message_id <> told.message_id
        JOIN delivery AS earlier ON earlier.message_id = before.message_id
        WHERE told.message_id = due.message_id AND earlier.state NOT IN ('delivered', 'given_up'))
    ORDER BY next_at, id LIMIT $2)
RETURNING id, message_id, body, register_id, received_at, tried_since, attempts";
