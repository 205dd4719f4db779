//! Settings of a consumer and what they must keep to among each other. Gives librdkafka's properties.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::config::ClientConfig;

use crate::connection::Connection;
use crate::consumer::budget::Load;

/// librdkafka's `max.poll.interval.ms`: after this long without a poll the group counts us out.
const MAX_POLL_INTERVAL: Duration = Duration::from_mins(5);

/// How often librdkafka makes its statistics, which tell where partitions end.
const ENDS_EVERY: Duration = Duration::from_secs(1);

/// Settings of a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerConfig {
    /// Where Kafka is.
    pub connection: Connection,
    /// The consumer group.
    pub group: String,
    /// Full names of the topics to read; all must exist.
    pub topics: Vec<Arc<str>>,
    /// After this long without a heartbeat the group gives our partitions away. 2 s to 5 min. A worker has half of it to
    /// let go in order.
    pub session_timeout: Duration,
    /// The most that one call of `batch` gets. A single message larger than that comes alone.
    pub batch: Load,
    /// In hand of one partition before it pauses.
    pub partition_budget: Load,
    /// In hand of all partitions before those with work pause. A partition with nothing in hand never pauses.
    pub total_budget: Load,
    /// The longest time between two ticks of a worker.
    pub tick: Duration,
    /// The longest that one attempt of a call may take before the process ends by name.
    pub stall: Duration,
    /// How often durable positions are told to Kafka, for lag monitoring.
    pub commit_every: Duration,
    /// The longest that a broker holds a fetch that finds nothing.
    pub fetch_wait: Duration,
}

impl ConsumerConfig {
    /// Sensible settings for this group and these topics.
    pub fn new<T: Into<Arc<str>>>(
        connection: Connection,
        group: impl Into<String>,
        topics: impl IntoIterator<Item = T>,
    ) -> Self {
        Self {
            connection,
            group: group.into(),
            topics: topics.into_iter().map(Into::into).collect(),
            session_timeout: Duration::from_secs(10),
            batch: Load { messages: 1_000, bytes: 4 << 20 },
            partition_budget: Load { messages: 4_000, bytes: 16 << 20 },
            total_budget: Load { messages: 50_000, bytes: 128 << 20 },
            tick: Duration::from_secs(1),
            stall: Duration::from_mins(1),
            commit_every: Duration::from_secs(5),
            fetch_wait: Duration::from_millis(100),
        }
    }

    /// How long workers may take to let go before the group is answered without them.
    pub fn drain(&self) -> Duration {
        self.session_timeout / 2
    }

    /// How often workers are told where their partitions end.
    pub(crate) fn ends_every(&self) -> Duration {
        self.commit_every.min(ENDS_EVERY)
    }

    /// Everything that is wrong, a line each.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |fine: bool, problem: &str| {
            if !fine {
                problems.push(problem.to_owned());
            }
        };
        check(!self.group.is_empty(), "`group` is empty: name the consumer group");
        check(!self.topics.is_empty(), "`topics` is empty: name at least one");
        check(
            (Duration::from_secs(2)..=MAX_POLL_INTERVAL).contains(&self.session_timeout),
            "`session_timeout` must be 2 s to 5 min",
        );
        check(self.batch.messages > 0 && self.batch.bytes > 0, "`batch` must allow at least one message and byte");
        check(self.partition_budget.covers(self.batch), "`partition_budget` must not be smaller than `batch`");
        check(
            self.total_budget.covers(self.partition_budget),
            "`total_budget` must not be smaller than `partition_budget`",
        );
        check(!self.tick.is_zero(), "`tick` must be longer than 0");
        check(self.stall > self.drain(), "`stall` must be longer than half of `session_timeout`");
        check(!self.commit_every.is_zero(), "`commit_every` must be longer than 0");
        problems
    }

    /// librdkafka's properties. Each line that is not the default has its reason in the module of the design that it
    /// serves: explicit positions only, cooperative hand-over, no sleeping between fetches.
    pub(crate) fn client_config(&self) -> ClientConfig {
        let millis = |time: Duration| time.as_millis().to_string();
        let prefetch_kib = (self.total_budget.bytes / 1024).clamp(1024, 1 << 20);
        let mut config = self.connection.client_config();
        config
            .set("group.id", &self.group)
            .set("group.protocol", "classic")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", millis(self.session_timeout))
            .set("heartbeat.interval.ms", millis((self.session_timeout / 5).min(Duration::from_secs(3))))
            .set("max.poll.interval.ms", millis(MAX_POLL_INTERVAL))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("allow.auto.create.topics", "false")
            .set("isolation.level", "read_committed")
            .set("fetch.queue.backoff.ms", "2")
            .set("fetch.wait.max.ms", millis(self.fetch_wait))
            .set("queued.max.messages.kbytes", prefetch_kib.to_string())
            .set("statistics.interval.ms", millis(self.ends_every()));
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ConsumerConfig {
        ConsumerConfig::new(Connection::new("localhost:9092", "test"), "group", ["topic"])
    }

    #[test]
    fn the_defaults_keep_to_their_own_rules() {
        assert_eq!(config().problems(), Vec::<String>::new());
    }

    #[test]
    fn all_contradictions_are_named_at_once() {
        let mut config = config();
        config.topics.clear();
        config.stall = config.drain();
        config.partition_budget.bytes = config.batch.bytes - 1;
        let problems = config.problems();
        assert_eq!(problems.len(), 3, "{problems:?}");
    }
}
