//! HTTP: marks a second to 202, beside a bare axum handler that discards what it is sent.

use crate::client::{Body, Client, registers, uploads};
use crate::county::{County, Size};
use crate::ground::{Ground, Rules};
use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use std::path::Path;

/// Marks of a register.
const REGISTER: usize = 30;

/// Marks a second to 202.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    pub(crate) ours: f64,
    pub(crate) bare: f64,
}

/// Registers of 30 marks, and uploads of a school's day; each to ingest, then to the bare handler.
pub(crate) async fn compare(program: &Path, partitions: u32) -> anyhow::Result<[(&'static str, Rates); 2]> {
    let county = County::new(Size { pupils: 46_000, sessions: 16, minimum: 20 }, partitions)?;
    let ground = Ground::start(program)?;
    let (database, folder) = ground.install(&county, Rules::All).await?;
    let ingest = ground.ingest(&database, &folder).await?;
    let key = ground.key(&database, &folder)?;
    let ours = Client::new(ingest.port, &key);
    let bare = Client::new(bare()?, &key);
    let small = registers(&county, REGISTER)?;
    let large: Vec<Body> = (0..4)
        .map(|_| uploads(&county))
        .collect::<anyhow::Result<Vec<_>>>()?
        .into_iter()
        .flatten()
        .collect::<anyhow::Result<_>>()?;
    let small = rates(&ours, &bare, &small, f64::from(county.size.pupils) * f64::from(county.size.sessions)).await?;
    let large = rates(&ours, &bare, &large, f64::from(county.size.pupils) * 8.0).await?;
    ingest.process.stop()?;
    Ok([("registers of 30 marks, JSON", small), ("a school's day, 600 rows of CSV", large)])
}

async fn rates(ours: &Client, bare: &Client, bodies: &[Body], marks: f64) -> anyhow::Result<Rates> {
    // Sent once for nothing: connections and caches are warm then.
    ours.post_all(bodies.iter().take(500).cloned()).await?;
    let ours = marks / ours.post_all(bodies.iter().cloned()).await?;
    bare.post_all(bodies.iter().take(500).cloned()).await?;
    let bare = marks / bare.post_all(bodies.iter().cloned()).await?;
    Ok(Rates { ours, bare })
}

/// Serves the bare handler, on a runtime of its own as a process would; gives its port.
fn bare() -> anyhow::Result<u16> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    listener.set_nonblocking(true)?;
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async {
            let router = Router::new().route("/v1/registers", post(async |_: Bytes| StatusCode::ACCEPTED));
            axum::serve(tokio::net::TcpListener::from_std(listener)?, router).await
        })
    });
    Ok(port)
}
