//! Callers whose futures are dropped half way: the pool stays clean, a commit goes on, a transaction given up commits nothing.

use store::outbox::{self, OutboxRow};
use store::{CommitError, Options};
use support::wait_until;

use crate::backend::{Backend, DEADLINE, options, poll_and_drop, poll_once_and_drop};

fn row(number: i64) -> OutboxRow {
    OutboxRow { part: 5, number, put_at: 0, payload: Vec::new() }
}

async fn a_begin_that_nobody_waits_for_leaves_the_pool_clean(backend: Backend) {
    let store = backend.another(&Options { max_connections: 1, ..options() }).await;
    let mut dropped = 0;
    for number in 1..=100 {
        // At each of the points at which a beginning waits: for the connection, for its test, for the answer to BEGIN.
        let times = u32::try_from(number % 8).unwrap() + 1;
        dropped += i32::from(poll_and_drop(times, store.begin()).await);
        // Seen by others only if this connection is in no transaction that the former left open.
        let mut tx = store.begin().await.unwrap();
        outbox::put(&mut tx, &row(number)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(
            outbox::list(&backend.store, 5, number - 1, 1).await.unwrap(),
            [row(number)],
            "polled {times} times"
        );
    }
    assert!(dropped > 5, "only {dropped} were dropped half way");
    store.close().await;
}

async fn a_commit_that_nobody_waits_for_is_done_all_the_same(backend: Backend) {
    let mut tx = backend.store.begin().await.unwrap();
    outbox::put(&mut tx, &row(1)).await.unwrap();
    poll_once_and_drop(tx.commit()).await;
    wait_until(DEADLINE, "the commit", async || match outbox::list(&backend.store, 5, 0, 10).await {
        Ok(rows) if rows == [row(1)] => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await
    .unwrap();
}

async fn a_statement_given_up_half_way_fails_the_commit(backend: Backend) {
    // A statement that ends at the first look was not given up: then the next try.
    for _ in 0..1_000 {
        let mut tx = backend.store.begin().await.unwrap();
        outbox::put(&mut tx, &row(1)).await.unwrap();
        if !poll_once_and_drop(outbox::put(&mut tx, &row(2))).await {
            tx.rollback().await;
            continue;
        }
        let refusal = tx.commit().await.unwrap_err();
        assert!(matches!(refusal, CommitError::Failed(_)), "{refusal}");
        assert_eq!(outbox::list(&backend.store, 5, 0, 10).await.unwrap(), []);
        return;
    }
    panic!("no statement could be given up half way");
}

async fn transactions_given_up_half_way_leave_their_connections_usable(backend: Backend) {
    let store = backend.another(&Options { max_connections: 1, ..options() }).await;
    let mut dropped = 0;
    for _ in 0..100 {
        let mut tx = store.begin().await.unwrap();
        dropped += i32::from(poll_once_and_drop(outbox::put(&mut tx, &row(1))).await);
        drop(tx);
        dropped += i32::from(poll_once_and_drop(outbox::list(&store, 5, 0, 10)).await);
    }
    assert!(dropped > 20, "only {dropped} were dropped half way");
    let mut tx = store.begin().await.unwrap();
    outbox::put(&mut tx, &row(2)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(outbox::list(&backend.store, 5, 0, 10).await.unwrap(), [row(2)]);
}

on_both!(
    a_begin_that_nobody_waits_for_leaves_the_pool_clean,
    a_commit_that_nobody_waits_for_is_done_all_the_same,
    a_statement_given_up_half_way_fails_the_commit,
    transactions_given_up_half_way_leave_their_connections_usable,
);
