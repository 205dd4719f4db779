//! Positions: claims, the compare-and-set, the checkpoint.

use store::position::{self, Fence, Position, Settled, Written, settle};
use store::{Store, StoreError};

use crate::backend::Backend;

const TOPIC: &str = "attendance.events.v1";

async fn claim(store: &Store) -> Position {
    let mut tx = store.begin().await.unwrap();
    let position = position::claim(&mut tx, TOPIC, 3, 1_000).await.unwrap();
    tx.commit().await.unwrap();
    position
}

async fn advance(store: &Store, held: Fence<'_>, next_offset: i64, outbox_number: i64) -> bool {
    let mut tx = store.begin().await.unwrap();
    let done = position::advance(&mut tx, held, next_offset, outbox_number).await.unwrap();
    if done {
        tx.commit().await.unwrap();
    } else {
        tx.rollback().await;
    }
    done
}

async fn move_checkpoint(store: &Store, held: Fence<'_>, offset: i64) -> Result<bool, StoreError> {
    let mut tx = store.begin().await.unwrap();
    let done = position::move_checkpoint(&mut tx, held, offset, 2_000).await?;
    tx.commit().await.unwrap();
    Ok(done)
}

async fn read(store: &Store) -> Position {
    position::read(store, TOPIC, 3).await.unwrap().unwrap()
}

fn later(position: &Position, by: i64) -> Fence<'_> {
    Fence { version: position.version + by, ..position.fence() }
}

async fn a_first_claim_makes_the_row_and_each_later_one_raises_its_version(backend: Backend) {
    let store = &backend.store;
    assert_eq!(position::read(store, TOPIC, 3).await.unwrap(), None);
    let first = claim(store).await;
    let expected = Position {
        topic: TOPIC.to_owned(),
        part: 3,
        version: 1,
        next_offset: 0,
        checkpoint_offset: 0,
        checkpoint_at: 1_000,
        outbox_number: 0,
    };
    assert_eq!(first, expected);
    assert!(advance(store, first.fence(), 50, 4).await);
    let second = claim(store).await;
    assert_eq!(second, Position { version: 3, next_offset: 50, outbox_number: 4, ..expected });
    assert_eq!(position::list(store, TOPIC).await.unwrap(), [second]);
    assert_eq!(position::list(store, "another").await.unwrap(), []);
}

async fn each_write_of_the_owner_raises_the_version_by_one(backend: Backend) {
    let store = &backend.store;
    let held = claim(store).await;
    assert!(advance(store, held.fence(), 10, 1).await);
    let mut tx = store.begin().await.unwrap();
    assert!(position::touch(&mut tx, later(&held, 1)).await.unwrap());
    tx.commit().await.unwrap();
    assert!(move_checkpoint(store, later(&held, 2), 10).await.unwrap());
    let expected =
        Position { version: 4, next_offset: 10, checkpoint_offset: 10, checkpoint_at: 2_000, outbox_number: 1, ..held };
    assert_eq!(read(store).await, expected);
}

async fn an_owner_with_an_old_version_can_change_nothing(backend: Backend) {
    let store = &backend.store;
    let old = claim(store).await;
    let new = claim(store).await;
    assert!(!advance(store, old.fence(), 10, 1).await);
    let mut tx = store.begin().await.unwrap();
    assert!(!position::touch(&mut tx, old.fence()).await.unwrap());
    tx.rollback().await;
    assert!(!move_checkpoint(store, old.fence(), 0).await.unwrap());
    assert!(!advance(store, later(&new, 1), 10, 1).await, "a version of the future is refused too");
    assert_eq!(read(store).await, new);
    assert!(advance(store, new.fence(), 10, 1).await);
}

async fn an_unclaimed_partition_cannot_be_advanced(backend: Backend) {
    let held = Fence { topic: TOPIC, part: 3, version: 1 };
    assert!(!advance(&backend.store, held, 1, 0).await);
    assert_eq!(position::read(&backend.store, TOPIC, 3).await.unwrap(), None);
}

