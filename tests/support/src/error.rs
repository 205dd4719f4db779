//! What can go wrong while a server is installed, started or ordered about.

use std::path::PathBuf;
use std::time::Duration;

/// Why a server is not there, with the end of its log where it wrote one.
#[derive(Debug, thiserror::Error)]
pub enum SupportError {
    /// An install script failed; `output` is what it wrote to stderr.
    #[error("{script} failed: {output}; run it by hand to see more, or `make setup`", script = script.display())]
    Install {
        /// The script in `scripts/`.
        script: PathBuf,
        /// The script's own words.
        output: String,
    },
    /// The operating system refused something.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was tried, as in "cannot …".
        doing: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The watchdog answered an order with `failed` or is gone: mostly the server is not running.
    #[error("{server} did not obey `{order}`, look into its log:\n{log}")]
    Order {
        /// `kafka` or `postgres`.
        server: &'static str,
        /// The order, as `server/watchdog.sh` knows it.
        order: String,
        /// The end of the server's log.
        log: String,
    },
    /// The server ended while it was waited for, mostly since another process took its port first.
    #[error("{server} ended while starting, look into its log:\n{log}")]
    Ended {
        /// `kafka` or `postgres`.
        server: &'static str,
        /// The end of the server's log.
        log: String,
    },
    /// The server runs but did not answer in time.
    #[error("{server} did not answer within {} s, look into its log or try on a less busy machine:\n{log}", waited.as_secs())]
    NotReady {
        /// `kafka` or `postgres`.
        server: &'static str,
        /// How long it was waited for.
        waited: Duration,
        /// The end of the server's log.
        log: String,
    },
    /// No port of the range that [`free_port`](crate::free_port) searches could be bound.
    #[error("no free port on 127.0.0.1 from {first} to {last}: end the processes that hold them")]
    NoPort {
        /// The first port tried.
        first: u16,
        /// The last port tried.
        last: u16,
    },
    /// The broker refused a topic or could not be asked.
    #[error("kafka at {brokers} did not create topic {topic}: {reason}; look into the broker's log")]
    Topic {
        /// The broker's address.
        brokers: String,
        /// The topic that was wanted.
        topic: String,
        /// The broker's or the client's reason.
        reason: String,
    },
    /// The server refused a new database or could not be asked.
    #[error("postgres at {url} did not create a database: {source}; look into the server's log")]
    Database {
        /// The server's address.
        url: String,
        /// The server's or the client's reason.
        source: sqlx::Error,
    },
}

impl SupportError {
    /// Whether the same call, made again, may well succeed: true for a server that ended while starting, since the next try takes
    /// other ports.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Ended { .. })
    }

    /// Makes the mapping of a system error that names what was tried.
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { doing: doing.into(), source }
    }
}
