//! Schools whose registers do not come, on real Kafka and PostgreSQL: one message a team for all of them, one alert as long as it lasts,
//! also where ingest dies between deciding and telling.
#![expect(dead_code, reason = "the harness serves other tests too")]

mod harness;
mod hook;
#[path = "harness/http.rs"]
mod http;
#[path = "harness/notifying.rs"]
mod notifying;

use attendance::enrolment::{Field, Kind, RosterEntry};
use attendance::mark::Revision;
use attendance::{Code, Day, Half, Session, Timestamp, Upn, Urn};
use harness::Installation;
use harness::checker::{ALERTS, EVENTS};
use harness::registers::Sending;
use hook::Hook;
use http::{Ingest, json};
use proto::Event;
use std::time::Duration;
use transport::Outgoing;

const SCHOOLS: [u32; 3] = [900_001, 900_002, 900_003];
const OPEN: &str = "SELECT COUNT(*) FROM school_alert WHERE state > 1";
const REGISTERS: &str = "attendance.registers.v1";
const PUPILS: u32 = 5;

fn session(day: &str, half: Half) -> Session {
    Session::new(Day::parse(day).unwrap(), half)
}

fn upn(school: u32, pupil: u32) -> Upn {
    notifying::upn(school % 10 * 100 + pupil)
}

/// A school's register of a session with marks of so many of its five pupils.
fn register(school: u32, session: Session, pupils: u32) -> Sending {
    let revised_at = session.begins().plus_micros(i64::from(pupils));
    let revision = Revision { revised_at, code: Code::Present, minutes_late: None };
    let marks = (0..pupils).map(|pupil| (upn(school, pupil), revision)).collect();
    Sending { school: Urn::new(school).unwrap(), session, marks }
}

/// All pupils of all schools are on roll since September.
async fn enrol(installation: &Installation) {
    let mut events = Vec::new();
    for school in SCHOOLS {
        let revised_at = Timestamp::parse("2025-09-01T09:00:00Z").unwrap();
        let entry = RosterEntry {
            from: Field::Value(Day::parse("2025-09-01").unwrap()),
            ..RosterEntry::new(Urn::new(school).unwrap(), Kind::Main, revised_at)
        };
        events.extend((0..PUPILS).map(|pupil| Event::Enrolment(upn(school, pupil), entry.clone())));
    }
    let message = Outgoing { partition: Some(0), ..Outgoing::keyed(EVENTS, Vec::new(), Event::to_slice(&events)) };
    installation.producer().send_all(vec![message]).await.unwrap();
}

struct World {
    installation: Installation,
    hook: Hook,
    store: store::Store,
    key: String,
    port: u16,
}

impl World {
    async fn start() -> Self {
        let installation = Installation::start(1).await;
        let hook = Hook::start().await;
        let port = installation.notify_localities(&hook);
        let urns = SCHOOLS.map(|urn| ["--urn".to_owned(), urn.to_string()]).concat();
        let named = ["--name".to_owned(), "all".to_owned()];
        let arguments: Vec<&str> = named.iter().chain(&urns).map(String::as_str).collect();
        let key = installation.key(&arguments);
        let store = installation.store().await;
        Self { installation, hook, store, key, port }
    }

    async fn post(&self, ingest: &Ingest, sendings: &[Sending]) {
        for sending in sendings {
            let answer = ingest.send("/v1/registers", &self.key, "application/json", json(sending));
            assert_eq!(answer.status, 202, "{}", answer.json());
        }
        self.installation.taken(&self.store, REGISTERS).await;
    }

    async fn delivered(&self, open: i64, messages: i64) {
        self.installation.until(OPEN, open).await;
        self.installation.until("SELECT COUNT(*) FROM delivery WHERE state = 'delivered'", messages).await;
    }

