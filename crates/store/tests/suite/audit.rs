//! The audit: append only.

use store::audit::{self, Act};

use crate::backend::Backend;

fn act(action: &str, upn: Option<i64>) -> Act {
    Act { at: 5, actor: "ada".to_owned(), action: action.to_owned(), upn, detail: "{}".to_owned() }
}

async fn entries_are_listed_in_the_order_of_appending(backend: Backend) {
    let mut tx = backend.store.begin().await.unwrap();
    audit::append(&mut tx, &act("assign", Some(7))).await.unwrap();
    tx.commit().await.unwrap();
    audit::append_alone(&backend.store, &act("look", None)).await.unwrap();
    let mut undone = backend.store.begin().await.unwrap();
    audit::append(&mut undone, &act("never", None)).await.unwrap();
    undone.rollback().await;

    let listed = audit::list(&backend.store, 0, 10).await.unwrap();
    let acts: Vec<Act> = listed.iter().map(|entry| entry.act.clone()).collect();
    assert_eq!(acts, [act("assign", Some(7)), act("look", None)]);
    assert_eq!(audit::list(&backend.store, listed[0].id, 10).await.unwrap(), listed[1..]);
    assert_eq!(audit::list(&backend.store, 0, 1).await.unwrap(), listed[..1]);
}

async fn nobody_changes_or_deletes_an_entry(backend: Backend) {
    audit::append_alone(&backend.store, &act("look", None)).await.unwrap();
    for change in ["UPDATE audit SET actor = 'eve'", "DELETE FROM audit"] {
        let refusal = backend.raw(change).await.unwrap_err();
        assert!(refusal.to_string().contains("append only"), "{refusal}");
    }
    assert_eq!(audit::list(&backend.store, 0, 10).await.unwrap()[0].act, act("look", None));
}

on_both!(entries_are_listed_in_the_order_of_appending, nobody_changes_or_deletes_an_entry);
