//! What commands need of an installation: its settings, its database, its Kafka.

use anyhow::Context;
use service::config::{Settings, Sources};
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;
use store::{Options, Store};
use transport::Connection;

/// The settings of this process.
pub(crate) fn settings(config: Option<PathBuf>) -> anyhow::Result<Settings> {
    Ok(Settings::load(&Sources::of_process(config))?)
}

/// Where Kafka is; `client` is shown by the brokers.
pub(crate) fn connection(settings: &Settings, client: &str) -> Connection {
    let properties = settings.kafka.security_properties();
    Connection { properties, ..Connection::new(settings.kafka.brokers.to_string(), format!("earlybell {client}")) }
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
