//! Stories of the producer.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use transport::{Compression, Connection, Header, Outgoing, ProduceError, Producer, ProducerConfig, partition_of};

use crate::book::Book;
use crate::ground::{Ground, Member, numbered, on_both};

on_both!(
    a_message_comes_back_as_it_was_sent_in_the_partition_of_its_key,
    a_batch_larger_than_the_queue_is_sent_whole,
    a_message_that_is_too_large_is_named,
);

async fn a_message_comes_back_as_it_was_sent_in_the_partition_of_its_key(ground: Ground) {
    let topic = ground.topic("round-trip", 7).await;
    let keys: Vec<Vec<u8>> = (0..300_u32).map(|n| n.to_be_bytes().repeat(n as usize % 5)).collect();
    let send = |key: &Vec<u8>| Outgoing {
        headers: vec![Header::new("kind", *b"test"), Header { name: "null".into(), value: None }],
        timestamp_ms: Some(1_700_000_000_123),
        ..Outgoing::keyed(topic.clone(), key.clone(), *b"1")
    };
    for compression in [Compression::Lz4, Compression::Zstd, Compression::None] {
        let config = ProducerConfig { compression, ..ProducerConfig::new(ground.connection()) };
        let producer = Producer::new(&config).expect("producer");
        producer.send_all(keys.iter().map(send).collect()).await.expect("acknowledged");
    }
    let book = Book::new();
    let member = Member::start(ground.config(&topic), &book, "reader");
    book.until("three times all messages", |state| {
        state.rows.values().map(|row| row.applied.len()).sum::<usize>() == 3 * keys.len()
    })
    .await;
    member.stop().await.expect("an orderly stop");
    let state = book.state();
    let mut seen: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for message in state.rows.values().flat_map(|row| &row.applied) {
        let key = message.key.as_deref().expect("a key");
        assert_eq!(message.partition, partition_of(key, 7), "librdkafka chooses another partition for {key:?}");
        assert_eq!(message.header("kind"), Some(&b"test"[..]));
        assert_eq!(message.headers[1], Header { name: "null".into(), value: None });
        assert_eq!(message.timestamp_ms, Some(1_700_000_000_123));
        *seen.entry(key.to_vec()).or_default() += 1;
    }
    assert!(keys.iter().all(|key| seen.contains_key(key)));
}

async fn a_batch_larger_than_the_queue_is_sent_whole(ground: Ground) {
    let topic = ground.topic("large-batch", 2).await;
    let config = ProducerConfig { queue_messages: 20, ..ProducerConfig::new(ground.connection()) };
    let producer = Producer::new(&config).expect("producer");
    producer.send_all(numbered(&topic, 0..500)).await.expect("acknowledged");
    let book = Book::new();
    let member = Member::start(ground.config(&topic), &book, "reader");
    book.holds(0..500).await;
    member.stop().await.expect("an orderly stop");
}

async fn a_message_that_is_too_large_is_named(ground: Ground) {
    let topic = ground.topic("too-large", 1).await;
    let config = ProducerConfig { message_bytes: 10_000, ..ProducerConfig::new(ground.connection()) };
    let producer = Producer::new(&config).expect("producer");
    let sent = producer.send_all(vec![Outgoing::keyed(topic.clone(), *b"k", vec![0; 20_000])]).await;
    assert_eq!(sent, Err(ProduceError::TooLarge { topic, bytes: 20_001 }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_broker_a_batch_is_late_and_a_full_queue_turns_the_next_away() {
    let port = support::free_port().expect("a port");
    let config = ProducerConfig {
        delivery_timeout: Duration::from_millis(1_500),
        queue_messages: 5,
        ..ProducerConfig::new(Connection::new(format!("127.0.0.1:{port}"), "story"))
    };
    let producer = Producer::new(&config).expect("producer");
    let first = producer.send_all(numbered(&"anywhere".into(), 0..5));
    let second = async {
        // The first batch is queued as soon as it is polled, which `join!` does before it polls this one.
        producer.send_all(numbered(&"anywhere".into(), 5..6)).await
    };
    let (first, second) = tokio::join!(biased; first, second);
    let late = first.expect_err("nobody acknowledges");
    assert!(matches!(late, ProduceError::Late { .. }), "{late}");
    assert!(late.retry_after().is_some());
    assert_eq!(second, Err(ProduceError::QueueFull { topic: "anywhere".into() }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_missing_is_no_reason_to_try_again() {
    let ground = Ground::real().await;
    let sent = ground.producer().send_all(numbered(&"never-made".into(), 0..1)).await;
    let error = sent.expect_err("there is no such topic");
    assert!(matches!(error, ProduceError::Refused { .. }), "{error}");
    assert!(error.retry_after().is_none());
    let mut client = rdkafka::ClientConfig::new();
    client.set("bootstrap.servers", ground.connection().bootstrap);
    let client: BaseConsumer = client.create().expect("client");
    let metadata = client.fetch_metadata(None, Duration::from_secs(5)).expect("metadata");
    assert!(metadata.topics().iter().all(|topic| topic.name() != "never-made"), "asking made the topic");
}
