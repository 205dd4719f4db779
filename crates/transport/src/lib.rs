//! Kafka, and nothing else: topics, a producer that answers when all is safe, and a consumer that hands each partition
//! to a worker of its own.
//!
//! Takes bytes, gives bytes: what a payload means, and where effects and positions are kept, belongs to the services.
//! Keeps nothing durable: Kafka is transport, the position that counts is the one a worker claims and moves itself.

pub mod admin;
pub mod connection;
pub mod consumer;
mod embedded;
pub mod message;
pub mod producer;
mod read;
pub mod topic;

pub use admin::{Admin, AdminError, Difference, Ensured, TopicSpec, Watermarks};
pub use connection::{Connection, UnsupportedError};
pub use consumer::{
    Cause, ConsumerConfig, ConsumerError, End, Load, Next, NoObserver, Observer, Release, Start, WorkError, Worker, run,
};
pub use embedded::{Embedded, EmbeddedError, PARTITION_BYTES};
pub use message::{Header, Message};
pub use producer::{Compression, Outgoing, ProduceError, Producer, ProducerConfig};
pub use read::{ReadError, read_range, read_to_ends};
pub use topic::{Topic, TopicError, TopicPartition, partition_of};
