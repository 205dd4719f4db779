//! Ingest on real Kafka and PostgreSQL: nothing accepted is lost, everything wrong is told, and the service goes on.
#![expect(dead_code, reason = "the harness serves other tests too")]

mod harness;
#[path = "harness/http.rs"]
mod http;

use flate2::Compression;
use flate2::write::GzEncoder;
use harness::Installation;
use harness::registers::{Size, expected, stream};
use http::{Answer, Ingest, json};
use prost::Message as _;
use proto::{Event, v1};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::time::Duration;
use store::dead_letter::{self, Filter, State};
use transport::{Admin, Header, Outgoing, Producer, ProducerConfig};

const REGISTERS: &str = "attendance.registers.v1";
const GOOD: &str = r#"{"school_urn": 900001, "date": "2025-09-03", "session": "AM", "revised_at": "2025-09-03T08:52:10Z",
    "marks": [{"upn": "R900001000001", "code": "/"}, {"upn": "F900001000002", "code": "L", "minutes_late": 12}]}"#;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_accepted_reaches_events_and_what_is_wrong_has_its_own_answer() {
    let installation = Installation::start(2).await;
    let key = installation.key(&["--name", "hill", "--urn", "900001"]);
    let expired = installation.key(&["--name", "old", "--urn", "900001", "--expires", "2025-01-01"]);
    let revoked = installation.key(&["--name", "gone", "--urn", "900001"]);
    installation.run(&["key", "revoke", "--name", "gone"]);
    let ingest = installation.ingest(None).await;
    let post = |key: &str, kind: &str, body: &[u8]| ingest.send("/v1/registers", key, kind, body);

    keys(&ingest, &[&expired, &revoked], &key);
    forms(&ingest, &key);
    bodies(&ingest, &key);
    values(&ingest, &key);
    oddities(&ingest, &key);
    let openapi = ingest.ask("GET /openapi.json", &[], b"").unwrap().json();
    for (path, methods) in openapi["paths"].as_object().unwrap() {
        for method in ["get", "post", "put", "delete"] {
            let status = ingest.ask(&format!("{} {path}", method.to_uppercase()), &[], b"").unwrap().status;
            assert_eq!(status == 405, methods.get(method).is_none(), "{method} {path}: {status}");
        }
    }
    let store = installation.store().await;
    let dry = ingest.send("/v1/registers?dry_run=true", &key, "application/json", GOOD);
    assert_eq!((dry.status, &dry.json()["dry_run"]), (202, &true.into()));
    installation.taken(&store, REGISTERS).await;
    assert_eq!(installation.events().await, [], "nothing of all that was stored");

    let partly = GOOD.replace("F900001000002", "nobody");
    let answer = post(&key, "application/json", partly.as_bytes());
    assert_eq!(answer.status, 202, "{answer:?}");
    let (taken_marks, rejected) = (answer.json()["accepted"]["marks"].clone(), answer.json()["rejected"][0].clone());
    assert_eq!((taken_marks, &rejected["place"]), (1.into(), &"registers[0].marks[1]".into()));
    assert_eq!(rejected["field"], "upn");
    let csv = "code,school_urn,date,session,upn\n/,900001,2025-09-04,AM,Z900001000001\n";
    let answer = post(&key, "text/csv", &gzip(csv.as_bytes())).json();
    assert!(answer["revised_at"].is_string(), "stamped: {answer}");
    let warnings = answer["warnings"].to_string();
    assert!(warnings.contains("a retry must send it") && warnings.contains("line 2"), "{warnings}");
    installation.taken(&store, REGISTERS).await;
    let mut marks = 0;
    for event in installation.events().await {
        let Event::Marks(part) = event else { panic!("registers only") };
        marks += part.marks.len();
    }
    assert_eq!(marks, 2);
    // A rotation leaves the old key and the new one; another school's registers stay unseen.
    let rotated = installation.run(&["key", "rotate", "--name", "hill"]);
    for key in [&*key, rotated.trim()] {
        let lines = [&*format!("authorization: Bearer {key}")];
        assert_eq!(ingest.ask("GET /v1/registers?urn=900001", &lines, b"").unwrap().status, 200);
        assert_eq!(ingest.ask("GET /v1/registers?urn=900002", &lines, b"").unwrap().status, 403);
    }
    ingest.process.terminate();
    let mut process = ingest.process;
    let status = process.ended(Duration::from_secs(10)).await.expect("it drains in time");
    assert!(status.success(), "{status}");
}

