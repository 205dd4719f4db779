//! What the notifier counts.

use service::metrics::{CounterBy, Histogram, IntCounter, IntCounterVec, IntGaugeVec, Label};
use transport::{Observer, TopicPartition};

/// What became of an attempt.
#[derive(Clone, Copy, Debug)]
pub enum OutcomeLabel {
    /// It arrived.
    Delivered,
    /// It is tried again.
    Failed,
    /// It is not tried again.
    GivenUp,
}

impl OutcomeLabel {
    /// All outcomes.
    const ALL: [Self; 3] = [Self::Delivered, Self::Failed, Self::GivenUp];

    fn text(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::GivenUp => "given_up",
        }
    }
}

/// What became of a change that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntakeLabel {
    /// Applied to its case.
    Applied,
    /// Known already: dropped.
    Repeated,
    /// Kept aside: one before it is missing.
    Gap,
    /// The child's case is deleted.
    Erased,
    /// Applied, but no news: no message.
    Silent,
    /// Applied, and no receiver is named for it.
    Unrouted,
}

impl Label for IntakeLabel {
    const NAME: &'static str = "result";
    const ALL: &'static [Self] =
        &[Self::Applied, Self::Repeated, Self::Gap, Self::Erased, Self::Silent, Self::Unrouted];

    fn text(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Repeated => "repeated",
            Self::Gap => "gap",
            Self::Erased => "erased",
            Self::Silent => "silent",
            Self::Unrouted => "unrouted",
        }
    }
}

service::metrics! {
    /// What the notifier counts.
    pub struct Metrics in "notifier" {
        /// Alert changes read, by what became of them; a silent or unrouted one is applied too.
        changes_total: CounterBy<IntakeLabel>,
        /// Cases that no locality claims, at each of their changes.
        unclaimed_total: IntCounter,
        /// Attempts by receiver and outcome.
        deliveries_total: IntCounterVec ["receiver", "outcome"],
        /// Seconds from a register's receipt to the delivery of the message that it caused.
        received_to_delivered_seconds: Histogram [0.1, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3600.0],
        /// Messages that a receiver is owed.
        owed: IntGaugeVec ["receiver"],
        /// Seconds since the oldest message that a receiver is owed was first tried.
        owed_age_seconds: IntGaugeVec ["receiver"],
        /// Changes kept aside because one before them is missing.
        gaps: IntGaugeVec ["partition"],
        /// Seconds since the oldest change that is kept aside; alarm above 60.
        gap_age_seconds: IntGaugeVec ["partition"],
        /// Messages of a partition that are not worked on yet.
        lag_messages: IntGaugeVec ["partition"],
        /// Times that a partition was found taken over by somebody else.
        fenced_total: IntCounter,
        /// Readings of cases that were answered.
        reads_total: IntCounter,
    }
}

impl Metrics {
    /// Shows a receiver's attempts from now on, at 0.
    pub fn show(&self, receiver: &str) {
        for outcome in OutcomeLabel::ALL {
            self.deliveries(receiver, outcome);
        }
    }

    /// The attempts of a receiver with an outcome.
    pub(crate) fn deliveries(&self, receiver: &str, outcome: OutcomeLabel) -> IntCounter {
        self.deliveries_total.with_label_values(&[receiver, outcome.text()])
    }
}

/// Tells the consumer's course to the metrics.
#[derive(Clone, Debug)]
pub(crate) struct Course(pub(crate) Metrics);

impl Observer for Course {
    fn vacated(&self, at: &TopicPartition) {
        let partition = at.partition.to_string();
        for gauges in [&self.0.gaps, &self.0.gap_age_seconds, &self.0.lag_messages] {
            // What was never told is not there to be removed.
            gauges.remove_label_values(&[&partition]).ok();
        }
    }

    fn fenced(&self, _at: &TopicPartition, _cause: &str) {
        self.0.fenced_total.inc();
    }

    fn lag(&self, at: &TopicPartition, messages: u64) {
        let lag = i64::try_from(messages).unwrap_or(i64::MAX);
        self.0.lag_messages.with_label_values(&[&at.partition.to_string()]).set(lag);
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
            let label = [&partition.to_string()];
            course.0.gaps.with_label_values(&label).set(1);
            course.0.gap_age_seconds.with_label_values(&label).set(61);
            course.lag(&TopicPartition { topic: "alerts".into(), partition }, 7);
        }
        course.vacated(&TopicPartition { topic: "alerts".into(), partition: 3 });
        let shown = text(&registry).unwrap();
        assert_eq!(shown.matches("partition=\"4\"").count(), 3, "{shown}");
        assert!(!shown.contains("partition=\"3\""), "{shown}");
    }
}
