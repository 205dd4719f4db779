//! The whole crate against a cluster: librdkafka's mock one, and a real Apache Kafka. Each story runs on both unless it
//! says why not.

mod administration;
mod book;
mod closing;
mod consuming;
mod faults;
mod ground;
mod producing;
