//! How far an installation's pipeline is, by topics and tables alone.

use store::{Store, StoreError, position};
use transport::{Admin, AdminError, Topic, Watermarks};

/// Looks at a pipeline from outside.
#[derive(Clone)]
pub(crate) struct Pipeline {
    pub(crate) store: Store,
    pub(crate) admin: Admin,
}

/// What of a partition counts as reached.
#[derive(Clone, Copy)]
pub(crate) enum Reached {
    /// Worked on, with effects.
    Position,
    /// In written records.
    Checkpoint,
}

impl Pipeline {
    /// Where a topic ends now.
    pub(crate) async fn ends(&self, topic: &Topic) -> Result<Vec<Watermarks>, AdminError> {
        self.admin.watermarks(topic.as_str()).await
    }

    /// How many messages before these ends are not reached yet.
    pub(crate) async fn behind(&self, topic: &Topic, ends: &[Watermarks], reached: Reached) -> Result<i64, StoreError> {
        let rows = position::list(&self.store, topic.as_str()).await?;
        let at = |partition: u32| {
            let row = rows.iter().find(|row| u32::try_from(row.part) == Ok(partition));
            row.map_or(0, |row| match reached {
                Reached::Position => row.next_offset,
                Reached::Checkpoint => row.checkpoint_offset,
            })
        };
        Ok(ends.iter().map(|end| (end.high - at(end.partition)).max(0)).sum())
    }
}
