//! [`Store`]: the pools of one database, and the only way to a transaction.
//!
//! Keeps the pools and the tasks in which transactions begin and commit.

use tokio_util::task::TaskTracker;

use crate::dialect::{Pools, postgres, sqlite};
use crate::tx::{Connection, Tx};
use crate::{Options, StoreError, codes, schema};

/// A database. Cheap to clone: all clones share the pools.
#[derive(Debug, Clone)]
pub struct Store {
    pools: Pools,
    tasks: TaskTracker,
}

/// What a database server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Its name and version, as it says them.
    pub version: String,
    /// PostgreSQL's version as a number, 150018 for 15.18.
    pub number: Option<i64>,
    /// Its clock.
    pub now: i64,
}

impl Store {
    /// Connects to `postgres://…` or `sqlite://path` (created where missing; in memory is refused) and looks at nothing: for
    /// `migrate` and `doctor`.
    ///
    /// # Errors
    /// `Address` for a URL that cannot be used, `Unavailable` and `Refused` as the database answers.
    pub async fn connect(url: &str, options: &Options) -> Result<Self, StoreError> {
        let pools = if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            postgres::connect(url, options).await
        } else if url.starts_with("sqlite:") {
            sqlite::connect(url, options).await
        } else {
            return Err(StoreError::Address { detail: "neither PostgreSQL nor SQLite".to_owned() });
        };
        let pools = pools.map_err(|error| codes::statement("store.connect", &error))?;
        Ok(Self { pools, tasks: TaskTracker::new() })
    }

    /// Connects, and answers only if the schema is the one that this program was built with: for services.
    ///
    /// # Errors
    /// Those of [`Store::connect`] and [`Store::check_schema`].
    pub async fn open(url: &str, options: &Options) -> Result<Self, StoreError> {
        let store = Self::connect(url, options).await?;
        store.check_schema().await?;
        Ok(store)
    }

    /// Brings the schema to this program's version. Repeatable; two at once wait for each other.
    ///
    /// # Errors
    /// `SchemaTooNew` where a newer release was here, else as the database answers.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        schema::migrate(&self.pools).await
    }

    /// What the database server is.
    ///
    /// # Errors
    /// As the database answers.
    pub async fn about(&self) -> Result<About, StoreError> {
        let read = match &self.pools {
            Pools::Postgres(pool) => sqlx::query_as::<_, (String, i64, i64)>(postgres::ABOUT).fetch_one(pool).await,
            Pools::Sqlite { readers, .. } => sqlx::query_as(sqlite::ABOUT).fetch_one(readers).await,
        };
        let (version, number, now) = read.map_err(|error| codes::statement("store.about", &error))?;
        Ok(About { version, number: (number > 0).then_some(number), now })
    }

    /// Lets a role read and write rows, and change no table and no row of the audit. To be done again after each migration.
    ///
    /// # Errors
    /// As the database answers: it knows no such role, or this user may grant nothing.
    pub async fn grant(&self, role: &str) -> Result<(), StoreError> {
        schema::grant(&self.pools, role).await
    }

    /// The version of the database's schema; 0 where `migrate` never ran.
    ///
    /// # Errors
    /// As the database answers.
    pub async fn schema_version(&self) -> Result<i64, StoreError> {
        schema::version(&self.pools).await
    }

    /// Whether the schema is the one that this program was built with.
    ///
    /// # Errors
    /// `SchemaTooOld`, `SchemaTooNew`, else as the database answers.
    pub async fn check_schema(&self) -> Result<(), StoreError> {
        schema::check(self.schema_version().await?)
    }

    /// Begins a transaction. Dropping the returned future is safe: the beginning goes on in a task of its own, and what nobody
    /// then takes is rolled back (sqlx 0.9.0 by itself hands the connection on with the transaction open: its issue 4393).
    ///
    /// # Errors
    /// `Unavailable` where no connection was free in time; SQLite, which has one writer, so answers a writer held too long.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        let pools = self.pools.clone();
        let tasks = self.tasks.clone();
        let begun = self.tasks.spawn(async move {
            let connection = match pools {
                Pools::Postgres(pool) => pool.begin_with(postgres::BEGIN).await.map(Connection::Postgres),
                Pools::Sqlite { writer, .. } => writer.begin_with(sqlite::BEGIN).await.map(Connection::Sqlite),
            };
            connection.map(|connection| Tx::new(connection, tasks))
        });
        match begun.await {
            Ok(begun) => begun.map_err(|error| codes::statement("store.begin", &error)),
            Err(ended) => Err(StoreError::Unavailable { doing: "store.begin", detail: ended.to_string() }),
        }
    }

    /// Closes all connections, after the commits and rollbacks under way. Transactions still held keep it waiting.
    pub async fn close(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        match &self.pools {
            Pools::Postgres(pool) => pool.close().await,
            Pools::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
        }
    }

    pub(crate) fn pools(&self) -> &Pools {
        &self.pools
    }
}
