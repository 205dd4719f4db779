//! What only PostgreSQL has: time-outs at the session, statements over arrays (UNNEST).

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgRow};
use sqlx::{Connection, Error, FromRow, PgExecutor};

use super::{Column, Keys, Pools};
use crate::Options;

/// Read committed suffices: whoever changes what depends on a row changes that row by compare-and-set first.
pub(crate) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

pub(crate) const SCHEMA_EXISTS: &str = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";

/// A migration may take its time, and waits for another one under way.
pub(crate) const FOR_MIGRATION: &str =
    "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0";

pub(crate) async fn connect(url: &str, options: &Options) -> Result<Pools, Error> {
    let milliseconds = |duration: Duration| duration.as_millis().to_string();
    let connect = PgConnectOptions::from_str(url)?.application_name(&options.application_name).options([
        ("statement_timeout", milliseconds(options.statement_timeout)),
        ("lock_timeout", milliseconds(options.lock_timeout)),
        ("idle_in_transaction_session_timeout", milliseconds(options.idle_in_transaction_timeout)),
    ]);
    PgPoolOptions::new()
        .max_connections(options.max_connections)
        .min_connections(options.min_connections)
        .acquire_timeout(options.acquire_timeout)
        .after_release(|connection, _| Box::pin(outside_of_transactions(connection)))
        .connect_with(connect)
        .await
        .map(Pools::Postgres)
}

/// Whether a connection that comes back is outside of any transaction; if not it is closed, which rolls back.
///
/// It asks instead of sending ROLLBACK, which outside of a transaction is a warning in the server's log at every release. In the
/// simple protocol a statement on its own begins its transaction at its own time; inside an older one `now()` is earlier.
async fn outside_of_transactions(connection: &mut PgConnection) -> Result<bool, Error> {
    use sqlx::{Executor, Row};
    if connection.is_in_transaction() {
        return Ok(false);
    }
    let row = connection.fetch_one(sqlx::raw_sql("SELECT now() = statement_timestamp()")).await?;
    row.try_get(0)
}

/// Runs one statement over columns as arrays.
pub(super) async fn write(
    connection: &mut PgConnection,
    sql: &'static str,
    columns: Vec<Column<'_>>,
) -> Result<u64, Error> {
    let mut query = sqlx::query(sql);
    for column in columns {
        query = match column {
            Column::Small(values) => query.bind(values),
            Column::Int(values) => query.bind(values),
            Column::IntOrNull(values) => query.bind(values),
            Column::Big(values) => query.bind(values),
            Column::BigOrNull(values) => query.bind(values),
            Column::Text(values) => query.bind(values),
            Column::TextOrNull(values) => query.bind(values),
            Column::Bytes(values) => query.bind(values),
        };
    }
    Ok(query.execute(connection).await?.rows_affected())
}

/// Runs one query for all keys, which are one array.
pub(super) async fn read<'c, Row>(
    executor: impl PgExecutor<'c>,
    sql: &'static str,
    keys: Keys<'_>,
) -> Result<Vec<Row>, Error>
where
    Row: for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    let query = sqlx::query_as(sql);
    let query = match keys {
        Keys::Big(keys) => query.bind(keys),
        Keys::Text(keys) => query.bind(keys),
    };
    query.fetch_all(executor).await
}

/// A connection of the pool for a migration: taken out of it, since its time-outs are off.
pub(crate) async fn migration_connection(pool: &PgPool) -> Result<PgConnection, Error> {
    let mut connection = pool.acquire().await?.detach();
    sqlx::raw_sql(FOR_MIGRATION).execute(&mut connection).await?;
    Ok(connection)
}

/// Version as text and number, and the clock in microseconds.
pub(crate) const ABOUT: &str = "
SELECT 'PostgreSQL ' || current_setting('server_version'), CAST(current_setting('server_version_num') AS bigint),
    CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS bigint)";

pub(crate) const RECORD_UPSERT: &str = "
INSERT INTO record (upn, school_year, part, body, due_at, judged_with)
SELECT * FROM UNNEST($1::bigint[], $2::smallint[], $3::integer[], $4::bytea[], $5::bigint[], $6::bigint[])
    AS given (upn, school_year, part, body, due_at, judged_with)
ORDER BY upn, school_year
ON CONFLICT (upn, school_year) DO UPDATE SET
    part = excluded.part, body = excluded.body, due_at = excluded.due_at, judged_with = excluded.judged_with";

pub(crate) const ENROLMENT_UPSERT: &str = "
INSERT INTO enrolment (upn, part, body)
SELECT * FROM UNNEST($1::bigint[], $2::integer[], $3::bytea[]) AS given (upn, part, body)
ORDER BY upn
ON CONFLICT (upn) DO UPDATE SET part = excluded.part, body = excluded.body";

pub(crate) const PUPIL_SCHOOL_INSERT: &str = "
INSERT INTO pupil_school (urn, upn)
SELECT * FROM UNNEST($1::integer[], $2::bigint[]) AS given (urn, upn)
ORDER BY urn, upn
ON CONFLICT (urn, upn) DO NOTHING";

