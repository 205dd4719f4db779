//! Serving HTTP over real connections: how it stops, and its bound on connections.

use axum::Router;
use axum::routing::get;
use service::http::{Limits, serve};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const DEADLINE: Duration = Duration::from_secs(10);
/// Far beyond the deadline: what ends a connection in these tests is never its time-out.
const LIMITS: Limits = Limits { header_timeout: Duration::from_mins(5), connections: 8, drain: Duration::from_mins(5) };
const REQUEST: &[u8] = b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n";

struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinSet<()>,
    /// A slow request has begun.
    begun: Arc<Notify>,
    /// Lets one slow request end.
    release: Arc<Notify>,
}

async fn start(limits: Limits) -> Server {
    let (begun, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begins, released) = (Arc::clone(&begun), Arc::clone(&release));
    let slow = move || async move {
        begins.notify_one();
        released.notified().await;
        "done"
    };
    let router = Router::new().route("/slow", get(slow));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop, mut serving) = (listener.local_addr().unwrap(), CancellationToken::new(), JoinSet::new());
    serving.spawn(serve(listener, router, limits, stop.clone()));
    Server { address, stop, serving, begun, release }
}

impl Server {
    async fn request(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(REQUEST).await.unwrap();
        stream
    }

    async fn ended(&mut self) {
        timeout(DEADLINE, self.serving.join_next()).await.expect("an end in time").unwrap().unwrap();
    }
}

/// Reads until the answer's body has come.
async fn answer(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let whole = async { while !text.ends_with(b"done") && stream.read_buf(&mut text).await.unwrap() > 0 {} };
    timeout(DEADLINE, whole).await.expect("an answer in time");
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn a_request_in_flight_is_answered_after_the_stop() {
    let mut server = start(LIMITS).await;
    let mut stream = server.request().await;
    server.begun.notified().await;
    server.stop.cancel();
    server.release.notify_one();
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200 OK"));
    server.ended().await;
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_the_stop() {
    let mut server = start(LIMITS).await;
    let mut stream = server.request().await;
    server.release.notify_one();
    answer(&mut stream).await;
    server.stop.cancel();
    server.ended().await;
    assert!(TcpStream::connect(server.address).await.is_err(), "the port is closed");
}

#[tokio::test]
async fn a_request_that_does_not_end_is_dropped_when_the_drain_is_over() {
    let mut server = start(Limits { drain: Duration::from_millis(50), ..LIMITS }).await;
    let mut stream = server.request().await;
    server.begun.notified().await;
    server.stop.cancel();
    server.ended().await;
    assert_eq!(answer(&mut stream).await, "");
}

#[tokio::test]
async fn a_connection_beyond_the_bound_waits_for_its_turn() {
    let server = start(Limits { connections: 1, ..LIMITS }).await;
    let mut first = server.request().await;
    server.begun.notified().await;
    let mut second = server.request().await;
    let early = timeout(Duration::from_millis(200), server.begun.notified()).await;
    assert!(early.is_err(), "the second is served beside the first");
    server.release.notify_one();
    answer(&mut first).await;
    drop(first);
    timeout(DEADLINE, server.begun.notified()).await.expect("the second has its turn");
    server.release.notify_one();
    assert!(answer(&mut second).await.starts_with("HTTP/1.1 200 OK"));
}
