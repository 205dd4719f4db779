//! Real signals to this very process: alone in its file, since signals reach a whole process.

use service::lifecycle::{DRAIN, Ending, Lifecycle, Signals};
use std::convert::Infallible;
use std::process::Command;

fn send(signal: &str) {
    let sent = Command::new("kill").args([signal, &std::process::id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[tokio::test]
async fn sigterm_and_sigint_drain_and_the_second_of_them_aborts() {
    for (first, second, ending, code) in
        [("-TERM", None, Ending::Drained, 0), ("-TERM", Some("-INT"), Ending::SecondSignal, 3)]
    {
        let lifecycle = Lifecycle::new(DRAIN);
        let (soft, signals) = (lifecycle.soft(), Signals::of_process().unwrap());
        lifecycle.run("worker", async move {
            soft.cancelled().await;
            if let Some(second) = second {
                send(second);
                std::future::pending::<()>().await;
            }
            Ok::<_, Infallible>(())
        });
        send(first);
        let outcome = lifecycle.finish(signals).await;
        assert_eq!((outcome.ending, outcome.code()), (ending, code), "{first} {second:?}");
    }
}
