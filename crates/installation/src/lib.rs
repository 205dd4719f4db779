//! What a service needs of the installation that it belongs to: takes settings, database and Kafka; gives the
//! installation's row, checked against the topics, the policy in force and the clock, both kept fresh, and a consumer's
//! settings. What needs no database is in `service`.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod begin;
mod clock;
mod consumer;
mod in_force;

pub use begin::{Begun, StartError};
pub use clock::clock;
pub use in_force::{InForce, InForceError, load};

use service::clock::{Clock, NewestSession};
use service::config::Settings;
use service::lifecycle::Lifecycle;
use service::readiness::Readiness;
use store::Store;
use transport::Connection;

/// What a service works with, beside its own metrics.
#[derive(Clone)]
pub struct Parts {
    /// How it runs.
    pub settings: Settings,
    /// The database.
    pub store: Store,
    /// Where Kafka is.
    pub connection: Connection,
    /// The installation's clock.
    pub clock: Clock,
    /// What moves it where the installation runs by registers.
    pub newest: NewestSession,
    /// Where the service says how it is.
    pub readiness: Readiness,
    /// Its tasks.
    pub lifecycle: Lifecycle,
}
