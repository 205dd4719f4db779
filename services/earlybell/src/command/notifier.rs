//! `earlybell notifier`: the notifier service.

use super::serve::serve;
use ::installation::Parts;
use notifier::Metrics;
use service::metrics::Registry;
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs until it is asked to stop.
pub(crate) fn run(config: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    serve(config, "notifier", |settings| settings.admin.notifier, start)
}

/// Starts the service's tasks.
pub(crate) fn start(parts: Parts, registry: &Registry) -> anyhow::Result<()> {
    let metrics = Metrics::register(registry)?;
    let tasks = parts.lifecycle.clone();
    tasks.run("notifier", notifier::run(parts, metrics, notifier::of_system()));
    Ok(())
}
