//! [`Tx`]: a transaction, whose commit either is known to be done, known to have failed, or says that it does not know.

use sqlx::{Postgres, Sqlite, Transaction};
use tokio_util::task::TaskTracker;

use crate::{CommitError, StoreError, codes};

/// The connection of a transaction.
pub(crate) enum Connection {
    Postgres(Transaction<'static, Postgres>),
    Sqlite(Transaction<'static, Sqlite>),
}

/// What is known of the statements so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// All were done.
    Sound,
    /// One was begun and its end not seen (its future was dropped), or failed.
    Broken,
}

/// A transaction. Dropped without [`Tx::commit`], it is rolled back.
///
/// After a statement that failed, or whose future was dropped half way, every other and the commit fail: PostgreSQL answers the
/// COMMIT of such a transaction with success and does a rollback.
#[must_use = "dropping a transaction rolls it back"]
pub struct Tx {
    connection: Connection,
    state: State,
    tasks: TaskTracker,
}

impl std::fmt::Debug for Tx {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tx").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Tx {
    pub(crate) fn new(connection: Connection, tasks: TaskTracker) -> Self {
        Self { connection, state: State::Sound, tasks }
    }

    /// Commits, in a task of its own: dropping the returned future does not stop it, only its answer is lost.
    ///
    /// # Errors
    /// `Failed` where surely nothing was done, `Unknown` where the connection was lost on the way.
    pub async fn commit(self) -> Result<(), CommitError> {
        let doing = "store.commit";
        if self.state == State::Broken {
            return Err(CommitError::Failed(broken(doing)));
        }
        let Self { connection, tasks, .. } = self;
        let committed = tasks.spawn(async move {
            match connection {
                Connection::Postgres(transaction) => transaction.commit().await,
                Connection::Sqlite(transaction) => transaction.commit().await,
            }
        });
        match committed.await {
            Ok(committed) => committed.map_err(|error| codes::commit(doing, &error)),
            Err(ended) => Err(CommitError::Unknown(StoreError::Unavailable { doing, detail: ended.to_string() })),
        }
    }

    /// Rolls back and waits until it is done; merely dropping does the same in the background.
    pub async fn rollback(self) {
        let Self { connection, tasks, .. } = self;
        let rolled_back = tasks.spawn(async move {
            match connection {
                Connection::Postgres(transaction) => transaction.rollback().await,
                Connection::Sqlite(transaction) => transaction.rollback().await,
            }
        });
        if let Ok(Err(error)) = rolled_back.await {
            // The pool drops such a connection, and the server rolls back when it sees it gone.
            tracing::debug!(%error, "rollback was not answered");
        }
    }

    /// Call before a statement, with [`Tx::leave`] after it: a future dropped in between leaves the transaction broken.
    pub(crate) fn enter(&mut self, doing: &'static str) -> Result<&mut Connection, StoreError> {
        match std::mem::replace(&mut self.state, State::Broken) {
            State::Sound => Ok(&mut self.connection),
            State::Broken => Err(broken(doing)),
        }
    }

    pub(crate) fn leave<T>(&mut self, doing: &'static str, outcome: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        match outcome {
            Ok(value) => {
                self.state = State::Sound;
                Ok(value)
            }
            Err(error) => Err(codes::statement(doing, &error)),
        }
    }
}

fn broken(doing: &'static str) -> StoreError {
    StoreError::Unexpected {
        doing,
        detail: "an earlier statement of this transaction failed or was given up".to_owned(),
    }
}
