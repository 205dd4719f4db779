//! The rules service on real Kafka and PostgreSQL: whatever ends a process, wherever a partition goes, no mark is lost and
//! no alert change is lost, doubled or out of order.
#![expect(dead_code, reason = "the harness serves other tests too")]

mod harness;

use attendance::mark::Revision;
use attendance::{Code, Day, Half, SchoolYear, Session, Upn, Urn};
use harness::Installation;
use harness::checker::EVENTS;
use harness::registers::{Sending, Size, expected, produce, stream};
use proto::{Event, v1};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;
use store::{position, published};
use transport::{Outgoing, Producer, ProducerConfig};

const SIZE: Size = Size { pupils: 240, days: 25 };

fn producer(installation: &Installation) -> Producer {
    Producer::new(&ProducerConfig::new(installation.connection())).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_and_alerts_are_those_of_backtest() {
    let installation = Installation::start(4).await;
    let sendings = stream(1, SIZE);
    let process = installation.service("rules", None);
    let producer = producer(&installation);
    for part in sendings.chunks(7) {
        produce(&producer, 4, part).await;
    }
    let store = installation.store().await;
    installation.settled(&store).await;
    installation.check(&store, &expected(&installation.policy, &sendings)).await;
    process.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_under_load_nothing_is_lost_or_doubled() {
    let installation = Installation::start(4).await;
    let sendings = stream(2, SIZE);
    let producer = producer(&installation);
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut process = installation.service("rules", None);
    for part in sendings.chunks(sendings.len().div_ceil(4)) {
        for few in part.chunks(5) {
            produce(&producer, 4, few).await;
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..4_000))).await;
        process.kill();
        process = installation.service("rules", None);
    }
    let store = installation.store().await;
    installation.settled(&store).await;
    installation.check(&store, &expected(&installation.policy, &sendings)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aborted_at_every_named_point_nothing_is_lost_or_doubled() {
    let installation = Installation::start(2).await;
    let points = [
        "rules.batch.after_poll:2",
        "rules.batch.before_commit:2",
        "rules.commit.after_compare_and_set:2",
        "rules.commit.before_commit:2",
        "rules.commit.after_commit:2",
        // What the abort before left to be folded again is folded at once.
        "rules.restore.after_fold:1",
        "rules.relay.before_send:2",
        "rules.relay.after_send:2",
        "rules.checkpoint.in_chunk:2",
        "rules.checkpoint.after_chunk:5",
        "rules.checkpoint.after_pass:1",
        "rules.restore.after_load:2",
    ];
    let sendings = stream(3, SIZE);
    let producer = producer(&installation);
    let parts: Vec<_> = sendings.chunks(sendings.len().div_ceil(points.len() + 1)).collect();
    produce(&producer, 2, parts[0]).await;
    for (point, part) in points.iter().zip(&parts[1..]) {
        let mut process = installation.service("rules", Some(point));
        for few in part.chunks(5) {
            produce(&producer, 2, few).await;
        }
        let status = process.ended(Duration::from_mins(1)).await;
        assert!(status.is_some_and(|status| !status.success()), "it never passed {point}");
    }
    let _process = installation.service("rules", None);
    let store = installation.store().await;
    installation.settled(&store).await;
    installation.check(&store, &expected(&installation.policy, &sendings)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_and_a_rebalance_in_mid_stream_change_nothing() {
    let installation = Installation::start(4).await;
    let sendings = stream(4, SIZE);
    let producer = producer(&installation);
    let parts: Vec<_> = sendings.chunks(sendings.len().div_ceil(4)).collect();
    let mut first = installation.service("rules", None);
    let mut second = None;
    for (number, part) in parts.iter().enumerate() {
        for few in part.chunks(5) {
            produce(&producer, 4, few).await;
        }
        match number {
            0 => second = Some(installation.service("rules", None)),
            1 => first.kill(),
            2 => first = installation.service("rules", None),
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(1_500)).await;
    }
    let store = installation.store().await;
    installation.settled(&store).await;
    installation.check(&store, &expected(&installation.policy, &sendings)).await;
    drop(second);
    first.terminate();
    let status = first.ended(Duration::from_secs(10)).await;
    assert!(status.is_some_and(|status| status.success()), "a stop in order within 10 s: {status:?}");
}

/// I-4. The owner stands still with a batch in hand for longer than its session lasts; another takes the partition over
/// and works on; then the old owner wakes up and commits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_owner_that_wakes_up_commits_nothing() {
    let installation = Installation::start(1).await;
    let sendings = stream(8, SIZE);
    let producer = producer(&installation);
    // The first part is long enough to raise alerts: the batch in hand has effects.
    let (first, rest) = sendings.split_at(sendings.len() / 2);
    let parts: Vec<_> = rest.chunks(rest.len().div_ceil(5)).collect();
    let store = installation.store().await;
    let send = async |part: &[Sending]| {
        for few in part.chunks(5) {
            produce(&producer, 1, few).await;
        }
    };
    send(first).await;
    for (round, point) in
        ["rules.batch.before_commit:1:freeze", "rules.checkpoint.before_chunk:1:freeze"].iter().enumerate()
    {
        let mut old = installation.service("rules", Some(point));
        send(parts[round * 2]).await;
        old.frozen().await;
        let mut new = installation.service("rules", None);
        send(parts[round * 2 + 1]).await;
        installation.settled(&store).await;
        let before = position::read(&store, EVENTS, 0).await.unwrap().unwrap();
        // The new owner is gone: whoever moves the row now is the old one, awake again.
        new.kill();
        old.thaw();
        if round == 1 {
            send(parts[4]).await;
        }
        support::wait_until(Duration::from_mins(1), "the old owner to take over anew", async || {
            let now = position::read(&store, EVENTS, 0).await.map_err(|error| error.to_string())?.unwrap();
            if now.version > before.version { Ok(()) } else { Err(format!("{now:?}")) }
        })
        .await
        .unwrap();
        installation.settled(&store).await;
        old.kill();
    }
    installation.check(&store, &expected(&installation.policy, &sendings)).await;
}

/// I-6. Batches come between the chunks of a pass; the process ends as soon as the checkpoint has moved.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marks_that_come_during_a_pass_survive_a_crash_right_after_it() {
    let installation = Installation::start(1).await;
    let sendings = stream(11, Size { pupils: 240, days: 60 });
    let producer = producer(&installation);
    let mut left = sendings.iter();
    for point in ["rules.checkpoint.after_pass:3", "rules.checkpoint.after_pass:2", "rules.checkpoint.after_pass:3"] {
        let mut process = installation.service("rules", Some(point));
        let mut ended = None;
        while ended.is_none()
            && let Some(sending) = left.next()
        {
            produce(&producer, 1, std::slice::from_ref(sending)).await;
            ended = process.ended(Duration::from_millis(60)).await;
        }
        assert!(ended.is_some_and(|status| !status.success()), "it never passed {point} under load");
    }
    let process = installation.service("rules", None);
    for sending in left {
        produce(&producer, 1, std::slice::from_ref(sending)).await;
    }
    let store = installation.store().await;
    installation.settled(&store).await;
    installation.check(&store, &expected(&installation.policy, &sendings)).await;
    process.terminate();
}

/// Folding the same batch again changes nothing: every pupil that it names is judged all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_whose_commit_failed_is_judged_when_it_comes_again() {
    let installation = Installation::start(1).await;
    let sendings = stream(10, SIZE);
    let producer = producer(&installation);
    for few in sendings.chunks(5) {
        produce(&producer, 1, few).await;
    }
    // All of it is one batch, and that fails.
    let process = installation.service("rules", Some("rules.commit.refused:1:fail"));
    let store = installation.store().await;
    installation.settled(&store).await;
    installation.check(&store, &expected(&installation.policy, &sendings)).await;
    process.terminate();
}

/// Commits fail, or are not answered, again and again: a batch is folded anew, changes nothing, and its alerts are owed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_cuts_its_connections_costs_nothing_but_time() {
    let installation = Installation::start(2).await;
    let sendings = stream(9, SIZE);
    let process = installation.service("rules", None);
    let producer = producer(&installation);
    let database = sqlx::PgPool::connect(&installation.database).await.unwrap();
    // The server is shared: other tests' services are let alone.
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE application_name = 'earlybell rules' AND datname = current_database()";
    let mut cuts: i64 = 0;
    for few in sendings.chunks(2) {
        produce(&producer, 2, few).await;
        tokio::time::sleep(Duration::from_millis(40)).await;
        cuts += sqlx::query_scalar::<_, i64>(cut).fetch_one(&database).await.unwrap();
    }
    assert!(cuts > 20, "only {cuts} connections were cut");
    let store = installation.store().await;
    installation.settled(&store).await;
    installation.check(&store, &expected(&installation.policy, &sendings)).await;
    process.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_exported_records_are_backtests_and_a_new_policy_judges_anew() {
    let installation = Installation::start(2).await;
    let sendings = stream(5, SIZE);
    let process = installation.service("rules", None);
    let producer = producer(&installation);
    for part in sendings.chunks(9) {
        produce(&producer, 2, part).await;
    }
    let store = installation.store().await;
    installation.settled(&store).await;
    let folder = installation.folder.path().to_owned();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    fs::write(path("registers.csv"), to_csv(&sendings)).unwrap();
    let policy = path("");
    let (registers, records) = (path("registers.csv"), path("a.csv"));
    installation.run(&["backtest", "--registers", &registers, "--policy", &policy, "--records", &records]);
    installation.run(&["records", "export", "--year", "2025/26", "--out", &path("b.csv"), "--by", "checker"]);
    assert_eq!(fs::read_to_string(path("a.csv")).unwrap(), fs::read_to_string(path("b.csv")).unwrap());

    // Without any event, every pupil is judged by the new rules.
    let rules = "[[rule]]\nid = \"year-to-date\"\ntitle = \"A\"\nkind = \"rate\"\nwindow = \"year-to-date\"\nminimum = 10\n\
         levels = { persistent = \"20%\", severe = \"40%\" }\n";
    fs::write(path("rules.toml"), rules).unwrap();
    installation.forward(&store, &sendings).await;
    let sent = async || installation.sent().await.values().map(std::collections::BTreeMap::len).sum::<usize>();
    let before = sent().await;
    let told = installation.run(&["apply", &policy, "--yes", "--by", "checker"]);
    assert!(told.contains("rule year-to-date: changed") && told.contains("rule term: gone"), "{told}");
    let counted = foretold(&told);
    let in_force = policy::Policy::read(&policy::Files::load(&folder).unwrap()).unwrap().0;
    let expected = expected(&in_force, &sendings);
    let open = expected.values().map(|outcome| outcome.wanted.len()).sum::<usize>();
    support::wait_until(Duration::from_secs(30), "all to be judged by the new rules", async || {
        let mut found = 0;
        for part in 0..2 {
            let rows = published::load_partition(&store, part).await.map_err(|error| error.to_string())?;
            found += rows.iter().filter(|row| row.level > 0).count();
        }
        if found == open { Ok(()) } else { Err(format!("{found} open alerts instead of {open}")) }
    })
    .await
    .unwrap();
    installation.settled(&store).await;
    assert_eq!(sent().await - before, counted, "as many changes as were foretold");
    installation.check(&store, &expected).await;
    each_says_what_caused_it(&installation, counted).await;

    let (upn, _) = expected.iter().find(|(_, outcome)| !outcome.wanted.is_empty()).unwrap();
    let told = installation.run(&["explain", "--upn", &upn.text(), "--year", "2025/26", "--by", "checker"]);
    for part in ["told to the team: episode", "newest marks", "in 8 of 10 cases", "rule set 2", "chance to end at 10%"]
    {
        assert!(told.contains(part), "{part} in\n{told}");
    }
    let audit = store::audit::list(&store, 0, 100).await.unwrap();
    let acts: Vec<&str> = audit.iter().map(|entry| entry.act.action.as_str()).collect();
    assert_eq!(acts, ["policy.apply", "records.export", "policy.apply", "pupil.explain"]);
    process.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_new_rules_change_is_told_apart_from_marks_that_come_with_them() {
    let installation = Installation::start(1).await;
    let sendings = stream(11, Size { pupils: 3_000, days: 8 });
    let last = sendings.iter().map(|sending| sending.session).max().unwrap();
    let (earlier, news): (Vec<_>, Vec<_>) = sendings.iter().cloned().partition(|sending| sending.session < last);
    let process = installation.service("rules", None);
    let producer = producer(&installation);
    produce(&producer, 1, &earlier).await;
    let store = installation.store().await;
    installation.settled(&store).await;
    process.terminate();

    let rules = "[[rule]]\nid = \"year-to-date\"\ntitle = \"A\"\nkind = \"rate\"\nwindow = \"year-to-date\"\nminimum = 10\n\
         levels = { persistent = \"15%\", severe = \"40%\" }\n";
    fs::write(installation.folder.path().join("rules.toml"), rules).unwrap();
    let policy = installation.folder.path().to_str().unwrap().to_owned();
    installation.forward(&store, &sendings).await;
    let told = installation.run(&["apply", &policy, "--yes", "--by", "checker"]);
    let foretold = foretold(&told);
    assert!(foretold > 300, "{told}");
    // The marks come when the first step of many is committed.
    let process = installation.service("rules", Some("rules.commit.after_commit:1:freeze"));
    process.frozen().await;
    produce(&producer, 1, &news).await;
    process.thaw();
    installation.settled(&store).await;

    let in_force = policy::Policy::read(&policy::Files::load(installation.folder.path()).unwrap()).unwrap().0;
    installation.check(&store, &expected(&in_force, &sendings)).await;
    let sent = installation.sent().await;
    let by_new_rules = sent.values().flat_map(BTreeMap::values).filter(|change| change.rule_set == 2);
    let (by_rules, by_marks): (Vec<_>, Vec<_>) = by_new_rules.partition(|change| change.by_rule_set);
    assert_eq!(by_rules.len(), foretold, "as many changes as were foretold");
    assert!(!by_marks.is_empty() && by_marks.iter().all(|change| change.caused_by == last.number()), "{by_marks:?}");
    process.terminate();
}

/// How many changes `apply` says that the rules will make.
fn foretold(told: &str) -> usize {
    let counted = told.lines().find_map(|line| line.strip_prefix("alerts: ")).unwrap();
    counted.split(", ").map(|part| part.split(' ').next().unwrap().parse::<usize>().unwrap()).sum()
}

/// So many changes say that another rule set has caused them, the others name their register; each says who speaks and what is ahead.
async fn each_says_what_caused_it(installation: &Installation, by_rule_set: usize) {
    let all = installation.sent().await;
    let (by_rules, by_marks): (Vec<_>, Vec<_>) = all.values().flat_map(BTreeMap::values).partition(|c| c.by_rule_set);
    assert_eq!(by_rules.len(), by_rule_set);
    assert!(by_rules.iter().all(|change| change.register_id.is_empty() && change.rule_set == 2));
    // What has stood too long may come by time alone.
    let by_register = |change: &&v1::AlertChange| !change.register_id.is_empty() || change.rule == "unresolved";
    assert!(by_marks.iter().all(|change| by_register(change) && change.rule_set == 1));
    for evidence in by_marks.iter().map(|change| change.evidence.as_ref().unwrap()) {
        assert!(!evidence.rules.is_empty(), "{evidence:?}");
        let missed = evidence.foreseen.unwrap().missed.unwrap();
        assert!(missed.low <= missed.high && missed.value >= 0.0, "{missed:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_pupil_leaves_nothing_and_begins_anew() {
    let installation = Installation::start(1).await;
    let sendings = stream(6, SIZE);
    let expected = expected(&installation.policy, &sendings);
    let (upn, _) = expected.iter().find(|(_, outcome)| !outcome.wanted.is_empty()).unwrap();
    let mut process = installation.service("rules", None);
    let producer = producer(&installation);
    for part in sendings.chunks(20) {
        produce(&producer, 1, part).await;
    }
    send(&producer, &[Event::Erasure(*upn)]).await;
    let store = installation.store().await;
    installation.settled(&store).await;
    let number = i64::try_from(upn.number()).unwrap();
    assert_eq!(store::record::load(&store, number, 2025).await.unwrap(), None);
    assert_eq!(published::load(&store, number).await.unwrap(), []);
    // A new owner folds the same events again and does not bring the pupil back.
    process.kill();
    process = installation.service("rules", None);
    for part in sendings.chunks(20) {
        produce(&producer, 1, part).await;
    }
    installation.settled(&store).await;
    let raised = published::load(&store, number).await.unwrap();
    assert!(!raised.is_empty() && raised.iter().all(|row| row.episode == 1), "alerts begin anew: {raised:?}");
    drop(process);
}

/// Three children without a reason on days that follow each other, of whom no further mark comes. Each is told of on the sixth school day
/// after, by the calendar alone: by whoever marked them, by whoever took over in between, and never once the reason is known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_stood_too_long_is_told_though_no_mark_comes() {
    let installation = Installation::start(1).await;
    let mut process = installation.service("rules", None);
    let (producer, store) = (producer(&installation), installation.store().await);
    let upn = |number: u32| Upn::parse(&format!("A900001{number:06}")).unwrap();
    let mark = async |number: u32, day: &str, code, later| {
        let session = Session::new(Day::parse(day).unwrap(), Half::Am);
        let revised_at = session.begins().plus_micros(later);
        let marks = vec![(upn(number), Revision { revised_at, code, minutes_late: None })];
        produce(&producer, 1, &[Sending { school: Urn::new(900_001).unwrap(), session, marks }]).await;
        installation.settled(&store).await;
    };
    for (number, day) in [(1, "2025-09-02"), (2, "2025-09-03"), (3, "2025-09-03")] {
        mark(number, day, Code::N, 1).await;
    }
    mark(3, "2025-09-03", Code::I, 2).await;
    let owed = async || -> Vec<(u32, i32)> {
        let rows = published::load_partition(&store, 0).await.unwrap();
        let open = rows.into_iter().filter(|row| row.rule == "unresolved" && row.level > 0);
        let number = |row: i64| (1..=3).find(|number| upn(*number).number() == u64::try_from(row).unwrap());
        open.map(|row| (number(row.upn).unwrap(), row.since)).collect()
    };
    let morning = |day: &str| Session::new(Day::parse(day).unwrap(), Half::Am);
    let comes = async |day: &str, wanted: &[(u32, i32)]| {
        installation.comes(&store, morning(day)).await;
        support::wait_until(Duration::from_secs(30), day, async || match owed().await {
            found if found == wanted => Ok(()),
            found => Err(format!("{found:?}")),
        })
        .await
        .unwrap();
    };
    let (first, second) = ((1, morning("2025-09-10").number()), (2, morning("2025-09-11").number()));
    comes("2025-09-10", &[first]).await;
    // Whoever takes over knows from the stored row that the second child is due.
    installation.settled(&store).await;
    process.kill();
    process = installation.service("rules", None);
    comes("2025-09-11", &[first, second]).await;
    for (alert, versions) in installation.sent().await {
        let change = versions.values().next().unwrap();
        assert_eq!((versions.len(), change.register_id.len()), (1, 0), "{alert:?}: {versions:?}");
        assert!(change.sentence.starts_with("1 session is still marked N"), "{}", change.sentence);
    }
    // A late reason settles it, and is told as that.
    mark(1, "2025-09-02", Code::I, 3).await;
    comes("2025-09-12", &[second]).await;
    process.terminate();
}

/// Two children without a reason; that of one came on the last day, while nobody worked: whoever begins on the day after reads first what
/// was written, and then looks at the calendar, which tells of the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_settled_by_marks_on_their_way_is_not_told() {
    let installation = Installation::start(1).await;
    let process = installation.service("rules", None);
    let (producer, store) = (producer(&installation), installation.store().await);
    let session = Session::new(Day::parse("2025-09-02").unwrap(), Half::Am);
    let [one, other] = ["A900001000001", "A900001000002"].map(|upn| Upn::parse(upn).unwrap());
    let mark = async |upns: &[Upn], code, later| {
        let revision = Revision { revised_at: session.begins().plus_micros(later), code, minutes_late: None };
        let marks = upns.iter().map(|upn| (*upn, revision)).collect();
        produce(&producer, 1, &[Sending { school: Urn::new(900_001).unwrap(), session, marks }]).await;
    };
    mark(&[one, other], Code::N, 1).await;
    installation.settled(&store).await;
    process.terminate();
    drop(process);
    mark(&[one], Code::I, 2).await;
    installation.comes(&store, Session::from_number(session.number() + 40)).await;
    let process = installation.service("rules", None);
    support::wait_until(Duration::from_secs(30), "the other to be told of", async || {
        if installation.sent().await.is_empty() { Err("nobody is".to_owned()) } else { Ok(()) }
    })
    .await
    .unwrap();
    installation.settled(&store).await;
    let told: Vec<u64> =
        installation.sent().await.values().flat_map(BTreeMap::values).map(|change| change.upn).collect();
    assert_eq!(told, [other.number()]);
    process.terminate();
}

async fn send(producer: &Producer, events: &[Event]) {
    let message =
        Outgoing { partition: Some(0), ..Outgoing::keyed("attendance.events.v1", Vec::new(), Event::to_slice(events)) };
    producer.send_all(vec![message]).await.unwrap();
}

/// The sendings as a file of registers.
fn to_csv(sendings: &[Sending]) -> String {
    let mut text = "school_urn,date,session,upn,code,revised_at\n".to_owned();
    for sending in sendings {
        let (day, half) = (sending.session.day(), sending.session.half().text());
        for (upn, revision) in &sending.marks {
            let (upn, code, at) = (upn.text(), revision.code, revision.revised_at);
            text += &format!("{},{day},{half},{upn},{code},{at}\n", sending.school);
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_school_year_its_alerts_end_and_a_late_mark_raises_none_for_it() {
    let installation = Installation::start(1).await;
    let process = installation.service("rules", None);
    let producer = producer(&installation);
    let (one, other) = (Upn::parse("A900001000001").unwrap(), Upn::parse("A900001000002").unwrap());
    let marks = |first: &str, codes: [Code; 2], later: i64| -> Vec<Sending> {
        let first = Session::new(Day::parse(first).unwrap(), Half::Am).number();
        let sending = |number| {
            let session = Session::from_number(first + number);
            let revised_at = session.begins().plus_micros(later);
            let mark = |upn, code| (upn, Revision { revised_at, code, minutes_late: None });
            let marks = vec![mark(one, codes[0]), mark(other, codes[1])];
            Sending { school: Urn::new(900_001).unwrap(), session, marks }
        };
        (0..30).map(sending).collect()
    };
    let store = installation.store().await;
    let open = async |upn: Upn| -> Vec<(i16, String)> {
        let rows = published::load(&store, i64::try_from(upn.number()).unwrap()).await.unwrap();
        rows.into_iter().filter(|row| row.level > 0).map(|row| (row.school_year, row.rule)).collect()
    };
    produce(&producer, 1, &marks("2025-06-02", [Code::O, Code::Present], 1)).await;
    installation.settled(&store).await;
    assert!(open(one).await.contains(&(2024, "year-to-date".to_owned())), "raised while the year lasted");

    produce(&producer, 1, &marks("2025-09-01", [Code::Present, Code::Present], 1)).await;
    support::wait_until(Duration::from_secs(30), "the year's alerts to end", async || {
        let open = open(one).await;
        if open.is_empty() { Ok(()) } else { Err(format!("{open:?}")) }
    })
    .await
    .unwrap();
    installation.settled(&store).await;
    let last = |sent: &BTreeMap<Vec<u8>, BTreeMap<u32, v1::AlertChange>>| -> BTreeSet<v1::Change> {
        sent.values().map(|versions| versions.values().next_back().unwrap().change()).collect()
    };
    let sent = installation.sent().await;
    assert_eq!(last(&sent), BTreeSet::from([v1::Change::YearEnded]), "each once, by its own change");
    // In October it turns out that the two had been taken for each other.
    produce(&producer, 1, &marks("2025-06-02", [Code::Present, Code::O], 10_000_000_000_000)).await;
    installation.settled(&store).await;
    assert_eq!(open(one).await, [], "what has ended stays so");
    assert_eq!(installation.sent().await, sent, "and is not told anew");
    assert_eq!(open(other).await, [], "nothing is raised for a year that is over");
    let record = store::record::load(&store, i64::try_from(other.number()).unwrap(), 2024).await.unwrap().unwrap();
    let counts = proto::year_from_bytes(SchoolYear::beginning(2024), &record.body).unwrap().counts();
    assert_eq!((counts.possible, counts.unauthorised), (30, 30), "but the figures are right");
    process.terminate();
}
