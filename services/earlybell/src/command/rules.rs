//! `earlybell rules`: the rules service.

use super::serve::serve;
use ::installation::Parts;
use rules::Metrics;
use service::metrics::Registry;
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs until it is asked to stop.
pub(crate) fn run(config: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    serve(config, "rules", |settings| settings.admin.rules, start)
}

/// Starts the service's tasks.
pub(crate) fn start(parts: Parts, registry: &Registry) -> anyhow::Result<()> {
    let metrics = Metrics::register(registry)?;
    let tasks = parts.lifecycle.clone();
    tasks.run("rules", rules::run(parts, metrics));
    Ok(())
}