pub(crate) const PUBLISHED_UPSERT: &str = "
INSERT INTO published (upn, school_year, rule, part, alert_id, episode, version, level, since, raised_at, body)
SELECT * FROM UNNEST($1::bigint[], $2::smallint[], $3::text[], $4::integer[], $5::text[], $6::integer[], $7::integer[],
                     $8::smallint[], $9::integer[], $10::integer[], $11::bytea[])
    AS given (upn, school_year, rule, part, alert_id, episode, version, level, since, raised_at, body)
ORDER BY upn, school_year, rule
ON CONFLICT (upn, school_year, rule) DO UPDATE SET
    part = excluded.part, alert_id = excluded.alert_id, episode = excluded.episode, version = excluded.version,
    level = excluded.level, since = excluded.since, raised_at = excluded.raised_at, body = excluded.body";

pub(crate) const DEAD_LETTER_INSERT: &str = "
INSERT INTO dead_letter (source, topic, part, message_offset, message_at, headers, place, reason, detail, urn, upn, payload,
                         created_at)
SELECT * FROM UNNEST($1::text[], $2::text[], $3::integer[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::text[],
                     $9::text[], $10::integer[], $11::bigint[], $12::bytea[], $13::bigint[])
    AS given (source, topic, part, message_offset, message_at, headers, place, reason, detail, urn, upn, payload, created_at)
ORDER BY topic, part, message_offset, place
ON CONFLICT (topic, part, message_offset, place) DO NOTHING";

/// Cases after a number, by localities (a JSON list), level and state.
pub(crate) const CASE_LIST: &str = "
SELECT id, reference, school_year, locality, school_urn, state, level, opened_at, changed_at, off_roll_since, seen_by
FROM child_case
WHERE id > $1 AND (CAST($2 AS text) IS NULL OR EXISTS (
        SELECT 1 FROM jsonb_array_elements_text(CAST($2 AS text)::jsonb) AS asked (name)
        WHERE name = locality OR name <> '' AND strpos(E'\\n' || seen_by || E'\\n', E'\\n' || name || E'\\n') > 0))
    AND (CAST($3 AS smallint) IS NULL OR level = $3) AND (CAST($4 AS text) IS NULL OR state = $4)
ORDER BY id LIMIT $5";

pub(crate) const CASE_UPSERT: &str = "
INSERT INTO child_case (upn, school_year, reference, locality, school_urn, off_roll_since, seen_by, state, level, opened_at,
                        changed_at)
SELECT upn, school_year, reference, locality, school_urn, off_roll_since, seen_by, 'open', 0, at, at
FROM UNNEST($1::bigint[], $2::smallint[], $3::text[], $4::text[], $5::integer[], $6::integer[], $7::text[], $8::bigint[])
    AS given (upn, school_year, reference, locality, school_urn, off_roll_since, seen_by, at)
ORDER BY upn, school_year
ON CONFLICT (upn, school_year) DO UPDATE SET
    locality = excluded.locality, school_urn = excluded.school_urn, off_roll_since = excluded.off_roll_since,
    seen_by = excluded.seen_by, changed_at = excluded.changed_at";

pub(crate) const ALERT_UPSERT: &str = "
INSERT INTO alert (alert_id, case_id, rule, episode, version, change, state, level, since, as_of, evidence, sentence, rule_set,
                   changed_at)
SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::text[], $4::integer[], $5::integer[], $6::text[], $7::text[], $8::smallint[],
                     $9::integer[], $10::integer[], $11::bytea[], $12::text[], $13::bigint[], $14::bigint[])
    AS given (alert_id, case_id, rule, episode, version, change, state, level, since, as_of, evidence, sentence, rule_set,
              changed_at)
ORDER BY alert_id
ON CONFLICT (alert_id) DO UPDATE SET
    version = excluded.version, change = excluded.change, state = excluded.state, level = excluded.level,
    since = excluded.since, as_of = excluded.as_of, evidence = excluded.evidence, sentence = excluded.sentence,
    rule_set = excluded.rule_set, changed_at = excluded.changed_at";

pub(crate) const CASE_SETTLE: &str = "
UPDATE child_case SET
    level = COALESCE((SELECT MAX(level) FROM alert WHERE case_id = child_case.id AND state = 'open'), 0),
    state = CASE WHEN EXISTS (SELECT 1 FROM alert WHERE case_id = child_case.id AND state = 'open')
        THEN 'open' ELSE 'closed' END
WHERE id = ANY ($1)";

pub(crate) const GAP_INSERT: &str = "
INSERT INTO alert_gap (alert_id, version, upn, part, body, since)
SELECT * FROM UNNEST($1::text[], $2::integer[], $3::bigint[], $4::integer[], $5::bytea[], $6::bigint[])
    AS given (alert_id, version, upn, part, body, since)
ORDER BY alert_id, version
ON CONFLICT (alert_id, version) DO NOTHING";

