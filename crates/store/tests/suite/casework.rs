//! Cases, alerts, gaps and deliveries: what the notifier counts on.

use store::Tx;
use store::casework::{self, AlertRow, CaseChange, Filter, GapRow, KnownCase};
use store::delivery::{self, Gathered, NewDelivery};
use store::token::{self, NewToken};

use crate::backend::Backend;

fn case(upn: i64, locality: Option<&str>) -> CaseChange {
    let reference = format!("REF{upn:05}");
    let locality = locality.map(str::to_owned);
    CaseChange {
        upn,
        school_year: 2025,
        reference,
        locality,
        school_urn: 9,
        off_roll_since: Some(7),
        seen_by: String::new(),
        at: 1,
    }
}

fn alert(case_id: i64, id: &str, level: i16, state: &str) -> AlertRow {
    AlertRow {
        alert_id: id.to_owned(),
        case_id,
        rule: "year-rate".to_owned(),
        episode: 1,
        version: 1,
        change: "raised".to_owned(),
        state: state.to_owned(),
        level,
        since: 3,
        as_of: 5,
        evidence: vec![1],
        sentence: "Missed 1 of 2.".to_owned(),
        rule_set: 1,
        changed_at: 7,
    }
}

fn owed(case_id: i64, alert_id: &str, version: i32) -> NewDelivery {
    NewDelivery {
        message_id: format!("{case_id}-{alert_id}-{version}"),
        case_id: Some(case_id),
        changes: vec![(alert_id.to_owned(), version)],
        receiver: "mail".to_owned(),
        body: "{}".to_owned(),
        register_id: "r".to_owned(),
        received_at: 0,
        at: 10,
        gather_until: None,
    }
}

async fn only_case(tx: &mut Tx, upn: i64) -> KnownCase {
    casework::cases(tx, &[upn, 77]).await.unwrap().remove(0)
}

/// A case with an open alert `a`, at level 2.
async fn with_case(backend: &Backend, upn: i64, locality: Option<&str>, alert_id: &str) -> i64 {
    let mut tx = backend.store.begin().await.unwrap();
    casework::upsert_cases(&mut tx, &[case(upn, locality)]).await.unwrap();
    let known = only_case(&mut tx, upn).await;
    assert_eq!((known.upn, known.school_year, known.reference), (upn, 2025, format!("REF{upn:05}")));
    assert_eq!((known.locality.as_deref(), known.off_roll_since), (locality, Some(7)));
    casework::upsert_alerts(&mut tx, &[alert(known.id, alert_id, 2, "open")]).await.unwrap();
    casework::settle(&mut tx, &[known.id]).await.unwrap();
    tx.commit().await.unwrap();
    known.id
}

async fn a_case_keeps_its_reference_and_is_open_while_an_alert_is(backend: Backend) {
    let id = with_case(&backend, 1, Some("North"), "a").await;
    let mut tx = backend.store.begin().await.unwrap();
    let again = CaseChange { reference: "OTHER".to_owned(), locality: Some("East".to_owned()), ..case(1, None) };
    casework::upsert_cases(&mut tx, &[again]).await.unwrap();
    let known = only_case(&mut tx, 1).await;
    assert_eq!((known.id, known.reference), (id, "REF00001".to_owned()));
    let twice = [alert(id, "b", 1, "closed"), alert(id, "b", 3, "open")];
    casework::upsert_alerts(&mut tx, &twice).await.unwrap();
    casework::settle(&mut tx, &[id, id]).await.unwrap();
    assert_eq!(casework::versions(&mut tx, &["a", "z"]).await.unwrap(), [("a".to_owned(), 1)]);
    tx.commit().await.unwrap();
    let row = casework::list(&backend.store, &Filter::default(), 0, 10).await.unwrap().remove(0);
    assert_eq!((row.level, row.state.as_str(), row.locality.as_deref()), (3, "open", Some("East")));
    let mut tx = backend.store.begin().await.unwrap();
    let closed = ["a", "b"].map(|alert_id| alert(id, alert_id, 3, "closed"));
    casework::upsert_alerts(&mut tx, &closed).await.unwrap();
    casework::settle(&mut tx, &[id]).await.unwrap();
    tx.commit().await.unwrap();
    let row = casework::list(&backend.store, &Filter::default(), 0, 10).await.unwrap().remove(0);
    assert_eq!((row.level, row.state.as_str()), (0, "closed"));
    assert_eq!(casework::alerts(&backend.store, &[id, 99]).await.unwrap().len(), 2);
}

