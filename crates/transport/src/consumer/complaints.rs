//! Kafka's complaints that pass by themselves: takes each, lets one a second into the log with the number of those that were kept
//! out of it. A broker that is away makes hundreds at once.

use std::time::Duration;

use tokio::time::Instant;

/// The shortest time between two lines.
const QUIET: Duration = Duration::from_secs(1);

/// What was heard since the last line.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    next: Option<Instant>,
    kept_back: u64,
}

impl Complaints {
    /// Hears one; the next line of the log tells it, or counts it.
    pub(crate) fn hear(&mut self, reason: &str, now: Instant) {
        if let Some(more) = self.let_through(now) {
            tracing::warn!(reason, more, "kafka reported an error that passes by itself");
        }
    }

    /// How many were kept back before this one, where this one gets its line.
    fn let_through(&mut self, now: Instant) -> Option<u64> {
        if self.next.is_some_and(|next| now < next) {
            self.kept_back += 1;
            return None;
        }
        self.next = Some(now + QUIET);
        Some(std::mem::take(&mut self.kept_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_second_gets_a_line_and_it_tells_how_many_did_not() {
        let (mut complaints, begun) = (Complaints::default(), Instant::now());
        let at = |millis| begun + Duration::from_millis(millis);
        let lines: Vec<Option<u64>> = [0, 1, 2, 999, 1_000, 2_500].map(|ms| complaints.let_through(at(ms))).into();
        assert_eq!(lines, [Some(0), None, None, None, Some(3), Some(0)]);
    }
}
