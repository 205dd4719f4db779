//! Stories of trouble: refused, unavailable, frozen, hanging workers; positions that are gone; a broker that restarts.

use std::time::Duration;

use support::{Kafka, KafkaOptions};
use transport::{Connection, ConsumerConfig, ConsumerError, Producer, ProducerConfig, Release, TopicPartition};

use crate::book::{Book, Row};
use crate::ground::{Ground, Member, numbered, on_both};

on_both!(
    a_refused_worker_takes_over_again_and_nothing_is_lost_or_repeated,
    a_database_that_is_away_loses_nothing,
    a_worker_that_lets_go_too_late_commits_nothing,
    a_worker_that_hangs_ends_the_process_by_name,
    a_position_that_the_topic_does_not_hold_ends_the_process_by_name,
);

async fn a_refused_worker_takes_over_again_and_nothing_is_lost_or_repeated(ground: Ground) {
    let topic = ground.topic("refused", 2).await;
    ground.producer().send_all(numbered(&topic, 0..2_000)).await.expect("acknowledged");
    let book = Book::new();
    book.state().thefts = vec![3, 7, 20, 50];
    let mut config = ground.config(&topic);
    config.batch.messages = 10;
    let member = Member::start(config, &book, "reader");
    book.holds(0..2_000).await;
    assert_eq!(book.state().fenced.len(), 4);
    assert_eq!(book.state().claims.len(), 2 + 4);
    assert_eq!(book.state().releases, [], "who is refused has nothing to let go");
    member.stop().await.expect("an orderly stop");
}

async fn a_database_that_is_away_loses_nothing(ground: Ground) {
    let topic = ground.topic("away", 2).await;
    let producer = ground.producer();
    producer.send_all(numbered(&topic, 0..500)).await.expect("acknowledged");
    let book = Book::new();
    book.state().outages = 6;
    let member = Member::start(ground.config(&topic), &book, "reader");
    book.holds(0..500).await;
    book.state().outages = 4;
    producer.send_all(numbered(&topic, 500..1_000)).await.expect("acknowledged");
    book.holds(0..1_000).await;
    assert_eq!(book.state().claims.len(), 2, "nobody was replaced");
    member.stop().await.expect("an orderly stop");
}

async fn a_worker_that_lets_go_too_late_commits_nothing(ground: Ground) {
    let topic = ground.topic("frozen", 2).await;
    let producer = ground.producer();
    let book = Book::new();
    let frozen = Member::start(ground.config(&topic), &book, "frozen");
    book.until("claims", |state| state.claims.len() == 2).await;
    book.hold("frozen");
    producer.send_all(numbered(&topic, 0..200)).await.expect("acknowledged");
    let healthy = Member::start(ground.config(&topic), &book, "healthy");
    book.until("the other to read on", |state| {
        state.claims.iter().any(|(name, _)| *name == "healthy") && !state.rows.values().all(|r| r.applied.is_empty())
    })
    .await;
    book.let_go();
    book.holds(0..200).await;
    book.until("a refusal of the late commit", |state| state.fenced.iter().any(|(name, _)| *name == "frozen")).await;
    frozen.stop().await.expect("an orderly stop");
    healthy.stop().await.expect("an orderly stop");
    assert_eq!(book.numbers(), (0..200).collect::<Vec<_>>());
}

async fn a_worker_that_hangs_ends_the_process_by_name(ground: Ground) {
    let topic = ground.topic("hangs", 1).await;
    ground.producer().send_all(numbered(&topic, 0..10)).await.expect("acknowledged");
    let book = Book::new();
    book.hold("hangs");
    let mut config = ground.config(&topic);
    config.stall = config.drain() + Duration::from_millis(500);
    let error = Member::start(config, &book, "hangs").end().await.expect_err("no progress");
    let at = TopicPartition::new(topic, 0);
    assert!(matches!(&error, ConsumerError::Stalled { at: a, call: "batch", .. } if *a == at), "{error}");
}

async fn a_position_that_the_topic_does_not_hold_ends_the_process_by_name(ground: Ground) {
    let topic = ground.topic("gone", 1).await;
    ground.producer().send_all(numbered(&topic, 0..10)).await.expect("acknowledged");
    let book = Book::new();
    let at = TopicPartition::new(topic.clone(), 0);
    book.state().rows.insert(at.clone(), Row { next_offset: Some(5_000), ..Row::default() });
    let error = Member::start(ground.config(&topic), &book, "reader").end().await.expect_err("no such offset");
    let ConsumerError::PositionGone { at: found, position, low, high } = error else { panic!("{error}") };
    assert_eq!((found, position, low, high), (at, 5_000, 0, 10));
    assert_eq!(book.state().releases, [("reader", Release::Closing)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_killed_and_comes_back_costs_nothing() {
    let start = || Kafka::start(&KafkaOptions::default()).expect("kafka");
    let kafka = tokio::task::spawn_blocking(start).await.expect("no panic");
    kafka.create_topic("restarted", 2).await.expect("topic");
    let topic = "restarted".into();
    let connection = Connection::new(kafka.brokers(), "story");
    let patient =
        ProducerConfig { delivery_timeout: Duration::from_secs(30), ..ProducerConfig::new(connection.clone()) };
    let producer = Producer::new(&patient).expect("producer");
    producer.send_all(numbered(&topic, 0..200)).await.expect("acknowledged");
    let book = Book::new();
    let config = ConsumerConfig {
        session_timeout: Duration::from_secs(6),
        ..ConsumerConfig::new(connection, "g", [topic.clone()])
    };
    let member = Member::start(config, &book, "reader");
    book.holds(0..200).await;
    let restart = tokio::task::spawn_blocking(move || {
        kafka.restart().expect("restarts");
        kafka
    });
    let sent = producer.send_all(numbered(&topic, 200..400));
    let (kafka, sent) = tokio::join!(restart, sent);
    sent.expect("acknowledged after the restart");
    book.holds(0..400).await;
    member.stop().await.expect("an orderly stop");
    drop(kafka);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_partition_ends_is_known_as_long_as_its_broker_answers() {
    let start = || Kafka::start(&KafkaOptions::default()).expect("kafka");
    let kafka = tokio::task::spawn_blocking(start).await.expect("no panic");
    kafka.create_topic("frozen", 2).await.expect("topic");
    let topic = "frozen".into();
    let connection = Connection::new(kafka.brokers(), "story");
    let producer = Producer::new(&ProducerConfig::new(connection.clone())).expect("producer");
    producer.send_all(numbered(&topic, 0..200)).await.expect("acknowledged");
    let book = Book::new();
    let config = ConsumerConfig {
        // Longer than it is frozen: the member stays.
        session_timeout: Duration::from_secs(30),
        commit_every: Duration::from_millis(500),
        ..ConsumerConfig::new(connection, "g", [topic.clone()])
    };
    let member = Member::start(config, &book, "reader");
    book.holds(0..200).await;
    book.until("to know that all is read", |state| state.current() == 2).await;
    kafka.freeze().expect("frozen");
    book.until("to know it no longer", |state| state.current() == 0).await;
    kafka.thaw().expect("thawed");
    book.until("to know it again", |state| state.current() == 2).await;
    member.stop().await.expect("an orderly stop");
}
