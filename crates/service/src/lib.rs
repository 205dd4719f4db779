//! What every service needs around its own work: takes files, the environment and signals; gives [`config`],
//! [`telemetry`], [`mod@metrics`], an [`admin`] port, a [`lifecycle`], a [`clock`], and for tests [`fault`] points.
//!
//! Knows no topic, table or rule: Kafka is `transport`'s, SQL is `store`'s, attendance is `attendance`'s.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod admin;
pub mod clock;
pub mod config;
pub mod egress;
pub mod fault;
pub mod http;
pub mod lifecycle;
pub mod metrics;
pub mod readiness;
pub mod telemetry;
pub mod trust;
