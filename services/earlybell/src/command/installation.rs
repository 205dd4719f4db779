//! What commands need of an installation: its settings, its database, its Kafka.

use anyhow::{Context, anyhow};
use attendance::Upn;
use clap::Args;
use service::clock::Clock;
use service::config::{Settings, Sources};
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;
use store::installation::{self, Installation};
use store::{Options, Store, audit};
use transport::{Admin, AdminError, Connection};

/// The settings of this process, if this build can do what they ask for.
pub(crate) fn settings(config: Option<PathBuf>) -> anyhow::Result<Settings> {
    let settings = Settings::load(&Sources::of_process(config))?;
    let security = settings.kafka.security.text();
    connection(&settings, "").check().with_context(|| format!("the setting kafka.security is {security}"))?;
    Ok(settings)
}

/// Where Kafka is; `client` is shown by the brokers.
pub(crate) fn connection(settings: &Settings, client: &str) -> Connection {
    let properties = settings.kafka.security_properties();
    Connection { properties, ..Connection::new(settings.kafka.brokers.to_string(), format!("earlybell {client}")) }
}

/// Kafka's administration, with the patience of somebody who waits at a terminal.
pub(crate) fn admin(connection: &Connection) -> Result<Admin, AdminError> {
    Admin::new(connection, Duration::from_secs(15))
}

/// The database, with the schema of this release.
pub(crate) async fn store(settings: &Settings, client: &str) -> anyhow::Result<Store> {
    let options = options(settings, client);
    Store::open(settings.database.url.expose(), &options).await.context("the database")
}

/// How to connect to the database.
pub(crate) fn options(settings: &Settings, client: &str) -> Options {
    Options {
        max_connections: settings.database.pool_size.get(),
        acquire_timeout: settings.database.acquire_timeout,
        ..Options::named(format!("earlybell {client}"))
    }
}

/// Runs a command's asynchronous part to its end.
pub(crate) fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(future);
    // Kafka's clients may still be closing: they hold nobody up.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

/// The installation's row.
pub(crate) async fn founded(store: &Store) -> anyhow::Result<Installation> {
    let founded = installation::get(store).await?;
    founded.ok_or_else(|| anyhow!("the database holds no installation; run `earlybell migrate`"))
}

/// The installation's clock as it stands.
pub(crate) fn clock(installation: &Installation) -> Clock {
    ::installation::clock(installation).0
}

/// Who runs a command that reads or decides something about children: kept in the audit.
#[derive(Debug, Args)]
pub(crate) struct Actor {
    /// Who asks: kept in the audit.
    #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown")]
    pub(crate) by: String,
}

impl Actor {
    /// Writes the audit's row of a reading, before anything is shown.
    pub(crate) async fn audit(
        &self,
        store: &Store,
        action: &str,
        upn: Option<Upn>,
        detail: &str,
    ) -> anyhow::Result<()> {
        let act = audit::Act {
            at: Clock::wall().wall_now().micros(),
            actor: self.by.clone(),
            action: action.to_owned(),
            upn: upn.and_then(|upn| i64::try_from(upn.number()).ok()),
            detail: detail.to_owned(),
        };
        audit::append_alone(store, &act).await.context("the audit's row could not be written: nothing is shown")?;
        Ok(())
    }
}
