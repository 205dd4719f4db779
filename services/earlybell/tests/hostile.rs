//! Senders that are slow, huge or hostile, by real HTTP: each gets its own clear answer in bounded time and memory, and the
//! service goes on for everybody else.
#![expect(dead_code, reason = "the harness serves other tests too")]

mod harness;
#[path = "harness/http.rs"]
mod http;
#[path = "harness/metrics.rs"]
mod metrics;

use flate2::Compression;
use flate2::write::GzEncoder;
use harness::Installation;
use http::{Answer, Ingest};
use proto::Event;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const REGISTERS: &str = "attendance.registers.v1";
const GOOD: &str = r#"{"school_urn": 900001, "date": "2025-09-03", "session": "AM", "revised_at": "2025-09-03T08:52:10Z",
    "marks": [{"upn": "R900001000001", "code": "/"}, {"upn": "F900001000002", "code": "L", "minutes_late": 12}]}"#;
const MIB: usize = 1 << 20;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// The head of a POST without its end; `more` are further lines.
fn head(key: &str, more: &str) -> String {
    format!(
        "POST /v1/registers HTTP/1.1\r\nhost: test\r\nconnection: close\r\nauthorization: Bearer {key}\r\n\
         content-type: text/csv\r\n{more}"
    )
}

/// Sends a head, then the same piece again and again, and listens only after that, as simple clients do; what the other side
/// no longer takes is not sent. Gives the answer and how many pieces went.
fn pour(ingest: &Ingest, head: &str, piece: &[u8], times: usize) -> (Answer, usize) {
    let mut stream = ingest.connect();
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    let sent = (0..times).take_while(|_| stream.write_all(piece).is_ok()).count();
    (Answer::read(&mut stream).unwrap(), sent)
}

/// As a large file begins; the row ends, so that it could be read as CSV.
fn rows() -> Vec<u8> {
    let header = "school_urn,date,session,upn,code\n";
    let row = "900001,2025-09-03,AM,R900001000001,/\n";
    format!("{header}{}", row.repeat(MIB / row.len())).into_bytes()
}

fn status(answer: &Answer, wanted: u16, part: &str) {
    assert_eq!(answer.status, wanted, "{part}: {answer:?}");
    assert!(answer.detail().contains(part), "{part}: {answer:?}");
}

