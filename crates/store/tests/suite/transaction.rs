//! Transactions: what a commit, a rollback, a drop and a failed statement leave.

use store::outbox::{self, OutboxRow};
use store::{CommitError, Options, Store, StoreError};

use crate::backend::{Backend, options};

fn row(number: i64) -> OutboxRow {
    OutboxRow { part: 5, number, put_at: 0, payload: Vec::new() }
}

async fn numbers(store: &Store) -> Vec<i64> {
    outbox::list(store, 5, 0, 1_000).await.unwrap().into_iter().map(|row| row.number).collect()
}

async fn nothing_is_seen_before_the_commit(backend: Backend) {
    let mut tx = backend.store.begin().await.unwrap();
    outbox::put(&mut tx, &row(1)).await.unwrap();
    assert_eq!(numbers(&backend.store).await, [] as [i64; 0]);
    tx.commit().await.unwrap();
    assert_eq!(numbers(&backend.store).await, [1]);
}

async fn a_dropped_transaction_leaves_nothing_and_frees_its_connection(backend: Backend) {
    // A single connection, so that the next transaction has to use the same one.
    let store = backend.another(&Options { max_connections: 1, ..options() }).await;
    for _ in 0..20 {
        let mut tx = store.begin().await.unwrap();
        outbox::put(&mut tx, &row(1)).await.unwrap();
        drop(tx);
    }
    let mut tx = store.begin().await.unwrap();
    outbox::put(&mut tx, &row(2)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(numbers(&store).await, [2]);
    assert_eq!(numbers(&backend.store).await, [2]);
}

async fn after_a_failed_statement_nothing_can_be_committed(backend: Backend) {
    let mut tx = backend.store.begin().await.unwrap();
    outbox::put(&mut tx, &row(1)).await.unwrap();
    assert!(matches!(outbox::put(&mut tx, &row(1)).await, Err(StoreError::Constraint { .. })));
    assert!(outbox::put(&mut tx, &row(2)).await.is_err(), "the transaction is broken");
    let refusal = tx.commit().await.unwrap_err();
    assert!(matches!(refusal, CommitError::Failed(StoreError::Unexpected { .. })), "{refusal}");
    assert_eq!(numbers(&backend.store).await, [] as [i64; 0]);
    let tx = backend.store.begin().await.unwrap();
    tx.commit().await.unwrap();
}

async fn a_commit_that_breaks_a_rule_surely_failed(backend: Backend) {
    // The reference of the pointer to its set is checked at the commit; a trigger takes the set away before.
    let spoil = if backend.url.starts_with("sqlite") {
        "CREATE TRIGGER spoil AFTER INSERT ON policy_set BEGIN DELETE FROM policy_set; END"
    } else {
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM policy_set; RETURN NULL; END $$;
         CREATE TRIGGER spoil AFTER INSERT ON policy_set FOR EACH ROW EXECUTE FUNCTION spoil()"
    };
    backend.raw(spoil).await.unwrap();
    let mut tx = backend.store.begin().await.unwrap();
    outbox::put(&mut tx, &row(1)).await.unwrap();
    store::policy_set::put_in_force(&mut tx, "{}", "ada", 1).await.unwrap();
    let refusal = tx.commit().await.unwrap_err();
    assert!(matches!(refusal, CommitError::Failed(StoreError::Constraint { .. })), "{refusal}");
    assert!(!refusal.cause().is_retryable());
    assert_eq!(numbers(&backend.store).await, [] as [i64; 0]);
    let mut tx = backend.store.begin().await.unwrap();
    outbox::put(&mut tx, &row(2)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(numbers(&backend.store).await, [2]);
}

async fn a_transaction_that_cannot_begin_in_time_is_told_so(backend: Backend) {
    let quick = Options { max_connections: 1, acquire_timeout: std::time::Duration::from_millis(200), ..options() };
    let store = backend.another(&quick).await;
    let held = store.begin().await.unwrap();
    let refusal = store.begin().await.unwrap_err();
    assert!(matches!(refusal, StoreError::Unavailable { doing: "store.begin", .. }), "{refusal}");
    assert!(refusal.is_retryable());
    held.rollback().await;
    store.begin().await.unwrap().commit().await.unwrap();
}

on_both!(
    nothing_is_seen_before_the_commit,
    a_dropped_transaction_leaves_nothing_and_frees_its_connection,
    after_a_failed_statement_nothing_can_be_committed,
    a_commit_that_breaks_a_rule_surely_failed,
    a_transaction_that_cannot_begin_in_time_is_told_so,
);
