//! `earlybell ingest`: the ingest service.

use super::serve::serve;
use ::installation::Parts;
use ingest::Metrics;
use service::metrics::Registry;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::net::TcpListener;

/// Runs until it is asked to stop.
pub(crate) fn run(config: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    serve(config, "ingest", |settings| settings.admin.ingest, |parts, registry| start(parts, registry, None))
}

/// Starts the service's tasks; schools are served on `listener`, or where there is none on the settings' address.
pub(crate) fn start(parts: Parts, registry: &Registry, listener: Option<TcpListener>) -> anyhow::Result<()> {
    let metrics = Metrics::register(registry)?;
    let tasks = parts.lifecycle.clone();
    tasks.run("ingest", ingest::run(parts, metrics, listener));
    Ok(())
}
