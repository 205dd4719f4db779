//! Pupils that are held on real Kafka and PostgreSQL: one bad thing stops one pupil, and a replay folds what was held back.
#![expect(dead_code, reason = "the harness serves other tests too")]

mod harness;

use attendance::mark::Revision;
use attendance::{Code, Day, Half, Session, Upn, Urn};
use harness::checker::EVENTS;
use harness::registers::{Size, expected, produce, stream};
use harness::{Installation, Process};
use proto::{Event, MarksPart, Origin};
use std::time::Duration;
use store::record::RecordRow;
use store::{dead_letter, published};
use transport::{Outgoing, Producer, ProducerConfig};

const SIZE: Size = Size { pupils: 240, days: 25 };

fn producer(installation: &Installation) -> Producer {
    Producer::new(&ProducerConfig::new(installation.connection())).unwrap()
}

async fn send(producer: &Producer, events: &[Event]) {
    let message =
        Outgoing { partition: Some(0), ..Outgoing::keyed("attendance.events.v1", Vec::new(), Event::to_slice(events)) };
    producer.send_all(vec![message]).await.unwrap();
}

/// One bad thing stops one thing: the pupil whose judging panics is passed over, the others go on, and a replay folds
/// what was held back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_judge_that_panics_for_one_pupil_holds_that_pupil_until_a_replay() {
    let installation = Installation::start(1).await;
    let sendings = stream(12, SIZE);
    let producer = producer(&installation);
    let (before, after) = sendings.split_at(sendings.len() / 2);
    produce(&producer, 1, before).await;
    let mut process = installation.service("rules", Some("rules.judge.panic:7:fail"));
    let store = installation.store().await;
    installation.settled(&store).await;
    for few in after.chunks(5) {
        produce(&producer, 1, few).await;
    }
    installation.settled(&store).await;
    let held = store::held::list(&store, 0).await.unwrap();
    assert_eq!(held.len(), 1, "{held:?}");
    let expected = expected(&installation.policy, &sendings);
    let open = published::load_partition(&store, 0).await.unwrap().iter().filter(|row| row.level > 0).count();
    assert!(open > 0 && open + 10 > expected.values().map(|o| o.wanted.len()).sum::<usize>(), "the others go on");
    process.kill();
    process = installation.service("rules", None);
    installation.run(&["dead-letters", "replay", "--reason", "held"]);
    installation.settled(&store).await;
    assert_eq!(store::held::list(&store, 0).await.unwrap(), []);
    installation.check(&store, &expected).await;
    process.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_row_that_does_not_decode_holds_its_pupil_and_no_other() {
    let installation = Installation::start(1).await;
    let sendings = stream(7, SIZE);
    let (before, after) = sendings.split_at(sendings.len() / 2);
    let mut process = installation.service("rules", None);
    let producer = producer(&installation);
    produce(&producer, 1, before).await;
    let store = installation.store().await;
    installation.settled(&store).await;
    process.kill();
    let expected = expected(&installation.policy, &sendings);
    let upn = *expected.keys().next().unwrap();
    let number = number(upn);
    let sound = store::record::load(&store, number, 2025).await.unwrap().unwrap();
    put(&store, RecordRow { body: b"broken".to_vec(), ..sound.clone() }).await;

    process = installation.service("rules", None);
    produce(&producer, 1, after).await;
    installation.settled(&store).await;
    let held = store::held::list(&store, 0).await.unwrap();
    assert_eq!(held.iter().map(|row| row.upn).collect::<Vec<_>>(), [number]);
    let filter = dead_letter::Filter { reason: Some("held"), urn: None, state: dead_letter::State::Open };
    let letters = dead_letter::list(&store, filter, 0, 1_000).await.unwrap();
    let parts: Vec<Event> =
        letters.iter().flat_map(|letter| Event::of_slice(&letter.letter.payload).unwrap()).collect();
    let parts: Vec<Event> = parts.into_iter().filter(|part| matches!(part, Event::Marks(_))).collect();
    let sent = after.iter().filter(|sending| sending.marks.iter().any(|(pupil, _)| *pupil == upn)).count();
    assert_eq!(parts.len(), sent, "every register with a mark of the pupil");

    // With the row mended, a replay folds the parts and lifts the hold.
    put(&store, sound).await;
    send(&producer, &[Event::Replay(upn, parts)]).await;
    installation.settled(&store).await;
    assert_eq!(store::held::list(&store, 0).await.unwrap(), []);
    installation.check(&store, &expected).await;
    drop(process);
}

