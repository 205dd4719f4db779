//! The outbox: in number order, deleted through a number.

use store::StoreError;
use store::outbox::{self, Backlog, OutboxRow};

use crate::backend::Backend;

fn row(part: i32, number: i64) -> OutboxRow {
    OutboxRow { part, number, put_at: number * 100, payload: vec![7; usize::try_from(number).unwrap_or_default()] }
}

async fn put(backend: &Backend, rows: &[OutboxRow]) {
    let mut tx = backend.store.begin().await.unwrap();
    for row in rows {
        outbox::put(&mut tx, row).await.unwrap();
    }
    tx.commit().await.unwrap();
}

async fn rows_are_listed_in_number_order_from_a_number_on(backend: Backend) {
    put(&backend, &[row(5, 10), row(5, 2), row(5, 9), row(6, 1)]).await;
    assert_eq!(outbox::list(&backend.store, 5, 0, 100).await.unwrap(), [row(5, 2), row(5, 9), row(5, 10)]);
    assert_eq!(outbox::list(&backend.store, 5, 2, 1).await.unwrap(), [row(5, 9)]);
    assert_eq!(outbox::list(&backend.store, 5, 10, 100).await.unwrap(), []);
}

async fn rows_are_deleted_through_a_number_of_their_partition(backend: Backend) {
    put(&backend, &[row(5, 1), row(5, 2), row(5, 3), row(6, 1)]).await;
    let mut tx = backend.store.begin().await.unwrap();
    assert_eq!(outbox::delete_through(&mut tx, 5, 2).await.unwrap(), 2);
    assert_eq!(outbox::delete_through(&mut tx, 5, 2).await.unwrap(), 0);
    tx.commit().await.unwrap();
    assert_eq!(outbox::list(&backend.store, 5, 0, 100).await.unwrap(), [row(5, 3)]);
    assert_eq!(outbox::list(&backend.store, 6, 0, 100).await.unwrap(), [row(6, 1)]);
}

async fn the_backlog_tells_rows_bytes_and_the_oldest(backend: Backend) {
    assert_eq!(outbox::backlog(&backend.store).await.unwrap(), []);
    put(&backend, &[row(5, 2), row(5, 3), row(6, 1)]).await;
    let expected = [
        Backlog { part: 5, rows: 2, bytes: 5, oldest_put_at: 200 },
        Backlog { part: 6, rows: 1, bytes: 1, oldest_put_at: 100 },
    ];
    assert_eq!(outbox::backlog(&backend.store).await.unwrap(), expected);
}

async fn a_number_is_given_once(backend: Backend) {
    put(&backend, &[row(5, 1)]).await;
    for taken in [row(5, 1), row(5, 0)] {
        let mut tx = backend.store.begin().await.unwrap();
        let refusal = outbox::put(&mut tx, &taken).await.unwrap_err();
        assert!(matches!(refusal, StoreError::Constraint { .. }), "{refusal}");
    }
}

on_both!(
    rows_are_listed_in_number_order_from_a_number_on,
    rows_are_deleted_through_a_number_of_their_partition,
    the_backlog_tells_rows_bytes_and_the_oldest,
    a_number_is_given_once,
);
