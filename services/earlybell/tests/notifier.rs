//! The notifier on real Kafka and PostgreSQL: each change is applied to its case exactly once and delivered at least once
//! with one id, whatever ends the process and whatever one receiver does; no UPN leaves.
#![expect(dead_code, reason = "the harness serves other tests too")]

mod harness;
mod hook;
#[path = "harness/metrics.rs"]
mod metrics;
#[path = "harness/notifying.rs"]
mod notifying;

use harness::{Installation, Process};
use hook::Hook;
use notifying::{WITHIN, change, produce, upn};
use proto::v1;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sqlx::{Connection, PgConnection};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;
use transport::Producer;

const PUPILS: u32 = 40;

/// Changes in messages that arrived.
const DELIVERED: &str = "SELECT COUNT(*) FROM told JOIN delivery USING (message_id) WHERE state = 'delivered'";
const TO_HOOK: &str =
    "SELECT COUNT(*) FROM told JOIN delivery USING (message_id) WHERE state = 'delivered' AND told.receiver = 'hook'";
const APPLIED: &str = "earlybell_notifier_changes_total{result=\"applied\"}";
const SENT: &str = "earlybell_notifier_deliveries_total{outcome=\"delivered\",receiver=\"hook\"}";

/// Everything applied once, and every message delivered to the hook with one id.
async fn check(installation: &Installation, hook: &Hook, versions: u32) {
    let changes = i64::from(PUPILS * versions);
    installation.until(TO_HOOK, changes).await;
    assert_eq!(installation.number("SELECT COUNT(*) FROM child_case").await, i64::from(PUPILS));
    assert_eq!(installation.number("SELECT SUM(version)::bigint FROM alert").await, changes);
    let rows = "SELECT COUNT(*) FROM told WHERE receiver = 'hook'";
    assert_eq!(installation.number(rows).await, changes, "none twice");
    let mut ids: BTreeMap<(String, u64), BTreeSet<String>> = BTreeMap::new();
    for got in hook.got("hook") {
        assert!(got.is_signed(), "signed by the key");
        let data = &got.body()["data"];
        let [said] = &data["changes"].as_array().unwrap()[..] else { panic!("one alert a pupil: {data}") };
        let about = (data["reference"].as_str().unwrap().to_owned(), said["version"].as_u64().unwrap());
        ids.entry(about).or_default().insert(got.id.clone());
    }
    assert!(ids.values().all(|ids| ids.len() == 1), "a repetition has the same id");
    let last: BTreeMap<&str, u64> = ids.keys().map(|(reference, version)| (reference.as_str(), *version)).collect();
    assert_eq!(u32::try_from(last.len()), Ok(PUPILS), "every case was told");
    assert!(last.values().all(|last| *last == u64::from(versions)), "up to its last change");
    // Versions that came in one batch are one message; what they tell is its rows.
    let messages = installation.number("SELECT COUNT(*) FROM delivery WHERE receiver = 'hook'").await;
    assert_eq!(i64::try_from(ids.len()), Ok(messages), "every message arrived");
}

