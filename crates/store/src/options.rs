//! How a service connects. Plain values; the configuration's own types stay with the service.

use std::time::Duration;

/// How to connect. What concerns PostgreSQL alone says so.
#[derive(Debug, Clone)]
pub struct Options {
    /// The name that the server shows for the connections (PostgreSQL).
    pub application_name: String,
    /// Connections at most, at least 1. SQLite has one more, the only one that writes.
    pub max_connections: u32,
    /// Connections kept open.
    pub min_connections: u32,
    /// How long to wait for a connection, a new one or one in use.
    pub acquire_timeout: Duration,
    /// The longest a statement may run (PostgreSQL); zero for no limit. A chunk of a load is a statement.
    pub statement_timeout: Duration,
    /// How long to wait for a row that another transaction holds (SQLite: for the file).
    pub lock_timeout: Duration,
    /// After this a transaction that does nothing is ended by the server (PostgreSQL): a frozen owner must not hold its
    /// position row for ever against the one that takes over.
    pub idle_in_transaction_timeout: Duration,
}

impl Options {
    /// The defaults for a service: 8 connections, 5 s for a connection, 30 s a statement, 5 s for a lock, 10 s idle.
    pub fn named(application_name: impl Into<String>) -> Self {
        Self {
            application_name: application_name.into(),
            max_connections: 8,
            min_connections: 0,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(5),
            idle_in_transaction_timeout: Duration::from_secs(10),
        }
    }
}
