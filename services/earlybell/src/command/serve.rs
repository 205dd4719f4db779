//! Running one service to its end: settings, logs, database, the operators' port, signals. The services' commands differ
//! in what they start.

use super::installation;
use ::installation::Parts;
use service::admin::{Admin, Told};
use service::config::Settings;
use service::lifecycle::{DRAIN, Lifecycle, Signals};
use service::metrics::Registry;
use service::readiness::Readiness;
use service::telemetry;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Runs the service `name` until a signal or a failure; `admin` picks its operators' address, `start` its tasks.
pub(crate) fn serve(
    config: Option<PathBuf>,
    name: &'static str,
    admin: fn(&Settings) -> SocketAddr,
    start: impl FnOnce(Parts, &Registry) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let settings = installation::settings(config)?;
    telemetry::init(&settings.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let code = runtime.block_on(run(settings, name, admin, start));
    runtime.shutdown_timeout(Duration::from_secs(1));
    code
}

async fn run(
    settings: Settings,
    name: &'static str,
    admin: fn(&Settings) -> SocketAddr,
    start: impl FnOnce(Parts, &Registry) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let signals = Signals::of_process()?;
    let store = installation::store(&settings, name).await?;
    let (clock, newest) = ::installation::clock(&installation::founded(&store).await?);
    let (registry, readiness) = (Registry::new(), Readiness::new());
    let lifecycle = Lifecycle::new(DRAIN);
    let port = Admin::bind(admin(&settings), settings.admin.header_timeout).await?;
    tracing::info!(service = name, admin.address = %port.address(), clock = clock.mode().text(), "service starts");
    let told = Told {
        registry: registry.clone(),
        readiness: readiness.clone(),
        clock: clock.clone(),
        draining: lifecycle.soft(),
    };
    lifecycle.serve("admin", move |stop| port.serve(told, stop));
    let connection = installation::connection(&settings, name);
    let ended = lifecycle.clone();
    start(Parts { settings, store, connection, clock, newest, readiness, lifecycle }, &registry)?;
    let outcome = ended.finish(signals).await;
    for failure in &outcome.failures {
        eprintln!("earlybell: {failure}");
    }
    Ok(outcome.exit_code())
}
