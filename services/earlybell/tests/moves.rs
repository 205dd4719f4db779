//! A case follows the child, on real Kafka and PostgreSQL: to another school, by its home, onto no roll; and stays where the child is
//! registered at two schools.
#![expect(dead_code, reason = "the harness serves other tests too")]

mod harness;
mod hook;
#[path = "harness/notifying.rs"]
mod notifying;

use attendance::enrolment::{Field, Kind, RosterEntry};
use attendance::mark::Revision;
use attendance::{Code, Day, Half, Session, Timestamp, Upn, Urn};
use harness::Installation;
use harness::checker::{ALERTS, EVENTS};
use harness::registers::{Sending, produce};
use hook::Hook;
use proto::Event;
use sqlx::{Connection, PgConnection};
use std::time::Duration;
use transport::{Outgoing, Producer};

/// North has school 900001, East 900002 and 900003.
const NORTH: u32 = 900_001;
const EAST: u32 = 900_002;

fn upn(number: u32) -> Upn {
    Upn::parse(&format!("A900001{number:06}")).unwrap()
}

fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

/// What a school says of a child's enrolment, on that day.
fn entry(urn: u32, said: &str) -> RosterEntry {
    RosterEntry::new(Urn::new(urn).unwrap(), Kind::Main, Timestamp::in_london(day(said), 12))
}

async fn enrol(producer: &Producer, pupil: u32, entry: RosterEntry) {
    let payload = Event::to_slice(&[Event::Enrolment(upn(pupil), entry)]);
    let message = Outgoing { partition: Some(0), ..Outgoing::keyed(EVENTS, Vec::new(), payload) };
    producer.send_all(vec![message]).await.unwrap();
}

/// A child's marks on so many school days from a first one on.
async fn mark(producer: &Producer, (pupil, urn): (u32, u32), first: &str, days: usize, code: Code) {
    let first = day(first);
    let weekdays = (0..).map(|number| first.plus(number)).filter(|day| day.weekday() < 5).take(days);
    let sessions = weekdays.flat_map(|day| [Half::Am, Half::Pm].map(|half| Session::new(day, half)));
    let sending = |session: Session| {
        let revision = Revision { revised_at: session.begins().plus_micros(1), code, minutes_late: None };
        Sending { school: Urn::new(urn).unwrap(), session, marks: vec![(upn(pupil), revision)] }
    };
    produce(producer, 1, &sessions.map(sending).collect::<Vec<_>>()).await;
}

struct World {
    installation: Installation,
    hook: Hook,
    producer: Producer,
    store: store::Store,
    /// Where readers of cases ask.
    port: u16,
}

impl World {
    async fn start() -> Self {
        let installation = Installation::start(1).await;
        let hook = Hook::start().await;
        let port = installation.notify_localities(&hook);
        let (producer, store) = (installation.producer(), installation.store().await);
        Self { installation, hook, producer, store, port }
    }

    /// Until all is judged, applied and delivered.
    async fn settled(&self) {
        self.installation.settled(&self.store).await;
        self.installation.taken(&self.store, ALERTS).await;
        self.installation.until("SELECT COUNT(*) FROM delivery WHERE state <> 'delivered'", 0).await;
    }

    /// What a team was told of a move, newest last, and how many messages it got in all.
    fn told(&self, team: &str) -> (Vec<String>, usize) {
        let got = self.hook.got(team);
        let moved = got.iter().filter_map(|got| got.body()["data"]["moved"].as_str().map(str::to_owned));
        (moved.collect(), got.len())
    }

    /// References and other localities of the cases that a locality's reader is shown.
    async fn shown(&self, locality: &str) -> Vec<(String, serde_json::Value)> {
        let token = self.installation.run(&["token", "create", "--name", locality, "--locality", locality]);
        let (status, page) = hook::get(self.port, "/v1/cases", token.trim().to_owned()).await;
        assert_eq!(status, 200, "{page}");
        let cases = page["cases"].as_array().unwrap().iter();
        cases.map(|case| (case["reference"].as_str().unwrap().to_owned(), case["seen_by"].clone())).collect()
    }

    /// Locality, reference, and since when off roll, of a child's case.
    async fn case(&self, pupil: u32) -> (String, String, Option<i32>) {
        let sql = "SELECT locality, reference, off_roll_since FROM child_case WHERE upn = $1";
        let mut connection = PgConnection::connect(&self.installation.database).await.unwrap();
        let upn = i64::try_from(upn(pupil).number()).unwrap();
        sqlx::query_as(sql).bind(upn).fetch_one(&mut connection).await.unwrap()
    }

    /// The installation's time is another day's.
    async fn comes(&self, date: &str) {
        self.installation.comes(&self.store, Session::new(day(date), Half::Pm)).await;
    }

