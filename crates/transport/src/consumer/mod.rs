//! The consumer: takes a group's share of some topics and gives each partition to a worker of its own, which keeps the
//! durable position. Kafka's committed offsets are for lag monitoring only.
//!
//! | file | is |
//! |---|---|
//! | `config` | settings, checked against each other |
//! | `assignment` | who works on which partition, which rebalance event waits for its answer (plain) |
//! | `ledger` | offsets of one partition: delivered, durable, committed (plain) |
//! | `budget` | messages and bytes in hand, which partitions pause (plain) |
//! | `context` | librdkafka's callbacks: they report, and answer only while closing |
//! | `worker` | the trait that services implement |
//! | `desk` | the task around one worker: batches, ticks, retries |
//! | `run` | the loop that owns the consumer |
//! | `floor` | what the loop does about workers and their reports |
//! | `error`, `observer` | why it ends, what it tells |

mod assignment;
mod budget;
mod complaints;
mod config;
mod context;
mod desk;
mod error;
mod floor;
mod ledger;
mod observer;
mod run;
mod worker;

pub use budget::Load;
pub use config::ConsumerConfig;
pub use error::ConsumerError;
pub use observer::{NoObserver, Observer};
pub use run::run;
pub use worker::{Cause, End, Next, Release, Start, WorkError, Worker};
