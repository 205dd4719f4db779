//! The installation and the policy sets.

use store::installation::{self, Clock, Installation};
use store::policy_set::{self, PolicySet};
use store::{Store, StoreError};

use crate::backend::Backend;

async fn found(store: &Store, event_partitions: i32, clock: Clock) -> Result<Installation, StoreError> {
    let mut tx = store.begin().await.unwrap();
    let founded = installation::found(&mut tx, event_partitions, clock, "a namespace").await?;
    tx.commit().await.unwrap();
    Ok(founded)
}

async fn forward(store: &Store, session: i32) -> bool {
    let mut tx = store.begin().await.unwrap();
    let moved = installation::forward(&mut tx, session).await.unwrap();
    tx.commit().await.unwrap();
    moved
}

async fn an_installation_is_founded_once_and_found_again(backend: Backend) {
    let store = &backend.store;
    assert_eq!(installation::get(store).await.unwrap(), None);
    let founded = found(store, 12, Clock::Registers).await.unwrap();
    assert_eq!(
        founded,
        Installation {
            event_partitions: 12,
            clock: Clock::Registers,
            clock_session: None,
            namespace: "a namespace".into()
        }
    );
    assert_eq!(found(store, 12, Clock::Registers).await.unwrap(), founded);
    assert_eq!(installation::get(store).await.unwrap(), Some(founded));
}

async fn another_number_of_partitions_is_refused_naming_both(backend: Backend) {
    found(&backend.store, 12, Clock::Wall).await.unwrap();
    let refusal = found(&backend.store, 24, Clock::Wall).await.unwrap_err();
    assert!(matches!(refusal, StoreError::Settled { .. }), "{refusal}");
    let text = refusal.to_string();
    assert!(text.contains("12") && text.contains("24") && text.contains("new topic"), "{text}");
    let refusal = found(&backend.store, 12, Clock::Registers).await.unwrap_err();
    assert!(refusal.to_string().contains("wall") && refusal.to_string().contains("registers"), "{refusal}");
    assert_eq!(installation::get(&backend.store).await.unwrap().unwrap().event_partitions, 12);
}

async fn the_registers_clock_only_goes_forward(backend: Backend) {
    let store = &backend.store;
    found(store, 12, Clock::Registers).await.unwrap();
    assert!(forward(store, 40_000).await);
    assert!(!forward(store, 40_000).await);
    assert!(!forward(store, 39_999).await);
    assert!(forward(store, 40_001).await);
    assert_eq!(installation::get(store).await.unwrap().unwrap().clock_session, Some(40_001));
}

async fn the_wall_clock_takes_no_session(backend: Backend) {
    found(&backend.store, 12, Clock::Wall).await.unwrap();
    assert!(!forward(&backend.store, 40_000).await);
    assert_eq!(installation::get(&backend.store).await.unwrap().unwrap().clock_session, None);
}

async fn put_in_force(store: &Store, files: &str) -> i64 {
    let mut tx = store.begin().await.unwrap();
    let version = policy_set::put_in_force(&mut tx, files, "ada", 7).await.unwrap();
    tx.commit().await.unwrap();
    version
}

async fn each_set_put_in_force_has_a_version_of_its_own(backend: Backend) {
    let store = &backend.store;
    assert_eq!(policy_set::version(store).await.unwrap(), None);
    assert_eq!(policy_set::in_force(store).await.unwrap(), None);
    assert_eq!(put_in_force(store, r#"{"a":1}"#).await, 1);
    assert_eq!(put_in_force(store, r#"{"a":2}"#).await, 2);
    // Rolling back is the old files under a new version.
    assert_eq!(put_in_force(store, r#"{"a":1}"#).await, 3);
    assert_eq!(policy_set::version(store).await.unwrap(), Some(3));
    let expected = |version, files: &str| PolicySet {
        version,
        applied_at: 7,
        applied_by: "ada".to_owned(),
        files: files.to_owned(),
    };
    assert_eq!(policy_set::in_force(store).await.unwrap(), Some(expected(3, r#"{"a":1}"#)));
    assert_eq!(policy_set::get(store, 2).await.unwrap(), Some(expected(2, r#"{"a":2}"#)));
    assert_eq!(policy_set::get(store, 4).await.unwrap(), None);
}

async fn a_set_rolled_back_never_was_in_force(backend: Backend) {
    put_in_force(&backend.store, "{}").await;
    let mut tx = backend.store.begin().await.unwrap();
    assert_eq!(policy_set::put_in_force(&mut tx, "[]", "ada", 8).await.unwrap(), 2);
    tx.rollback().await;
    assert_eq!(policy_set::version(&backend.store).await.unwrap(), Some(1));
    assert_eq!(policy_set::get(&backend.store, 2).await.unwrap(), None);
}

async fn sets_put_in_force_at_once_follow_each_other(backend: Backend) {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = backend.store.clone();
        tasks.spawn(async move { put_in_force(&store, "{}").await });
    }
    let mut versions = tasks.join_all().await;
    versions.sort_unstable();
    assert_eq!(versions, (1..=8).collect::<Vec<i64>>());
}

on_both!(
    an_installation_is_founded_once_and_found_again,
    another_number_of_partitions_is_refused_naming_both,
    the_registers_clock_only_goes_forward,
    the_wall_clock_takes_no_session,
    each_set_put_in_force_has_a_version_of_its_own,
    a_set_rolled_back_never_was_in_force,
    sets_put_in_force_at_once_follow_each_other,
);
