//! The outbox's relay: rows go to `alerts` in the order of their numbers, which is the order of their commits, and are
//! deleted after the ack within the owner's next transaction. A row may be sent again; its changes bear the same ids.

use crate::partition::Partition;
use std::sync::Arc;
use transport::Outgoing;
use transport::consumer::WorkError;

/// Rows sent at once.
const ROWS: usize = 100;

impl Partition {
    /// Sends all rows that wait and awaits their acks.
    pub(crate) async fn relay(&mut self) -> Result<(), WorkError> {
        while !self.waiting.is_empty() {
            let rows = self.waiting.iter().take(ROWS);
            let messages: Vec<Outgoing> = rows.map(|row| self.message(row)).collect();
            let count = messages.len();
            service::fault::point("rules.relay.before_send");
            self.shared.producer.send_all(messages).await.map_err(|error| WorkError::Unavailable(error.into()))?;
            service::fault::point("rules.relay.after_send");
            for row in self.waiting.drain(..count) {
                self.relayed = Some(row.number);
                self.shared.metrics.relayed(&row, self.shared.clock.wall_now());
            }
        }
        Ok(())
    }

    /// To the partition of the same number: a pupil's changes stay in order.
    fn message(&self, row: &store::outbox::OutboxRow) -> Outgoing {
        Outgoing {
            partition: u32::try_from(row.part).ok(),
            ..Outgoing::keyed(Arc::clone(&self.shared.alerts), Vec::new(), row.payload.clone())
        }
    }
}
