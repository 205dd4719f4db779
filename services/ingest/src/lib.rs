//! Ingest: takes registers and rosters, untrusted, by HTTP and from suppliers' topics; gives events that can be trusted, in
//! slices, or says what is wrong with each part, with its place and the remedy. Keeps which register of which school and session
//! has come, names, keys, dead letters.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod accept;
mod feed;
mod http;
mod intake;
pub mod key;
pub mod letter;
mod local_authorities;
mod metrics;
pub mod outside;
pub mod parse;
mod partition;
pub mod reason;
mod recent;
mod roll;
mod run;
mod silent_school;
mod slice;
pub mod validate;

pub use intake::IMPORT;
pub use metrics::Metrics;
pub use reason::{Reason, Rejected};
pub use run::{GROUP, IngestError, run};
