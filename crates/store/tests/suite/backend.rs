//! An empty migrated database, and a way to look at it and to spoil it without the store.

use std::task::Poll;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use store::{Options, Store};
use tempfile::TempDir;

/// For what happens at once on any machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct Backend {
    pub(crate) store: Store,
    pub(crate) url: String,
    // The database file lies in it.
    _folder: Option<TempDir>,
}

impl Backend {
    pub(crate) async fn postgres() -> Self {
        let url = support::postgres().create_database().await.unwrap();
        Self::migrated(url, None).await
    }

    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("earlybell.db").display());
        Self::migrated(url, Some(folder)).await
    }

    async fn migrated(url: String, folder: Option<TempDir>) -> Self {
        let store = Store::connect(&url, &options()).await.unwrap();
        store.migrate().await.unwrap();
        Self { store, url, _folder: folder }
    }

    /// Another store on the same database.
    pub(crate) async fn another(&self, options: &Options) -> Store {
        Store::open(&self.url, options).await.unwrap()
    }

    /// Another store on the same database, as another user (as an address writes it).
    pub(crate) async fn as_role(&self, role: &str) -> Store {
        Store::open(&self.url_of(role), &options()).await.unwrap()
    }

    /// Runs statements without the store, as another user.
    pub(crate) async fn raw_as(&self, role: &str, sql: &str) -> Result<(), sqlx::Error> {
        let mut connection = PgConnection::connect(&self.url_of(role)).await?;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await?;
        Ok(())
    }

    fn url_of(&self, role: &str) -> String {
        let (scheme, rest) = self.url.split_once("//").unwrap();
        let (_, server) = rest.split_once('@').unwrap();
        format!("{scheme}//{role}@{server}")
    }

    /// Runs statements without the store.
    pub(crate) async fn raw(&self, sql: impl Into<String>) -> Result<(), sqlx::Error> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.into()));
        if self.url.starts_with("sqlite") {
            let mut connection = SqliteConnection::connect(&self.url).await?;
            sql.execute(&mut connection).await?;
        } else {
            let mut connection = PgConnection::connect(&self.url).await?;
            sql.execute(&mut connection).await?;
        }
        Ok(())
    }

    /// The one number that a query gives, without the store.
    pub(crate) async fn number(&self, sql: impl Into<String>) -> i64 {
        let sql = AssertSqlSafe(sql.into());
        if self.url.starts_with("sqlite") {
            let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
            sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
        } else {
            let mut connection = PgConnection::connect(&self.url).await.unwrap();
            sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
        }
    }
}

pub(crate) fn options() -> Options {
    Options { max_connections: 4, ..Options::named("suite") }
}

/// Polls a future once and drops it: what a caller does that is cancelled while it waits. False where it had ended already.
pub(crate) async fn poll_once_and_drop<T>(future: impl Future<Output = T>) -> bool {
    poll_and_drop(1, future).await
}

/// Drops a future when it has been polled `times` times, each time after it asked for it; false where it had ended by then.
pub(crate) async fn poll_and_drop<T>(times: u32, future: impl Future<Output = T>) -> bool {
    let mut future = std::pin::pin!(future);
    let mut polled = 0;
    std::future::poll_fn(|context| {
        polled += 1;
        match future.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(false),
            Poll::Pending if polled == times => Poll::Ready(true),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