fn keys(ingest: &Ingest, refused: &[&str; 2], key: &str) {
    let mut told = BTreeSet::new();
    let wrong = format!("{}0", &key[..key.len() - 1]);
    for lines in [&[][..], &[&*format!("authorization: Bearer {wrong}x")]] {
        let answer = ingest.ask("POST /v1/registers", lines, b"{}").unwrap();
        assert_eq!(answer.status, 401);
        told.insert(answer.detail());
    }
    for key in refused {
        let answer = ingest.send("/v1/registers", key, "application/json", GOOD);
        assert_eq!(answer.status, 401);
        told.insert(answer.detail());
    }
    assert_eq!(told.len(), 4, "missing, wrong, expired, revoked: {told:?}");
    let foreign = ingest.send("/v1/registers", key, "application/json", GOOD.replace("900001,", "900002,"));
    assert_eq!(foreign.status, 403, "{foreign:?}");
    let foreign = "school_urn,date,session,upn,code\n900002,2025-09-03,AM,R900001000001,/\n";
    assert_eq!(ingest.send("/v1/registers", key, "text/csv", foreign).status, 403);
}

fn forms(ingest: &Ingest, key: &str) {
    let authorised = format!("authorization: Bearer {key}");
    let ask = |line: &str, lines: &[&str]| ingest.ask(line, lines, b"{}").unwrap();
    let status = |answer: Answer, wanted: u16| {
        assert_eq!(answer.status, wanted, "{answer:?}");
        assert!(!answer.detail().is_empty());
    };
    status(ask("GET /nowhere", &[]), 404);
    status(ask("DELETE /v1/registers", &[]), 405);
    status(ask("POST /v1/registers", &[&authorised]), 415);
    status(ask("POST /v1/registers", &[&authorised, "content-type: text/html"]), 415);
    status(ask("POST /v1/registers", &[&authorised, "content-type: text/csv", "content-encoding: br"]), 415);
    status(ask("POST /v1/registers?dry=1", &[&authorised, "content-type: text/csv"]), 400);
    let huge = [&*authorised, "content-type: text/csv", "content-length: 104857600"];
    status(ask("POST /v1/registers", &huge), 413);
}

fn bodies(ingest: &Ingest, key: &str) {
    let check = |kind: &str, body: &[u8], status: u16, part: &str| {
        let answer = ingest.send("/v1/registers", key, kind, body);
        assert_eq!(answer.status, status, "{part}: {answer:?}");
        assert!(answer.detail().contains(part), "{part}: {answer:?}");
    };
    check("application/json", b"", 400, "the body is empty");
    check("application/json", b"{\"school_urn\": 9", 400, "no register as JSON");
    check("application/json", "[".repeat(100_000).as_bytes(), 400, "no register as JSON");
    check("text/csv", b"a,b\n1,2\n", 400, "the header lacks school_urn");
    check("application/json", b"null", 400, "expected an object with school_urn, date, session and marks");
    check("application/json", b"[]", 422, "it holds no register; send at least one");
    check("text/csv", b"school_urn,date,session,upn,code\n", 422, "it holds no register");
    let packed = gzip(GOOD.as_bytes());
    let followed = [&packed[..], b"and so on"].concat();
    check("application/json", &followed, 400, "something else follows them");
    check("application/json", &packed[..packed.len() / 2], 400, "broken gzip");
    check("application/json", &gzip(&vec![b' '; 80 << 20]), 413, "when it is unpacked");
    let wide = format!("school_urn,date,session,upn,code\n{}\n", "x,".repeat(10_000));
    check("text/csv", wide.as_bytes(), 422, "nothing of it could be accepted");
}

