//! `earlybell ingest`: the ingest service.

use super::serve::{Serving, serve};
use ingest::{Metrics, Parts};
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs until it is asked to stop.
pub(crate) fn run(config: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    serve(config, "ingest", |settings| settings.admin.ingest, start)
}

/// Starts the service's tasks.
pub(crate) fn start(serving: Serving) -> anyhow::Result<()> {
    let Serving { settings, store, connection, clock, newest, registry, readiness, lifecycle } = serving;
    let metrics = Metrics::register(&registry)?;
    let tasks = lifecycle.clone();
    let parts = Parts { settings, store, connection, clock, newest, metrics, readiness, lifecycle };
    tasks.run("ingest", ingest::run(parts));
    Ok(())
}
