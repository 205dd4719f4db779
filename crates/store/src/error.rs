//! What can go wrong at the database, as its users must tell it apart. The mapping from the databases' codes is in `codes`.
//!
//! No message carries a UPN, a row's values or the connection address: PostgreSQL's `DETAIL`, which does, is never read.

/// An operation that did not happen. `doing` names the table and the function, as in `position.advance`.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No answer, or none in time: the server is down, restarting, failing over or has no connection left. The same again works
    /// once it is back.
    #[error(
        "{doing}: the database does not answer ({detail}); check that it runs, is reachable and has connections left"
    )]
    Unavailable {
        /// What was asked.
        doing: &'static str,
        /// What the database or the driver said.
        detail: String,
    },
    /// Another transaction was in the way: serialisation, deadlock, lock time-out, busy. The whole transaction can be done again.
    #[error("{doing}: another transaction was in the way ({detail}); do the whole transaction again")]
    Conflict {
        /// What was asked.
        doing: &'static str,
        /// What the database said.
        detail: String,
    },
    /// The values break a rule of the table, or are no values of its types (a NUL in a text).
    #[error("{doing}: the values break a rule of the table ({detail}); correct them, the same again fails again")]
    Constraint {
        /// What was asked.
        doing: &'static str,
        /// What the database said: the constraint's name, never the values.
        detail: String,
    },
    /// The database user may not do this, or may not connect.
    #[error(
        "{doing}: the database refuses this user ({detail}); check the user, its password and what was granted to it"
    )]
    Refused {
        /// What was asked.
        doing: &'static str,
        /// What the database said.
        detail: String,
    },
    /// The database has no room left.
    #[error("{doing}: the database's disk is full ({detail}); make room, then the same again works")]
    DiskFull {
        /// What was asked.
        doing: &'static str,
        /// What the database said.
        detail: String,
    },
    /// A stored value is none that this program writes.
    #[error(
        "table {table}, column {column}, row {key}: holds a value that this program does not write; restore the row or correct it"
    )]
    Inconsistent {
        /// The table, or the operation that read it.
        table: &'static str,
        /// The column, by name or by number from 0.
        column: String,
        /// The row: never a UPN.
        key: String,
    },
    /// The database's schema is older than this program's.
    #[error("the database's schema is version {have}, this program needs {want}: {remedy}")]
    SchemaTooOld {
        /// The version found; 0 for an empty database.
        have: i64,
        /// The version that this program was built with.
        want: i64,
        /// What to do.
        remedy: &'static str,
    },
    /// The database's schema is newer than this program's, or of the same number with other contents.
    #[error("the database's schema is version {have}, this program knows {want}: {remedy}")]
    SchemaTooNew {
        /// The version found.
        have: i64,
        /// The version that this program was built with.
        want: i64,
        /// What to do.
        remedy: &'static str,
    },
    /// A setting that the first `migrate` fixed for ever was asked for with another value.
    #[error("{setting} is {have} since the first migrate, not {want}: {remedy}")]
    Settled {
        /// The setting.
        setting: &'static str,
        /// The value in force.
        have: String,
        /// The value asked for.
        want: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A setting of the connection that cannot be used.
    #[error("database url: {detail}; give postgres://user@host/database or sqlite://path")]
    Address {
        /// What is wrong with it; never the address itself, which may hold a password.
        detail: String,
    },
    /// Anything else: as a rule a fault of this program or of the database.
    #[error("{doing}: unexpected answer of the database ({detail}); report it with the database's log of that moment")]
    Unexpected {
        /// What was asked.
        doing: &'static str,
        /// What the database or the driver said.
        detail: String,
    },
}

impl StoreError {
    /// True where the same transaction, begun anew after a pause, can succeed without anybody changing the program, its
    /// settings or the data. A full disk counts: it is waited for, as an absent database is.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Conflict { .. } | Self::DiskFull { .. })
    }
}

/// A commit that was not confirmed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Surely nothing of the transaction was done.
    #[error("nothing was committed: {0}")]
    Failed(#[source] StoreError),
    /// The connection was lost during the commit: all of it was done, or nothing. Read the position's version to know which.
    #[error("whether it was committed is not known, read the position's version: {0}")]
    Unknown(#[source] StoreError),
}

impl CommitError {
    /// What went wrong, whatever became of the transaction.
    pub fn cause(&self) -> &StoreError {
        match self {
            Self::Failed(cause) | Self::Unknown(cause) => cause,
        }
    }

    /// The same, taken out: for whom nothing depends on what became of the transaction.
    pub fn into_cause(self) -> StoreError {
        match self {
            Self::Failed(cause) | Self::Unknown(cause) => cause,
        }
    }
}
