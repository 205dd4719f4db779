//! The section `consumer`: how topics are read, in ingest, rules and notifier alike.

use super::reader::Reader;
use super::section::{Check, Section, section};
use super::value::Size;
use std::num::NonZeroU32;
use std::time::Duration;

section! {
    /// How topics are read.
    Consumer in "consumer" {
        /// After this long without a heartbeat the group gives our partitions away; 2s to 5m (classic group
        /// protocol). A partition that is taken away may finish its work for half of it.
        session_timeout: Duration = "10s";
        /// The most messages that are worked on at once.
        batch_messages: NonZeroU32 = "500";
        /// The most bytes of messages that are worked on at once.
        batch_bytes: Size = "4 MiB";
        /// The most bytes of messages in hand, of all partitions, before reading pauses.
        budget_bytes: Size = "64 MiB";
        /// A partition with work but without progress for so long ends the process, by name.
        stall: Duration = "60s";
    }
}

impl Consumer {
    const SHORTEST: Duration = Duration::from_secs(2);
    const LONGEST: Duration = Duration::from_mins(5);
}

impl Check for Consumer {
    fn check(&self, reader: &mut Reader) {
        if !(Self::SHORTEST..=Self::LONGEST).contains(&self.session_timeout) {
            reader.refuse(Self::NAME, "session_timeout", "is out of range; write 2s to 5m");
        }
        if self.stall <= self.session_timeout {
            reader.refuse(Self::NAME, "stall", "must be longer than consumer.session_timeout; raise it");
        }
        if self.budget_bytes < self.batch_bytes {
            reader.refuse(Self::NAME, "budget_bytes", "must not be smaller than consumer.batch_bytes; raise it");
        }
    }
}
