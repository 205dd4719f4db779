//! Which receivers hear of an alert change: matchers and an ordered list of routes, in Alertmanager's words.
//!
//! Takes what is known of a change ([`Facts`]) and the authority's [`Routes`], gives a [`Decision`] with the reason for
//! every route that was looked at. Pure: no IO, no clock; sending is the notifier's.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod decision;
mod matchers;

pub use decision::{Decision, Route, Routes, Step, Then, Verdict};
pub use matchers::{Facts, Matchers, Mismatch};
