//! More than ingest can take, by real HTTP: requests are shed with an answer that says when to come again, nothing is lost after
//! 202, memory stays flat, and the service recovers without help. Idle clients and those who do not read take nobody's turn.
#![expect(dead_code, reason = "the harness serves other tests too")]

mod harness;
#[path = "harness/http.rs"]
mod http;
#[path = "harness/metrics.rs"]
mod metrics;

use harness::Installation;
use http::Ingest;
use proto::Event;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const REGISTERS: &str = "attendance.registers.v1";
const GOOD: &str = r#"{"school_urn": 900001, "date": "2025-09-03", "session": "AM", "revised_at": "2025-09-03T08:52:10Z",
    "marks": [{"upn": "R900001000001", "code": "/"}]}"#;
/// Marks of a register.
const MARKS: u32 = 30;
/// Dorset's morning is 93,000 marks; were all sent within five minutes, that fifty times, in registers a second.
const RATE: u32 = 50 * 93_000 / 300 / MARKS;
/// Connections that send: each at most one register at a time.
const SENDERS: u32 = 600;
const LASTS: Duration = Duration::from_secs(12);
/// The broker stands still for so long in between.
const FROZEN: Duration = Duration::from_secs(5);

/// What the senders heard.
#[derive(Default)]
struct Heard {
    /// Registers by the id that their 202 named.
    accepted: BTreeSet<String>,
    statuses: BTreeMap<u16, u32>,
    without_retry_after: u32,
    slowest: Duration,
}

impl Heard {
    fn join(&mut self, other: Self) {
        self.accepted.extend(other.accepted);
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.without_retry_after += other.without_retry_after;
        self.slowest = self.slowest.max(other.slowest);
    }

    fn count(&self, status: u16) -> u32 {
        self.statuses.get(&status).copied().unwrap_or(0)
    }
}

