//! The broker: it starts, carries messages, and can be killed, frozen and brought back with its data.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use support::{Kafka, KafkaOptions, wait_until};

const SOON: Duration = Duration::from_secs(30);

fn client(kafka: &Kafka) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", kafka.brokers())
        .set("acks", "all")
        .set("delivery.timeout.ms", "10000")
        .set("reconnect.backoff.max.ms", "200")
        .set("group.id", "support");
    config
}

async fn send(kafka: &Kafka, topic: &str, payload: &str) -> Result<(), String> {
    let producer: FutureProducer = client(kafka).create().unwrap();
    let record = FutureRecord::to(topic).key("key").payload(payload);
    producer.send(record, SOON).await.map(drop).map_err(|(error, _)| error.to_string())
}

/// All payloads of partition 0, once there are `count`.
async fn received(kafka: &Kafka, topic: &str, count: usize) -> Vec<String> {
    let consumer: BaseConsumer = client(kafka).create().unwrap();
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&assignment).unwrap();
    let mut payloads = Vec::new();
    wait_until(SOON, "the messages", async || {
        if let Some(Ok(message)) = consumer.poll(Duration::ZERO) {
            payloads.push(String::from_utf8(message.payload().unwrap().to_vec()).unwrap());
        }
        if payloads.len() >= count { Ok(()) } else { Err(format!("{payloads:?}")) }
    })
    .await
    .unwrap();
    payloads
}

#[tokio::test]
async fn a_message_comes_back_from_the_shared_broker() {
    let kafka = support::kafka();
    kafka.create_topic("round_trip", 1).await.unwrap();
    send(kafka, "round_trip", "hello").await.unwrap();
    assert_eq!(received(kafka, "round_trip", 1).await, ["hello"]);
}

#[tokio::test]
async fn a_topic_that_exists_is_not_created_again() {
    let kafka = support::kafka();
    kafka.create_topic("twice", 3).await.unwrap();
    let error = kafka.create_topic("twice", 3).await.unwrap_err().to_string();
    assert!(error.contains("twice") && error.contains("already exists"), "{error}");
}

#[tokio::test]
async fn a_topic_that_nobody_created_does_not_come_into_being() {
    let kafka = support::kafka();
    let producer: FutureProducer = client(kafka).set("delivery.timeout.ms", "2000").create().unwrap();
    let record: FutureRecord<'_, str, str> = FutureRecord::to("unheard_of").payload("hello");
    assert!(producer.send(record, SOON).await.is_err());
}

#[tokio::test]
async fn a_group_member_with_a_session_of_one_second_is_given_its_partition() {
    let kafka = support::kafka();
    kafka.create_topic("grouped", 1).await.unwrap();
    send(kafka, "grouped", "hello").await.unwrap();
    let consumer: BaseConsumer = client(kafka)
        .set("session.timeout.ms", "1000")
        .set("heartbeat.interval.ms", "300")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&["grouped"]).unwrap();
    wait_until(SOON, "the message", async || match consumer.poll(Duration::ZERO) {
        Some(Ok(_)) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn kill_and_restart_keep_address_and_messages() {
    let kafka = Kafka::start(&KafkaOptions::default()).unwrap();
    kafka.create_topic("kept", 1).await.unwrap();
    send(&kafka, "kept", "before").await.unwrap();
    let address = kafka.brokers().to_owned();

    kafka.kill().unwrap();
    assert!(std::net::TcpStream::connect(&address).is_err(), "a killed broker still listens");
    assert!(kafka.freeze().is_err(), "a killed broker was frozen");

    kafka.restart().unwrap();
    assert_eq!(kafka.brokers(), address);
    send(&kafka, "kept", "after").await.unwrap();
    assert_eq!(received(&kafka, "kept", 2).await, ["before", "after"]);
}

#[tokio::test]
async fn a_frozen_broker_answers_nothing_until_it_is_thawed() {
    let kafka = Kafka::start(&KafkaOptions::default()).unwrap();
    kafka.create_topic("frozen", 1).await.unwrap();
    let consumer: BaseConsumer = client(&kafka).create().unwrap();
    let ask = || consumer.fetch_metadata(Some("frozen"), Duration::from_secs(1));
    ask().unwrap();

    kafka.freeze().unwrap();
    assert!(ask().is_err());

    kafka.thaw().unwrap();
    wait_until(SOON, "an answer", async || ask().map(drop).map_err(|error| error.to_string())).await.unwrap();
    send(&kafka, "frozen", "after").await.unwrap();
}

#[test]
fn settings_reach_the_broker_and_a_bad_one_fails_with_its_log() {
    let settings = vec![("log.segment.bytes".to_owned(), "many".to_owned())];
    let error = Kafka::start(&KafkaOptions { settings, ..KafkaOptions::default() }).unwrap_err().to_string();
    assert!(error.contains("log.segment.bytes"), "{error}");
}
