//! Stories of reading in peace: members come and go, budgets are small.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use transport::{Load, Release, TopicPartition};

use crate::book::Book;
use crate::ground::{Ground, Member, numbered, on_both};

on_both!(
    a_member_comes_and_a_member_goes_and_every_message_is_applied_once,
    a_small_budget_pauses_and_loses_nothing,
    a_restart_goes_on_at_the_stored_position,
);

async fn a_member_comes_and_a_member_goes_and_every_message_is_applied_once(ground: Ground) {
    let topic = ground.topic("come-and-go", 6).await;
    let producer = ground.producer();
    producer.send_all(numbered(&topic, 0..600)).await.expect("acknowledged");
    let book = Book::new();
    let first = Member::start(ground.config(&topic), &book, "first");
    book.holds(0..600).await;
    let second = Member::start(ground.config(&topic), &book, "second");
    producer.send_all(numbered(&topic, 600..1200)).await.expect("acknowledged");
    book.until("a share for the second", |state| {
        let shares = state.claims.iter().filter(|(name, _)| *name == "second");
        shares.map(|(_, at)| at).collect::<BTreeSet<_>>().len() == 3
    })
    .await;
    producer.send_all(numbered(&topic, 1200..1800)).await.expect("acknowledged");
    book.holds(0..1800).await;
    book.until("each to show its own share, and nothing of the other's", |state| {
        let shown = |who| state.shown.iter().filter(|(name, _)| *name == who).count();
        shown("first") == 3 && shown("second") == 3
    })
    .await;
    assert!(book.state().releases.contains(&("first", Release::Orderly)));
    assert_eq!(book.state().fenced, [], "an orderly hand-over refuses nobody");

    first.stop().await.expect("an orderly stop");
    assert!(book.state().releases.contains(&("first", Release::Closing)));
    producer.send_all(numbered(&topic, 1800..2400)).await.expect("acknowledged");
    book.holds(0..2400).await;
    second.stop().await.expect("an orderly stop");
    assert_eq!(book.state().fenced, []);
}

async fn a_small_budget_pauses_and_loses_nothing(ground: Ground) {
    let topic = ground.topic("small-budget", 3).await;
    ground.producer().send_all(numbered(&topic, 0..3_000)).await.expect("acknowledged");
    let book = Book::new();
    let mut config = ground.config(&topic);
    config.batch = Load { messages: 5, bytes: 1_000 };
    config.partition_budget = Load { messages: 20, bytes: 2_000 };
    config.total_budget = Load { messages: 30, bytes: 3_000 };
    let member = Member::start(config, &book, "reader");
    book.holds(0..3_000).await;
    member.stop().await.expect("an orderly stop");
    assert!(book.state().largest_batch <= 5);
}

async fn a_restart_goes_on_at_the_stored_position(ground: Ground) {
    let topic = ground.topic("restart", 2).await;
    let producer = ground.producer();
    let book = Book::new();
    for round in 0..2 {
        let member = Member::start(ground.config(&topic), &book, "reader");
        producer.send_all(numbered(&topic, 100 * round..100 * (round + 1))).await.expect("acknowledged");
        book.holds(0..100 * (round + 1)).await;
        member.stop().await.expect("an orderly stop");
    }
    assert_eq!(book.state().claims.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_durable_positions_are_told_to_kafka_for_monitoring() {
    let ground = Ground::real().await;
    let topic = ground.topic("told", 1).await;
    ground.producer().send_all(numbered(&topic, 0..50)).await.expect("acknowledged");
    let book = Book::new();
    let config = ground.config(&topic);
    let group = config.group.clone();
    let member = Member::start(config, &book, "reader");
    book.holds(0..50).await;
    member.stop().await.expect("an orderly stop");
    let mut client = rdkafka::ClientConfig::new();
    client.set("bootstrap.servers", ground.connection().bootstrap).set("group.id", group);
    let client: BaseConsumer = client.create().expect("client");
    let mut asked = TopicPartitionList::new();
    asked.add_partition(&topic, 0);
    let told = client.committed_offsets(asked, Duration::from_secs(5)).expect("offsets");
    assert_eq!(told.elements()[0].offset(), Offset::Offset(50));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_topic_ends_the_start_by_name() {
    let ground = Ground::real().await;
    let member = Member::start(ground.config(&"not-there".into()), &Book::new(), "reader");
    let error = member.end().await.expect_err("there is no such topic");
    assert_eq!(error.to_string(), "topic not-there does not exist: create it first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_contradict_each_other_do_not_start() {
    let ground = Ground::mock();
    let mut config = ground.config(&"any".into());
    config.stall = Duration::from_secs(1);
    config.group.clear();
    let error = Member::start(config, &Book::new(), "reader").end().await.expect_err("two contradictions");
    assert!(error.to_string().contains("`group`") && error.to_string().contains("`stall`"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_while_a_partition_waits_for_its_claim_is_not_skipped() {
    let ground = Ground::real().await;
    let topic = ground.topic("slow-claim", 1).await;
    let producer = ground.producer();
    producer.send_all(numbered(&topic, 0..100)).await.expect("acknowledged");
    let book = Book::new();
    book.hold("claim slow");
    // The group is answered after half of the session time-out of 6 s, without a position.
    let member = Member::start(ground.config(&topic), &book, "slow");
    let joined = async || {
        let mut client = rdkafka::ClientConfig::new();
        client.set("bootstrap.servers", ground.connection().bootstrap);
        let client: BaseConsumer = client.create().expect("client");
        let groups = client.fetch_group_list(Some(&ground.config(&topic).group), Duration::from_secs(5));
        let groups = groups.map_err(|error| error.to_string())?;
        let stable = groups.groups().iter().any(|group| group.state() == "Stable" && !group.members().is_empty());
        if stable { Ok(()) } else { Err("no stable group".to_owned()) }
    };
    support::wait_until(Duration::from_secs(20), "a stable group", joined).await.expect("in time");
    let answered = tokio::time::Instant::now() + ground.config(&topic).drain() + Duration::from_secs(1);
    tokio::time::sleep_until(answered).await;
    producer.send_all(numbered(&topic, 100..200)).await.expect("acknowledged");
    book.let_go();
    book.holds(0..200).await;
    member.stop().await.expect("an orderly stop");
    assert_eq!(book.state().claims, [("slow", TopicPartition::new(topic, 0))]);
}