/// And to the folder; no UPN in any.
async fn check_files(installation: &Installation, hook: &Hook, versions: u32) {
    let changes = i64::from(PUPILS * versions);
    installation.until(DELIVERED, changes * 2).await;
    assert_eq!(installation.number("SELECT COUNT(*) FROM told").await, changes * 2, "none twice");
    let messages = installation.number("SELECT COUNT(*) FROM delivery WHERE receiver = 'files'").await;
    let files: Vec<_> = fs::read_dir(installation.folder.path().join("messages")).unwrap().flatten().collect();
    let whole = files.iter().filter(|file| file.path().extension().is_some_and(|ending| ending == "txt"));
    assert_eq!(i64::try_from(whole.count()), Ok(messages), "a file a message");
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
    let receivers =
        [("hook", hook.receiver("hook", "")), ("files", "kind = \"folder\"\npath = \"messages\"".to_owned())];
    let (installation, _) = Installation::notifying(&receivers).await;
    let producer = installation.producer();
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
    check_files(&installation, &hook, version).await;
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
        // Its first attempts outlive the test: whoever waited for one of them would never get a message.
        ("hang", hook.receiver("hang-on", "attempt_timeout = \"10m\"")),
        ("broken", hook.receiver("broken", "")),
        ("gone", nobody),
        ("hook", hook.receiver("hook", "")),
        ("mute", hook.receiver("hang", "give_up_after = \"2s\"")),
    ];
    let (installation, _) = Installation::notifying(&receivers).await;
    let producer = installation.producer();
    let _process = installation.service("notifier", None);
    for version in [1, 2] {
        send(&producer, version).await;
        installation.until(TO_HOOK, i64::from(PUPILS * version)).await;
        let under_way = "SELECT COUNT(*) FROM delivery WHERE receiver = 'hang' AND state = 'sending' AND attempts = 1";
        let look = async || match (installation.number(under_way).await, hook.hanging("hang-on")) {
            (4, 4) => Ok(()),
            other => Err(format!("{other:?}")),
        };
        support::wait_until(WITHIN, "all four workers of the one that hangs to wait for it", look).await.unwrap();
    }
    let untouched = "SELECT COUNT(*) FROM delivery WHERE receiver = 'hang' AND state = 'waiting' AND attempts = 0";
    assert_eq!(installation.number(untouched).await, i64::from(PUPILS) * 2 - 4);
    let others = "SELECT COUNT(*) FROM delivery WHERE state = 'delivered' AND receiver <> 'hook'";
    assert_eq!(installation.number(others).await, 0, "the sound receiver had all before any other had one");
    let tried = "SELECT COUNT(DISTINCT receiver) FROM delivery WHERE attempts > 1 AND last_error IS NOT NULL";
    installation.until(tried, 3).await;
    let given_up =
        "SELECT CAST(COUNT(*) > 0 AS integer)::bigint FROM delivery WHERE state = 'given_up' AND receiver = 'mute'";
    installation.until(given_up, 1).await;
    assert!(installation.run(&["deliveries", "list"]).contains("\tmute\t"));
    assert!(installation.run(&["deliveries", "replay", "--receiver", "mute", "--by", "test"]).contains("tried anew"));
    hook.mend();
    let mended = "SELECT COUNT(*) FROM delivery WHERE state = 'delivered' AND receiver = 'broken'";
    installation.until(mended, i64::from(PUPILS) * 2).await;
    assert_eq!(hook.hanging("hang-on"), 4);
}

/// Those of a process, at its operators' port.
fn counted(port: u16, name: &str) -> u64 {
    metrics::scrape(port).get(name).copied().unwrap_or_default()
}

/// A second notifier beside the first: ports of its own.
fn notifier(installation: &Installation, admin: u16, fault: Option<&str>) -> Process {
    let mut command = installation.earlybell(&["notifier"]);
    command.env("EARLYBELL__NOTIFIER__LISTEN", "127.0.0.1:0");
    command.env("EARLYBELL__ADMIN__NOTIFIER", format!("127.0.0.1:{admin}"));
    if let Some(fault) = fault {
        command.env("EARLYBELL_FAULT", fault);
    }
    Process::spawn(&mut command)
}

/// The ids of messages of which an attempt began and no success of it was written down.
async fn unclear(installation: &Installation) -> BTreeSet<String> {
    let sql = "SELECT DISTINCT d.message_id FROM attempt a JOIN delivery d ON d.id = a.delivery_id \
               WHERE d.receiver = 'hook' AND (a.ended_at IS NULL OR a.error IS NOT NULL)";
    let mut connection = PgConnection::connect(&installation.database).await.unwrap();
    sqlx::query_scalar::<_, String>(sql).fetch_all(&mut connection).await.unwrap().into_iter().collect()
}