async fn marks(installation: &Installation) -> Vec<(u32, attendance::Session, attendance::Upn)> {
    let mut marks = Vec::new();
    for event in installation.events().await {
        let Event::Marks(part) = event else { panic!("registers only") };
        marks.extend(part.marks.iter().map(|(upn, _)| (part.school.number(), part.session, *upn)));
    }
    marks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_huge_or_malformed_has_its_own_answer_and_takes_little_memory() {
    let installation = Installation::start(1).await;
    let key = installation.key(&["--name", "hill", "--urn", "900001"]);
    let ingest = installation.ingest(None).await;
    huge(&ingest, &key);
    bombs(&ingest, &key);
    let peak = ingest.process.peak_memory();
    assert!(peak < 300 << 20, "{} MiB", peak >> 20);
    wide(&ingest, &key);
    heads(&ingest, &key);
    assert_eq!(ingest.send("/v1/registers", &key, "application/json", GOOD).status, 202, "the service goes on");
    let store = installation.store().await;
    installation.taken(&store, REGISTERS).await;
    assert_eq!(marks(&installation).await.len(), 2, "and nothing of all that was stored");
}

/// 100 MB, really sent, with and without its length, and by a stranger; then more than anybody would read.
fn huge(ingest: &Ingest, key: &str) {
    let rows = rows();
    let length = format!("content-length: {}\r\n", rows.len() * 100);
    let mut chunk = format!("{:x}\r\n", rows.len()).into_bytes();
    chunk.extend_from_slice(&rows);
    chunk.extend_from_slice(b"\r\n");
    let chunked = "transfer-encoding: chunked\r\n";
    let (answer, sent) = pour(ingest, &head(key, &length), &rows, 100);
    assert_eq!(sent, 100, "the sender gets to the end and hears why");
    status(&answer, 413, "send fewer registers at once");
    let whole = [&chunk.repeat(100)[..], b"0\r\n\r\n"].concat();
    let (answer, sent) = pour(ingest, &head(key, chunked), &whole, 1);
    assert_eq!(sent, 1, "here too");
    status(&answer, 413, "send fewer registers at once");
    let (answer, sent) = pour(ingest, &head("eb_nobody", &length), &rows, 100);
    assert_eq!((answer.status, sent), (401, 100), "{answer:?}");
    let (answer, sent) = pour(ingest, &head(key, chunked), &chunk, 1_000);
    status(&answer, 413, "send fewer registers at once");
    assert!(sent < 300, "what is too much is not read for ever: {sent} MB");
    let asking = begun(ingest, &head(key, &format!("{length}expect: 100-continue\r\n\r\n")));
    status(&Answer::read(&mut { asking }).unwrap(), 413, "send fewer registers at once");
}

/// A gigabyte of little gzip, in one member and in many; and gzip that ends early or is none.
fn bombs(ingest: &Ingest, key: &str) {
    let send = |body: &[u8]| ingest.send("/v1/registers", key, "text/csv", body);
    let member = gzip(&vec![b'\n'; 64 * MIB]);
    status(&send(&member.repeat(16)), 413, "when it is unpacked");
    let mut one = GzEncoder::new(Vec::new(), Compression::fast());
    let zeros = vec![0; 64 * MIB];
    (0..16).for_each(|_| one.write_all(&zeros).unwrap());
    status(&send(&one.finish().unwrap()), 413, "when it is unpacked");
    let packed = gzip(&rows());
    status(&send(&packed[..packed.len() - 4]), 400, "broken gzip");
    status(&send(&[&packed[..], b"and more"].concat()), 400, "broken gzip");
    status(&send(&[0x1F, 0x8B, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]), 400, "broken gzip");
    status(&send(&gzip(b"")), 400, "the body is empty");
    let nested = (0..4).fold(gzip(&rows()), |inner, _| gzip(&inner));
    status(&send(&nested), 400, "the file was packed twice");
    let zip = [&b"PK\x03\x04"[..], &gzip(&rows())].concat();
    status(&send(&zip), 400, "the file is a zip archive");
    status(&send(&gzip(&zip)), 400, "the file is a zip archive");
}

/// A row and a header of 10,000 fields, no text, quotes that never end.
fn wide(ingest: &Ingest, key: &str) {
    let send = |body: &[u8]| ingest.send("/v1/registers?dry_run=true", key, "text/csv", body);
    let (header, row) = ("school_urn,date,session,upn,code\n", "900001,2025-09-03,AM,R900001000001,/\n");
    let answer = send(format!("{header}{row}{}{row}", "x,".repeat(9_999) + "x\n").as_bytes());
    assert_eq!((answer.status, &answer.json()["accepted"]["marks"]), (202, &2.into()), "{answer:?}");
    assert_eq!(
        (&answer.json()["rejected"][0]["place"], &answer.json()["rejected_count"]),
        (&"line 3".into(), &1.into())
    );
    let names: Vec<String> = (0..10_000).map(|number| format!("c{number}")).collect();
    status(&send(names.join(",").as_bytes()), 400, "the header lacks school_urn");
    let answer = send(format!("{},{header}", names.join(",")).as_bytes());
    status(&answer, 422, "it holds no register");
    let answer = send(format!("{},{header}{}{row}", names.join(","), ",".repeat(10_000)).as_bytes());
    assert_eq!((answer.status, &answer.json()["warnings_count"]), (202, &10_001.into()));
    assert!(answer.json()["warnings"].as_array().unwrap().len() <= 1_000, "an answer has a limit");
    status(&send(&[header.as_bytes(), &[0xFF; 100]].concat()), 422, "nothing of it could be accepted");
    status(&send(format!("{header}\"{row}").as_bytes()), 422, "nothing of it could be accepted");
    let json = |body: &[u8]| ingest.send("/v1/registers", key, "application/json", body);
    status(&json(&[b'{', 0, b'}']), 400, "no register as JSON");
    status(&json(&[0xFF; 16]), 400, "no register as JSON");
    for (open, field) in
        [("[", ""), ("{\"a\":", ""), ("[", "{\"marks\":"), ("{\"a\":", "{\"date\":"), ("[", "{\"date\":")]
    {
        status(&json(format!("{field}{}", open.repeat(MIB)).as_bytes()), 400, "no register as JSON");
    }
    status(&json(GOOD.replace("\"AM\"", "\"AM\", \"session\": \"PM\"").as_bytes()), 400, "duplicate field `session`");
}

/// Wrong methods, floods of headers, requests that are none.
fn heads(ingest: &Ingest, key: &str) {
    for method in ["PUT", "DELETE", "PATCH", "TRACE", "BREW"] {
        let answer = ingest.ask(&format!("{method} /v1/registers"), &[], b"").unwrap();
        status(&answer, 405, "does not know that method");
        assert!(answer.head.contains("allow: ") && answer.head.contains("post"), "{answer:?}");
    }
    let say = |text: &str| {
        let mut stream = ingest.connect();
        drop(stream.write_all(text.as_bytes()));
        Answer::read(&mut stream).map(|answer| answer.status).unwrap_or_default()
    };
    assert_eq!(say(&format!("{}\r\n", head(key, &"x: y\r\n".repeat(10_000)))), 431);
    assert_eq!(say(&format!("{}\r\n", head(key, &format!("x: {}\r\n", "y".repeat(MIB))))), 431);
    assert_eq!(say(&format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "y".repeat(70_000))), 414);
    assert_eq!(say("EHLO mail.example\r\n\r\n"), 400);
    assert_eq!(say("POST /v1/registers HTTP/9.9\r\n\r\n"), 400);
    assert_eq!(say(&format!("{}\r\nx", head(key, "content-length: 1\r\ncontent-length: 2\r\n"))), 400);
    assert_eq!(say(&format!("{}\r\nzz\r\n", head(key, "transfer-encoding: chunked\r\n"))), 400);
}

