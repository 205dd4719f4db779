//! Ingest: takes registers and rosters, untrusted; gives marks and enrolments that can be trusted, or says what is
//! wrong with each part, with its place and the remedy.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod parse;
pub mod reason;
pub mod validate;

pub use reason::{Reason, Rejected};
