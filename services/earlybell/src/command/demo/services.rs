//! All services in one process, each with its own parts: they share no memory, only topics and tables.

use super::super::{ingest, notifier, rules};
use super::ground::Ground;
use ::installation::Parts;
use anyhow::Context;
use service::admin::{Admin, Told};
use service::config::Settings;
use service::lifecycle::Lifecycle;
use service::metrics::Registry;
use service::readiness::Readiness;
use std::net::{Ipv4Addr, SocketAddr};
use store::installation;
use tokio::net::TcpListener;
use transport::Connection;

/// Where the services are reached.
pub(crate) struct Addresses {
    /// What schools send to.
    pub(crate) ingest: SocketAddr,
    /// The metrics of all services.
    pub(crate) admin: SocketAddr,
}

/// Starts ingest, rules and notifier as tasks of `lifecycle`.
pub(crate) async fn start(ground: &Ground, lifecycle: &Lifecycle) -> anyhow::Result<Addresses> {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let row = installation::get(&ground.store).await?.context("the demonstration's installation is gone")?;
    let (registry, readiness) = (Registry::new(), Readiness::new());
    let port = Admin::bind(anywhere, ground.settings.admin.header_timeout).await?;
    let admin = port.address();
    let told = Told {
        registry: registry.clone(),
        readiness: readiness.clone(),
        clock: ::installation::clock(&row).0,
        draining: lifecycle.soft(),
    };
    lifecycle.serve("admin", move |stop| port.serve(told, stop));
    let parts = |name: &str, settings: Settings| {
        let (clock, newest) = ::installation::clock(&row);
        let connection = Connection { client_id: format!("earlybell {name}"), ..ground.connection.clone() };
        let (store, readiness, lifecycle) = (ground.store.clone(), readiness.clone(), lifecycle.clone());
        Parts { settings, store, connection, clock, newest, readiness, lifecycle }
    };
    let listener = TcpListener::bind(anywhere).await?;
    let address = listener.local_addr()?;
    ingest::start(parts("ingest", ground.settings.clone()), &registry, Some(listener))?;
    rules::start(parts("rules", ground.settings.clone()), &registry)?;
    notifier::start(parts("notifier", ground.settings.clone()), &registry)?;
    Ok(Addresses { ingest: address, admin })
}
