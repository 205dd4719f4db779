//! The section `rules`: when records are written and what is due is looked at.

use super::reader::Reader;
use super::section::{Check, Section, section};
use std::num::NonZeroU32;
use std::time::Duration;

section! {
    /// How rules works through events.
    Rules in "rules" {
        /// How often a pass that writes changed records begins.
        checkpoint_every: Duration = "2s";
        /// The same while there is a backlog: fewer, fuller passes.
        backlog_checkpoint_every: Duration = "30s";
        /// Records that one transaction of a pass writes.
        chunk: NonZeroU32 = "300";
        /// Pupils held in an hour, above which the service stops: a bad release, not bad data.
        max_held: NonZeroU32 = "10";
        /// How often what is due is looked at.
        tick: Duration = "200ms";
    }
}

impl Check for Rules {
    fn check(&self, reader: &mut Reader) {
        if self.backlog_checkpoint_every < self.checkpoint_every {
            let problem = "must not be shorter than rules.checkpoint_every; raise it";
            reader.refuse(Self::NAME, "backlog_checkpoint_every", problem);
        }
        if self.tick > self.checkpoint_every {
            reader.refuse(Self::NAME, "tick", "must not be longer than rules.checkpoint_every; lower it");
        }
    }
}
