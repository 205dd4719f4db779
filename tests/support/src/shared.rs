//! One Kafka and one PostgreSQL for all tests of a test process, started by the first that asks.
//!
//! Statics are never dropped: it is the watchdog that clears both away when the process ends.

use std::fmt::Display;
use std::sync::OnceLock;

use crate::{Kafka, KafkaOptions, Postgres, SupportError};

static KAFKA: OnceLock<Result<Kafka, SupportError>> = OnceLock::new();
static POSTGRES: OnceLock<Result<Postgres, SupportError>> = OnceLock::new();

/// The broker of this test process. Tests keep apart by topics of their own; none may kill or freeze it.
///
/// # Panics
/// When it cannot be started: no test that asks for it could go on. It is tried once; each later caller fails with the same words.
pub fn kafka() -> &'static Kafka {
    started(KAFKA.get_or_init(|| Kafka::start(&KafkaOptions::default())))
}

/// The server of this test process. Tests keep apart by [`Postgres::create_database`]; none may stop it.
///
/// # Panics
/// When it cannot be started: no test that asks for it could go on. It is tried once; each later caller fails with the same words.
pub fn postgres() -> &'static Postgres {
    started(POSTGRES.get_or_init(Postgres::start))
}

fn started<T, E: Display>(result: &'static Result<T, E>) -> &'static T {
    match result {
        Ok(server) => server,
        Err(error) => panic!("{error}"),
    }
}