async fn cases_are_listed_by_locality_level_and_state(backend: Backend) {
    let north = with_case(&backend, 1, Some("North"), "a").await;
    let quoted = with_case(&backend, 2, Some("Ea\"st\\"), "b").await;
    let nobodys = with_case(&backend, 3, None, "c").await;
    let found = async |filter: Filter, after| {
        let rows = casework::list(&backend.store, &filter, after, 10).await.unwrap();
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    let of = |names: &[&str]| Filter {
        localities: Some(names.iter().map(|name| (*name).to_owned()).collect()),
        ..Filter::default()
    };
    assert_eq!(found(Filter::default(), 0).await, [north, quoted, nobodys]);
    assert_eq!(found(Filter::default(), north).await, [quoted, nobodys]);
    let mut tx = backend.store.begin().await.unwrap();
    let shared = CaseChange { seen_by: "West\nSouth \"1\"".to_owned(), ..case(2, Some("Ea\"st\\")) };
    casework::upsert_cases(&mut tx, &[shared]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(found(of(&["West"]), 0).await, [quoted]);
    assert_eq!(found(of(&["South \"1\"", "North"]), 0).await, [north, quoted]);
    assert_eq!(found(of(&["South", "st", ""]), 0).await, [0_i64; 0], "whole names only");
    let seen = casework::list(&backend.store, &of(&["West"]), 0, 10).await.unwrap().remove(0).seen_by;
    assert_eq!(seen, ["West", "South \"1\""]);
    assert_eq!(found(of(&["North"]), 0).await, [north]);
    assert_eq!(found(of(&["Ea\"st\\"]), 0).await, [quoted]);
    assert_eq!(found(of(&[]), 0).await, [0_i64; 0]);
    assert_eq!(found(Filter { level: Some(3), ..Filter::default() }, 0).await, [0_i64; 0]);
    let open = Filter { level: Some(2), state: Some("open".to_owned()), ..of(&["North"]) };
    assert_eq!(found(open, 0).await, [north]);
}

async fn a_delivery_is_leased_once_until_its_lease_ends(backend: Backend) {
    let id = with_case(&backend, 1, None, "a").await;
    let mut tx = backend.store.begin().await.unwrap();
    assert_eq!(delivery::put_many(&mut tx, &[owed(id, "a", 1), owed(id, "a", 2)]).await.unwrap(), 2);
    let summary =
        NewDelivery { message_id: "import".to_owned(), case_id: None, changes: Vec::new(), ..owed(id, "", 0) };
    let summary = NewDelivery { receiver: "other".to_owned(), ..summary };
    for put in [1, 0] {
        assert_eq!(delivery::put_many(&mut tx, std::slice::from_ref(&summary)).await.unwrap(), put);
    }
    tx.commit().await.unwrap();
    let lease = async |now, until| {
        let mut tx = backend.store.begin().await.unwrap();
        let leased = delivery::lease(&mut tx, "mail", 10, now, until).await.unwrap();
        tx.commit().await.unwrap();
        leased
    };
    assert_eq!(lease(9, 20).await, [], "not due yet");
    let first = lease(10, 20).await;
    assert_eq!(first.len(), 1, "the later version of the alert waits");
    assert_eq!(lease(19, 30).await, []);
    let second = lease(20, 30).await;
    assert_eq!((second[0].message_id.clone(), second[0].attempt), (first[0].message_id.clone(), 2));
    let mut tx = backend.store.begin().await.unwrap();
    assert!(!delivery::delivered(&mut tx, &first[0], 21).await.unwrap(), "another attempt has begun since");
    assert!(delivery::failed(&mut tx, &second[0], "500", 22, 40).await.unwrap());
    tx.commit().await.unwrap();
    let third = lease(40, 50).await;
    let mut tx = backend.store.begin().await.unwrap();
    assert!(delivery::delivered(&mut tx, &third[0], 41).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(lease(42, 50).await[0].message_id, format!("{id}-a-2"));
    assert_eq!(backend.number("SELECT COUNT(*) FROM attempt WHERE ended_at IS NULL").await, 1);
}

async fn what_was_given_up_is_listed_and_replayed(backend: Backend) {
    let id = with_case(&backend, 1, None, "a").await;
    let mut tx = backend.store.begin().await.unwrap();
    delivery::put_many(&mut tx, &[owed(id, "a", 1)]).await.unwrap();
    let leased = delivery::lease(&mut tx, "mail", 1, 10, 20).await.unwrap().remove(0);
    assert!(delivery::give_up(&mut tx, &leased, "gone", 11).await.unwrap());
    tx.commit().await.unwrap();
    let row = delivery::list(&backend.store, "given_up", 0, 10).await.unwrap().remove(0);
    assert_eq!((row.attempts, row.last_error.as_deref()), (1, Some("gone")));
    assert_eq!(delivery::owed(&backend.store).await.unwrap(), []);
    let mut tx = backend.store.begin().await.unwrap();
    assert_eq!(delivery::replay(&mut tx, None, Some("other"), 30).await.unwrap(), 0);
    assert_eq!(delivery::replay(&mut tx, Some(row.id), None, 30).await.unwrap(), 1);
    tx.commit().await.unwrap();
    assert_eq!(delivery::owed(&backend.store).await.unwrap()[0].oldest, 30);
    let mut tx = backend.store.begin().await.unwrap();
    assert_eq!(delivery::give_up_all(&mut tx, "mail", 30, 40).await.unwrap(), 0);
    assert_eq!(delivery::give_up_all(&mut tx, "mail", 31, 40).await.unwrap(), 1);
    tx.commit().await.unwrap();
}

async fn an_erasure_leaves_nothing_of_the_child(backend: Backend) {
    let (one, other) = (with_case(&backend, 1, None, "a").await, with_case(&backend, 2, None, "b").await);
    let mut tx = backend.store.begin().await.unwrap();
    delivery::put_many(&mut tx, &[owed(one, "a", 1), owed(other, "b", 1)]).await.unwrap();
    delivery::lease(&mut tx, "mail", 2, 10, 20).await.unwrap();
    let gap = GapRow { alert_id: "a".to_owned(), version: 3, upn: 1, part: 4, body: vec![9], since: 5 };
    for kept in [1, 0] {
        assert_eq!(casework::put_gaps(&mut tx, std::slice::from_ref(&gap)).await.unwrap(), kept);
    }
    assert_eq!(casework::gaps_of(&mut tx, &["a", "b"]).await.unwrap(), [("a".to_owned(), 3, vec![9])]);
    tx.commit().await.unwrap();
    assert_eq!(casework::gaps(&backend.store, 4).await.unwrap(), (1, 5));
    let mut tx = backend.store.begin().await.unwrap();
    casework::erase(&mut tx, 1).await.unwrap();
    assert_eq!(casework::versions(&mut tx, &["a"]).await.unwrap(), []);
    assert_eq!(casework::gaps_of(&mut tx, &["a"]).await.unwrap(), []);
    tx.commit().await.unwrap();
    for table in ["child_case", "alert", "delivery", "attempt", "told"] {
        assert_eq!(backend.number(format!("SELECT COUNT(*) FROM {table}")).await, 1, "{table}: the other child's");
    }
    assert_eq!(casework::gaps(&backend.store, 4).await.unwrap(), (0, 0));
}

async fn what_is_gathered_becomes_one_message_that_keeps_what_it_tells(backend: Backend) {
    let (one, other) = (with_case(&backend, 1, None, "a").await, with_case(&backend, 2, None, "b").await);
    let until = |row: NewDelivery| NewDelivery { gather_until: Some(60), ..row };
    let mut tx = backend.store.begin().await.unwrap();
    let rows = [owed(one, "a", 1), until(owed(one, "a", 2)), until(owed(other, "b", 1)), owed(one, "a", 3)];
    delivery::put_many(&mut tx, &rows).await.unwrap();
    assert_eq!(delivery::changes_since(&mut tx, "mail", 10).await.unwrap(), 4);
    assert_eq!(delivery::changes_since(&mut tx, "mail", 11).await.unwrap(), 0);
    tx.commit().await.unwrap();
    let lease = async || {
        let mut tx = backend.store.begin().await.unwrap();
        let leased = delivery::lease(&mut tx, "mail", 10, 100, 200).await.unwrap();
        for one in &leased {
            delivery::delivered(&mut tx, one, 101).await.unwrap();
        }
        tx.commit().await.unwrap();
        leased.into_iter().map(|leased| leased.message_id).collect::<Vec<_>>()
    };
    assert_eq!(lease().await, [format!("{one}-a-1")]);
    assert_eq!(lease().await, [""; 0], "what comes after what is gathered waits for it");
    assert_eq!(delivery::gathered(&backend.store, 59).await.unwrap(), []);
    let gathered = delivery::gathered(&backend.store, 60).await.unwrap();
    assert_eq!(gathered, [Gathered { receiver: "mail".to_owned(), until: 60 }]);
    let digest = NewDelivery {
        message_id: "digest".to_owned(),
        case_id: None,
        changes: Vec::new(),
        body: "both".to_owned(),
        at: 61,
        ..owed(one, "", 0)
    };
    let mut tx = backend.store.begin().await.unwrap();
    let messages = delivery::gathered_messages(&mut tx, &gathered[0]).await.unwrap();
    assert_eq!(messages.len(), 2);
    assert!(delivery::merge(&mut tx, &digest, &messages).await.unwrap());
    assert!(!delivery::merge(&mut tx, &digest, &messages).await.unwrap(), "another process has done it");
    assert_eq!(delivery::changes_since(&mut tx, "mail", 61).await.unwrap(), 0, "they count in their own hour");
    tx.commit().await.unwrap();
    assert_eq!(delivery::gathered(&backend.store, 60).await.unwrap(), []);
    assert_eq!(lease().await, ["digest"]);
    assert_eq!(lease().await, [format!("{one}-a-3")]);
    let mut tx = backend.store.begin().await.unwrap();
    assert_eq!(delivery::digests_of(&mut tx, 2).await.unwrap(), [("digest".to_owned(), "both".to_owned())]);
    delivery::rewrite(&mut tx, "digest", "one").await.unwrap();
    assert_eq!(delivery::digests_of(&mut tx, 1).await.unwrap(), [("digest".to_owned(), "one".to_owned())]);
    casework::erase(&mut tx, 1).await.unwrap();
    assert_eq!(delivery::digests_of(&mut tx, 1).await.unwrap(), []);
    assert_eq!(delivery::digests_of(&mut tx, 2).await.unwrap().len(), 1);
    tx.commit().await.unwrap();
}

async fn a_token_is_found_by_its_hash_and_ends(backend: Backend) {
    let new = NewToken {
        name: "North".to_owned(),
        hash: vec![1, 2],
        localities: "[]".to_owned(),
        at: 1,
        expires_at: Some(100),
    };
    let mut tx = backend.store.begin().await.unwrap();
    let id = token::create(&mut tx, &new).await.unwrap();
    tx.commit().await.unwrap();
    let found = token::find(&backend.store, &[1, 2]).await.unwrap().unwrap();
    assert!(found.id == id && found.is_valid(99) && !found.is_valid(100));
    assert_eq!(token::find(&backend.store, &[1]).await.unwrap(), None);
    let mut tx = backend.store.begin().await.unwrap();
    assert!(token::revoke(&mut tx, id, 50).await.unwrap() && !token::revoke(&mut tx, id, 51).await.unwrap());
    tx.commit().await.unwrap();
    assert!(!token::list(&backend.store).await.unwrap()[0].is_valid(51));
}

on_both!(
    a_case_keeps_its_reference_and_is_open_while_an_alert_is,
    cases_are_listed_by_locality_level_and_state,
    a_delivery_is_leased_once_until_its_lease_ends,
    what_was_given_up_is_listed_and_replayed,
    an_erasure_leaves_nothing_of_the_child,
    what_is_gathered_becomes_one_message_that_keeps_what_it_tells,
    a_token_is_found_by_its_hash_and_ends,
);
