//! Stories of the end: whatever the consumer is in the middle of, it leaves the group and returns.

use std::time::Duration;

use tokio::time::Instant;

use crate::book::Book;
use crate::ground::{Ground, Member, PATIENCE, numbered, on_both};

on_both!(
    a_member_whose_future_is_dropped_does_not_hang,
    a_member_that_has_not_joined_yet_closes,
    a_member_whose_claim_waits_closes_within_the_drain_time,
    a_member_under_load_closes_and_a_successor_has_the_partitions_at_once,
);

async fn a_member_that_has_not_joined_yet_closes(ground: Ground) {
    let topic = ground.topic("early-close", 2).await;
    let member = Member::start(ground.config(&topic), &Book::new(), "early");
    member.stop().await.expect("an orderly stop");
}

async fn a_member_whose_claim_waits_closes_within_the_drain_time(ground: Ground) {
    let topic = ground.topic("claim-close", 2).await;
    let book = Book::new();
    let other = Member::start(ground.config(&topic), &book, "other");
    book.until("claims of the other", |state| state.claims.len() == 2).await;
    book.hold("claim waits");
    let member = Member::start(ground.config(&topic), &book, "waits");
    book.until("a hand-over", |state| !state.releases.is_empty()).await;
    let began = Instant::now();
    let ended = member.stop().await;
    // Where the claim had been ordered already, the worker that cannot let go is named.
    assert!(ended.is_ok() || ended.is_err_and(|error| error.to_string().contains("release")));
    assert!(began.elapsed() < ground.config(&topic).session_timeout + Duration::from_secs(2));
    book.let_go();
    book.until("all with the other again", |state| state.claims.iter().filter(|(n, _)| *n == "other").count() >= 3)
        .await;
    other.stop().await.expect("an orderly stop");
}

async fn a_member_under_load_closes_and_a_successor_has_the_partitions_at_once(ground: Ground) {
    let topic = ground.topic("load-close", 4).await;
    ground.producer().send_all(numbered(&topic, 0..20_000)).await.expect("acknowledged");
    let book = Book::new();
    let mut config = ground.config(&topic);
    config.batch.messages = 10;
    let first = Member::start(config.clone(), &book, "first");
    book.until("some work", |state| state.batches > 20).await;
    first.stop().await.expect("an orderly stop");
    let began = Instant::now();
    let second = Member::start(config, &book, "second");
    book.until("claims of the second", |state| state.claims.iter().filter(|(n, _)| *n == "second").count() == 4).await;
    // A member that had not left would hold its partitions until its session ends, 6 s later.
    assert!(began.elapsed() < Duration::from_millis(5_500), "{:?}", began.elapsed());
    book.holds(0..20_000).await;
    second.stop().await.expect("an orderly stop");
}

async fn a_member_whose_future_is_dropped_does_not_hang(ground: Ground) {
    let topic = ground.topic("dropped", 2).await;
    let book = Book::new();
    let member = Member::start(ground.config(&topic), &book, "dropped");
    book.until("claims", |state| state.claims.len() == 2).await;
    member.task.abort();
    let ended = tokio::time::timeout(PATIENCE, member.task).await.expect("dropping the client hangs");
    assert!(ended.is_err_and(|error| error.is_cancelled()));
    book.until("both workers to let go", |state| state.releases.len() == 2).await;
}