/// A register that differs from every other of the sender's and of other senders.
fn register(sender: u32, number: u32) -> String {
    let mark = |pupil: u32| format!(r#"{{"upn":"A900001{pupil:06}","code":"/"}}"#);
    let marks: Vec<String> = (0..MARKS).map(|pupil| mark(sender * MARKS + pupil)).collect();
    let (minute, second) = (number / 60 % 60, number % 60);
    format!(
        r#"{{"school_urn":900001,"date":"2025-09-03","session":"AM","revised_at":"2025-09-03T09:{minute:02}:{second:02}Z","marks":[{}]}}"#,
        marks.join(",")
    )
}

/// Reads an answer on a connection that stays: its status, head and body.
async fn answer(stream: &mut TcpStream) -> std::io::Result<(u16, String, String)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..at]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            let whole = at + 4 + length.unwrap_or(0);
            while bytes.len() < whole {
                if stream.read_buf(&mut bytes).await? == 0 {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
            }
            let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
            return Ok((status, head, String::from_utf8_lossy(&bytes[at + 4..whole]).into_owned()));
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Sends a register whenever it is due, whatever the answers: a school's system that does not heed them.
async fn send(port: u16, key: String, sender: u32, until: Instant) -> Heard {
    let mut heard = Heard::default();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let pause = Duration::from_secs(1) * SENDERS / RATE;
    tokio::time::sleep(pause * sender / SENDERS).await;
    let mut due = tokio::time::interval(pause);
    for number in 0.. {
        due.tick().await;
        if Instant::now() > until {
            break;
        }
        let body = register(sender, number);
        let request = format!(
            "POST /v1/registers HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        let begun = Instant::now();
        stream.write_all(format!("{request}{body}").as_bytes()).await.unwrap();
        let (status, told, body) = answer(&mut stream).await.expect("every request has its answer");
        heard.slowest = heard.slowest.max(begun.elapsed());
        *heard.statuses.entry(status).or_default() += 1;
        if status == 202 {
            let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
            heard.accepted.insert(answer["registers"][0]["id"].as_str().unwrap().to_owned());
        } else if !told.contains("retry-after: ") {
            heard.without_retry_after += 1;
        }
    }
    heard
}

/// The registers that reached events, by id.
async fn arrived(installation: &Installation) -> BTreeSet<String> {
    let id = |event| match event {
        Event::Marks(part) => uuid::Uuid::from_bytes(part.register).to_string(),
        other => panic!("registers only: {other:?}"),
    };
    installation.events().await.into_iter().map(id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_times_the_mornings_peak_is_shed_and_nothing_that_was_accepted_is_lost() {
    let installation = Installation::start(4).await;
    let key = installation.key(&["--name", "county", "--urn", "900001"]);
    let admin = support::free_port().unwrap();
    let settings =
        [("EARLYBELL__ADMIN__INGEST", &*format!("127.0.0.1:{admin}")), ("EARLYBELL__INGEST__KEY_REQUESTS", "0")];
    let ingest = installation.ingest_with(support::free_port().unwrap(), &settings).await;
    let until = Instant::now() + LASTS;
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..SENDERS {
        senders.spawn(send(ingest.port, key.clone(), sender, until));
    }
    tokio::time::sleep(LASTS / 3).await;
    installation.kafka.freeze().unwrap();
    tokio::time::sleep(FROZEN).await;
    installation.kafka.thaw().unwrap();
    let mut heard = Heard::default();
    while let Some(one) = senders.join_next().await {
        heard.join(one.unwrap());
    }
    let (accepted, shed) = (heard.count(202), heard.count(429) + heard.count(503));
    assert_eq!(accepted + shed, heard.statuses.values().sum::<u32>(), "{:?}", heard.statuses);
    assert!(accepted > 0 && heard.count(429) > 0 && heard.count(503) > 0, "{:?}", heard.statuses);
    assert_eq!(heard.without_retry_after, 0, "whoever is sent away hears when to come again");
    assert!(heard.slowest < Duration::from_secs(20), "nobody waits for ever: {:?}", heard.slowest);
    let peak = ingest.process.peak_memory();
    assert!(peak < 300 << 20, "{} MiB", peak >> 20);
    // Without help: the next register is accepted, and the service says that it is ready.
    let begun = Instant::now();
    let recovered = || async {
        let ready = metrics::get(admin, "/readyz").map(|(status, _)| status);
        let answer = ingest.send("/v1/registers", &key, "application/json", GOOD);
        if (answer.status, ready) == (202, Some(200)) { Ok(()) } else { Err(format!("{answer:?}, {ready:?}")) }
    };
    support::wait_until(Duration::from_secs(20), "ingest to accept again", recovered).await.unwrap();
    println!(
        "{:?}, slowest {:?}, peak {} MiB, accepts after {:?}",
        heard.statuses,
        heard.slowest,
        peak >> 20,
        begun.elapsed()
    );
    let store = installation.store().await;
    installation.taken(&store, REGISTERS).await;
    let arrived = arrived(&installation).await;
    let lost: Vec<&String> = heard.accepted.difference(&arrived).collect();
    assert!(lost.is_empty(), "{} of {accepted} were lost after 202", lost.len());
}

/// Ingest whose clients may be idle for three seconds.
async fn impatient(installation: &Installation) -> Ingest {
    let settings = [("EARLYBELL__INGEST__HEADER_TIMEOUT", "3s")];
    installation.ingest_with(support::free_port().unwrap(), &settings).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_idle_connections_take_nobodys_turn_and_are_closed() {
    let installation = Installation::start(1).await;
    let key = installation.key(&["--name", "hill", "--urn", "900001"]);
    let ingest = impatient(&installation).await;
    let mut idle: Vec<std::net::TcpStream> = (0..2_000).map(|_| ingest.connect()).collect();
    for stream in idle.iter_mut().step_by(2) {
        stream.write_all(b"POST /v1/registers HTTP/1.1\r\nhost: te").unwrap();
    }
    let begun = Instant::now();
    assert_eq!(ingest.send("/v1/registers", &key, "application/json", GOOD).status, 202);
    assert!(begun.elapsed() < Duration::from_secs(2), "it does not wait for them: {:?}", begun.elapsed());
    let peak = ingest.process.peak_memory();
    assert!(peak < 300 << 20, "{} MiB", peak >> 20);
    for stream in &mut idle {
        let ended = stream.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
        assert!(!matches!(ended, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "each is closed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_does_not_read_the_answers_is_cut_off_and_holds_nobody_up() {
    let installation = Installation::start(1).await;
    let key = installation.key(&["--name", "hill", "--urn", "900001"]);
    let ingest = impatient(&installation).await;
    let mut deaf: Vec<std::net::TcpStream> = (0..64).map(|_| ingest.connect()).collect();
    // Answers of many megabytes, asked for in one go.
    let asked = "GET /openapi.json HTTP/1.1\r\nhost: test\r\n\r\n".repeat(5_000);
    for stream in &mut deaf {
        stream.set_nonblocking(true).unwrap();
        drop(stream.write(asked.as_bytes()));
    }
    assert_eq!(ingest.send("/v1/registers", &key, "application/json", GOOD).status, 202);
    tokio::time::sleep(Duration::from_secs(6)).await;
    let peak = ingest.process.peak_memory();
    assert!(peak < 300 << 20, "{} MiB", peak >> 20);
    for stream in &mut deaf {
        stream.set_nonblocking(false).unwrap();
        let mut come = Vec::new();
        let ended = stream.read_to_end(&mut come).map_err(|error| error.kind());
        assert!(!matches!(ended, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "each is cut off");
        let answers = String::from_utf8_lossy(&come).matches("HTTP/1.1 200").count();
        assert!(answers < 5_000, "and had not everything: {answers}");
    }
    assert_eq!(ingest.send("/v1/registers", &key, "application/json", GOOD).status, 202);
}