async fn positions_never_go_back(backend: Backend) {
    let store = &backend.store;
    let held = claim(store).await;
    assert!(advance(store, held.fence(), 10, 5).await);
    assert!(!advance(store, later(&held, 1), 9, 5).await, "an offset went back");
    assert!(!advance(store, later(&held, 1), 10, 4).await, "an outbox number went back");
    assert!(advance(store, later(&held, 1), 10, 5).await, "a due step leaves both as they are");
    assert!(move_checkpoint(store, later(&held, 2), 8).await.unwrap());
    assert!(!move_checkpoint(store, later(&held, 3), 7).await.unwrap(), "a checkpoint went back");
    assert!(move_checkpoint(store, later(&held, 3), 8).await.unwrap(), "a pass without changes renews it");
    assert_eq!(read(store).await.checkpoint_offset, 8);
}

async fn a_checkpoint_ahead_of_the_position_breaks_a_rule(backend: Backend) {
    let held = claim(&backend.store).await;
    let refusal = move_checkpoint(&backend.store, held.fence(), 1).await.unwrap_err();
    assert!(matches!(refusal, StoreError::Constraint { .. }), "{refusal}");
    assert!(refusal.to_string().contains("position_checkpoint_not_ahead"), "{refusal}");
    assert!(!refusal.is_retryable());
    assert_eq!(read(&backend.store).await, held);
}

async fn of_two_claimers_the_second_waits_and_the_first_is_then_refused(backend: Backend) {
    let mut first = backend.store.begin().await.unwrap();
    let held = position::claim(&mut first, TOPIC, 3, 1_000).await.unwrap();
    let store = backend.store.clone();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { claim(&store).await });
    assert!(tasks.try_join_next().is_none(), "the second claimer did not wait for the first");
    first.commit().await.unwrap();
    let second = tasks.join_next().await.unwrap().unwrap();
    assert_eq!((held.version, second.version), (1, 2));
    assert!(!advance(&backend.store, held.fence(), 10, 1).await);
    assert!(advance(&backend.store, second.fence(), 10, 1).await);
}

async fn many_owners_at_once_lose_no_step(backend: Backend) {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let store = backend.store.clone();
        tasks.spawn(async move {
            let mut done = 0;
            for _ in 0..25 {
                let held = claim(&store).await;
                let next = held.next_offset + 1;
                done += i64::from(advance(&store, held.fence(), next, 0).await);
            }
            done
        });
    }
    let done: i64 = tasks.join_all().await.into_iter().sum();
    let position = read(&backend.store).await;
    assert_eq!(position.next_offset, done, "as many steps as advances that were told done");
    assert_eq!(position.version, 6 * 25 + done, "each claim and each step raised the version");
}

/// I-4: a take-over by somebody else adds one to the version too, and is never taken for our own commit.
async fn a_commit_that_was_not_answered_is_told_from_a_take_over(backend: Backend) {
    let store = &backend.store;
    let held = claim(store).await;
    let wrote = Written::Advanced { next_offset: 10, outbox_number: 2 };
    assert_eq!(settle(&held, Some(&read(store).await), wrote), Settled::NotDone);
    assert!(advance(store, held.fence(), 10, 2).await);
    assert_eq!(settle(&held, Some(&read(store).await), wrote), Settled::Done);
    let done = read(store).await;
    let checkpoint = Written::Checkpoint { offset: 10, at: 2_000 };
    assert!(move_checkpoint(store, done.fence(), 10).await.unwrap());
    assert_eq!(settle(&done, Some(&read(store).await), checkpoint), Settled::Done);
    assert_eq!(settle(&held, Some(&read(store).await), wrote), Settled::Fenced, "two versions on");

    let held = read(store).await;
    claim(store).await;
    let taken = read(store).await;
    for wrote in [
        Written::Advanced { next_offset: 10, outbox_number: 2 },
        Written::Advanced { next_offset: 11, outbox_number: 2 },
        Written::Checkpoint { offset: 10, at: 2_000 },
        Written::Touched,
    ] {
        assert_eq!(settle(&held, Some(&taken), wrote), Settled::Fenced, "{wrote:?}");
    }
    assert_eq!(settle(&held, None, Written::Touched), Settled::Fenced);
}

on_both!(
    a_commit_that_was_not_answered_is_told_from_a_take_over,
    a_first_claim_makes_the_row_and_each_later_one_raises_its_version,
    each_write_of_the_owner_raises_the_version_by_one,
    an_owner_with_an_old_version_can_change_nothing,
    an_unclaimed_partition_cannot_be_advanced,
    positions_never_go_back,
    a_checkpoint_ahead_of_the_position_breaks_a_rule,
    of_two_claimers_the_second_waits_and_the_first_is_then_refused,
    many_owners_at_once_lose_no_step,
);
