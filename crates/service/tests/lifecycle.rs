//! From start to stop, on a paused clock: signals come by hand, time passes only where everybody waits.

use service::lifecycle::{DRAIN, Ending, Failure, Lifecycle, Outcome, Signals};
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep};

#[derive(Debug, thiserror::Error)]
#[error("the partition stands still")]
struct Stuck(#[source] std::io::Error);

/// The end, which must come: a lifecycle that waits for ever fails here instead of hanging the tests.
async fn ended(lifecycle: &Lifecycle, signals: Signals) -> Outcome {
    tokio::time::timeout(Duration::from_mins(1), lifecycle.finish(signals)).await.expect("an end")
}

/// A task that needs `takes` to finish after the soft token.
fn worker(lifecycle: &Lifecycle, takes: Duration) -> Arc<AtomicBool> {
    let (finished, soft) = (Arc::new(AtomicBool::new(false)), lifecycle.soft());
    let done = Arc::clone(&finished);
    lifecycle.run("worker", async move {
        soft.cancelled().await;
        sleep(takes).await;
        done.store(true, Ordering::SeqCst);
        Ok::<_, Infallible>(())
    });
    finished
}

#[tokio::test(start_paused = true)]
async fn the_first_signal_drains_and_a_drain_in_time_is_a_clean_end() {
    let lifecycle = Lifecycle::new(DRAIN);
    let finished = worker(&lifecycle, Duration::from_secs(9));
    let (send, signals) = Signals::by_hand();
    send.send(()).unwrap();
    let outcome = ended(&lifecycle, signals).await;
    assert!(finished.load(Ordering::SeqCst));
    assert_eq!((outcome.ending, outcome.failures.len(), outcome.code()), (Ending::Drained, 0, 0));
    assert!(!lifecycle.hard().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn the_second_signal_drops_what_is_left_at_once() {
    let lifecycle = Lifecycle::new(DRAIN);
    let finished = worker(&lifecycle, Duration::from_secs(9));
    let (send, signals) = Signals::by_hand();
    let began = Instant::now();
    send.send(()).unwrap();
    send.send(()).unwrap();
    let outcome = ended(&lifecycle, signals).await;
    assert!(!finished.load(Ordering::SeqCst));
    assert_eq!((outcome.ending, outcome.code()), (Ending::SecondSignal, 3));
    assert!(lifecycle.hard().is_cancelled() && began.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_takes_too_long_is_cut_off_at_its_limit() {
    let lifecycle = Lifecycle::new(DRAIN);
    let finished = worker(&lifecycle, Duration::from_secs(11));
    let (send, signals) = Signals::by_hand();
    let began = Instant::now();
    send.send(()).unwrap();
    let outcome = ended(&lifecycle, signals).await;
    assert!(!finished.load(Ordering::SeqCst));
    assert_eq!((outcome.ending, outcome.code()), (Ending::OutOfTime, 3));
    assert!(began.elapsed() >= DRAIN && began.elapsed() < DRAIN + Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_fails_stops_the_service_and_the_exit_code_says_so() {
    let lifecycle = Lifecycle::new(DRAIN);
    let finished = worker(&lifecycle, Duration::from_secs(1));
    lifecycle.run("consumer", async { Err(Stuck(std::io::Error::other("no route to host"))) });
    let (_send, signals) = Signals::by_hand();
    let outcome = ended(&lifecycle, signals).await;
    assert!(finished.load(Ordering::SeqCst), "the others finish what they have in hand");
    let problem = "the partition stands still: no route to host".to_owned();
    assert_eq!(outcome.failures, [Failure { task: "consumer", problem }]);
    assert_eq!((outcome.ending, outcome.code()), (Ending::Drained, 1));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_panics_stops_the_service_too() {
    let lifecycle = Lifecycle::new(DRAIN);
    let finished = worker(&lifecycle, Duration::ZERO);
    lifecycle.run("consumer", async {
        assert!(std::hint::black_box(false), "a bug");
        Ok::<_, Infallible>(())
    });
    let (_send, signals) = Signals::by_hand();
    let outcome = ended(&lifecycle, signals).await;
    assert!(finished.load(Ordering::SeqCst));
    assert_eq!((outcome.failures[0].task, outcome.code()), ("consumer", 1));
    assert!(outcome.failures[0].problem.contains("a bug"), "{:?}", outcome.failures);
}

#[tokio::test(start_paused = true)]
async fn a_signal_during_the_drain_after_a_failure_is_the_first_one() {
    let lifecycle = Lifecycle::new(DRAIN);
    let finished = worker(&lifecycle, Duration::from_secs(5));
    lifecycle.run("consumer", async { Err(Stuck(std::io::Error::other("gone"))) });
    let (send, signals) = Signals::by_hand();
    let late = lifecycle.soft();
    lifecycle.run("supervisor", async move {
        late.cancelled().await;
        sleep(Duration::from_secs(1)).await;
        send.send(()).unwrap();
        Ok::<_, Infallible>(())
    });
    let outcome = ended(&lifecycle, signals).await;
    assert!(finished.load(Ordering::SeqCst));
    assert_eq!((outcome.ending, outcome.code()), (Ending::Drained, 1));
}

#[tokio::test(start_paused = true)]
async fn without_a_signal_the_service_ends_when_its_tasks_have_ended() {
    let lifecycle = Lifecycle::new(DRAIN);
    lifecycle.run("import", async { Ok::<_, Infallible>(()) });
    let (_send, signals) = Signals::by_hand();
    let outcome = ended(&lifecycle, signals).await;
    assert_eq!((outcome.ending, outcome.code()), (Ending::Drained, 0));
}

#[tokio::test(start_paused = true)]
async fn what_serves_to_the_end_outlives_the_drain() {
    let lifecycle = Lifecycle::new(DRAIN);
    let finished = worker(&lifecycle, Duration::from_secs(3));
    let closed_after_work = Arc::new(AtomicBool::new(false));
    let (seen, by_worker) = (Arc::clone(&closed_after_work), Arc::clone(&finished));
    lifecycle.serve("admin", |end| async move {
        end.cancelled().await;
        seen.store(by_worker.load(Ordering::SeqCst), Ordering::SeqCst);
    });
    let (send, signals) = Signals::by_hand();
    send.send(()).unwrap();
    let outcome = ended(&lifecycle, signals).await;
    assert_eq!(outcome.code(), 0);
    assert!(closed_after_work.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn tasks_of_the_tracker_are_waited_for() {
    let lifecycle = Lifecycle::new(DRAIN);
    let (hard, began) = (lifecycle.hard(), Instant::now());
    lifecycle.tracker().spawn(async move { hard.run_until_cancelled(pending::<()>()).await });
    let (send, signals) = Signals::by_hand();
    send.send(()).unwrap();
    let outcome = ended(&lifecycle, signals).await;
    assert_eq!(outcome.ending, Ending::OutOfTime);
    assert!(began.elapsed() >= DRAIN);
}
