//! What else is kept of a pupil: enrolments, published alerts, holds.

use store::enrolment::{self, EnrolmentRow};
use store::held::{self, HeldRow};
use store::published::{self, PublishedRow};
use store::pupil_school::{self, PupilSchool};
use store::record::{self, RecordRow};

use crate::backend::Backend;

fn enrolment(upn: i64, body: &[u8]) -> EnrolmentRow {
    EnrolmentRow { upn, part: 5, body: body.to_vec() }
}

async fn enrolments_come_back_as_they_were_last_written(backend: Backend) {
    let store = &backend.store;
    let mut tx = store.begin().await.unwrap();
    let elsewhere = EnrolmentRow { part: 6, ..enrolment(9, b"") };
    let rows = [enrolment(2, b"two"), enrolment(1, b"one"), elsewhere.clone(), enrolment(2, b"last")];
    enrolment::upsert_many(&mut tx, &rows).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(enrolment::load_partition(store, 5).await.unwrap(), [enrolment(1, b"one"), enrolment(2, b"last")]);
    assert_eq!(enrolment::load(store, 9).await.unwrap(), Some(elsewhere));

    let mut tx = store.begin().await.unwrap();
    enrolment::upsert_many(&mut tx, &[enrolment(2, b"again")]).await.unwrap();
    assert!(enrolment::delete(&mut tx, 1).await.unwrap());
    assert!(!enrolment::delete(&mut tx, 1).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(enrolment::load_partition(store, 5).await.unwrap(), [enrolment(2, b"again")]);
    assert_eq!(enrolment::load(store, 1).await.unwrap(), None);
}

async fn more_enrolments_than_a_page_are_loaded_once_each(backend: Backend) {
    let rows: Vec<EnrolmentRow> = (0..45_000).map(|upn| enrolment(upn, &upn.to_le_bytes())).collect();
    let mut tx = backend.store.begin().await.unwrap();
    enrolment::upsert_many(&mut tx, &rows).await.unwrap();
    tx.commit().await.unwrap();
    assert!(enrolment::load_partition(&backend.store, 5).await.unwrap() == rows);
}

async fn a_schools_pupils_are_found_with_their_records_and_enrolments(backend: Backend) {
    let store = &backend.store;
    let record = |upn, school_year, body: &[u8]| RecordRow {
        upn,
        school_year,
        part: 5,
        body: body.to_vec(),
        due_at: None,
        judged_with: 1,
    };
    let at = |urn, upn| PupilSchool { urn, upn };
    let mut tx = store.begin().await.unwrap();
    record::upsert_many(&mut tx, &[record(1, 2025, b"a"), record(2, 2025, b"b"), record(2, 2024, b"c")]).await.unwrap();
    enrolment::upsert_many(&mut tx, &[enrolment(2, b"two"), enrolment(3, b"three")]).await.unwrap();
    for _ in 0..2 {
        let rows = [at(7, 2), at(7, 1), at(8, 2), at(7, 3), at(7, 1)];
        pupil_school::insert_many(&mut tx, &rows).await.unwrap();
    }
    tx.commit().await.unwrap();
    let records = async |urn, year| pupil_school::records(store, urn, year).await.unwrap();
    assert_eq!(records(7, 2025).await, [(1, b"a".to_vec()), (2, b"b".to_vec())]);
    assert_eq!(records(8, 2024).await, [(2, b"c".to_vec())]);
    let on_roll = pupil_school::enrolments(store, 7).await.unwrap();
    assert_eq!(on_roll, [(2, b"two".to_vec()), (3, b"three".to_vec())]);

    let mut tx = store.begin().await.unwrap();
    assert_eq!(pupil_school::delete(&mut tx, 2).await.unwrap(), 2);
    tx.commit().await.unwrap();
    assert_eq!(records(7, 2025).await, [(1, b"a".to_vec())]);
}

fn published(upn: i64, school_year: i16, rule: &str) -> PublishedRow {
    PublishedRow {
        upn,
        school_year,
        rule: rule.to_owned(),
        part: 5,
        alert_id: format!("alert-{upn}-{school_year}-{rule}"),
        episode: 1,
        version: 3,
        level: 2,
        since: 40_000,
        raised_at: 40_100,
        body: vec![0, 255, 7],
    }
}

async fn published_alerts_come_back_as_they_were_last_written(backend: Backend) {
    let store = &backend.store;
    let escalated =
        PublishedRow { version: 4, level: 3, episode: 2, body: Vec::new(), ..published(1, 2025, "persistent") };
    let elsewhere = PublishedRow { part: 6, ..published(3, 2025, "persistent") };
    let mut tx = store.begin().await.unwrap();
    let first = [published(1, 2025, "persistent"), published(1, 2025, "illness"), published(1, 2024, "persistent")];
    published::upsert_many(&mut tx, &first).await.unwrap();
    let second = [published(2, 2025, "persistent"), escalated.clone(), elsewhere];
    published::upsert_many(&mut tx, &second).await.unwrap();
    tx.commit().await.unwrap();

    let of_the_pupil = [published(1, 2024, "persistent"), published(1, 2025, "illness"), escalated];
    assert_eq!(published::load(store, 1).await.unwrap(), of_the_pupil);
    let mut of_the_partition = of_the_pupil.to_vec();
    of_the_partition.push(published(2, 2025, "persistent"));
    assert_eq!(published::load_partition(store, 5).await.unwrap(), of_the_partition);

    let mut tx = store.begin().await.unwrap();
    assert_eq!(published::delete(&mut tx, 1).await.unwrap(), 3);
    tx.commit().await.unwrap();
    assert_eq!(published::load(store, 1).await.unwrap(), []);
    assert_eq!(published::load_partition(store, 5).await.unwrap(), [published(2, 2025, "persistent")]);
}

async fn more_published_alerts_than_a_page_are_loaded_once_each(backend: Backend) {
    // Three rules a pupil, so that the end of a page falls within a pupil.
    let rules = ["a", "b", "c"];
    let rows: Vec<PublishedRow> = (0..8_000)
        .flat_map(|upn| rules.map(|rule| PublishedRow { body: Vec::new(), ..published(upn, 2025, rule) }))
        .collect();
    let mut tx = backend.store.begin().await.unwrap();
    published::upsert_many(&mut tx, &rows).await.unwrap();
    tx.commit().await.unwrap();
    assert!(published::load_partition(&backend.store, 5).await.unwrap() == rows);
}

async fn a_held_pupil_stays_held_for_the_first_reason_until_lifted(backend: Backend) {
    let store = &backend.store;
    let first = HeldRow { upn: 8, part: 5, reason: "does not decode".to_owned(), since: 10, event_offset: 99 };
    let again = HeldRow { reason: "another".to_owned(), since: 11, event_offset: 100, ..first.clone() };
    let elsewhere = HeldRow { upn: 9, part: 6, ..first.clone() };
    let mut tx = store.begin().await.unwrap();
    assert!(held::put(&mut tx, &first).await.unwrap());
    assert!(!held::put(&mut tx, &again).await.unwrap());
    assert!(held::put(&mut tx, &elsewhere).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(held::list(store, 5).await.unwrap(), [first]);

    let mut tx = store.begin().await.unwrap();
    assert!(held::lift(&mut tx, 8).await.unwrap());
    assert!(!held::lift(&mut tx, 8).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(held::list(store, 5).await.unwrap(), []);
    assert_eq!(held::list(store, 6).await.unwrap(), [elsewhere]);
}

on_both!(
    enrolments_come_back_as_they_were_last_written,
    a_schools_pupils_are_found_with_their_records_and_enrolments,
    more_enrolments_than_a_page_are_loaded_once_each,
    published_alerts_come_back_as_they_were_last_written,
    more_published_alerts_than_a_page_are_loaded_once_each,
    a_held_pupil_stays_held_for_the_first_reason_until_lifted,
);
