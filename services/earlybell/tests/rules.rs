//! The rules service on real Kafka and PostgreSQL: whatever ends a process, wherever a partition goes, no mark is lost and
//! no alert change is lost, doubled or out of order.
#![expect(clippy::unwrap_used, clippy::cast_sign_loss, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod harness;

use harness::Installation;
use harness::registers::{Size, expected, produce, stream};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::Duration;
use transport::{Producer, ProducerConfig};

const SIZE: Size = Size { pupils: 240, days: 25 };

fn producer(installation: &Installation) -> Producer {
    Producer::new(&ProducerConfig::new(installation.connection())).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_and_alerts_are_those_of_backtest() {
    let installation = Installation::start(4).await;
    let sendings = stream(1, SIZE);
    let process = installation.service("rules", None);
    let producer = producer(&installation);
    for part in sendings.chunks(7) {
        produce(&producer, 4, part).await;
    }
    let store = installation.store().await;
    installation.settled(&store).await;
    installation.check(&store, &expected(&installation.policy, &sendings)).await;
    process.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_under_load_nothing_is_lost_or_doubled() {
    let installation = Installation::start(4).await;
    let sendings = stream(2, SIZE);
    let producer = producer(&installation);
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut process = installation.service("rules", None);
    for part in sendings.chunks(sendings.len().div_ceil(4)) {
        for few in part.chunks(5) {
            produce(&producer, 4, few).await;
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..4_000))).await;
        process.kill();
        process = installation.service("rules", None);
    }
    let store = installation.store().await;
    installation.settled(&store).await;
    installation.check(&store, &expected(&installation.policy, &sendings)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aborted_at_every_named_point_nothing_is_lost_or_doubled() {
    let installation = Installation::start(2).await;
    let points = [
        "rules.batch.after_poll:2",
        "rules.batch.before_commit:2",
        "rules.commit.after_compare_and_set:2",
        "rules.commit.before_commit:2",
        "rules.commit.after_commit:2",
        // What the abort before left to be folded again is folded at once.
        "rules.restore.after_fold:1",
        "rules.relay.before_send:2",
        "rules.relay.after_send:2",
        "rules.checkpoint.in_chunk:2",
        "rules.checkpoint.after_chunk:2",
        "rules.restore.after_load:2",
    ];
    let sendings = stream(3, SIZE);
    let producer = producer(&installation);
    let parts: Vec<_> = sendings.chunks(sendings.len().div_ceil(points.len() + 1)).collect();
    produce(&producer, 2, parts[0]).await;
    for (point, part) in points.iter().zip(&parts[1..]) {
        let mut process = installation.service("rules", Some(point));
        for few in part.chunks(5) {
            produce(&producer, 2, few).await;
        }
        let status = process.ended(Duration::from_secs(60)).await;
        assert!(status.is_some_and(|status| !status.success()), "it never passed {point}");
    }
    let _process = installation.service("rules", None);
    let store = installation.store().await;
    installation.settled(&store).await;
    installation.check(&store, &expected(&installation.policy, &sendings)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_and_a_rebalance_in_mid_stream_change_nothing() {
    let installation = Installation::start(4).await;
    let sendings = stream(4, SIZE);
    let producer = producer(&installation);
    let parts: Vec<_> = sendings.chunks(sendings.len().div_ceil(4)).collect();
    let mut first = installation.service("rules", None);
    let mut second = None;
    for (number, part) in parts.iter().enumerate() {
        for few in part.chunks(5) {
            produce(&producer, 4, few).await;
        }
        match number {
            0 => second = Some(installation.service("rules", None)),
            1 => first.kill(),
            2 => first = installation.service("rules", None),
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(1_500)).await;
    }
    let store = installation.store().await;
    installation.settled(&store).await;
    installation.check(&store, &expected(&installation.policy, &sendings)).await;
    drop(second);
    first.terminate();
    let status = first.ended(Duration::from_secs(10)).await;
    assert!(status.is_some_and(|status| status.success()), "a stop in order within 10 s: {status:?}");
}
