//! The schema: what `open` and `migrate` make of an empty, a current and a newer database.

use store::{Options, Store, StoreError};

use crate::backend::{Backend, options};

async fn migrating_twice_changes_nothing(backend: Backend) {
    let applied = backend.number("SELECT COUNT(*) FROM _sqlx_migrations").await;
    backend.store.migrate().await.unwrap();
    assert_eq!(backend.store.schema_version().await.unwrap(), 12);
    backend.store.check_schema().await.unwrap();
    assert_eq!(backend.number("SELECT COUNT(*) FROM _sqlx_migrations").await, applied);
}

async fn a_newer_schema_is_refused_and_named(backend: Backend) {
    backend
        .raw(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
              SELECT 99, 'later', success, checksum, 1 FROM _sqlx_migrations WHERE version = 1",
        )
        .await
        .unwrap();
    for refusal in
        [Store::open(&backend.url, &options()).await.unwrap_err(), backend.store.migrate().await.unwrap_err()]
    {
        assert!(matches!(refusal, StoreError::SchemaTooNew { have: 99, want: 12, .. }), "{refusal}");
        assert!(!refusal.is_retryable());
    }
}

async fn closing_waits_for_what_is_under_way_and_ends_the_store(backend: Backend) {
    let tx = backend.store.begin().await.unwrap();
    drop(tx);
    backend.store.close().await;
    let refusal = backend.store.begin().await.unwrap_err();
    assert!(matches!(refusal, StoreError::Unavailable { .. }), "{refusal}");
}

on_both!(
    migrating_twice_changes_nothing,
    a_newer_schema_is_refused_and_named,
    closing_waits_for_what_is_under_way_and_ends_the_store,
);

async fn assert_named_too_old(url: &str) {
    let refusal = Store::open(url, &options()).await.unwrap_err();
    assert!(matches!(refusal, StoreError::SchemaTooOld { have: 0, want: 12, .. }), "{refusal}");
    assert!(refusal.to_string().contains("earlybell migrate"), "{refusal}");
}

#[tokio::test]
async fn an_empty_database_is_refused_with_the_way_out() {
    assert_named_too_old(&support::postgres().create_database().await.unwrap()).await;
    let folder = tempfile::tempdir().unwrap();
    assert_named_too_old(&format!("sqlite://{}", folder.path().join("empty.db").display())).await;
}

#[tokio::test]
async fn two_migrations_at_once_make_one_schema() {
    let url = support::postgres().create_database().await.unwrap();
    let first = Store::connect(&url, &options()).await.unwrap();
    let second = Store::connect(&url, &options()).await.unwrap();
    let (one, other) = tokio::join!(first.migrate(), second.migrate());
    one.unwrap();
    other.unwrap();
    first.check_schema().await.unwrap();
}

#[tokio::test]
async fn an_address_that_cannot_be_used_is_named_without_its_password() {
    for url in [
        "mysql://user:secret@host/db",
        "postgres://user:secret@host:port/db",
        "sqlite::memory:",
        "sqlite://x?mode=memory",
    ] {
        let refusal = Store::connect(url, &Options::named("suite")).await.unwrap_err();
        assert!(matches!(refusal, StoreError::Address { .. }), "{url}: {refusal}");
        assert!(!refusal.to_string().contains("secret"), "{refusal}");
        assert!(!refusal.is_retryable());
    }
}