pub(crate) const DELIVERY_INSERT: &str = "
INSERT INTO delivery (message_id, case_id, receiver, state, body, register_id, received_at, created_at, tried_since, next_at,
                      changes, attempts)
SELECT message_id, case_id, receiver, state, body, register_id, received_at, at, at, next_at, changes, 0
FROM UNNEST($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[], $9::bigint[],
            $10::integer[])
    AS given (message_id, case_id, receiver, state, body, register_id, received_at, at, next_at, changes)
ON CONFLICT (message_id) DO NOTHING";

pub(crate) const TOLD_INSERT: &str = "
INSERT INTO told (alert_id, receiver, version, message_id)
SELECT * FROM UNNEST($1::text[], $2::text[], $3::integer[], $4::text[]) AS given (alert_id, receiver, version, message_id)
ORDER BY alert_id, receiver, version";

/// Due deliveries of a receiver, passing over those that another process is just taking. As an array, the inner query runs once.
/// That an earlier version is open is asked by the states that it is not in: so the index of what is due cannot serve the question,
/// which without statistics (after a morning's first hundreds) took it and read all that is owed for each row.
pub(crate) const DELIVERY_LEASE: &str = "
UPDATE delivery SET state = 'sending', next_at = $4, attempts = attempts + 1
WHERE id = ANY (ARRAY(
    SELECT id FROM delivery AS due
    WHERE receiver = $1 AND state IN ('waiting', 'sending') AND next_at <= $3 AND NOT EXISTS (
        SELECT 1 FROM told
        JOIN told AS before ON before.alert_id = told.alert_id AND before.receiver = told.receiver
            AND before.version < told.version AND before.message_id <> told.message_id
        JOIN delivery AS earlier ON earlier.message_id = before.message_id
        WHERE told.message_id = due.message_id AND earlier.state NOT IN ('delivered', 'given_up'))
    ORDER BY next_at, id LIMIT $2 FOR UPDATE OF due SKIP LOCKED))
RETURNING id, message_id, body, register_id, received_at, tried_since, attempts";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn taking_deliveries_reads_neither_all_that_is_owed_nor_all_for_each() {
        let url = support::postgres().create_database().await.unwrap();
        let store = crate::Store::connect(&url, &Options::named("lease")).await.unwrap();
        store.migrate().await.unwrap();
        let Pools::Postgres(pool) = store.pools() else { panic!("no pool") };
        // As in the first minutes of an installation: rows, but no statistics.
        let rows = "ALTER TABLE delivery SET (autovacuum_enabled = false);
            INSERT INTO child_case (upn, school_year, reference, school_urn, state, level, opened_at, changed_at)
            VALUES (1, 2025, 'r', 900001, 'open', 1, 0, 0);
            ALTER TABLE told SET (autovacuum_enabled = false);
            INSERT INTO delivery (message_id, case_id, receiver, state, body, received_at, created_at, tried_since, next_at,
                                  changes, attempts)
            SELECT 'm' || g, 1, 'team', 'waiting', 'x', 0, 0, 0, g, 1, 0 FROM generate_series(1, 3000) AS g;
            INSERT INTO told SELECT 'alert-' || g / 3, 'team', g % 3 + 1, 'm' || g FROM generate_series(1, 3000) AS g";
        sqlx::raw_sql(rows).execute(pool).await.unwrap();
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN (COSTS OFF) {DELIVERY_LEASE}"));
        let plan: Vec<String> = sqlx::query_scalar(explain)
            .bind("team")
            .bind(4_i64)
            .bind(9_999_i64)
            .bind(1_i64)
            .fetch_all(pool)
            .await
            .unwrap();
        let plan = plan.join("\n");
        for index in ["on told_message", "told_pkey on told before", "delivery_message_id_key on delivery earlier"] {
            assert!(plan.contains(index), "{plan}");
        }
        assert!(!plan.contains("Sort"), "the first few are found in order: {plan}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_connection_that_comes_back_inside_a_transaction_is_not_handed_on() {
        let url = support::postgres().create_database().await.unwrap();
        let options = Options { max_connections: 1, ..Options::named("hook") };
        let Ok(Pools::Postgres(pool)) = connect(&url, &options).await else { panic!("no pool") };
        let backend = "SELECT pg_backend_pid()";
        let clean: i32 = sqlx::query_scalar(backend).fetch_one(&pool).await.unwrap();
        let again: i32 = sqlx::query_scalar(backend).fetch_one(&pool).await.unwrap();
        assert_eq!(clean, again, "a clean connection is used again");
        for poison in ["BEGIN", "BEGIN; SELECT 1 / 0"] {
            let before: i32 = sqlx::query_scalar(backend).fetch_one(&pool).await.unwrap();
            let mut connection = pool.acquire().await.unwrap();
            sqlx::raw_sql(poison).execute(&mut *connection).await.ok();
            drop(connection);
            let after: i32 = sqlx::query_scalar(backend).fetch_one(&pool).await.unwrap();
            assert_ne!(before, after, "after {poison}");
        }
    }
}