/// The ids that the hook got more than once.
fn repeated(hook: &Hook) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    hook.got("hook").into_iter().filter(|got| !seen.insert(got.id.clone())).map(|got| got.id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_send_nothing_twice_but_what_one_died_over() {
    let hook = Hook::start().await;
    let (installation, _) = Installation::notifying(&[("hook", hook.receiver("hook", ""))]).await;
    let producer = installation.producer();
    let ports = [support::free_port().unwrap(), support::free_port().unwrap()];
    let [mut first, mut second] = ports.map(|port| notifier(&installation, port, None));
    let mut version = 0;
    // Until both take changes in and both send: the second gets its partition after a while.
    while ports.iter().any(|port| counted(*port, APPLIED) == 0 || counted(*port, SENT) == 0) {
        version += 1;
        assert!(version <= 40, "one of them does nothing");
        send(&producer, version).await;
        installation.until(TO_HOOK, i64::from(PUPILS * version)).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    check(&installation, &hook, version).await;
    let (twice, torn) = (repeated(&hook), unclear(&installation).await);
    assert!(twice.is_subset(&torn), "nobody died: {twice:?} of {torn:?}");

    // One dies by itself between a message's arrival and its writing down, while the other goes on.
    second.terminate();
    assert!(second.ended(WITHIN).await.is_some_and(|status| status.success()));
    let mut second = notifier(&installation, ports[1], Some("notifier.deliver.after_send:5"));
    while second.ended(Duration::from_millis(500)).await.is_none() {
        version += 1;
        assert!(version <= 40, "it never passed the point");
        send(&producer, version).await;
    }
    check(&installation, &hook, version).await;
    let (twice, torn) = (repeated(&hook), unclear(&installation).await);
    assert!(!twice.is_empty() && twice.is_subset(&torn), "{twice:?} of {torn:?}");

    // And one is killed in mid-stream, then started again.
    let mut second = notifier(&installation, ports[1], None);
    for killed in [&mut first, &mut second] {
        let before = installation.number(TO_HOOK).await;
        version += 1;
        send(&producer, version).await;
        support::wait_until(WITHIN, "a few to arrive", async || match installation.number(TO_HOOK).await {
            now if now > before => Ok(()),
            now => Err(now.to_string()),
        })
        .await
        .unwrap();
        killed.kill();
        *killed = notifier(&installation, support::free_port().unwrap(), None);
    }
    check(&installation, &hook, version).await;
    let (twice, torn) = (repeated(&hook), unclear(&installation).await);
    assert!(twice.is_subset(&torn), "{twice:?} of {torn:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gaps_wait_old_news_is_silent_erasure_is_whole_and_readers_see_their_locality() {
    let (installation, port) =
        Installation::notifying(&[("files", "kind = \"folder\"\npath = \"messages\"".to_owned())]).await;
    let producer = installation.producer();
    let mut process = installation.service("notifier", None);
    produce(&producer, 0, vec![change(0, 3), change(0, 2)]).await;
    installation.until("SELECT COUNT(*) FROM alert_gap", 2).await;
    assert_eq!(installation.number("SELECT COUNT(*) FROM child_case").await, 0);
    let old = v1::AlertChange { caused_by: change(2, 1).as_of - 60, ..change(2, 1) };
    let by_rules = v1::AlertChange { by_rule_set: true, caused_by: 0, ..change(7, 1) };
    produce(&producer, 0, vec![change(0, 1), old, by_rules, change(4, 1)]).await;
    installation.until(DELIVERED, 4).await;
    assert_eq!(installation.number("SELECT COUNT(*) FROM alert_gap").await, 0);
    let cases = installation.number("SELECT COUNT(*) FROM child_case").await;
    assert_eq!(cases, 4, "what is old or comes of other rules makes a case, and no message");
    let token = installation.run(&["token", "create", "--name", "North team", "--locality", "North", "--by", "test"]);
    let read = |path: &'static str| hook::get(port, path, token.trim().to_owned());
    let (status, body) = read("/v1/cases?state=open&level=persistent").await;
    assert_eq!((status, body["cases"].as_array().unwrap().len()), (200, 1), "{body}");
    assert!(!body.to_string().contains(&upn(4).text()));
    assert_eq!(read("/v1/cases").await.1["cases"].as_array().unwrap().len(), 2, "pupils 0 and 4 live in North");
    assert_eq!(installation.number("SELECT COUNT(*) FROM audit WHERE action = 'cases.read'").await, 2);
    assert_eq!(read("/v1/cases?locality=East").await.0, 403);
    assert_eq!(read("/v1/cases?level=grave").await.0, 400);
    let (status, told) = read("/v1/cases?page=2").await;
    assert!(status == 400 && told["detail"].as_str().unwrap().contains("it may have locality, level"), "{told}");
    let (status, described) = read("/openapi.json").await;
    assert!(status == 200 && described["paths"]["/v1/cases"]["get"].is_object());
    let case = &read("/v1/cases").await.1["cases"][0];
    let known = &described["components"]["schemas"]["Case"]["properties"];
    let fields = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(fields(case), fields(known), "the description names every field");
    let known = &described["components"]["schemas"]["Alert"]["properties"];
    assert_eq!(fields(&case["alerts"][0]), fields(known));
    assert_eq!(hook::get(port, "/v1/cases", "ebr_none".into()).await.0, 401);
    installation.run(&["token", "revoke", "1", "--by", "test"]);
    assert_eq!(read("/v1/cases").await.0, 401);
    let erased = v1::AlertChange { upn: upn(4).number(), change: v1::Change::Erased.into(), ..Default::default() };
    let ids = "SELECT COUNT(DISTINCT message_id) FROM delivery";
    produce(&producer, 0, vec![erased]).await;
    installation.until("SELECT COUNT(*) FROM child_case", 3).await;
    assert_eq!(installation.number(ids).await, 1, "its deliveries went too");
    produce(&producer, 0, vec![change(4, 1)]).await;
    installation.until(DELIVERED, 4).await;
    let files = fs::read_dir(installation.folder.path().join("messages")).unwrap().count();
    assert_eq!(files, 3, "three changes of one alert are one message; after the erasure it is another one");
    process.terminate();
    assert!(process.ended(Duration::from_secs(10)).await.is_some_and(|status| status.success()), "SIGTERM drains");
}

/// As if the hour were over for what is gathered.
async fn the_hour_passes(installation: &Installation) {
    let mut connection = PgConnection::connect(&installation.database).await.unwrap();
    let passed = "UPDATE delivery SET next_at = 1 WHERE state = 'gathered'";
    sqlx::query(passed).execute(&mut connection).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_child_is_one_message_and_a_storm_is_one_for_all() {
    let hook = Hook::start().await;
    let (installation, _) = Installation::notifying_up_to(4, &[("hook", hook.receiver("hook", ""))]).await;
    let producer = installation.producer();
    let _process = installation.service("notifier", None);
    let other_rule = v1::AlertChange {
        alert_id: vec![9; 16],
        rule: "term-rate".into(),
        level: 3,
        sentence: "The graver one.".into(),
        ..change(0, 1)
    };
    let changes = [change(0, 1), other_rule].into_iter().chain((1..9).map(|pupil| change(pupil, 1)));
    produce(&producer, 0, changes.collect()).await;
    installation.until(TO_HOOK, 4).await;
    let got = hook.got("hook");
    assert_eq!(got.len(), 3, "two changes of one child are one message");
    let two = got.iter().map(hook::Got::body).find(|body| body["data"]["changes"].as_array().unwrap().len() == 2);
    let two = two.expect("a message of two changes");
    assert_eq!(
        (&two["type"], &two["data"]["changes"][0]["sentence"]),
        (&"alert.raised".into(), &"The graver one.".into())
    );
    let gathered = "SELECT COUNT(*) FROM delivery WHERE state = 'gathered'";
    installation.until(gathered, 6).await;

    // What a storm gathers of a child that is erased, before or after it was put into one message, is not told.
    let erased =
        |pupil| v1::AlertChange { upn: upn(pupil).number(), change: v1::Change::Erased.into(), ..Default::default() };
    produce(&producer, 0, vec![change(8, 2), erased(7)]).await;
    installation.until(gathered, 6).await;
    installation.until("SELECT COUNT(*) FROM child_case", 8).await;
    the_hour_passes(&installation).await;
    let digests = || hook.got("hook").into_iter().filter(|got| got.body()["type"] == "alerts.gathered");
    support::wait_until(WITHIN, "the one message", async || match digests().count() {
        1 => Ok(()),
        count => Err(count.to_string()),
    })
    .await
    .unwrap();
    installation.until(TO_HOOK, 10).await;
    let digest = digests().next().unwrap().body();
    let cases = digest["data"]["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 5, "pupils 3 to 6 and 8: {digest}");
    assert_eq!(cases[0]["changes"][0]["version"], 2, "the newest of each alert, the gravest first: {digest}");
    assert_eq!(hook.got("hook").len(), 4);
    produce(&producer, 0, vec![erased(8)]).await;
    installation.until("SELECT COUNT(*) FROM child_case", 7).await;
    let reference = cases[0]["reference"].as_str().unwrap();
    let mut connection = PgConnection::connect(&installation.database).await.unwrap();
    let left = "SELECT COUNT(*) FROM delivery WHERE position($1 in body) > 0";
    let left: i64 = sqlx::query_scalar(left).bind(reference).fetch_one(&mut connection).await.unwrap();
    assert_eq!(left, 0, "the message that was sent keeps nothing of it");
    assert_eq!(installation.number("SELECT COUNT(*) FROM delivery WHERE case_id IS NULL").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn above_a_days_budget_the_rest_is_one_message_ranked_and_severe_absence_does_not_wait() {
    let hook = Hook::start().await;
    let (installation, _) = Installation::notifying(&[("hook", hook.receiver("hook", ""))]).await;
    let path = installation.folder.path().join("authority.toml");
    let text = fs::read_to_string(&path).unwrap().replace("storm = 0", "storm = 0\nbudget = 1");
    fs::write(&path, text).unwrap();
    installation.run(&["apply", installation.folder.path().to_str().unwrap(), "--yes", "--by", "test"]);
    let producer = installation.producer();
    let _process = installation.service("notifier", None);
    let expected = |pupil, missed: f64| {
        let range = v1::Range { value: missed, low: missed, high: missed };
        let foreseen = v1::Foreseen { missed: Some(range), ..Default::default() };
        let change = change(pupil, 1);
        let evidence = v1::Evidence { foreseen: Some(foreseen), ..change.evidence.unwrap() };
        v1::AlertChange { evidence: Some(evidence), ..change }
    };
    let severe = |pupil| v1::AlertChange { level: 3, ..change(pupil, 1) };
    produce(&producer, 0, vec![expected(0, 10.0), severe(1), expected(2, 64.0), severe(3)]).await;
    let gathered = "SELECT COUNT(*) FROM delivery WHERE state = 'gathered'";
    installation.until(gathered, 2).await;
    installation.until(TO_HOOK, 2).await;
    let at_once = hook.got("hook");
    let level = |got: &hook::Got| got.body()["data"]["changes"][0]["level"].clone();
    assert!(at_once.iter().all(|got| level(got) == "severe absence"));
    let half_past = "SELECT COUNT(*) FROM delivery WHERE state = 'gathered' AND next_at % 3600000000 = 1800000000";
    assert_eq!(installation.number(half_past).await, 2, "until half past four");
    the_hour_passes(&installation).await;
    installation.until(gathered, 0).await;
    installation.until(TO_HOOK, 4).await;
    let digest = hook.got("hook").iter().map(hook::Got::body).find(|body| body["type"] == "alerts.gathered").unwrap();
    let cases = digest["data"]["cases"].as_array().unwrap();
    let missed: Vec<_> = cases.iter().map(|case| case["changes"][0]["expected_missed"].as_u64().unwrap()).collect();
    assert_eq!((missed, &digest["data"]["within"]), (vec![64, 10], &"a day".into()));
}
