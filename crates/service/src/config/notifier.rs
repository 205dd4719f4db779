//! The section `notifier`: how long deliveries are tried. Receivers and routes are policy.

use super::reader::Reader;
use super::section::{Check, Section, section};
use std::time::Duration;

section! {
    /// How messages are delivered.
    Notifier in "notifier" {
        /// The longest that one attempt may take.
        attempt_timeout: Duration = "10s";
        /// After so long a delivery that never succeeded is given up; a command replays it.
        give_up_after: Duration = "24h";
    }
}

impl Check for Notifier {
    fn check(&self, reader: &mut Reader) {
        if self.attempt_timeout >= self.give_up_after {
            reader.refuse(Self::NAME, "give_up_after", "must be longer than notifier.attempt_timeout; raise it");
        }
    }
}
