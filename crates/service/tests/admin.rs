//! The operators' port over real connections.

use attendance::{Day, Half, Session, Timestamp};
use service::admin::{Admin, Told};
use service::clock::{Clock, NewestSession};
use service::metrics::{IntCounter, Registry};
use service::readiness::Readiness;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

service::metrics! {
    /// What the test counts.
    struct Counted in "test" {
        /// Requests.
        requests_total: IntCounter,
    }
}

const DEADLINE: Duration = Duration::from_secs(10);

struct Port {
    address: SocketAddr,
    told: Told,
    stop: CancellationToken,
    serving: JoinSet<()>,
}

async fn open(clock: Clock) -> Port {
    let told =
        Told { registry: Registry::new(), readiness: Readiness::new(), clock, draining: CancellationToken::new() };
    let admin = Admin::bind("127.0.0.1:0".parse().unwrap(), Duration::from_millis(200)).await.unwrap();
    let (address, stop, mut serving) = (admin.address(), CancellationToken::new(), JoinSet::new());
    serving.spawn(admin.serve(told.clone(), stop.clone()));
    Port { address, told, stop, serving }
}

impl Port {
    /// Sends `request` and reads until the other side closes.
    async fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(DEADLINE, stream.read_to_string(&mut answer)).await.expect("an end in time").unwrap();
        answer
    }

    /// Status and body.
    async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.send(&format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("a whole answer");
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    async fn ready(&self) -> (u16, serde_json::Value) {
        let (status, body) = self.get("/readyz").await;
        (status, serde_json::from_str(&body).unwrap())
    }
}

fn noon() -> Clock {
    Clock::standing_at(Timestamp::parse("2025-09-03T12:00:00Z").unwrap()).0
}

#[tokio::test]
async fn readiness_lists_each_check_and_what_is_wrong() {
    let port = open(noon()).await;
    let (database, kafka) = (port.told.readiness.check("database"), port.told.readiness.check("kafka"));
    kafka.set_ok();
    let (status, shown) = port.ready().await;
    assert_eq!((status, &shown["ready"]), (503, &false.into()));
    assert_eq!(shown["checks"][0]["name"], "database");
    assert_eq!(shown["checks"][0]["state"], "failed", "a part that never spoke is not ready");

    database.set_failed("connection refused; is PostgreSQL running");
    let (_, shown) = port.ready().await;
    assert_eq!(shown["checks"][0]["problem"], "connection refused; is PostgreSQL running");

    database.set_ok();
    let (status, shown) = port.ready().await;
    let expected = serde_json::json!({
        "ready": true,
        "clock": {"mode": "wall", "now": "2025-09-03T12:00:00Z"},
        "checks": [{"name": "database", "state": "ok"}, {"name": "kafka", "state": "ok"}],
    });
    assert_eq!((status, shown), (200, expected));
}

#[tokio::test]
async fn readiness_names_a_clock_that_follows_the_registers() {
    let newest = NewestSession::none();
    let port = open(noon().by_registers(newest.clone())).await;
    newest.advance(Session::new(Day::parse("2025-12-03").unwrap(), Half::Am));
    let (_, shown) = port.ready().await;
    assert_eq!(shown["clock"], serde_json::json!({"mode": "registers", "now": "2025-12-03T09:00:00Z"}));
}

#[tokio::test]
async fn a_draining_service_lives_but_is_not_ready() {
    let port = open(noon()).await;
    assert_eq!(port.ready().await.0, 200);
    port.told.draining.cancel();
    let (status, shown) = port.ready().await;
    assert_eq!((status, &shown["checks"][0]["name"]), (503, &"lifecycle".into()));
    assert_eq!(port.get("/healthz").await.0, 200);
}

#[tokio::test]
async fn metrics_are_shown_and_other_paths_are_not_found() {
    let port = open(noon()).await;
    let metrics = Counted::register(&port.told.registry).unwrap();
    metrics.requests_total.inc_by(3);
    let (status, text) = port.get("/metrics").await;
    assert_eq!(status, 200);
    assert!(text.contains("# HELP earlybell_test_requests_total Requests.\n"), "{text}");
    assert!(text.contains("\nearlybell_test_requests_total 3\n"), "{text}");
    assert_eq!(port.get("/elsewhere").await.0, 404);
}

#[tokio::test]
async fn a_client_that_never_ends_its_request_is_cut_off() {
    let port = open(noon()).await;
    let answer = port.send("GET /healthz HTTP/1.1\r\nhost: a\r\n").await;
    assert!(!answer.contains("200 OK"), "{answer}");
}

#[tokio::test]
async fn the_port_closes_when_it_is_told_to_stop() {
    let mut port = open(noon()).await;
    port.stop.cancel();
    let ended = tokio::time::timeout(DEADLINE, port.serving.join_next()).await.expect("an end in time");
    ended.unwrap().unwrap();
    assert!(TcpStream::connect(port.address).await.is_err());
}

#[tokio::test]
async fn a_port_in_use_is_told_with_its_address() {
    let port = open(noon()).await;
    let error = Admin::bind(port.address, DEADLINE).await.unwrap_err().to_string();
    assert!(error.contains(&port.address.to_string()) && error.contains("free it"), "{error}");
}
