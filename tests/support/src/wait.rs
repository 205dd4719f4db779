//! Waiting by condition with a deadline, for tests that watch something happen elsewhere.

use std::time::{Duration, Instant};

/// Between two looks. Short against everything that is waited for here.
const PAUSE: Duration = Duration::from_millis(20);

/// What was waited for did not come; its message names what was last seen instead.
#[derive(Debug, thiserror::Error)]
#[error("waited {} ms for {what}, but last saw: {last_seen}", waited.as_millis())]
pub struct WaitError {
    /// What was waited for, in the words of the caller.
    pub what: String,
    /// How long it was waited for.
    pub waited: Duration,
    /// What the last look saw.
    pub last_seen: String,
}

/// Calls `look` until it gives `Ok`, and gives that value; `Err` tells what was seen instead.
///
/// `deadline` counts from the call, by the real clock even where tokio's is paused. A look that is still under way then is
/// dropped, so a hanging one fails as well. At least one look is made.
///
/// ```no_run
/// # use std::time::Duration;
/// # async fn count() -> u64 { 3 }
/// # async fn example() -> Result<(), support::WaitError> {
/// support::wait_until(Duration::from_secs(10), "three alerts", async || match count().await {
///     3 => Ok(()),
///     other => Err(format!("{other} alerts")),
/// })
/// .await
/// # }
/// ```
pub async fn wait_until<T>(
    deadline: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> Result<T, WaitError> {
    let started = Instant::now();
    let mut last_seen = "nothing, the first look did not end".to_owned();
    loop {
        match before(started + deadline, look()).await {
            Some(Ok(value)) => return Ok(value),
            Some(Err(seen)) => last_seen = seen,
            None => {}
        }
        let waited = started.elapsed();
        if waited >= deadline {
            return Err(WaitError { what: what.to_owned(), waited, last_seen });
        }
        tokio::time::sleep(PAUSE.min(deadline.saturating_sub(waited))).await;
    }
}

/// The future's value, or `None` when the real clock passes `end` first.
async fn before<T>(end: Instant, look: impl Future<Output = T>) -> Option<T> {
    let mut look = std::pin::pin!(look);
    loop {
        if let Ok(value) = tokio::time::timeout(PAUSE, &mut look).await {
            return Some(value);
        }
        if Instant::now() >= end {
            return None;
        }
    }
}
