//! What ingest counts.

use crate::Reason;
use service::metrics::{CounterBy, Histogram, IntCounter, IntGaugeVec, Label};
use transport::{Load, Observer, TopicPartition};

impl Label for Reason {
    const NAME: &'static str = "reason";
    const ALL: &'static [Self] = Reason::ALL;

    fn text(self) -> &'static str {
        Reason::text(self)
    }
}

service::metrics! {
    /// What ingest counts.
    pub struct Metrics in "ingest" {
        /// Registers taken by HTTP and acknowledged by Kafka; a large one counts once a part.
        registers_total: IntCounter,
        /// Marks taken by HTTP and acknowledged by Kafka.
        marks_total: IntCounter,
        /// Entries of rosters taken by HTTP and acknowledged by Kafka.
        roster_entries_total: IntCounter,
        /// Parts of registers and rosters that were refused, by HTTP or by the loop.
        rejected_total: CounterBy<Reason>,
        /// Dead letters committed.
        dead_letters_total: IntCounter,
        /// Requests that were answered 503.
        unavailable_total: IntCounter,
        /// Seconds from a request to its answer.
        request_seconds: Histogram [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0],
        /// Batches of the loop whose effects are committed.
        batches_total: IntCounter,
        /// Marks that the loop passed on to events.
        events_marks_total: IntCounter,
        /// Times that a partition was found taken over by somebody else.
        fenced_total: IntCounter,
        /// Schools of which a session that is due has no register, or marks of too few pupils.
        schools_missing: IntGaugeVec ["state"],
        /// Messages of a partition that are not worked on yet.
        lag_messages: IntGaugeVec ["topic", "partition"],
    }
}

/// Tells the consumer's course to the metrics.
#[derive(Clone, Debug)]
pub(crate) struct Course(pub(crate) Metrics);

impl Observer for Course {
    fn vacated(&self, at: &TopicPartition) {
        // What was never told is not there to be removed.
        self.0.lag_messages.remove_label_values(&[&*at.topic, &at.partition.to_string()]).ok();
    }

    fn fenced(&self, _at: &TopicPartition, _cause: &str) {
        self.0.fenced_total.inc();
    }

    fn lag(&self, at: &TopicPartition, messages: u64) {
        let lag = i64::try_from(messages).unwrap_or(i64::MAX);
        self.0.lag_messages.with_label_values(&[&*at.topic, &at.partition.to_string()]).set(lag);
    }

    fn batch(&self, _at: &TopicPartition, _load: Load) {
        self.0.batches_total.inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use service::metrics::{Registry, text};

    #[test]
    fn a_partition_that_went_to_another_process_is_shown_there_only() {
        let registry = Registry::new();
        let course = Course(Metrics::register(&registry).unwrap());
        for partition in [3, 4] {
            course.lag(&TopicPartition { topic: "registers".into(), partition }, 7);
        }
        course.vacated(&TopicPartition { topic: "registers".into(), partition: 3 });
        let shown = text(&registry).unwrap();
        assert!(shown.contains("partition=\"4\"") && !shown.contains("partition=\"3\""), "{shown}");
    }
}
