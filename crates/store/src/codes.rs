//! The one place that reads the databases' codes: SQLSTATE of PostgreSQL, result codes of SQLite.
//!
//! Takes the driver's errors, gives `StoreError`, and for a failed COMMIT whether it can have been done all the same.

use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::error::{CommitError, StoreError};

/// Maps an error of a statement; `doing` names it.
pub(crate) fn statement(doing: &'static str, error: &sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Database(answer) => database(doing, answer.as_ref()),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => StoreError::Unavailable { doing, detail: error.to_string() },
        sqlx::Error::ColumnDecode { index, .. } => {
            StoreError::Inconsistent { table: doing, column: index.clone(), key: "not read".to_owned() }
        }
        sqlx::Error::Configuration(_) => StoreError::Address { detail: error.to_string() },
        other => StoreError::Unexpected { doing, detail: other.to_string() },
    }
}

/// Maps an error of COMMIT. Unknown is the answer wherever the contrary is not certain.
pub(crate) fn commit(doing: &'static str, error: &sqlx::Error) -> CommitError {
    let done_is_possible = match error {
        sqlx::Error::Database(answer) => match answer.try_downcast_ref::<PgDatabaseError>() {
            Some(answer) => postgres_commit_may_be_done(answer),
            // An input or output error can strike after the frame that commits was written: recovery may find it.
            None => sqlite_primary(answer.as_ref()) == Some(10),
        },
        _ => true,
    };
    let cause = statement(doing, error);
    if done_is_possible { CommitError::Unknown(cause) } else { CommitError::Failed(cause) }
}

/// PostgreSQL raises `ERROR` only before the commit record is written; after it, the session ends with `FATAL` or `PANIC`. The
/// exceptions: 40003 says itself that it does not know, and the idle time-outs (25P03, 25P04) end a session that has not begun
/// to commit.
fn postgres_commit_may_be_done(answer: &PgDatabaseError) -> bool {
    match answer.code() {
        "25P03" | "25P04" => false,
        "40003" => true,
        _ => matches!(answer.severity(), PgSeverity::Fatal | PgSeverity::Panic),
    }
}

/// Maps an error of the migrations.
pub(crate) fn migration(error: &MigrateError, want: i64) -> StoreError {
    let doing = "schema.migrate";
    match error {
        MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) => statement(doing, cause),
        MigrateError::VersionMissing(have) => StoreError::SchemaTooNew { have: *have, want, remedy: NEWER },
        MigrateError::VersionMismatch(have) => StoreError::SchemaTooNew { have: *have, want, remedy: OTHER_CONTENTS },
        other => StoreError::Unexpected { doing, detail: other.to_string() },
    }
}

/// What to do about a schema that is ahead of the program.
pub(crate) const NEWER: &str = "run the release that migrated it, or a newer one";
const OTHER_CONTENTS: &str =
    "a migration of this number was applied with other contents; run the release that migrated it";

fn database(doing: &'static str, answer: &dyn DatabaseError) -> StoreError {
    match answer.try_downcast_ref::<PgDatabaseError>() {
        Some(answer) => postgres(doing, answer),
        None => sqlite(doing, answer),
    }
}

fn postgres(doing: &'static str, answer: &PgDatabaseError) -> StoreError {
    let code = answer.code();
    let mut detail = format!("{code}: {}", answer.message());
    if let Some(constraint) = answer.constraint() {
        // The message names it too, yet in the language of the server.
        detail = format!("{detail}; constraint {constraint}");
    }
    match code {
        "40001" | "40P01" | "55P03" => StoreError::Conflict { doing, detail },
        "42501" | "3D000" => StoreError::Refused { doing, detail },
        "53100" => StoreError::DiskFull { doing, detail },
        // Statement time-out, idle time-outs, and a primary that has become a standby (25006).
        "57014" | "25P03" | "25P04" | "25006" => StoreError::Unavailable { doing, detail },
        _ => match code.get(..2) {
            Some("22" | "23") => StoreError::Constraint { doing, detail },
            Some("28") => StoreError::Refused { doing, detail },
            Some("08" | "53" | "57" | "58") => StoreError::Unavailable { doing, detail },
            _ => StoreError::Unexpected { doing, detail },
        },
    }
}

/// The primary result code: the lowest eight bits of the extended one.
fn sqlite_primary(answer: &dyn DatabaseError) -> Option<u32> {
    answer.code()?.parse::<u32>().ok().map(|extended| extended & 0xff)
}

fn sqlite(doing: &'static str, answer: &dyn DatabaseError) -> StoreError {
    let primary = sqlite_primary(answer);
    let detail = format!("{}: {}", answer.code().unwrap_or_default(), answer.message());
    match primary {
        Some(5 | 6) => StoreError::Conflict { doing, detail }, // busy, locked
        Some(3 | 8 | 23) => StoreError::Refused { doing, detail }, // permission, read only, authorisation
        Some(13) => StoreError::DiskFull { doing, detail },
        Some(7 | 10 | 14) => StoreError::Unavailable { doing, detail }, // memory, input and output, cannot open
        Some(18..=20) => StoreError::Constraint { doing, detail },      // too big, constraint, mismatch
        _ => StoreError::Unexpected { doing, detail },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error as SQLite's driver gives it: an extended code as text.
    #[derive(Debug, thiserror::Error)]
    #[error("as asked")]
    struct Answer(&'static str);

    impl DatabaseError for Answer {
        fn message(&self) -> &'static str {
            "as asked"
        }

        fn code(&self) -> Option<std::borrow::Cow<'_, str>> {
            Some(self.0.into())
        }

        fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> sqlx::error::ErrorKind {
            sqlx::error::ErrorKind::Other
        }
    }

    fn answer(code: &'static str) -> sqlx::Error {
        sqlx::Error::Database(Box::new(Answer(code)))
    }

    #[test]
    fn sqlites_codes_are_told_apart_by_their_lowest_eight_bits() {
        assert!(matches!(statement("t", &answer("5")), StoreError::Conflict { .. }));
        assert!(matches!(statement("t", &answer("517")), StoreError::Conflict { .. }), "busy snapshot");
        assert!(matches!(statement("t", &answer("13")), StoreError::DiskFull { .. }));
        assert!(matches!(statement("t", &answer("8")), StoreError::Refused { .. }));
        assert!(matches!(statement("t", &answer("1555")), StoreError::Constraint { .. }), "primary key");
        assert!(matches!(statement("t", &answer("14")), StoreError::Unavailable { .. }));
        assert!(matches!(statement("t", &answer("11")), StoreError::Unexpected { .. }), "corrupt");
    }

    #[test]
    fn a_commit_is_called_failed_only_where_that_is_certain() {
        assert!(matches!(commit("t", &answer("787")), CommitError::Failed(_)), "foreign key");
        assert!(matches!(commit("t", &answer("1034")), CommitError::Unknown(_)), "fsync");
        assert!(matches!(commit("t", &sqlx::Error::WorkerCrashed), CommitError::Unknown(_)));
        assert!(matches!(commit("t", &sqlx::Error::Protocol(String::new())), CommitError::Unknown(_)));
    }

    #[test]
    fn a_value_that_does_not_decode_is_named_by_its_column() {
        let error = sqlx::Error::ColumnDecode { index: "3".to_owned(), source: "not a number".into() };
        assert!(matches!(statement("t", &error), StoreError::Inconsistent { column, .. } if column == "3"));
    }
}
