//! Schools whose registers do not come.

use store::register::{self, RegisterRow};
use store::school_alert::{self, SchoolAlertRow};
use store::school_watch::{self, StandingRow};

use crate::backend::Backend;

async fn a_school_stands_as_it_was_last_written(backend: Backend) {
    let row = |urn, state, episode, version| StandingRow { urn, state, since: 40_000, episode, version };
    let mut tx = backend.store.begin().await.unwrap();
    for row in [row(900_002, 3, 1, 1), row(900_001, 2, 1, 1), row(900_002, 1, 1, 2)] {
        school_watch::put(&mut tx, &row).await.unwrap();
    }
    tx.commit().await.unwrap();
    let expected = [row(900_001, 2, 1, 1), row(900_002, 1, 1, 2)];
    assert_eq!(school_watch::list(&backend.store).await.unwrap(), expected);
}

async fn an_alert_of_a_school_only_goes_forward(backend: Backend) {
    let row = |version, state| SchoolAlertRow {
        alert_id: "a".into(),
        urn: 900_001,
        version,
        state,
        since: 40_000,
        session: 40_000 + version,
        sentence: format!("sentence {version}"),
        changed_at: 5,
    };
    let put = async |row: &SchoolAlertRow| {
        let mut tx = backend.store.begin().await.unwrap();
        let written = school_alert::put(&mut tx, row).await.unwrap();
        tx.commit().await.unwrap();
        written
    };
    assert!(put(&row(1, 3)).await && put(&row(2, 2)).await);
    assert!(!put(&row(2, 3)).await && !put(&row(1, 3)).await, "told again");
    assert_eq!(school_alert::open(&backend.store).await.unwrap(), [row(2, 2)]);
    assert!(put(&row(3, 1)).await);
    assert_eq!(school_alert::open(&backend.store).await.unwrap(), []);
}

async fn who_was_heard_lately_and_of_a_session(backend: Backend) {
    let row = |urn, session, part| RegisterRow {
        urn,
        session,
        part,
        revised_at: 1,
        id: format!("{urn}/{session}"),
        received_at: 1,
        refused: 0,
        history: urn == 900_004,
    };
    let rows = [
        row(900_001, 100, 0),
        row(900_001, 102, 0),
        row(900_001, 102, 1),
        row(900_002, 101, 0),
        row(900_003, 50, 0),
        row(900_004, 101, 0),
    ];
    let mut tx = backend.store.begin().await.unwrap();
    register::upsert_many(&mut tx, &rows).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(register::heard(&backend.store, 90, 102).await.unwrap(), [(900_001, Some(1)), (900_002, None)]);
}

on_both!(
    a_school_stands_as_it_was_last_written,
    an_alert_of_a_school_only_goes_forward,
    who_was_heard_lately_and_of_a_session,
);
