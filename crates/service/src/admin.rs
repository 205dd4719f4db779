//! The operators' port of a service: takes a metrics registry, readiness, the clock; answers `/metrics`, `/healthz`
//! and `/readyz`. Stays open while the service drains, and says so. Asks for no key: it shows no pupil and no school.

use crate::clock::Clock;
use crate::http::{self, Limits};
use crate::metrics::{self, Registry};
use crate::readiness::{Named, Readiness, State};
use axum::extract;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Scrapers and probes are few.
const CONNECTIONS: usize = 64;
/// What a scrape may take after the service's own work has ended.
const DRAIN: Duration = Duration::from_millis(500);

/// The operators' port is not to be had.
#[derive(Debug, thiserror::Error)]
#[error("admin address {address} cannot be used: {source}; free it or set another in the section admin")]
pub struct AdminError {
    address: SocketAddr,
    source: std::io::Error,
}

/// What the port tells about. Clones share it.
#[derive(Clone, Debug)]
pub struct Told {
    /// All metrics of the process.
    pub registry: Registry,
    /// The checks of the process.
    pub readiness: Readiness,
    /// The clock of the installation.
    pub clock: Clock,
    /// The lifecycle's soft token: once it is cancelled, the service is not ready.
    pub draining: CancellationToken,
}

/// The port, open but not yet answering.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    address: SocketAddr,
    header_timeout: Duration,
}

impl Admin {
    /// Opens the port; port 0 takes a free one.
    ///
    /// # Errors
    /// The address is in use or not ours.
    pub async fn bind(address: SocketAddr, header_timeout: Duration) -> Result<Self, AdminError> {
        let wrong = |source| AdminError { address, source };
        let listener = TcpListener::bind(address).await.map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        Ok(Self { listener, address, header_timeout })
    }

    /// The address with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` is cancelled.
    pub async fn serve(self, told: Told, stop: CancellationToken) {
        let limits = Limits { header_timeout: self.header_timeout, connections: CONNECTIONS, drain: DRAIN };
        http::serve(self.listener, router(told), limits, stop).await;
    }
}

fn router(told: Told) -> Router {
    Router::new()
        .route("/metrics", get(show_metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(show_readiness))
        .with_state(told)
}

async fn show_metrics(extract::State(told): extract::State<Told>) -> Response {
    match metrics::text(&told.registry) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("metrics cannot be written: {error}\n")).into_response()
        }
    }
}

#[derive(Serialize)]
struct Answer {
    ready: bool,
    clock: ShownClock,
    checks: Vec<Named>,
}

#[derive(Serialize)]
struct ShownClock {
    mode: &'static str,
    /// School time, RFC 3339.
    now: String,
}

async fn show_readiness(extract::State(told): extract::State<Told>) -> Response {
    let mut checks = told.readiness.named();
    if told.draining.is_cancelled() {
        let problem = "draining: the service is stopping".to_owned();
        checks.push(Named { name: "lifecycle", state: State::Failed { problem } });
    }
    let ready = checks.iter().all(|check| check.state == State::Ok);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let clock = ShownClock { mode: told.clock.mode().text(), now: told.clock.now().to_string() };
    (status, Json(Answer { ready, clock, checks })).into_response()
}