/// I-1: the record of a pupil that comes to be held is written with the hold, since no pass will.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marks_that_no_pass_has_written_yet_survive_a_hold() {
    let mut installation = Installation::start(1).await;
    let seldom = installation.write_seldom();
    let sendings = stream(13, SIZE);
    let producer = producer(&installation);
    let (before, after) = sendings.split_at(sendings.len() / 2);
    let store = installation.store().await;
    let mut process = installation.service("rules", None);
    produce(&producer, 1, before).await;
    installation.taken(&store, EVENTS).await;
    process.kill();
    // The next owner judges all that it folds silently, and one of them panics.
    process = installation.service("rules", Some("rules.judge.panic:1:fail"));
    one_is_held(&store).await;
    produce(&producer, 1, after).await;
    installation.taken(&store, EVENTS).await;
    process.kill();
    installation.undo(seldom);
    process = installation.service("rules", None);
    installation.run(&["dead-letters", "replay", "--reason", "held"]);
    installation.settled(&store).await;
    assert_eq!(store::held::list(&store, 0).await.unwrap(), []);
    installation.check(&store, &expected(&installation.policy, &sendings)).await;
    process.terminate();
}

/// I-1: a crash between the hold and the silent fold loses none of the pupil's parts, and a replay before the row is mended
/// neither lifts the hold nor writes over the row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_right_after_a_hold_leaves_every_part_to_be_replayed() {
    let mut installation = Installation::start(1).await;
    let seldom = installation.write_seldom();
    let sendings = stream(14, SIZE);
    let producer = producer(&installation);
    let (before, after) = sendings.split_at(sendings.len() / 2);
    let store = installation.store().await;
    let mut process = installation.service("rules", None);
    produce(&producer, 1, before).await;
    installation.taken(&store, EVENTS).await;
    process.terminate();
    assert!(process.ended(Duration::from_secs(11)).await.is_some_and(|status| status.success()));
    process = installation.service("rules", None);
    produce(&producer, 1, after).await;
    installation.taken(&store, EVENTS).await;
    process.kill();
    let expected = expected(&installation.policy, &sendings);
    let upn = *expected.keys().next().unwrap();
    let number = number(upn);
    let sound = store::record::load(&store, number, 2025).await.unwrap().unwrap();
    let broken = RecordRow { body: b"broken".to_vec(), ..sound.clone() };
    put(&store, broken.clone()).await;
    process = installation.service("rules", Some("rules.restore.after_load:1"));
    assert!(process.ended(Duration::from_mins(1)).await.is_some_and(|status| !status.success()));
    installation.undo(seldom);
    process = installation.service("rules", None);
    installation.settled(&store).await;

    let open = dead_letter::Filter { reason: Some("held"), urn: None, state: dead_letter::State::Open };
    let letters = async || dead_letter::list(&store, open, 0, 1_000).await.unwrap();
    let sent = after.iter().filter(|sending| sending.marks.iter().any(|(pupil, _)| *pupil == upn)).count();
    assert_eq!(letters().await.len(), sent + 1, "every register with a mark of the pupil, and the hold itself");
    installation.run(&["dead-letters", "replay", "--reason", "held"]);
    installation.settled(&store).await;
    assert_eq!(store::held::list(&store, 0).await.unwrap().len(), 1, "the row does not decode yet");
    assert_eq!(store::record::load(&store, number, 2025).await.unwrap(), Some(broken));
    assert_eq!(letters().await.len(), 1, "all of it together");

    put(&store, sound).await;
    installation.run(&["dead-letters", "replay", "--reason", "held"]);
    installation.settled(&store).await;
    assert_eq!(store::held::list(&store, 0).await.unwrap(), []);
    installation.check(&store, &expected).await;
    process.terminate();
}

/// A mark in the morning of a day, as ingest would have passed it on.
fn mark(upn: Upn, day: &str) -> Event {
    let session = Session::new(Day::parse(day).unwrap(), Half::Am);
    let revision = Revision { revised_at: session.begins().plus_micros(60_000_000), code: Code::O, minutes_late: None };
    let school = Urn::new(900_001).unwrap();
    let received_at = revision.revised_at;
    let origin = Origin::Live;
    Event::Marks(MarksPart { register: [1; 16], received_at, school, session, origin, marks: vec![(upn, revision)] })
}

/// An installation with what 15 days have made of a few pupils, one of them, and a producer.
async fn with_pupils(pupils: u32) -> (Installation, Process, store::Store, Upn, Producer) {
    let installation = Installation::start(1).await;
    let sendings = stream(7, Size { pupils, days: 15 });
    let process = installation.service("rules", None);
    let producer = producer(&installation);
    produce(&producer, 1, &sendings).await;
    let store = installation.store().await;
    installation.settled(&store).await;
    let upn = *expected(&installation.policy, &sendings).keys().next().unwrap();
    (installation, process, store, upn, producer)
}

fn number(upn: Upn) -> i64 {
    i64::try_from(upn.number()).unwrap()
}

