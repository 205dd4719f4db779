//! The section `notifier`: where readers reach it, how long deliveries are tried. Receivers and routes are policy.

use super::reader::Reader;
use super::section::{Check, Section, section};
use std::net::SocketAddr;
use std::time::Duration;

section! {
    /// How messages are delivered.
    Notifier in "notifier" {
        /// Where readers of cases reach us; behind a proxy that speaks TLS.
        listen: SocketAddr = "127.0.0.1:8082";
        /// How often the table of deliveries is looked at when nothing wakes us.
        tick: Duration = "1s";
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
