//! Records: written in bulk, loaded by partition.

use std::time::Instant;

use store::Store;
use store::record::{self, RecordRow};

use crate::backend::Backend;

/// About the size of a packed record: 400 bytes, other ones for each pupil and year.
fn row(upn: i64, school_year: i16) -> RecordRow {
    let seed = upn.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed()) ^ i64::from(school_year);
    let body = (0..50_i64).flat_map(|i| seed.wrapping_mul(i * 2 + 1).to_le_bytes()).collect();
    let due_at = (upn % 3 == 0).then_some(upn + 1);
    RecordRow { upn, school_year, part: 5, body, due_at, judged_with: upn % 7 }
}

async fn write(store: &Store, rows: &[RecordRow]) {
    let mut tx = store.begin().await.unwrap();
    record::upsert_many(&mut tx, rows).await.unwrap();
    tx.commit().await.unwrap();
}

async fn load_all(store: &Store, part: i32, years: &[i16]) -> Vec<RecordRow> {
    let mut pages = record::load_partition(store, part, years);
    let mut all = Vec::new();
    while let Some(page) = pages.next().await.unwrap() {
        assert!(!page.is_empty());
        all.extend(page);
    }
    all
}

async fn twenty_thousand_records_come_back_as_they_were_written(backend: Backend) {
    // In no order of keys, negative UPNs among them, and more than a page and a chunk.
    let mut rows: Vec<RecordRow> = (0..20_011_i64).map(|i| row(i * 7_919 % 20_011 - 5, 2025)).collect();
    write(&backend.store, &rows).await;
    rows.sort_by_key(|row| row.upn);
    assert!(load_all(&backend.store, 5, &[2025]).await == rows);

    for row in &mut rows {
        row.body.reverse();
        row.due_at = None;
        row.judged_with += 1;
    }
    write(&backend.store, &rows).await;
    assert!(load_all(&backend.store, 5, &[2025]).await == rows, "written again, the new values hold");
}

async fn a_partition_is_loaded_by_the_years_asked_for(backend: Backend) {
    let elsewhere = RecordRow { part: 6, ..row(9, 2025) };
    write(&backend.store, &[row(2, 2025), row(1, 2025), row(1, 2024), row(1, 2023), elsewhere.clone()]).await;
    assert_eq!(load_all(&backend.store, 5, &[2024, 2025]).await, [row(1, 2024), row(1, 2025), row(2, 2025)]);
    assert_eq!(load_all(&backend.store, 6, &[2024, 2025]).await, [elsewhere]);
    assert_eq!(load_all(&backend.store, 5, &[2022]).await, []);
    assert_eq!(load_all(&backend.store, 5, &[]).await, []);
}

async fn one_record_is_loaded_by_pupil_and_year(backend: Backend) {
    write(&backend.store, &[row(3, 2025), row(4, 2025)]).await;
    assert_eq!(record::load(&backend.store, 3, 2025).await.unwrap(), Some(row(3, 2025)));
    assert_eq!(record::load(&backend.store, 3, 2024).await.unwrap(), None);
}

async fn of_two_rows_with_one_key_the_last_holds(backend: Backend) {
    let last = RecordRow { body: vec![1, 2], ..row(1, 2025) };
    write(&backend.store, &[row(1, 2025), row(2, 2025), last.clone()]).await;
    assert_eq!(load_all(&backend.store, 5, &[2025]).await, [last, row(2, 2025)]);
}

async fn an_empty_write_is_none(backend: Backend) {
    write(&backend.store, &[]).await;
    assert_eq!(load_all(&backend.store, 5, &[2025]).await, []);
}

async fn an_erased_pupil_has_no_record_of_any_year(backend: Backend) {
    write(&backend.store, &[row(1, 2024), row(1, 2025), row(2, 2025)]).await;
    let mut tx = backend.store.begin().await.unwrap();
    assert_eq!(record::delete(&mut tx, 1).await.unwrap(), 2);
    assert_eq!(record::delete(&mut tx, 1).await.unwrap(), 0);
    tx.commit().await.unwrap();
    assert_eq!(load_all(&backend.store, 5, &[2024, 2025]).await, [row(2, 2025)]);
}

async fn two_hundred_thousand_records_are_loaded_whole(backend: Backend) {
    const MANY: i64 = 200_000;
    let rows: Vec<RecordRow> = (0..MANY).map(|i| row(i * 999_983 % MANY, 2025)).collect();
    let started = Instant::now();
    for chunk in rows.chunks(20_000) {
        write(&backend.store, chunk).await;
    }
    let wrote = started.elapsed();
    let started = Instant::now();
    let mut pages = record::load_partition(&backend.store, 5, &[2025]);
    let mut next = 0;
    while let Some(page) = pages.next().await.unwrap() {
        for loaded in page {
            assert!(loaded == row(next, 2025), "row {next}");
            next += 1;
        }
    }
    assert_eq!(next, MANY);
    let database = backend.url.split(':').next().unwrap_or_default();
    println!("{database}: {MANY} records of 400 bytes written in {wrote:?}, loaded in {:?}", started.elapsed());
}

on_both!(
    twenty_thousand_records_come_back_as_they_were_written,
    a_partition_is_loaded_by_the_years_asked_for,
    one_record_is_loaded_by_pupil_and_year,
    of_two_rows_with_one_key_the_last_holds,
    an_empty_write_is_none,
    an_erased_pupil_has_no_record_of_any_year,
    two_hundred_thousand_records_are_loaded_whole,
);
