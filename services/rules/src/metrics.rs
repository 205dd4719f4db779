//! What rules counts.

use crate::effects::Decided;
use crate::memory::FoldedMarks;
use attendance::Timestamp;
use prost::Message as _;
use proto::v1;
use service::metrics::{CounterBy, Histogram, IntCounter, IntGaugeVec, Label};
use store::outbox::OutboxRow;
use transport::{Load, Observer, TopicPartition};

/// What became of a mark.
#[derive(Clone, Copy, Debug)]
pub enum MarkLabel {
    /// It counts now.
    Changed,
    /// It is newer and says the same.
    Confirmed,
    /// It is not newer than what was there.
    Superseded,
    /// Its pupil is held: it is a dead letter.
    Held,
}

impl Label for MarkLabel {
    const NAME: &'static str = "result";
    const ALL: &'static [Self] = &[Self::Changed, Self::Confirmed, Self::Superseded, Self::Held];

    fn text(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Confirmed => "confirmed",
            Self::Superseded => "superseded",
            Self::Held => "held",
        }
    }
}

/// What happened to an alert.
#[derive(Clone, Copy, Debug)]
pub struct ChangeLabel(v1::Change);

impl ChangeLabel {
    /// What happened by a message.
    pub(crate) fn of(message: &v1::AlertChange) -> Self {
        Self(message.change())
    }
}

impl Label for ChangeLabel {
    const NAME: &'static str = "change";
    const ALL: &'static [Self] = &[
        Self(v1::Change::Raised),
        Self(v1::Change::Escalated),
        Self(v1::Change::Reduced),
        Self(v1::Change::Cleared),
        Self(v1::Change::Withdrawn),
        Self(v1::Change::YearEnded),
        Self(v1::Change::Moved),
    ];

    fn text(self) -> &'static str {
        match self.0 {
            v1::Change::Raised => "raised",
            v1::Change::Escalated => "escalated",
            v1::Change::Reduced => "reduced",
            v1::Change::Cleared => "cleared",
            v1::Change::Withdrawn => "withdrawn",
            v1::Change::YearEnded => "year-ended",
            v1::Change::Moved => "moved",
            v1::Change::Erased | v1::Change::Unspecified => "other",
        }
    }
}

service::metrics! {
    /// What rules counts.
    pub struct Metrics in "rules" {
        /// Batches whose effects are committed.
        batches_total: IntCounter,
        /// Marks read, by what became of them; those of a batch that had to be done again count twice.
        marks_total: CounterBy<MarkLabel>,
        /// Alert changes committed.
        changes_total: CounterBy<ChangeLabel>,
        /// Pupils whose records were written by a checkpoint.
        records_written_total: IntCounter,
        /// Pupils that are held: passed over until a replay.
        held_pupils: IntGaugeVec ["partition"],
        /// Seconds from a register's receipt to the publication of the alert change that it caused: Kafka has it.
        received_to_published_seconds: Histogram [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0],
        /// Seconds from an alert change's commit to its acknowledgement by Kafka.
        relay_seconds: Histogram [0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0],
        /// Times that a partition was found taken over by somebody else.
        fenced_total: IntCounter,
        /// Messages of a partition that are not worked on yet.
        lag_messages: IntGaugeVec ["partition"],
        /// Seconds since a partition's checkpoint last moved; 0 where it stands at the position.
        checkpoint_age_seconds: IntGaugeVec ["partition"],
        /// Seconds that the oldest alert change of a partition has waited for Kafka since its commit; 0 where none waits.
        outbox_age_seconds: IntGaugeVec ["partition"],
    }
}

impl Metrics {
    pub(crate) fn committed(&self, decided: &[Decided]) {
        for decided in decided {
            self.changes_total.of(ChangeLabel::of(&decided.message)).inc();
        }
    }

    pub(crate) fn folded(&self, folded: &FoldedMarks) {
        let held = folded.held_back.as_ref().map_or(0, |part| u64::try_from(part.marks.len()).unwrap_or(0));
        for (label, count) in [
            (MarkLabel::Changed, folded.changed),
            (MarkLabel::Confirmed, folded.confirmed),
            (MarkLabel::Superseded, folded.superseded),
            (MarkLabel::Held, held),
        ] {
            self.marks_total.of(label).inc_by(count);
        }
    }

    /// How far a partition lags behind in what is not counted in messages.
    pub(crate) fn ages(&self, part: i32, checkpoint_at: Option<i64>, oldest_waiting: Option<i64>, now: Timestamp) {
        let part = part.to_string();
        let age = |since: i64| (now.micros() - since).max(0) / 1_000_000;
        self.checkpoint_age_seconds.with_label_values(&[&part]).set(checkpoint_at.map_or(0, age));
        self.outbox_age_seconds.with_label_values(&[&part]).set(oldest_waiting.map_or(0, age));
    }

    /// How many pupils of a partition are held.
    pub(crate) fn held(&self, part: i32, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.held_pupils.with_label_values(&[&part.to_string()]).set(count);
    }

    /// A row of the outbox was acknowledged.
    pub(crate) fn relayed(&self, row: &OutboxRow, now: Timestamp) {
        self.relay_seconds.observe(seconds(row.put_at, now));
        let changes = v1::AlertBatch::decode(row.payload.as_slice()).map(|batch| batch.changes).unwrap_or_default();
        for change in changes.iter().filter(|change| change.received_at > 0) {
            self.received_to_published_seconds.observe(seconds(change.received_at, now));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a span in microseconds is far below 2^52")]
fn seconds(from: i64, to: Timestamp) -> f64 {
    (to.micros() - from).max(0) as f64 / 1e6
}

/// Tells the consumer's course to the metrics.
#[derive(Clone, Debug)]
pub(crate) struct Course(pub(crate) Metrics);

impl Observer for Course {
    fn vacated(&self, at: &TopicPartition) {
        let metrics = &self.0;
        let partition = at.partition.to_string();
        let shown =
            [&metrics.held_pupils, &metrics.lag_messages, &metrics.checkpoint_age_seconds, &metrics.outbox_age_seconds];
        for gauges in shown {
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
        let now = Timestamp::from_micros(60_000_000);
        for (part, partition) in [(3, 3), (4, 4)] {
            course.0.held(part, 1);
            course.0.ages(part, Some(0), Some(0), now);
            course.lag(&TopicPartition { topic: "events".into(), partition }, 7);
        }
        course.vacated(&TopicPartition { topic: "events".into(), partition: 3 });
        let shown = text(&registry).unwrap();
        assert_eq!(shown.matches("partition=\"4\"").count(), 4, "{shown}");
        assert!(!shown.contains("partition=\"3\""), "{shown}");
    }
}