fn values(ingest: &Ingest, key: &str) {
    let cases = [
        ("\"/\"", "\"e\"", 202, "code"),
        ("\"/\"", "\"H\"", 202, "retired_code"),
        ("\"/\"", "\"\"", 202, "code"),
        ("R900001000001", "R90000100000", 202, "upn"),
        ("2025-09-03\"", "2025-02-30\"", 422, "date"),
        ("2025-09-03\"", "2199-09-02\"", 422, "future_date"),
        ("2025-09-03T", "2199-09-03T", 422, "revised_ahead"),
        ("\"AM\"", "\"EV\"", 422, "session"),
        ("\"school_urn\": 900001", "\"school_urn\": 9", 422, "school_urn"),
    ];
    for (from, to, status, reason) in cases {
        let body = GOOD.replace(from, to);
        assert_ne!(body, GOOD);
        let answer = ingest.send("/v1/registers?dry_run=true", key, "application/json", body);
        assert_eq!(answer.status, status, "{to}: {answer:?}");
        assert_eq!(answer.json()["rejected"][0]["reason"], reason, "{to}: {answer:?}");
    }
}

/// What is taken, but odd enough to be told.
fn oddities(ingest: &Ingest, key: &str) {
    let warnings = |kind: &str, body: String| {
        let answer = ingest.send("/v1/registers?dry_run=true", key, kind, body);
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json()["warnings"].to_string()
    };
    let twice = GOOD.replace("F900001000002", "R900001000001");
    assert!(warnings("application/json", twice).contains("R900001000001 and perhaps others are listed twice"));
    let sunday =
        "school_urn,date,session,upn,code,revised_at\n900001,2025-09-07,AM,R900001000001,/,2025-09-07T08:52:10Z\n";
    let told = warnings("text/csv", sunday.to_owned());
    assert!(told.contains("closed on 2025-09-07") && !told.contains("twice"), "{told}");
    let roster = |fields: &str| {
        let body = format!(r#"{{"upn": "R900001000001", "school_urn": 900001, {fields}}}"#);
        let answer = ingest.send("/v1/pupils?dry_run=true", key, "application/json", body);
        answer.json()["rejected"][0].clone()
    };
    let turned = roster(r#""from": "2025-09-05", "to": "2025-09-01""#);
    assert_eq!((&turned["field"], &turned["reason"]), (&"to".into(), &"days".into()), "{turned}");
    let unborn = roster(r#""birth_date": "2199-01-01""#);
    assert_eq!((&unborn["field"], &unborn["reason"]), (&"birth_date".into(), &"birth_date".into()), "{unborn}");
}

/// A school sees what is held of its registers, whole after a partial correction, and who on its roll has no mark; whoever
/// is marked and on no roster is no error, but a warning.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_school_sees_what_is_held_and_who_has_no_mark() {
    let installation = Installation::start(2).await;
    let key = installation.key(&["--name", "hill", "--urn", "900001"]);
    let mut rules = installation.service("rules", None);
    let ingest = installation.ingest(None).await;
    let store = installation.store().await;
    let roster = "upn,school_urn,year_group,enrolment,from,to,groups\n\
        R900001000001,900001,7,main,2025-09-01,,\n\
        Q900001000003,900001,7,main,2025-09-01,,\n\
        T900001000004,900001,7,main,2025-09-04,,\n";
    assert_eq!(ingest.send("/v1/pupils", &key, "text/csv", roster).status, 202);
    installation.taken(&store, REGISTERS).await;
    installation.settled(&store).await;
    // What is not in the records yet is counted from the events.
    rules.kill();
    let answer = ingest.send("/v1/registers", &key, "application/json", GOOD).json();
    let warnings = answer["warnings"].to_string();
    assert!(warnings.contains("1 of the pupils are on no roster") && warnings.contains("F900001000002"), "{answer}");
    assert_eq!(answer["accepted"]["marks"], 2, "the roster never decides whether a mark counts");
    // A correction that names one pupil only says nothing about the other; a refused mark is counted.
    let correction = GOOD.replace("08:52:10", "09:52:10").replace("\"/\"", "\"I\"").replace("F900001000002", "nobody");
    assert_eq!(ingest.send("/v1/registers", &key, "application/json", correction).status, 202);
    installation.taken(&store, REGISTERS).await;

    let lines = [&*format!("authorization: Bearer {key}")];
    let held = ingest.ask("GET /v1/registers?urn=900001&from=2025-09-01&to=2025-09-05", &lines, b"").unwrap().json();
    assert_eq!(held["up_to_date"], true, "{held}");
    let register = &held["registers"][0];
    let marks = &register["marks"];
    assert_eq!((&marks["attending"], &marks["authorised"]), (&1.into(), &1.into()), "{held}");
    assert_eq!(register["revised_at"], "2025-09-03T09:52:10Z");
    assert_eq!((&register["refused"], &register["not_on_roll"]), (&1.into(), &1.into()), "{held}");
    let missing = serde_json::json!({ "count": 1, "upns": ["Q900001000003"] });
    assert_eq!(register["on_roll_without_mark"], missing, "one is not on roll yet: {held}");
    let audit = store::audit::list(&store, 0, 100).await.unwrap();
    let read = audit.iter().find(|entry| entry.act.action == "registers.read").unwrap();
    assert_eq!(read.act.actor, "key hill");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_roster_goes_to_events_and_names_only_to_their_table() {
    let installation = Installation::start(1).await;
    let key = installation.key(&["--name", "county", "--all-schools"]);
    let ingest = installation.ingest(None).await;
    let pupil = r#"[{"upn": "R900001000001", "school_urn": 900001, "year_group": "7", "groups": ["fsm"], "given_name": "Ann",
        "revised_at": "2025-09-03T08:00:00Z"}, {"upn": "F900001000002", "school_urn": 900001, "home_locality": "Mars"},
        {"upn": "F900001000002", "school_urn": 123456}]"#;
    let answer = ingest.send("/v1/pupils", &key, "application/json", pupil);
    assert_eq!(answer.status, 202, "{answer:?}");
    let reasons: Vec<_> = answer.json()["rejected"].as_array().unwrap().iter().map(|r| r["reason"].clone()).collect();
    assert_eq!(reasons, ["home_locality", "unknown_school"]);
    let store = installation.store().await;
    installation.taken(&store, REGISTERS).await;
    let events = installation.events().await;
    assert!(matches!(&events[..], [Event::Enrolment(..)]), "{events:?}");
    let Event::Enrolment(upn, _) = &events[0] else { unreachable!() };
    let stored = store::person::of_pupil(&store, i64::try_from(upn.number()).unwrap()).await.unwrap();
    assert_eq!(stored[0].1, "Ann");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_broker_the_answer_is_503_and_it_comes_back_by_itself() {
    let installation = Installation::start(1).await;
    let key = installation.key(&["--name", "hill", "--urn", "900001"]);
    let ingest = installation.ingest(None).await;
    installation.kafka.kill().unwrap();
    let body = GOOD.replace("\"revised_at\": \"2025-09-03T08:52:10Z\",", "");
    let answer = ingest.send("/v1/registers", &key, "application/json", &body);
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.head.contains("retry-after: "), "{answer:?}");
    assert!(answer.json()["revised_at"].is_string() && answer.json()["warning"].is_string(), "{answer:?}");
    installation.kafka.restart().unwrap();
    support::wait_until(Duration::from_mins(1), "a register to be taken again", async || {
        let answer = ingest.send("/v1/registers", &key, "application/json", GOOD);
        if answer.status == 202 { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await
    .unwrap();
    let store = installation.store().await;
    installation.taken(&store, REGISTERS).await;
    assert!(!installation.events().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aborted_at_every_named_point_records_are_those_of_backtest() {
    let installation = Installation::start(2).await;
    let key = installation.key(&["--name", "county", "--all-schools"]);
    let _rules = installation.service("rules", None);
    let sendings = stream(11, Size { pupils: 90, days: 20 });
    let points = ["after_poll", "after_produce", "before_commit", "after_commit"];
    let parts: Vec<_> = sendings.chunks(sendings.len().div_ceil(points.len() + 1)).collect();
    for (number, part) in parts.iter().enumerate() {
        let fault = points.get(number).map(|point| format!("ingest.batch.{point}:2"));
        let mut ingest = installation.ingest(fault.as_deref()).await;
        let mut aborted = 0;
        for sending in *part {
            aborted += deliver(&installation, &mut ingest, &key, &json(sending)).await;
        }
        if fault.is_some() && aborted == 0 {
            let status = ingest.process.ended(Duration::from_mins(1)).await;
            assert!(status.is_some_and(|status| !status.success()), "it never passed {fault:?}");
        }
        if fault.is_none() {
            let store = installation.store().await;
            installation.taken(&store, REGISTERS).await;
        }
    }
    let store = installation.store().await;
    installation.settled(&store).await;
    installation.check(&store, &expected(&installation.policy, &sendings)).await;
}

/// Sends until it is accepted, as a school does; a process that the fault ended is started again without one. Gives how often it was.
async fn deliver(installation: &Installation, ingest: &mut Ingest, key: &str, body: &str) -> u32 {
    let mut aborted = 0;
    let lines = [format!("authorization: Bearer {key}"), "content-type: application/json".to_owned()];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    for _ in 0..5 {
        match ingest.ask("POST /v1/registers", &lines, body.as_bytes()) {
            Ok(answer) if answer.status == 202 => return aborted,
            Ok(answer) => assert_eq!(answer.status, 503, "{answer:?}"),
            Err(_) => {
                let status = ingest.process.ended(Duration::from_secs(10)).await.expect("it was ended");
                assert!(!status.success());
                *ingest = installation.ingest(None).await;
                aborted += 1;
            }
        }
    }
    panic!("five times not accepted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suppliers_bad_messages_are_dead_letters_and_a_replay_sends_them_as_they_came() {
    let installation = Installation::start(1).await;
    let _ingest = installation.ingest(None).await;
    // A supplier that the policy comes to name is read without a restart.
    let path = installation.folder.path().join("authority.toml");
    let authority = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{authority}[[supplier]]\nname = \"acme\"\nschools = [900001]\n")).unwrap();
    installation.run(&["apply", installation.folder.path().to_str().unwrap(), "--yes", "--by", "test"]);
    let topic = "attendance.registers.acme.v1";
    let admin = Admin::new(&installation.connection(), Duration::from_secs(10)).unwrap();
    support::wait_until(Duration::from_secs(30), "the supplier's topic to be made", async || {
        admin.partition_count(topic).await.map(drop).map_err(|error| error.to_string())
    })
    .await
    .unwrap();
    let sent = suppliers_messages();
    let message = |(kind, payload): &(&str, Vec<u8>)| Outgoing {
        headers: vec![Header::new("content-type", kind.as_bytes().to_vec())],
        timestamp_ms: Some(1_756_900_000_000),
        ..Outgoing::keyed(topic, "900001", payload.clone())
    };
    let producer = Producer::new(&ProducerConfig::new(installation.connection())).unwrap();
    producer.send_all(sent.iter().map(message).collect()).await.unwrap();
    let store = installation.store().await;
    installation.taken(&store, topic).await;
    let open = Filter { reason: None, urn: None, state: State::Open };
    let letters = dead_letter::list(&store, open, 0, 100).await.unwrap();
    let reasons: Vec<&str> = letters.iter().map(|letter| letter.letter.reason.as_str()).collect();
    assert_eq!(reasons, ["no_revised_at", "not_carried", "content", "content", "content", "retired_code"]);
    for (letter, (_, payload)) in letters.iter().zip(&sent[2..]) {
        assert_eq!((&letter.letter.payload, letter.letter.message_at), (payload, 1_756_900_000_000_000));
    }
    let marks = installation.events().await;
    assert_eq!(marks.len(), 3, "two good registers, and one without its bad mark");

    let listed = installation.run(&["dead-letters", "list", "--reason", "not_carried"]);
    assert!(listed.lines().count() == 1 && listed.contains("authority.toml"), "{listed}");
    let told = fs::read_to_string(&path).unwrap().replace("[900001]", "[900001, 900002]");
    fs::write(&path, told).unwrap();
    installation.run(&["apply", installation.folder.path().to_str().unwrap(), "--yes", "--by", "test"]);
    support::wait_until(Duration::from_secs(30), "the replayed register to reach events", async || {
        if installation.events().await.len() == 4 {
            return Ok(());
        }
        let open = Filter { reason: Some("not_carried"), ..open };
        if !dead_letter::list(&store, open, 0, 1).await.map_err(|error| error.to_string())?.is_empty() {
            installation.run(&["dead-letters", "replay", "--reason", "not_carried", "--by", "test"]);
        }
        Err("not yet".to_owned())
    })
    .await
    .unwrap();
    let end = admin.watermarks(topic).await.unwrap().remove(0);
    let again = transport::read_range(&installation.connection(), topic, 0, 8..end.high).await.unwrap();
    let (kind, payload) = &sent[3];
    assert_eq!((&*again[0].payload, again[0].header("content-type")), (&payload[..], Some(kind.as_bytes())));
    assert_eq!((again[0].timestamp_ms, again[0].key.as_deref()), (Some(1_756_900_000_000), Some(&b"900001"[..])));
    a_home_that_is_none_and_shifted_columns(&store, &producer, topic).await;
    installation.taken(&store, topic).await;
    assert_eq!(installation.events().await.len(), 4, "neither has come through, and ingest goes on");
}

/// A roster whose locality is none and larger than a message may be together with others; a name where a date belongs.
async fn a_home_that_is_none_and_shifted_columns(store: &store::Store, producer: &Producer, topic: &'static str) {
    use attendance::enrolment::{Field, Kind, RosterEntry};
    let revised_at = attendance::Timestamp::from_micros(5);
    let school = attendance::Urn::new(900_001).unwrap();
    let entry = RosterEntry {
        home_locality: Field::Value("x".repeat(300_000)),
        ..RosterEntry::new(school, Kind::Main, revised_at)
    };
    let upn = attendance::Upn::parse("R900001000001").unwrap();
    let roster = proto::RosterPart { id: [0; 16], received_at: revised_at, entries: vec![(upn, entry); 3] };
    let shifted = GOOD.replace("2025-09-03", "Jane Doe");
    assert_ne!(shifted, GOOD);
    let message = |kind: &'static str, content: &'static str, payload: Vec<u8>| Outgoing {
        partition: Some(0),
        headers: vec![Header::new("kind", kind.as_bytes()), Header::new("content-type", content.as_bytes())],
        ..Outgoing::keyed(topic, "900001", payload)
    };
    let sent = [
        message("roster", "application/protobuf", roster.to_bytes()),
        message("register", "application/json", shifted.into_bytes()),
    ];
    producer.send_all(sent.into()).await.unwrap();
    let open = Filter { reason: None, urn: None, state: State::Open };
    support::wait_until(Duration::from_secs(30), "both to be refused", async || {
        let letters = dead_letter::list(store, open, 0, 100).await.map_err(|error| error.to_string())?;
        let reasons: Vec<&str> = letters.iter().map(|letter| letter.letter.reason.as_str()).collect();
        let details = letters.iter().map(|letter| letter.letter.detail.as_str()).collect::<String>();
        assert!(!details.contains("Jane") && details.len() < 3_000, "{details}");
        if reasons.ends_with(&["home_locality", "date"]) { Ok(()) } else { Err(format!("{reasons:?}")) }
    })
    .await
    .unwrap();
}

/// Two good messages, then one of each kind that is not: content type and bytes.
fn suppliers_messages() -> [(&'static str, Vec<u8>); 8] {
    let register = |school_urn, revised_at| v1::Register {
        school_urn,
        date: "2025-09-03".to_owned(),
        session: "PM".to_owned(),
        revised_at,
        marks: vec![v1::Mark { upn: "R900001000001".to_owned(), code: "\\".to_owned(), minutes_late: None }],
        ..v1::Register::default()
    };
    let protobuf = "application/protobuf";
    [
        (protobuf, register(900_001, Some(5)).encode_to_vec()),
        ("application/json", GOOD.as_bytes().to_vec()),
        (protobuf, register(900_001, None).encode_to_vec()),
        (protobuf, register(900_002, Some(5)).encode_to_vec()),
        (protobuf, vec![0xFF, 0xFF]),
        ("application/json", b"{".to_vec()),
        ("text/html", b"x".to_vec()),
        ("application/json", GOOD.replace("\"/\"", "\"H\"").into_bytes()),
    ]
}