async fn one_is_held(store: &store::Store) {
    let held = async || match store::held::list(store, 0).await.map_err(|error| error.to_string())?.len() {
        1 => Ok(()),
        other => Err(format!("{other} are held")),
    };
    support::wait_until(Duration::from_secs(30), "the pupil to be held", held).await.unwrap();
}

async fn held_letters(store: &store::Store) -> Vec<dead_letter::DeadLetter> {
    let filter = dead_letter::Filter { reason: None, urn: None, state: dead_letter::State::Any };
    dead_letter::list(store, filter, 0, 1_000).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_takes_the_dead_letters_of_its_own_batch_along() {
    let (installation, mut process, store, upn, producer) = with_pupils(30).await;
    process.kill();
    let sound = store::record::load(&store, number(upn), 2025).await.unwrap().unwrap();
    put(&store, RecordRow { body: b"broken".to_vec(), ..sound }).await;
    let _process = installation.service("rules", None);
    send(&producer, &[mark(upn, "2025-09-25"), mark(upn, "2025-09-26"), Event::Erasure(upn)]).await;
    installation.taken(&store, EVENTS).await;
    assert_eq!(store::held::list(&store, 0).await.unwrap(), []);
    assert_eq!(held_letters(&store).await.len(), 0, "nothing of an erased pupil is left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_of_an_older_year_that_does_not_decode_is_kept_and_holds_its_pupil() {
    let (installation, _process, store, upn, producer) = with_pupils(30).await;
    let sound = store::record::load(&store, number(upn), 2025).await.unwrap().unwrap();
    put(&store, RecordRow { body: b"broken".to_vec(), school_year: 2022, ..sound }).await;
    send(&producer, &[mark(upn, "2023-03-01")]).await;
    installation.settled(&store).await;
    assert_eq!(store::held::list(&store, 0).await.unwrap().len(), 1);
    let row = store::record::load(&store, number(upn), 2022).await.unwrap().unwrap();
    assert_eq!(row.body, b"broken");
    let letters = held_letters(&store).await;
    assert!(letters.iter().any(|letter| letter.letter.place.starts_with("event 0")), "the mark waits: {letters:?}");
}

/// A replay lifts a hold, a later judging holds the pupil again, a restart meets the replay once more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_does_not_undo_a_hold_by_a_replay_that_came_before_it() {
    let (mut installation, mut process, store, upn, producer) = with_pupils(1).await;
    process.terminate();
    process.ended(Duration::from_secs(11)).await;
    let _seldom = installation.write_seldom();
    process = installation.service("rules", None);
    send(&producer, &[Event::Replay(upn, vec![mark(upn, "2025-09-25")])]).await;
    installation.taken(&store, EVENTS).await;
    process.kill();
    process = installation.service("rules", Some("rules.judge.panic:1:fail"));
    one_is_held(&store).await;
    process.kill();
    let _process = installation.service("rules", None);
    send(&producer, &[mark(upn, "2025-09-26")]).await;
    installation.taken(&store, EVENTS).await;
    let letters = held_letters(&store).await;
    assert!(letters.iter().any(|letter| letter.letter.place.starts_with("event 0")), "{letters:?}");
    installation.run(&["dead-letters", "replay", "--reason", "held"]);
    installation.taken(&store, EVENTS).await;
    assert_eq!(store::held::list(&store, 0).await.unwrap(), []);
}

/// A release that cannot read what is stored must not hold pupil after pupil: it stops, and the release before it goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_reads_no_stored_row_stops_and_holds_nobody() {
    let (installation, mut process, store, upn, producer) = with_pupils(30).await;
    process.kill();
    let mut rows = store::record::load_partition(&store, 0, &[2025]).next().await.unwrap().unwrap();
    rows.truncate(4);
    for row in &rows {
        put(&store, RecordRow { body: b"broken".to_vec(), ..row.clone() }).await;
    }
    send(&producer, &[mark(upn, "2025-09-25")]).await;
    let mut limited = installation.earlybell(&["rules"]);
    limited.env("EARLYBELL__RULES__MAX_HELD", "3");
    let ended = Process::spawn(&mut limited).ended(Duration::from_secs(30)).await;
    assert!(ended.is_some_and(|status| !status.success()), "{ended:?}");
    assert_eq!(store::held::list(&store, 0).await.unwrap(), []);
    for row in rows {
        put(&store, row).await;
    }
    let _process = installation.service("rules", None);
    installation.settled(&store).await;
    assert_eq!(store::held::list(&store, 0).await.unwrap(), []);
}

async fn put(store: &store::Store, row: RecordRow) {
    let mut tx = store.begin().await.unwrap();
    store::record::upsert_many(&mut tx, &[row]).await.unwrap();
    tx.commit().await.unwrap();
}
