//! SQL and nothing else: the tables of an installation, on PostgreSQL (the record of a real one) and on SQLite (the demo).
//!
//! Takes plain values and row structs, gives them back, knows no domain type. A module is an aggregate and owns its tables: its
//! functions that take a [`Tx`] write, those that take a [`Store`] read. [`Store::begin`] is the only way to a transaction.
//!
//! In all rows: times are `i64` microseconds since the Unix epoch (UTC); sessions `i32`, days since 1970-01-01 times 2, plus 0 for
//! AM or 1 for PM; UPNs `i64`, packed; school years `i16`, the year they begin in; `part` the number of a Kafka partition.
//!
//! The SQL is the same on both databases wherever it can be; what differs is in `dialect`, a file for each.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[macro_use]
mod statement;

pub mod api_key;
pub mod audit;
pub mod casework;
pub mod dead_letter;
pub mod delivery;
pub mod enrolment;
pub mod held;
pub mod import_file;
pub mod installation;
pub mod outbox;
pub mod person;
pub mod policy_set;
pub mod position;
pub mod published;
pub mod pupil_school;
pub mod record;
pub mod register;
pub mod school_alert;
pub mod school_watch;
pub mod token;

mod codes;
mod connection;
mod dialect;
mod error;
mod options;
mod schema;
mod tx;

pub use connection::{About, Store};
pub use error::{CommitError, StoreError};
pub use options::Options;
pub use tx::Tx;
