//! Dead letters: each key once, filtered, replayed once.

use store::dead_letter::{self, Count, Filter, NewDeadLetter, State};

use crate::backend::Backend;

const ALL: Filter<'static> = Filter { reason: None, urn: None, state: State::Any };

fn letter(message_offset: i64, place: &str, reason: &str, urn: Option<i32>) -> NewDeadLetter {
    NewDeadLetter {
        source: "supplier".to_owned(),
        topic: "registers.supplier".to_owned(),
        part: 2,
        message_offset,
        message_at: 77,
        headers: r#"{"id":"x"}"#.to_owned(),
        place: place.to_owned(),
        reason: reason.to_owned(),
        detail: "a mark has no code".to_owned(),
        urn,
        upn: None,
        payload: vec![0, 1, 255],
        created_at: 88,
    }
}

async fn insert(backend: &Backend, letters: &[NewDeadLetter]) -> u64 {
    let mut tx = backend.store.begin().await.unwrap();
    let new = dead_letter::insert_many(&mut tx, letters).await.unwrap();
    tx.commit().await.unwrap();
    new
}

async fn letters(backend: &Backend, filter: Filter<'_>) -> Vec<NewDeadLetter> {
    let listed = dead_letter::list(&backend.store, filter, 0, 100).await.unwrap();
    listed.into_iter().map(|listed| listed.letter).collect()
}

async fn the_same_message_and_place_is_one_dead_letter(backend: Backend) {
    let first = [
        letter(2, "", "code", None),
        letter(1, "marks[3]", "code", Some(100_001)),
        letter(1, "marks[4]", "code", None),
    ];
    assert_eq!(insert(&backend, &first).await, 3);
    let again = NewDeadLetter { detail: "another".to_owned(), ..first[0].clone() };
    assert_eq!(insert(&backend, &[again, letter(3, "", "form", None), letter(3, "", "form", None)]).await, 1);
    assert_eq!(insert(&backend, &[]).await, 0);
    let expected = [first[1].clone(), first[2].clone(), first[0].clone(), letter(3, "", "form", None)];
    assert_eq!(letters(&backend, ALL).await, expected);
}

async fn a_filter_names_reason_school_and_state(backend: Backend) {
    let (a, b, c) = (letter(1, "", "code", Some(7)), letter(2, "", "form", Some(7)), letter(3, "", "code", None));
    insert(&backend, &[a.clone(), b.clone(), c.clone()]).await;
    let stored = dead_letter::list(&backend.store, ALL, 0, 100).await.unwrap();
    let mut tx = backend.store.begin().await.unwrap();
    assert!(dead_letter::mark_replayed(&mut tx, stored[0].id, 500).await.unwrap());
    tx.commit().await.unwrap();

    assert_eq!(letters(&backend, Filter { reason: Some("code"), ..ALL }).await, [a.clone(), c.clone()]);
    assert_eq!(letters(&backend, Filter { urn: Some(7), ..ALL }).await, [a, b.clone()]);
    assert_eq!(letters(&backend, Filter { state: State::Open, ..ALL }).await, [b, c.clone()]);
    let all_three = Filter { reason: Some("code"), urn: Some(7), state: State::Open };
    assert_eq!(letters(&backend, all_three).await, []);
}

async fn dead_letters_are_paged_by_number(backend: Backend) {
    let all: Vec<NewDeadLetter> = (0..5).map(|offset| letter(offset, "", "code", None)).collect();
    insert(&backend, &all).await;
    let mut after = 0;
    let mut seen = Vec::new();
    loop {
        let page = dead_letter::list(&backend.store, ALL, after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2 && last.id > after);
        after = last.id;
        seen.extend(page.into_iter().map(|listed| listed.letter));
    }
    assert_eq!(seen, all);
}

async fn a_dead_letter_is_replayed_once(backend: Backend) {
    insert(&backend, &[letter(1, "", "code", None)]).await;
    let id = dead_letter::list(&backend.store, ALL, 0, 1).await.unwrap()[0].id;
    assert_eq!(dead_letter::get(&backend.store, id).await.unwrap().unwrap().replayed_at, None);
    let mut tx = backend.store.begin().await.unwrap();
    assert!(dead_letter::mark_replayed(&mut tx, id, 500).await.unwrap());
    assert!(!dead_letter::mark_replayed(&mut tx, id, 501).await.unwrap());
    assert!(!dead_letter::mark_replayed(&mut tx, id + 1, 500).await.unwrap());
    tx.commit().await.unwrap();
    let stored = dead_letter::get(&backend.store, id).await.unwrap().unwrap();
    assert_eq!((stored.replayed_at, stored.letter), (Some(500), letter(1, "", "code", None)));
    assert_eq!(dead_letter::get(&backend.store, id + 1).await.unwrap(), None);
    assert_eq!(insert(&backend, &[letter(1, "", "code", None)]).await, 0, "a replayed one is still known");
}

async fn counts_are_by_reason(backend: Backend) {
    assert_eq!(dead_letter::counts(&backend.store).await.unwrap(), []);
    insert(&backend, &[letter(1, "", "form", None), letter(2, "", "code", None), letter(3, "", "code", None)]).await;
    let id = dead_letter::list(&backend.store, Filter { reason: Some("code"), ..ALL }, 0, 1).await.unwrap()[0].id;
    let mut tx = backend.store.begin().await.unwrap();
    assert!(dead_letter::mark_replayed(&mut tx, id, 500).await.unwrap());
    tx.commit().await.unwrap();
    let expected =
        [Count { reason: "code".to_owned(), open: 1, all: 2 }, Count { reason: "form".to_owned(), open: 1, all: 1 }];
    assert_eq!(dead_letter::counts(&backend.store).await.unwrap(), expected);
}

async fn an_erasure_takes_a_pupils_parts_along_and_no_others(backend: Backend) {
    let of_pupil = |offset, upn| NewDeadLetter { upn, ..letter(offset, "event 0", "held", None) };
    insert(&backend, &[of_pupil(1, Some(11)), of_pupil(2, Some(12)), of_pupil(3, Some(11)), of_pupil(4, None)]).await;
    let mut tx = backend.store.begin().await.unwrap();
    assert_eq!(dead_letter::delete_of_pupil(&mut tx, 11).await.unwrap(), 2);
    tx.commit().await.unwrap();
    assert_eq!(letters(&backend, ALL).await, [of_pupil(2, Some(12)), of_pupil(4, None)]);
}

on_both!(
    an_erasure_takes_a_pupils_parts_along_and_no_others,
    the_same_message_and_place_is_one_dead_letter,
    a_filter_names_reason_school_and_state,
    dead_letters_are_paged_by_number,
    a_dead_letter_is_replayed_once,
    counts_are_by_reason,
);
