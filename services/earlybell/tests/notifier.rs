//! The notifier on real Kafka and PostgreSQL: each change is applied to its case exactly once and delivered at least once
//! with one id, whatever ends the process and whatever one receiver does; no UPN leaves.
#![expect(dead_code, reason = "the harness serves other tests too")]

mod harness;
mod hook;

use harness::Installation;
use hook::{Hook, KEY};
use prost::Message;
use proto::v1;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sqlx::{Connection, PgConnection};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;
use transport::{Outgoing, Producer, ProducerConfig};

const PUPILS: u32 = 40;
const WITHIN: Duration = Duration::from_mins(1);

/// A UPN of an invented pupil, as the contracts carry it, and as text.
fn upn(pupil: u32) -> attendance::Upn {
    attendance::Upn::parse(&format!("A900001{pupil:06}")).unwrap()
}

fn change(pupil: u32, version: u32) -> v1::AlertChange {
    let kind = [v1::Change::Raised, v1::Change::Escalated, v1::Change::Cleared][(version as usize - 1) % 3];
    let mut alert_id = vec![7; 16];
    alert_id[..4].copy_from_slice(&pupil.to_be_bytes());
    let as_of = attendance::Session::new(attendance::Day::parse("2025-10-01").unwrap(), attendance::Half::Am).number();
    v1::AlertChange {
        alert_id,
        version,
        upn: upn(pupil).number(),
        rule: "year-rate".into(),
        school_year: 2025,
        episode: 1,
        change: kind.into(),
        level: 1 + version.min(2),
        since: as_of - 10,
        as_of,
        rule_set: 1,
        school_urn: 900_001 + pupil % 3,
        home_locality: if pupil.is_multiple_of(4) { "North".into() } else { String::new() },
        evidence: Some(v1::Evidence { possible: 40, authorised: 4, unauthorised: 3, ..Default::default() }),
        sentence: "Missed 7 of 40 sessions since 1 September (17.5%).".into(),
        register_id: vec![1; 16],
        received_at: 1_760_000_000_000_000,
        caused_by: as_of,
    }
}

async fn produce(producer: &Producer, partition: u32, changes: Vec<v1::AlertChange>) {
    let payload = v1::AlertBatch { changes }.encode_to_vec();
    let message =
        Outgoing { partition: Some(partition), ..Outgoing::keyed("attendance.alerts.v1", Vec::new(), payload) };
    producer.send_all(vec![message]).await.unwrap();
}

/// An installation whose policy sends everything to the receivers given, and a port for readers.
async fn installation(receivers: &[(&str, String)]) -> (Installation, u16) {
    let installation = Installation::start(2).await;
    let folder = installation.folder.path();
    let port = support::free_port().unwrap();
    let settings = format!("[notifier]\nlisten = \"127.0.0.1:{port}\"\nattempt_timeout = \"1s\"\ntick = \"100ms\"\n");
    fs::write(folder.join("earlybell.toml"), settings).unwrap();
    fs::write(folder.join("secret"), KEY).unwrap();
    let names: Vec<String> = receivers.iter().map(|(name, _)| format!("{name:?}")).collect();
    let mut text = fs::read_to_string(folder.join("authority.toml")).unwrap();
    text.push_str(&format!(
        "\n[notify]\ndefault = [{}]\nlink = \"https://e.example/{{reference}}\"\n",
        names.join(",")
    ));
    for (name, rest) in receivers {
        text.push_str(&format!(
            "[[receiver]]\nname = {name:?}\nfirst_pause = \"100ms\"\nlongest_pause = \"1s\"\n{rest}\n"
        ));
    }
    fs::write(folder.join("authority.toml"), text).unwrap();
    installation.run(&["apply", folder.to_str().unwrap(), "--yes", "--by", "test"]);
    (installation, port)
}

fn webhook(hook: &Hook, path: &str) -> String {
    let url = format!("http://{}/{path}", hook.address);
    format!(
        "kind = \"webhook\"\nurl = {url:?}\nsecret_file = \"secret\"\ninsecure_http = true\nprivate_addresses = true"
    )
}

async fn number(installation: &Installation, sql: &'static str) -> i64 {
    let mut connection = PgConnection::connect(&installation.database).await.unwrap();
    sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
}

