//! How often each key may ask: so many requests a second on average, twice as many at once (a token bucket a key).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Keys remembered at once; with more, all begin anew.
const MOST: usize = 10_000;

/// Requests left, and when that was so.
struct Bucket {
    left: f64,
    at: Instant,
}

/// The pace of all keys.
pub(crate) struct Pace {
    /// Requests a second; none for no limit.
    rate: Option<f64>,
    buckets: Mutex<HashMap<String, Bucket>>,
}

impl Pace {
    /// So many requests a second and key; 0 for no limit.
    pub(crate) fn new(requests: u32) -> Self {
        Self { rate: (requests > 0).then(|| f64::from(requests)), buckets: Mutex::default() }
    }

    /// Takes a request of a key; else how long it is to wait.
    pub(crate) fn take(&self, key: &str, now: Instant) -> Result<(), Duration> {
        let Some(rate) = self.rate else { return Ok(()) };
        let most = rate * 2.0;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST && !buckets.contains_key(key) {
            buckets.clear();
        }
        let bucket = buckets.entry(key.to_owned()).or_insert(Bucket { left: most, at: now });
        bucket.left = (bucket.left + now.duration_since(bucket.at).as_secs_f64() * rate).min(most);
        bucket.at = now;
        if bucket.left < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - bucket.left) / rate));
        }
        bucket.left -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_rate_and_twice_as_much_at_once_and_no_other_pays_for_it() {
        let (pace, begun) = (Pace::new(10), Instant::now());
        let taken = |key, at| (0..100).filter(|_| pace.take(key, at).is_ok()).count();
        assert_eq!(taken("one", begun), 20);
        assert_eq!(taken("other", begun), 20);
        let wait = pace.take("one", begun).unwrap_err();
        assert!(wait > Duration::from_millis(90) && wait <= Duration::from_millis(100), "{wait:?}");
        assert_eq!(taken("one", begun + Duration::from_secs(1)), 10);
        assert_eq!(taken("one", begun + Duration::from_mins(1)), 20, "no more is saved up");
    }

    #[test]
    fn nought_is_no_limit() {
        let (pace, begun) = (Pace::new(0), Instant::now());
        assert!((0..10_000).all(|_| pace.take("one", begun).is_ok()));
    }
}
