//! How a real PostgreSQL fails: lost answers, time-outs, missing rights, a full disk, a restart.

use std::time::Duration;

use store::position::{self, Position};
use store::{CommitError, Options, Store, StoreError, Tx, outbox};
use support::wait_until;

use crate::backend::{Backend, DEADLINE, options, poll_and_drop};
use crate::proxy::Proxy;

const TOPIC: &str = "attendance.events.v1";

async fn claimed(store: &Store) -> Position {
    let mut tx = store.begin().await.unwrap();
    let position = position::claim(&mut tx, TOPIC, 3, 1).await.unwrap();
    tx.commit().await.unwrap();
    position
}

async fn advanced(store: &Store, held: &Position) -> Tx {
    let mut tx = store.begin().await.unwrap();
    assert!(position::advance(&mut tx, held.fence(), 10, 0).await.unwrap());
    tx
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_unknown_and_the_version_tells() {
    let backend = Backend::postgres().await;
    let held = claimed(&backend.store).await;
    let proxy = Proxy::start(&backend.url).await;
    let store = Store::open(&proxy.url, &options()).await.unwrap();
    let tx = advanced(&store, &held).await;
    proxy.lose_the_answer_to("COMMIT");
    let refusal = tx.commit().await.unwrap_err();
    assert!(matches!(refusal, CommitError::Unknown(StoreError::Unavailable { .. })), "{refusal}");
    wait_until(DEADLINE, "the commit that was done", async || {
        let version = position::read(&backend.store, TOPIC, 3).await.unwrap().unwrap().version;
        if version == held.version + 1 { Ok(()) } else { Err(format!("version {version}")) }
    })
    .await
    .unwrap();
    // The pool has let go of the broken connection.
    assert!(position::read(&store, TOPIC, 3).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_whose_session_was_ended_is_never_told_done() {
    let backend = Backend::postgres().await;
    let held = claimed(&backend.store).await;
    let tx = advanced(&backend.store, &held).await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND state = 'idle in transaction'";
    backend.raw(end).await.unwrap();
    nobody_idles_in_a_transaction(&backend).await;
    tx.commit().await.unwrap_err();
    assert_eq!(position::read(&backend.store, TOPIC, 3).await.unwrap(), Some(held));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_of_services_reads_and_writes_rows_and_changes_no_table() {
    let backend = Backend::postgres().await;
    backend.raw("DROP ROLE IF EXISTS \"earlybell services\"").await.ok();
    backend.raw("CREATE ROLE \"earlybell services\" LOGIN").await.unwrap();
    backend.store.grant("earlybell services").await.unwrap();
    backend.store.grant("earlybell services").await.unwrap();
    let unknown = backend.store.grant("nobody").await.unwrap_err().to_string();
    assert!(unknown.contains("schema.grant"), "{unknown}");
    let store = backend.as_role("earlybell%20services").await;
    let held = claimed(&store).await;
    advanced(&store, &held).await.commit().await.unwrap();
    let mut tx = store.begin().await.unwrap();
    let act = store::audit::Act { at: 1, actor: "a".into(), action: "b".into(), upn: None, detail: String::new() };
    store::audit::append(&mut tx, &act).await.unwrap();
    tx.commit().await.unwrap();
    for forbidden in [
        "CREATE TABLE other (id integer)",
        "DROP TABLE record",
        "ALTER TABLE record ADD COLUMN other integer",
        "DELETE FROM audit",
    ] {
        let refused = backend.raw_as("earlybell%20services", forbidden).await.unwrap_err().to_string();
        assert!(refused.contains("permission denied") || refused.contains("must be owner"), "{forbidden}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_owner_loses_its_lock_on_the_position() {
    let backend = Backend::postgres().await;
    let impatient = Options { idle_in_transaction_timeout: Duration::from_millis(100), ..options() };
    let store = backend.another(&impatient).await;
    let held = claimed(&store).await;
    let frozen = advanced(&store, &held).await;
    // Waits for the lock until the server has ended the frozen one's session.
    let taken_over = claimed(&backend.store).await;
    assert_eq!((taken_over.version, taken_over.next_offset), (held.version + 1, 0));
    let refusal = frozen.commit().await.unwrap_err();
    assert!(refusal.cause().is_retryable(), "{refusal}");
    assert_eq!(position::read(&backend.store, TOPIC, 3).await.unwrap(), Some(taken_over));
}

async fn nobody_idles_in_a_transaction(backend: &Backend) {
    let idle = "SELECT COUNT(*) FROM pg_stat_activity
                WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    wait_until(DEADLINE, "no session idle in a transaction", async || match backend.number(idle).await {
        0 => Ok(()),
        some => Err(format!("{some}")),
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_transactions_do_not_idle_at_the_server() {
    let backend = Backend::postgres().await;
    // Without the server's own help; with one connection, so that a beginning waits at the same points each time.
    let alone = Options { idle_in_transaction_timeout: Duration::ZERO, max_connections: 1, ..options() };
    let store = backend.another(&alone).await;
    for times in 1..=8 {
        drop(store.begin().await.unwrap());
        poll_and_drop(times, store.begin()).await;
        nobody_idles_in_a_transaction(&backend).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_too_long_for_a_row_is_told_of_a_conflict() {
    let backend = Backend::postgres().await;
    let held = claimed(&backend.store).await;
    let holder = advanced(&backend.store, &held).await;
    let store = backend.another(&Options { lock_timeout: Duration::from_millis(50), ..options() }).await;
    let mut tx = store.begin().await.unwrap();
    let refusal = position::claim(&mut tx, TOPIC, 3, 1).await.unwrap_err();
    assert!(matches!(refusal, StoreError::Conflict { doing: "position.claim", .. }), "{refusal}");
    assert!(refusal.is_retryable());
    assert!(matches!(tx.commit().await, Err(CommitError::Failed(_))));
    holder.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_takes_too_long_is_ended() {
    let backend = Backend::postgres().await;
    let held = claimed(&backend.store).await;
    let holder = advanced(&backend.store, &held).await;
    let store = backend.another(&Options { statement_timeout: Duration::from_millis(50), ..options() }).await;
    let mut tx = store.begin().await.unwrap();
    let refusal = position::claim(&mut tx, TOPIC, 3, 1).await.unwrap_err();
    assert!(matches!(refusal, StoreError::Unavailable { .. }), "{refusal}");
    holder.rollback().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_without_rights_is_refused_for_good() {
    let backend = Backend::postgres().await;
    backend.raw("CREATE ROLE onlooker LOGIN").await.unwrap();
    backend.raw("GRANT SELECT ON _sqlx_migrations, position TO onlooker").await.unwrap();
    let url = backend.url.replace("postgres://postgres@", "postgres://onlooker@");
    let store = Store::open(&url, &options()).await.unwrap();
    assert_eq!(position::read(&store, TOPIC, 3).await.unwrap(), None);
    let mut tx = store.begin().await.unwrap();
    let refusal = position::claim(&mut tx, TOPIC, 3, 1).await.unwrap_err();
    assert!(matches!(refusal, StoreError::Refused { .. }), "{refusal}");
    assert!(!refusal.is_retryable());
    let nobody = backend.url.replace("postgres://postgres@", "postgres://nobody@");
    let refusal = Store::connect(&nobody, &options()).await.unwrap_err();
    assert!(matches!(refusal, StoreError::Refused { .. }), "{refusal}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_of_the_server_are_told_apart_by_their_codes() {
    let backend = Backend::postgres().await;
    for (code, expected, retryable) in [
        ("disk_full", "disk is full", true),
        ("serialization_failure", "another transaction", true),
        ("deadlock_detected", "another transaction", true),
        ("too_many_connections", "does not answer", true),
        ("read_only_sql_transaction", "does not answer", true),
        ("insufficient_privilege", "refuses this user", false),
        ("check_violation", "rule of the table", false),
        ("internal_error", "unexpected", false),
    ] {
        let raise = format!(
            "CREATE OR REPLACE FUNCTION raise_it() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'as asked' USING ERRCODE = '{code}'; END $$;
             DROP TRIGGER IF EXISTS raise_it ON outbox;
             CREATE TRIGGER raise_it BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION raise_it()"
        );
        backend.raw(raise).await.unwrap();
        let mut tx = backend.store.begin().await.unwrap();
        let row = outbox::OutboxRow { part: 1, number: 1, put_at: 0, payload: Vec::new() };
        let refusal = outbox::put(&mut tx, &row).await.unwrap_err();
        assert!(refusal.to_string().contains(expected), "{code}: {refusal}");
        assert!(refusal.to_string().starts_with("outbox.put: "), "{code}: {refusal}");
        assert_eq!(refusal.is_retryable(), retryable, "{code}: {refusal}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_absent_server_is_waited_for_and_found_again() {
    let server = support::Postgres::start().unwrap();
    let quick = Options { acquire_timeout: Duration::from_millis(500), ..options() };
    let store = Store::connect(&server.url("postgres"), &quick).await.unwrap();
    store.migrate().await.unwrap();
    let held = claimed(&store).await;
    let tx = advanced(&store, &held).await;

    server.stop_immediate().unwrap();
    let lost = tx.commit().await.unwrap_err();
    assert!(lost.cause().is_retryable(), "{lost}");
    let refusal = store.begin().await.unwrap_err();
    assert!(matches!(refusal, StoreError::Unavailable { .. }) && refusal.is_retryable(), "{refusal}");

    server.start_again().unwrap();
    wait_until(DEADLINE, "the server again", async || store.begin().await.map(drop).map_err(|error| error.to_string()))
        .await
        .unwrap();
    assert_eq!(position::read(&store, TOPIC, 3).await.unwrap(), Some(held));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_shows_the_services_name() {
    let backend = Backend::postgres().await;
    let store = backend.another(&Options::named("earlybell rules")).await;
    let named = "SELECT COUNT(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name = 'earlybell rules'";
    assert!(backend.number(named).await > 0);
    store.close().await;
}