    async fn missing(&self, locality: &str) -> Vec<(u64, String)> {
        let token = self.installation.run(&["token", "create", "--name", locality, "--locality", locality]);
        let (status, page) = hook::get(self.port, "/v1/schools", token.trim().to_owned()).await;
        assert_eq!(status, 200, "{page}");
        let (_, described) = hook::get(self.port, "/openapi.json", String::new()).await;
        let known = described["components"]["schemas"]["School"]["properties"].as_object().unwrap();
        let schools = page["schools"].as_array().unwrap().iter();
        let school = |school: &serde_json::Value| {
            assert!(school.as_object().unwrap().keys().eq(known.keys()), "the description names every field");
            (school["school_urn"].as_u64().unwrap(), school["state"].as_str().unwrap().to_owned())
        };
        schools.map(school).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_team_hears_once_of_schools_that_fall_silent() {
    let world = World::start().await;
    let mut ingest = world.installation.ingest(Some("ingest.schools.after_commit")).await;
    let _rules = world.installation.service("rules", None);
    let _notifier = world.installation.service("notifier", None);
    enrol(&world.installation).await;
    for day in ["2025-09-08", "2025-09-09"] {
        let all = [Half::Am, Half::Pm].map(|half| SCHOOLS.map(|school| register(school, session(day, half), PUPILS)));
        world.post(&ingest, &all.concat()).await;
    }
    // On Wednesday one school sends nothing, one a class.
    let (wednesday, thursday) = ("2025-09-10", "2025-09-11");
    world.post(&ingest, &[register(SCHOOLS[0], session(wednesday, Half::Am), PUPILS)]).await;
    world.post(&ingest, &[register(SCHOOLS[1], session(wednesday, Half::Am), 2)]).await;
    assert_eq!(world.installation.number("SELECT COUNT(*) FROM school_watch").await, 0, "nobody was silent before");
    for half in [Half::Am, Half::Pm] {
        world.post(&ingest, &[register(SCHOOLS[0], session(thursday, half), PUPILS)]).await;
    }
    // It dies with the change committed and not told.
    assert!(ingest.process.ended(Duration::from_mins(1)).await.is_some_and(|status| !status.success()));
    assert_eq!(world.installation.number(OPEN).await, 0);
    let mut ingest = world.installation.ingest(Some("ingest.schools.after_send:3")).await;
    world.delivered(2, 1).await;
    let got = world.hook.got("east");
    let told = got[0].body();
    assert_eq!(told["type"], "schools.missing", "{told}");
    let sentences = told["data"]["schools"].as_array().unwrap().iter();
    let sentences: Vec<&str> = sentences.map(|school| school["sentence"].as_str().unwrap()).collect();
    let expected = [
        "The registers of the morning of 10 September have marks of 2 of 5 pupils on roll",
        "No register of the morning of 10 September had come by 10:30",
    ];
    assert_eq!(sentences, expected);
    assert!(world.hook.got("north").is_empty());
    let both = [(900_002, "incomplete".to_owned()), (900_003, "silent".to_owned())];
    assert_eq!(world.missing("East").await, both);
    assert_eq!(world.missing("North").await, []);

    // The silence lasts: no further message. Then all of it comes.
    for (day, half) in [("2025-09-12", Half::Am), ("2025-09-12", Half::Pm)] {
        world.post(&ingest, &[register(SCHOOLS[0], session(day, half), PUPILS)]).await;
    }
    world.installation.until("SELECT COUNT(*) FROM school_alert WHERE state = 3", 2).await;
    for school in [SCHOOLS[1], SCHOOLS[2]] {
        let sessions =
            [wednesday, thursday, "2025-09-12"].map(|day| [Half::Am, Half::Pm].map(|half| session(day, half)));
        let all: Vec<Sending> =
            sessions.concat().into_iter().map(|session| register(school, session, PUPILS)).collect();
        world.post(&ingest, &all).await;
    }
    for half in [Half::Am, Half::Pm] {
        let all = SCHOOLS.map(|school| register(school, session("2025-09-15", half), PUPILS));
        world.post(&ingest, &all).await;
    }
    // It dies with the end told and not deleted, and tells it again.
    assert!(ingest.process.ended(Duration::from_mins(1)).await.is_some_and(|status| !status.success()));
    let _ingest = world.installation.ingest(None).await;
    world.installation.until(OPEN, 0).await;
    world.installation.until("SELECT COUNT(*) FROM outbox WHERE part = -1", 0).await;
    world.installation.taken(&world.store, ALERTS).await;
    let subjects: Vec<String> =
        world.hook.got("east").iter().map(|got| got.body()["data"]["schools"][0]["change"].to_string()).collect();
    assert_eq!(subjects, ["\"raised\""], "what becomes of it the API shows");
    assert!(world.hook.got("north").is_empty());
}