/// What a POST on a connection of its own says so far.
fn begun(ingest: &Ingest, said: &str) -> TcpStream {
    let mut stream = ingest.connect();
    stream.write_all(said.as_bytes()).unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_senders_keep_their_turns_for_a_while_only() {
    let installation = Installation::start(1).await;
    let key = installation.key(&["--name", "hill", "--urn", "900001"]);
    let port = support::free_port().unwrap();
    let limits = [("EARLYBELL__INGEST__HEADER_TIMEOUT", "1s"), ("EARLYBELL__INGEST__REQUEST_TIMEOUT", "9s")];
    let ingest = installation.ingest_with(port, &limits).await;
    let slow = head(&key, "content-length: 1000\r\n\r\nschool_urn,");
    let mut slow: Vec<TcpStream> = (0..8).map(|_| begun(&ingest, &slow)).collect();
    let mut heads = [begun(&ingest, "POST /v1/registers HT"), begun(&ingest, &head(&key, "x: y"))];
    // What comes before all of them have taken their turns is still accepted.
    let register = || ingest.send("/v1/registers", &key, "application/json", GOOD);
    let answer = (0..20).map(|_| register()).find(|answer| answer.status != 202).expect("no turn is left");
    status(&answer, 429, "too many requests are being read");
    assert!(answer.head.contains("retry-after: 1"), "{answer:?}");
    assert_eq!(ingest.ask("GET /v1/registers?urn=900001", &[], b"").unwrap().status, 401, "what needs no turn goes on");
    for head in &mut heads {
        let mut answer = String::new();
        let ended = head.read_to_string(&mut answer).map_err(|error| error.kind());
        assert!(!matches!(ended, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "its connection is closed");
        assert_eq!(answer, "", "hyper answers nothing to half a head");
    }
    for stream in &mut slow {
        status(&Answer::read(stream).unwrap(), 408, "the body came too slowly");
    }
    assert_eq!(register().status, 202, "the turns are free again");
}

/// A register of so many pupils, each with a mark.
fn large(pupils: u32) -> String {
    let marks: Vec<String> = (0..pupils)
        .map(|pupil| format!(r#"{{"upn": "A900001{pupil:06}", "code": "{}"}}"#, if pupil % 9 == 0 { "I" } else { "/" }))
        .collect();
    let marks = marks.join(",");
    format!(
        r#"{{"school_urn": 900001, "date": "2025-09-04", "session": "PM", "revised_at": "2025-09-04T13:00:00Z", "marks": [{marks}]}}"#
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_register_comes_in_parts_and_the_metrics_count_what_was_sent() {
    let installation = Installation::start(3).await;
    let key = installation.key(&["--name", "hill", "--urn", "900001"]);
    let admin = support::free_port().unwrap();
    let settings = [("EARLYBELL__ADMIN__INGEST", &*format!("127.0.0.1:{admin}"))];
    let ingest = installation.ingest_with(support::free_port().unwrap(), &settings).await;
    let before = metrics::scrape(admin);
    assert!(before.iter().filter(|(name, _)| name.contains("rejected_total")).all(|(_, value)| *value == 0));
    let post = |body: &str| ingest.send("/v1/registers", &key, "application/json", body);
    let large = post(&large(2_500));
    assert_eq!(large.status, 202);
    assert_eq!(large.json()["accepted"]["marks"], 2_500);
    let parts: Vec<_> =
        large.json()["registers"].as_array().unwrap().iter().map(|part| part["marks"].clone()).collect();
    assert_eq!(parts, [1_000, 1_000, 500], "in parts of a thousand");
    let ids: BTreeSet<String> =
        large.json()["registers"].as_array().unwrap().iter().map(|part| part["id"].to_string()).collect();
    assert_eq!(ids.len(), 3);

    let two_bad = GOOD.replace("F900001000002", "nobody").replace("\"/\"", "\"H\"");
    assert_eq!(post(GOOD).status, 202);
    assert_eq!(post(&GOOD.replace("\"L\"", "\"e\"")).status, 202);
    assert_eq!(post(&two_bad).status, 422);
    assert_eq!(post(&GOOD.replace("2025-09-03\"", "2025-02-30\"")).status, 422);
    assert_eq!(post("{").status, 400);
    let pupils =
        r#"[{"upn": "R900001000001", "school_urn": 900001, "year_group": "7", "revised_at": "2025-09-03T08:00:00Z"}]"#;
    assert_eq!(ingest.send("/v1/pupils", &key, "application/json", pupils).status, 202);
    let store = installation.store().await;
    installation.taken(&store, REGISTERS).await;

    let wanted: BTreeMap<&str, u64> = [
        ("earlybell_ingest_registers_total", 3 + 2),
        ("earlybell_ingest_marks_total", 2_500 + 3),
        ("earlybell_ingest_events_marks_total", 2_500 + 3),
        ("earlybell_ingest_roster_entries_total", 1),
        ("earlybell_ingest_rejected_total{reason=\"upn\"}", 1),
        ("earlybell_ingest_rejected_total{reason=\"code\"}", 1),
        ("earlybell_ingest_rejected_total{reason=\"retired_code\"}", 1),
        ("earlybell_ingest_rejected_total{reason=\"date\"}", 1),
        ("earlybell_ingest_rejected_total{reason=\"session\"}", 0),
        ("earlybell_ingest_dead_letters_total", 0),
        ("earlybell_ingest_unavailable_total", 0),
        ("earlybell_ingest_request_seconds_count", 7),
    ]
    .into();
    let counted = metrics::scrape(admin);
    let found: BTreeMap<&str, u64> = wanted.keys().map(|name| (*name, counted[*name])).collect();
    assert_eq!(found, wanted);
    let told = metrics::get(admin, "/metrics").unwrap().1;
    assert!(!told.contains("900001"), "no school and no pupil");
    let _rules = installation.service("rules", None);
    installation.settled(&store).await;
    let lines = [&*format!("authorization: Bearer {key}")];
    let held = ingest.ask("GET /v1/registers?urn=900001&from=2025-09-04&to=2025-09-04", &lines, b"").unwrap().json();
    assert_eq!(held["registers"][0]["marks"]["attending"], 2_500 - 278, "{held}");
    assert_eq!(held["registers"][0]["marks"]["authorised"], 278);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_broker_ingest_is_not_ready_says_so_and_is_ready_again_by_itself() {
    let installation = Installation::start(1).await;
    let admin = support::free_port().unwrap();
    let settings = [("EARLYBELL__ADMIN__INGEST", &*format!("127.0.0.1:{admin}"))];
    let ingest = installation.ingest_with(support::free_port().unwrap(), &settings).await;
    let checks = || -> Result<BTreeMap<String, String>, String> {
        let (status, body) = metrics::get(admin, "/readyz").ok_or("nobody answers")?;
        let told: serde_json::Value = serde_json::from_str(&body).map_err(|error| error.to_string())?;
        assert_eq!(told["ready"], status == 200, "{told}");
        let failed = told["checks"].as_array().unwrap().iter().filter(|check| check["state"] == "failed");
        Ok(failed.map(|check| (check["name"].to_string(), check["problem"].to_string())).collect())
    };
    let ready = async || match checks() {
        Ok(failed) if failed.is_empty() => Ok(()),
        other => Err(format!("{other:?}")),
    };
    support::wait_until(Duration::from_mins(1), "ingest to be ready", ready).await.unwrap();
    installation.kafka.kill().unwrap();
    let failed = support::wait_until(Duration::from_mins(1), "ingest not to be ready", async || match checks() {
        Ok(failed) if !failed.is_empty() => Ok(failed),
        other => Err(format!("{other:?}")),
    });
    let failed = failed.await.unwrap();
    assert_eq!(failed.keys().collect::<Vec<_>>(), ["\"kafka\""], "{failed:?}");
    assert!(failed["\"kafka\""].len() > 20, "what is wrong is told: {failed:?}");
    assert_eq!(metrics::get(admin, "/healthz").unwrap().0, 200, "it lives");
    installation.kafka.restart().unwrap();
    support::wait_until(Duration::from_mins(1), "ingest to be ready again", ready).await.unwrap();
    drop(ingest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_asks_too_often_is_told_when_to_come_again_and_delays_no_other() {
    let installation = Installation::start(1).await;
    let (hasty, calm) = (
        installation.key(&["--name", "hasty", "--urn", "900001"]),
        installation.key(&["--name", "calm", "--urn", "900001"]),
    );
    let settings = [("EARLYBELL__INGEST__KEY_REQUESTS", "2")];
    let ingest = installation.ingest_with(support::free_port().unwrap(), &settings).await;
    let dry = |key: &str| ingest.send("/v1/registers?dry_run=true", key, "application/json", GOOD);
    let answers: Vec<Answer> = (0..12).map(|_| dry(&hasty)).collect();
    let taken = answers.iter().filter(|answer| answer.status == 202).count();
    assert!((4..=7).contains(&taken), "twice the rate at once, and what comes in meanwhile: {taken}");
    let refused = answers.last().unwrap();
    status(refused, 429, "too many requests with this key");
    assert!(refused.head.contains("retry-after: 1"), "{refused:?}");
    assert_eq!(dry(&calm).status, 202, "another key does not wait");
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(dry(&hasty).status, 202);
}