    async fn until_told(&self, team: &str, moves: usize) {
        support::wait_until(Duration::from_secs(30), team, async || match self.told(team).0 {
            told if told.len() == moves => Ok(()),
            told => Err(format!("{told:?}")),
        })
        .await
        .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_goes_along_to_another_school_and_onto_no_roll() {
    let world = World::start().await;
    let _rules = world.installation.service("rules", None);
    let _notifier = world.installation.service("notifier", None);
    let joined = RosterEntry { from: Field::Value(day("2025-09-01")), ..entry(NORTH, "2025-09-01") };
    enrol(&world.producer, 1, joined).await;
    mark(&world.producer, (1, NORTH), "2025-09-01", 15, Code::O).await;
    world.settled().await;
    let (locality, reference, _) = world.case(1).await;
    assert_eq!(locality, "North");
    let open = world.installation.number("SELECT COUNT(*) FROM alert WHERE state = 'open'").await;
    assert!(open > 1, "several rules have something to say");
    assert_eq!((world.told("north").1, world.told("east").1), (1, 0));

    let left = RosterEntry { to: Field::Value(day("2025-09-21")), ..entry(NORTH, "2025-09-19") };
    enrol(&world.producer, 1, left).await;
    let joined = RosterEntry { from: Field::Value(day("2025-09-22")), ..entry(EAST, "2025-09-19") };
    enrol(&world.producer, 1, joined).await;
    world.settled().await;
    assert_eq!(world.case(1).await.0, "North", "not before the day");
    mark(&world.producer, (1, EAST), "2025-09-22", 1, Code::O).await;
    world.until_told("east", 1).await;
    world.settled().await;
    assert_eq!(world.case(1).await, ("East".to_owned(), reference.clone(), None), "the same case");
    let (east, north) = (world.told("east").0, world.told("north").0);
    assert!(east[0].contains("moved here from North"), "{east:?}");
    assert!(north[0].contains("moved to East") && north[0].contains("no longer yours"), "{north:?}");
    let got = world.hook.got("east").remove(0).body();
    let told = got["data"]["changes"].as_array().unwrap().len();
    assert_eq!(i64::try_from(told), Ok(open), "the new team hears of all that is open: {got}");

    // The last day passes without any mark.
    let left = RosterEntry { to: Field::Value(day("2025-09-25")), ..entry(EAST, "2025-09-23") };
    enrol(&world.producer, 1, left).await;
    world.settled().await;
    assert_eq!(world.told("east").0.len(), 1, "not before the day");
    world.comes("2025-09-29").await;
    world.until_told("east", 2).await;
    assert!(world.told("east").0[1].contains("on no school's roll since 2025-09-26"), "{:?}", world.told("east"));
    let since = Some(day("2025-09-26").days());
    assert_eq!(
        world.case(1).await,
        ("East".to_owned(), reference, since),
        "it stays with those who look for the child"
    );
    assert_eq!(world.told("north").0.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_home_decides_before_a_school_and_a_second_school_moves_nothing() {
    let world = World::start().await;
    let _rules = world.installation.service("rules", None);
    let _notifier = world.installation.service("notifier", None);
    for (pupil, urn) in [(1, EAST), (2, NORTH)] {
        let joined = RosterEntry { from: Field::Value(day("2025-09-01")), ..entry(urn, "2025-09-01") };
        enrol(&world.producer, pupil, joined).await;
        mark(&world.producer, (pupil, urn), "2025-09-01", 15, Code::O).await;
    }
    world.settled().await;
    assert_eq!((world.case(1).await.0, world.case(2).await.0), ("East".to_owned(), "North".to_owned()));

    let home = RosterEntry { home_locality: Field::Value("North".to_owned()), ..entry(EAST, "2025-09-19") };
    enrol(&world.producer, 1, home).await;
    let second =
        RosterEntry { kind: Kind::Subsidiary, from: Field::Value(day("2025-09-15")), ..entry(EAST, "2025-09-19") };
    enrol(&world.producer, 2, second).await;
    mark(&world.producer, (2, EAST), "2025-09-22", 1, Code::O).await;
    world.until_told("north", 1).await;
    world.settled().await;
    assert_eq!((world.case(1).await.0, world.case(2).await.0), ("North".to_owned(), "North".to_owned()));
    assert_eq!((world.told("north").0.len(), world.told("east").0.len()), (1, 1), "one child moved");
    let (reference, seen_by) = (world.case(2).await.1, serde_json::json!(["East"]));
    assert_eq!(world.shown("East").await, [(reference.clone(), seen_by.clone())], "who has the other school sees it");
    let north = world.shown("North").await;
    assert!(north.len() == 2 && north.contains(&(reference, seen_by)), "and one works it: {north:?}");
}