/// Waits until a query gives a number.
async fn until(installation: &Installation, sql: &'static str, wanted: i64) {
    let deadline = tokio::time::Instant::now() + WITHIN;
    loop {
        let found = number(installation, sql).await;
        if found == wanted {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{sql}: {found} instead of {wanted}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

const DELIVERED: &str = "SELECT COUNT(*) FROM delivery WHERE state = 'delivered'";
const TO_HOOK: &str = "SELECT COUNT(*) FROM delivery WHERE state = 'delivered' AND receiver = 'hook'";

/// Everything applied once, and every message delivered with one id.
async fn check(installation: &Installation, hook: &Hook, versions: u32) {
    let changes = i64::from(PUPILS * versions);
    until(installation, TO_HOOK, changes).await;
    until(installation, DELIVERED, changes * 2).await;
    assert_eq!(number(installation, "SELECT COUNT(*) FROM child_case").await, i64::from(PUPILS));
    assert_eq!(number(installation, "SELECT SUM(version)::bigint FROM alert").await, changes);
    assert_eq!(number(installation, "SELECT COUNT(*) FROM delivery").await, changes * 2, "none twice");
    let mut ids: BTreeMap<(String, u64), BTreeSet<String>> = BTreeMap::new();
    for got in hook.got("hook") {
        assert!(got.is_signed(), "signed by the key");
        let data = &got.body()["data"];
        let about = (data["reference"].as_str().unwrap().to_owned(), data["version"].as_u64().unwrap());
        ids.entry(about).or_default().insert(got.id.clone());
    }
    assert_eq!(i64::try_from(ids.len()), Ok(changes), "every change was told");
    assert!(ids.values().all(|ids| ids.len() == 1), "a repetition has the same id");
    let files: Vec<_> = fs::read_dir(installation.folder.path().join("messages")).unwrap().flatten().collect();
    let whole = files.iter().filter(|file| file.path().extension().is_some_and(|ending| ending == "txt"));
    assert_eq!(i64::try_from(whole.count()), Ok(changes), "a file a message");
    let mut sent: Vec<String> = hook.got("hook").into_iter().map(|got| got.text).collect();
    sent.extend(files.iter().map(|file| fs::read_to_string(file.path()).unwrap()));
    for pupil in 0..PUPILS {
        let (text, packed) = (upn(pupil).text(), upn(pupil).number().to_string());
        assert!(sent.iter().all(|sent| !sent.contains(&text) && !sent.contains(&packed)), "no UPN leaves");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_anywhere_each_change_is_applied_once_and_delivered_with_one_id() {
    let hook = Hook::start().await;
    let receivers = [("hook", webhook(&hook, "hook")), ("files", "kind = \"folder\"\npath = \"messages\"".to_owned())];
    let (installation, _) = installation(&receivers).await;
    let producer = Producer::new(&ProducerConfig::new(installation.connection())).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let points = [
        "notifier.intake.after_poll:1",
        "notifier.intake.before_commit:1",
        "notifier.intake.after_commit:1",
        "notifier.deliver.before_send:3",
        "notifier.deliver.after_send:3",
    ];
    let mut version = 0;
    for point in points {
        version += 1;
        let mut process = installation.service("notifier", Some(point));
        send(&producer, version).await;
        let status = process.ended(WITHIN).await;
        assert!(status.is_some_and(|status| !status.success()), "it never passed {point}");
    }
    for _ in 0..3 {
        version += 1;
        let mut process = installation.service("notifier", None);
        send(&producer, version).await;
        // The dead member's session has to end before this one gets partitions: from just before that to well after.
        tokio::time::sleep(Duration::from_millis(rng.random_range(2_500..5_500))).await;
        process.kill();
    }
    let _process = installation.service("notifier", None);
    check(&installation, &hook, version).await;
}

/// A version of all pupils; some of it twice, and some of the one before again, as the relay of rules repeats.
async fn send(producer: &Producer, version: u32) {
    for partition in 0..2 {
        let mine = (0..PUPILS).filter(|pupil| pupil % 2 == partition);
        let changes: Vec<_> = mine.map(|pupil| change(pupil, version)).collect();
        for few in changes.chunks(7) {
            produce(producer, partition, few.to_vec()).await;
        }
        produce(producer, partition, changes[..5].to_vec()).await;
        let stale = (partition..PUPILS).step_by(2).map(|pupil| change(pupil, version.max(2) - 1));
        produce(producer, partition, stale.collect()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_hangs_fails_or_is_gone_delays_nobody_else() {
    let hook = Hook::start().await;
    let gone = support::free_port().unwrap();
    let nobody = format!(
        "kind = \"email\"\nhost = \"127.0.0.1\"\nport = {gone}\nsecurity = \"none\"\nfrom = \"a@e.example\"\nto = [\"b@e.example\"]"
    );
    let receivers = [
        ("hang", webhook(&hook, "hang")),
        ("broken", webhook(&hook, "broken")),
        ("gone", nobody),
        ("hook", webhook(&hook, "hook")),
        ("mute", format!("{}\ngive_up_after = \"2s\"", webhook(&hook, "hang"))),
    ];
    let (installation, _) = installation(&receivers).await;
    let producer = Producer::new(&ProducerConfig::new(installation.connection())).unwrap();
    let process = installation.service("notifier", None);
    send(&producer, 1).await;
    until(&installation, TO_HOOK, i64::from(PUPILS)).await;
    let slow = number(
        &installation,
        "SELECT CAST(MAX(ended_at - created_at) AS bigint) FROM delivery WHERE receiver = 'hook'",
    );
    assert!(slow.await < 5_000_000, "no message to the sound receiver waited for the others");
    let others = "SELECT COUNT(*) FROM delivery WHERE state = 'delivered' AND receiver <> 'hook'";
    assert_eq!(number(&installation, others).await, 0);
    let tried = "SELECT COUNT(DISTINCT receiver) FROM delivery WHERE attempts > 1 AND last_error IS NOT NULL";
    until(&installation, tried, 4).await;
    let given_up =
        "SELECT CAST(COUNT(*) > 0 AS integer)::bigint FROM delivery WHERE state = 'given_up' AND receiver = 'mute'";
    until(&installation, given_up, 1).await;
    assert!(installation.run(&["deliveries", "list"]).contains("\tmute\t"));
    assert!(installation.run(&["deliveries", "replay", "--receiver", "mute", "--by", "test"]).contains("tried anew"));
    hook.mend();
    until(&installation, "SELECT COUNT(*) FROM delivery WHERE state = 'delivered' AND receiver = 'broken'", 40).await;
    process.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gaps_wait_old_news_is_silent_erasure_is_whole_and_readers_see_their_locality() {
    let (installation, port) = installation(&[("files", "kind = \"folder\"\npath = \"messages\"".to_owned())]).await;
    let producer = Producer::new(&ProducerConfig::new(installation.connection())).unwrap();
    let mut process = installation.service("notifier", None);
    produce(&producer, 0, vec![change(0, 3), change(0, 2)]).await;
    until(&installation, "SELECT COUNT(*) FROM alert_gap", 2).await;
    assert_eq!(number(&installation, "SELECT COUNT(*) FROM child_case").await, 0);
    let old = v1::AlertChange { caused_by: change(2, 1).as_of - 60, ..change(2, 1) };
    produce(&producer, 0, vec![change(0, 1), old, change(4, 1)]).await;
    until(&installation, DELIVERED, 4).await;
    assert_eq!(number(&installation, "SELECT COUNT(*) FROM alert_gap").await, 0);
    assert_eq!(number(&installation, "SELECT COUNT(*) FROM child_case").await, 3, "what is old makes a case");
    let token = installation.run(&["token", "create", "--name", "North team", "--locality", "North", "--by", "test"]);
    let read = |path: &'static str| hook::get(port, path, token.trim().to_owned());
    let (status, body) = read("/v1/cases?state=open&level=persistent").await;
    assert_eq!((status, body["cases"].as_array().unwrap().len()), (200, 1), "{body}");
    assert!(!body.to_string().contains(&upn(4).text()));
    assert_eq!(read("/v1/cases").await.1["cases"].as_array().unwrap().len(), 2, "pupils 0 and 4 live in North");
    assert_eq!(number(&installation, "SELECT COUNT(*) FROM audit WHERE action = 'cases.read'").await, 2);
    assert_eq!(read("/v1/cases?locality=East").await.0, 403);
    assert_eq!(read("/v1/cases?level=grave").await.0, 400);
    assert_eq!(hook::get(port, "/v1/cases", "ebr_none".into()).await.0, 401);
    installation.run(&["token", "revoke", "1", "--by", "test"]);
    assert_eq!(read("/v1/cases").await.0, 401);
    let erased = v1::AlertChange { upn: upn(4).number(), change: v1::Change::Erased.into(), ..Default::default() };
    let ids = "SELECT COUNT(DISTINCT message_id) FROM delivery";
    produce(&producer, 0, vec![erased]).await;
    until(&installation, "SELECT COUNT(*) FROM child_case", 2).await;
    assert_eq!(number(&installation, ids).await, 3, "its deliveries went too");
    produce(&producer, 0, vec![change(4, 1)]).await;
    until(&installation, DELIVERED, 4).await;
    let files = fs::read_dir(installation.folder.path().join("messages")).unwrap().count();
    assert_eq!(files, 5, "after the erasure it is another message");
    process.terminate();
    assert!(process.ended(Duration::from_secs(10)).await.is_some_and(|status| status.success()), "SIGTERM drains");
}
