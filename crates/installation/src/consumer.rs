//! A consumer's settings, from those of the process.

use crate::Parts;
use std::sync::Arc;
use transport::{ConsumerConfig, Load};

impl Parts {
    /// How `group` reads `topics`, with at most so many messages in one batch.
    pub fn consumer(
        &self,
        group: &str,
        topics: impl IntoIterator<Item = Arc<str>>,
        batch_messages: u32,
    ) -> ConsumerConfig {
        let consumer = &self.settings.consumer;
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let batch = Load { messages: count(batch_messages.into()), bytes: count(consumer.batch_bytes.bytes()) };
        let budget = Load { messages: batch.messages * 100, bytes: count(consumer.budget_bytes.bytes()) };
        let partition = Load { messages: batch.messages * 4, bytes: (batch.bytes * 4).min(budget.bytes) };
        ConsumerConfig {
            session_timeout: consumer.session_timeout,
            batch,
            partition_budget: partition,
            total_budget: budget,
            stall: consumer.stall,
            ..ConsumerConfig::new(self.connection.clone(), group, topics)
        }
    }
}
