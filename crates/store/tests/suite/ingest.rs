//! What ingest keeps: keys, registers received, names.

use crate::backend::Backend;
use store::api_key::{self, NewApiKey};
use store::import_file::{self, ImportFile};
use store::person::{self, PersonRow};
use store::register::{self, RegisterRow};

fn key(prefix: &str) -> NewApiKey {
    NewApiKey {
        name: "hill".to_owned(),
        prefix: prefix.to_owned(),
        hash: vec![1; 32],
        urns: "900001".to_owned(),
        created_at: 1,
        expires_at: Some(9),
    }
}

async fn a_rotation_leaves_two_keys_and_a_revocation_none(backend: Backend) {
    for prefix in ["a", "b", "c"] {
        let mut tx = backend.store.begin().await.unwrap();
        api_key::insert(&mut tx, &key(prefix)).await.unwrap();
        api_key::revoke(&mut tx, "hill", 2, 5).await.unwrap();
        tx.commit().await.unwrap();
    }
    let valid = async || {
        let keys = api_key::list(&backend.store).await.unwrap();
        keys.into_iter().filter(|key| key.revoked_at.is_none()).map(|key| key.key.prefix).collect::<Vec<_>>()
    };
    assert_eq!(valid().await, ["c", "b"]);
    let mut tx = backend.store.begin().await.unwrap();
    assert_eq!(api_key::revoke(&mut tx, "hill", 0, 6).await.unwrap(), 2);
    tx.commit().await.unwrap();
    assert_eq!(valid().await, Vec::<String>::new());
    let found = api_key::find(&backend.store, "a").await.unwrap().unwrap();
    assert_eq!((found.key, found.revoked_at), (key("a"), Some(5)));
    assert_eq!(api_key::find(&backend.store, "x").await.unwrap(), None);
    let mut tx = backend.store.begin().await.unwrap();
    assert!(api_key::insert(&mut tx, &key("a")).await.is_err(), "a prefix is one key's");
}

fn part(part: i32, revised_at: i64, id: &str) -> RegisterRow {
    RegisterRow {
        urn: 900_001,
        session: 40_000,
        part,
        revised_at,
        id: id.to_owned(),
        received_at: 7,
        refused: 1,
        history: false,
    }
}

async fn in_any_order_the_newest_revision_of_a_register_is_kept(backend: Backend) {
    let rows = [part(0, 5, "b"), part(1, 5, "c"), part(0, 9, "a"), part(0, 9, "d"), part(0, 3, "z"), part(0, 9, "a")];
    for rotated in 0..rows.len() {
        let mut rows = rows.clone();
        rows.rotate_left(rotated);
        let mut tx = backend.store.begin().await.unwrap();
        for row in rows {
            register::upsert_many(&mut tx, &[row]).await.unwrap();
        }
        tx.commit().await.unwrap();
        assert_eq!(register::list(&backend.store, 900_001, 40_000, 40_000).await.unwrap(), [part(0, 9, "d")]);
    }
    assert_eq!(register::list(&backend.store, 900_001, 40_001, 40_009).await.unwrap(), []);
}

async fn each_name_is_the_newest_and_a_missing_one_changes_nothing(backend: Backend) {
    let said = |given: Option<&str>, family: Option<&str>, revised_at| PersonRow {
        upn: 1,
        urn: 900_001,
        given_name: given.map(str::to_owned),
        family_name: family.map(str::to_owned),
        birth_date: None,
        revised_at,
    };
    let rows = [
        said(Some("Ann"), Some("Lee"), 5),
        said(Some("Anna"), None, 8),
        said(None, Some(""), 6),
        said(Some("A"), None, 8),
    ];
    for rotated in 0..rows.len() {
        let mut rows = rows.clone();
        rows.rotate_left(rotated);
        let mut tx = backend.store.begin().await.unwrap();
        person::upsert_many(&mut tx, &rows).await.unwrap();
        tx.commit().await.unwrap();
        let stored = person::of_pupil(&backend.store, 1).await.unwrap();
        assert_eq!(stored, [(900_001, "Anna".to_owned(), String::new(), String::new())]);
    }
}

async fn a_files_progress_never_goes_back(backend: Backend) {
    let file = |rows, finished_at| ImportFile {
        digest: "d".to_owned(),
        name: "a.csv".to_owned(),
        rows,
        marks: rows - 1,
        changed_at: rows,
        finished_at,
    };
    for progress in [file(10, None), file(30, Some(5)), file(20, None)] {
        let mut tx = backend.store.begin().await.unwrap();
        import_file::put(&mut tx, &progress).await.unwrap();
        tx.commit().await.unwrap();
    }
    assert_eq!(import_file::get(&backend.store, "d").await.unwrap(), Some(file(30, Some(5))));
    assert_eq!(import_file::get(&backend.store, "e").await.unwrap(), None);
}

on_both!(
    a_files_progress_never_goes_back,
    a_rotation_leaves_two_keys_and_a_revocation_none,
    in_any_order_the_newest_revision_of_a_register_is_kept,
    each_name_is_the_newest_and_a_missing_one_changes_nothing,
);
