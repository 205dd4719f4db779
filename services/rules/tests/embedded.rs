//! The whole service on embedded parts: librdkafka's own Kafka and SQLite. What it stores and publishes is what
//! `backtest` finds, and a second run takes over where the first ended.

use attendance::backtest::{Asked, Known, Newest, Unknown, pupil};
use attendance::mark::Revision;
use attendance::{Code, Day, Half, Mark, SchoolYear, Session, Upn, Urn};
use installation::Parts;
use policy::{Files, Policy};
use proto::{Event, MarksPart, Origin};
use rules::Metrics;
use service::clock::{Clock, NewestSession};
use service::config::{Settings, Sources};
use service::lifecycle::{Ending, Lifecycle, Signals};
use service::metrics::Registry;
use service::readiness::Readiness;
use std::time::Duration;
use store::{Options, Store, policy_set, position, published, record};
use transport::{Connection, Embedded, Outgoing, Producer, ProducerConfig};

const EVENTS: &str = "attendance.events.v1";
const ALERTS: &str = "attendance.alerts.v1";

fn files() -> Files {
    let authority = "name = \"Invented\"\ncode = 900\nlocalities = [\"North\"]\n\
         [calendar]\nterm = [{ name = \"autumn\", first = \"2025-09-01\", last = \"2025-12-19\" }]\n";
    Files {
        authority: authority.to_owned(),
        rules: policy::DEFAULT_RULES.to_owned(),
        schools: "URN,EstablishmentName\n900001,Hill School\n".to_owned(),
        localities: "URN,locality\n900001,North\n".to_owned(),
        projection: None,
    }
}

fn pupils() -> Vec<Upn> {
    (0..30).map(|number| Upn::parse(&format!("A900001{number:06}")).unwrap()).collect()
}

/// The registers of a day: the n-th pupil is away every (n + 2)-th session.
fn register(session: Session) -> MarksPart {
    let revised_at = session.begins().plus_micros(1);
    let code = |number: i32| if session.number() % (number + 2) == 0 { Code::O } else { Code::Present };
    let revision = |number| Revision { revised_at, code: code(number), minutes_late: None };
    let marks = (0..).zip(pupils()).map(|(number, upn)| (upn, revision(number))).collect();
    let (school, received_at) = (Urn::new(900_001).unwrap(), revised_at);
    MarksPart { register: [1; 16], received_at, school, session, origin: Origin::Live, marks }
}

fn sessions() -> Vec<Session> {
    let days = (0..56).map(|days| Day::parse("2025-09-01").unwrap().plus(days)).filter(|day| day.weekday() < 5);
    days.flat_map(|day| [Session::new(day, Half::Am), Session::new(day, Half::Pm)]).collect()
}

/// Runs the service until the position and the checkpoint reach `offset`, then stops it in order.
async fn run_until(store: &Store, connection: &Connection, offset: i64) {
    let lifecycle = Lifecycle::new(Duration::from_secs(10));
    let newest = NewestSession::none();
    let parts = Parts {
        settings: Settings::load(&Sources::default()).unwrap(),
        store: store.clone(),
        connection: connection.clone(),
        clock: Clock::wall().by_registers(newest.clone()),
        newest,
        readiness: Readiness::new(),
        lifecycle: lifecycle.clone(),
    };
    lifecycle.run("rules", rules::run(parts, Metrics::register(&Registry::new()).unwrap()));
    let reached =
        support::wait_until(Duration::from_mins(1), "the checkpoint to reach the end", async || match position::read(
            store, EVENTS, 0,
        )
        .await
        .map_err(|error| error.to_string())?
        {
            Some(at) if (at.next_offset, at.checkpoint_offset) == (offset, offset) => Ok(()),
            other => Err(format!("{other:?}")),
        });
    reached.await.unwrap();
    lifecycle.soft().cancel();
    let (_hand, signals) = Signals::by_hand();
    let outcome = lifecycle.finish(signals).await;
    assert_eq!((outcome.ending, outcome.failures), (Ending::Drained, vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_embedded_parts_records_and_alerts_are_backtests() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("demo.db").display());
    let store = Store::connect(&url, &Options::named("test")).await.unwrap();
    store.migrate().await.unwrap();
    let mut tx = store.begin().await.unwrap();
    let namespace = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
    store::installation::found(&mut tx, 1, store::installation::Clock::Registers, namespace).await.unwrap();
    policy_set::put_in_force(&mut tx, &serde_json::to_string(&files()).unwrap(), "test", 1).await.unwrap();
    tx.commit().await.unwrap();
    let embedded = Embedded::start().unwrap();
    embedded.create_topic(EVENTS, 1).unwrap();
    embedded.create_topic(ALERTS, 1).unwrap();
    let connection = Connection::new(embedded.brokers(), "test");
    let producer = Producer::new(&ProducerConfig::new(connection.clone())).unwrap();

    let sessions = sessions();
    let mut sent = 0;
    for part in sessions.chunks(sessions.len() / 2) {
        for session in part {
            let slice = Event::to_slice(&[Event::Marks(register(*session))]);
            let message = Outgoing { partition: Some(0), ..Outgoing::keyed(EVENTS, Vec::new(), slice) };
            producer.send_all(vec![message]).await.unwrap();
            sent += 1;
        }
        run_until(&store, &connection, sent).await;
    }
    check(&store, &sessions).await;
}

async fn check(store: &Store, sessions: &[Session]) {
    let (policy, _) = Policy::read(&files()).unwrap();
    let standard = policy.standard();
    let newest = Newest::of(sessions.iter().map(|session| (session.begins().plus_micros(1), *session)));
    let mut alerts = 0;
    for upn in pupils() {
        let mut marks: Vec<Known> = sessions
            .iter()
            .flat_map(|session| {
                let part = register(*session);
                let (school, session) = (part.school, part.session);
                let of_pupil = part.marks.into_iter().filter(|(pupil, _)| *pupil == upn);
                of_pupil.map(move |(upn, revision)| Known {
                    at: revision.revised_at,
                    mark: Mark { upn, school, session, revision },
                })
            })
            .collect();
        let year = SchoolYear::beginning(2025);
        let asked = Asked { year, newest: &newest, evenings: &[] };
        let expected = pupil(&mut marks, asked, standard, &Unknown).unwrap();
        let number = i64::try_from(upn.number()).unwrap();
        let row = record::load(store, number, 2025).await.unwrap().unwrap();
        assert_eq!(proto::year_from_bytes(year, &row.body).unwrap().counts(), expected.counts);
        let rows = published::load(store, number).await.unwrap();
        let mut open: Vec<(String, i16)> =
            rows.into_iter().filter(|row| row.level > 0).map(|row| (row.rule, row.level)).collect();
        let wanted = expected.wanted.iter().map(|(rule, level, _)| (rule.text().to_owned(), i16::from(level.number())));
        let mut wanted: Vec<_> = wanted.collect();
        open.sort();
        wanted.sort();
        assert_eq!(open, wanted);
        alerts += wanted.len();
    }
    assert!(alerts > 0, "somebody is away often");
}
