//! A real Apache Kafka and a real PostgreSQL for tests, benches and the demonstration, without Docker.
//!
//! Takes Java, Maven and PostgreSQL of the machine (the scripts in `scripts/` fetch what is missing). Gives servers on free
//! ports of 127.0.0.1, each in a temporary folder of its own, and ways to hurt them. Keeps nothing: server and folder go when
//! the value is dropped, and also when the test process ends by itself, by panic or by `kill -9`, because each server belongs
//! to a small watchdog process that holds the other end of a pipe (`server/watchdog.sh`).
//!
//! Tests that only need a server share one a test process: [`kafka()`] and [`postgres()`]; topics and databases of their own
//! keep them apart. Tests that kill or freeze a server start their own: [`Kafka::start`], [`Postgres::start`].
//!
//! Starting, stopping and freezing block the calling thread for up to some seconds. Where other tasks must go on meanwhile, call
//! them by `tokio::task::spawn_blocking`.

mod error;
mod install;
mod kafka;
mod port;
mod postgres;
mod server;
mod shared;
mod wait;

pub use error::SupportError;
pub use kafka::{Kafka, KafkaOptions};
pub use port::free_port;
pub use postgres::Postgres;
pub use shared::{kafka, postgres};
pub use wait::{WaitError, wait_until};
