//! Stories of topics; real Kafka only, the mock cluster has no API for making and describing them.

use std::time::Duration;

use transport::{Admin, AdminError, Difference, Ensured, TopicSpec, Watermarks};

use crate::ground::{Ground, numbered};

const TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_topic_is_made_as_wanted_and_an_existing_one_is_only_compared() {
    let ground = Ground::real().await;
    let admin = Admin::new(&ground.connection(), TIMEOUT).expect("admin");
    let spec = TopicSpec::new("ensured", 3, 1);
    assert_eq!(admin.ensure_topic(&spec).await, Ok(Ensured::Created));
    assert_eq!(admin.ensure_topic(&spec).await, Ok(Ensured::AsWanted));
    let other = TopicSpec { retention: Duration::from_hours(24), ..TopicSpec::new("ensured", 5, 1) };
    let differences = vec![
        Difference::Partitions { wanted: 5, found: 3 },
        Difference::Setting { name: "retention.ms", wanted: "86400000".into(), found: "2419200000".into() },
    ];
    assert_eq!(admin.ensure_topic(&other).await, Ok(Ensured::Different(differences)));
    assert_eq!(admin.partition_count("ensured").await, Ok(3), "nothing was changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_copies_than_brokers_is_refused_with_the_brokers_words() {
    let ground = Ground::real().await;
    let admin = Admin::new(&ground.connection(), TIMEOUT).expect("admin");
    let made = admin.ensure_topic(&TopicSpec::new("three-copies", 3, 3)).await;
    assert!(matches!(made, Err(AdminError::NotCreated { .. })), "{made:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watermarks_count_what_is_there() {
    let ground = Ground::real().await;
    let admin = Admin::new(&ground.connection(), TIMEOUT).expect("admin");
    let topic = ground.topic("watermarks", 2).await;
    let mut messages = numbered(&topic, 0..5);
    for message in &mut messages {
        message.partition = Some(1);
    }
    ground.producer().send_all(messages).await.expect("acknowledged");
    let wanted = [Watermarks { partition: 0, low: 0, high: 0 }, Watermarks { partition: 1, low: 0, high: 5 }];
    assert_eq!(admin.watermarks(&topic).await.as_deref(), Ok(&wanted[..]));
    assert_eq!(admin.watermarks("no-such").await, Err(AdminError::NoTopic("no-such".into())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_being_away_is_worth_another_try() {
    let port = support::free_port().expect("a port");
    let connection = transport::Connection::new(format!("127.0.0.1:{port}"), "story");
    let admin = Admin::new(&connection, Duration::from_secs(1)).expect("admin");
    let asked = admin.partition_count("any").await.expect_err("nobody answers");
    assert!(asked.is_retryable(), "{asked}");
}
