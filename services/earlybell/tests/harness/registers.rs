//! An invented stream of registers, by seed: some pupils often away, corrections, repetitions, re-ordering; and what
//! should come of it.

use attendance::backtest::{Asked, Known, Newest, Outcome, Who, pupil};
use attendance::enrolment::Roster;
use attendance::mark::Revision;
use attendance::profile::Profile;
use attendance::record::YearRecord;
use attendance::{Code, Day, Mark, SchoolYear, Session, Timestamp, Upn, Urn};
use policy::Policy;
use proto::{Event, MarksPart, Origin};
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use transport::{Outgoing, Producer, partition_of};

pub(crate) const YEAR: SchoolYear = SchoolYear::beginning(2025);
const SCHOOLS: [u32; 3] = [900_001, 900_002, 900_003];

/// A register as a school sends it.
#[derive(Clone)]
pub(crate) struct Sending {
    pub(crate) school: Urn,
    pub(crate) session: Session,
    pub(crate) marks: Vec<(Upn, Revision)>,
}

/// How much of everything.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) pupils: u32,
    pub(crate) days: usize,
}

/// Writes a policy whose rules fire soon.
pub(crate) fn write_policy(folder: &Path) {
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write(
        "authority.toml",
        "name = \"Invented\"\ncode = 900\nlocalities = [\"North\", \"East\"]\n\
         [calendar]\nterm = [{ name = \"autumn\", first = \"2025-09-01\", last = \"2025-12-19\" }]\n",
    );
    write("rules.toml", policy::DEFAULT_RULES);
    let schools = SCHOOLS.map(|urn| format!("{urn},School {urn}\n")).concat();
    write("schools.csv", &format!("URN,EstablishmentName\n{schools}"));
    write("localities.csv", "URN,locality\n900001,North\n900002,East\n900003,East\n");
}

/// All that is sent, in the order in which it is sent.
pub(crate) fn stream(seed: u64, size: Size) -> Vec<Sending> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let upn = |number: u32| Upn::parse(&format!("A900001{number:06}")).unwrap();
    let chances: Vec<f64> = (0..size.pupils).map(|_| *[0.02, 0.05, 0.1, 0.15, 0.5].choose(&mut rng).unwrap()).collect();
    let first = Day::parse("2025-09-01").unwrap();
    let mut sendings = Vec::new();
    for day in (0..).map(|days| first.plus(days)).filter(|day| day.weekday() < 5).take(size.days) {
        for half in [attendance::Half::Am, attendance::Half::Pm] {
            for (number, school) in SCHOOLS.iter().enumerate() {
                let session = Session::new(day, half);
                let begins = session.begins();
                let mut marks = Vec::new();
                for pupil in (0..size.pupils).filter(|pupil| *pupil as usize % SCHOOLS.len() == number) {
                    let away = rng.random_bool(chances[pupil as usize]);
                    let code =
                        if away { *[Code::I, Code::N, Code::O].choose(&mut rng).unwrap() } else { Code::Present };
                    let revised_at = begins.plus_micros(600_000_000);
                    marks.push((upn(pupil), Revision { revised_at, code, minutes_late: None }));
                }
                let school = Urn::new(*school).unwrap();
                sendings.push(Sending { school, session, marks });
                disturb(&mut rng, &mut sendings);
            }
        }
    }
    sendings
}

/// Corrections of the last days, repetitions, and now and then another order.
fn disturb(rng: &mut ChaCha8Rng, sendings: &mut Vec<Sending>) {
    let recent = sendings.len().saturating_sub(30);
    if rng.random_bool(0.3) {
        let mut corrected = sendings[recent..].choose(rng).unwrap().clone();
        let later = Timestamp::from_micros(rng.random_range(1..172_800_000_000));
        corrected.marks.retain(|_| rng.random_bool(0.2));
        for (_, revision) in &mut corrected.marks {
            revision.revised_at = revision.revised_at.plus_micros(later.micros());
            revision.code = *[Code::I, Code::Present, Code::O, Code::NotTaken].choose(rng).unwrap();
        }
        if !corrected.marks.is_empty() {
            sendings.push(corrected);
        }
    }
    if rng.random_bool(0.1) {
        let again = sendings[recent..].choose(rng).unwrap().clone();
        sendings.push(again);
    }
    if rng.random_bool(0.1) {
        sendings[recent..].shuffle(rng);
    }
}

/// Writes sendings to the events, a slice a partition and few registers.
pub(crate) async fn produce(producer: &Producer, partitions: u32, sendings: &[Sending]) {
    let mut slices: BTreeMap<u32, Vec<Event>> = BTreeMap::new();
    for sending in sendings {
        let mut parts: BTreeMap<u32, Vec<(Upn, Revision)>> = BTreeMap::new();
        for mark in &sending.marks {
            parts.entry(partition_of(mark.0.text().as_bytes(), partitions)).or_default().push(*mark);
        }
        for (partition, marks) in parts {
            let received_at = Timestamp::from_micros(0);
            let (school, session) = (sending.school, sending.session);
            let part = MarksPart { register: [1; 16], received_at, school, session, origin: Origin::Live, marks };
            slices.entry(partition).or_default().push(Event::Marks(part));
        }
    }
    let message = |(partition, events): (u32, Vec<Event>)| Outgoing {
        partition: Some(partition),
        ..Outgoing::keyed("attendance.events.v1", Vec::new(), Event::to_slice(&events))
    };
    producer.send_all(slices.into_iter().map(message).collect()).await.unwrap();
}

/// What should come of it, by `backtest`'s own code: an outcome a pupil.
pub(crate) fn expected(policy: &Policy, sendings: &[Sending]) -> BTreeMap<Upn, Outcome> {
    let mut by_pupil: BTreeMap<Upn, Vec<Known>> = BTreeMap::new();
    for sending in sendings {
        for (upn, revision) in &sending.marks {
            let mark = Mark { upn: *upn, school: sending.school, session: sending.session, revision: *revision };
            let at = revision.revised_at.max(sending.session.begins());
            by_pupil.entry(*upn).or_default().push(Known { at, mark });
        }
    }
    let known = by_pupil.values().flatten().map(|known| (known.at, known.mark.session));
    let newest = Newest::of(known.collect::<Vec<_>>());
    let standard = policy.standard();
    let outcome = |(upn, mut marks): (Upn, Vec<Known>)| {
        let asked = Asked { year: YEAR, newest: &newest, evenings: &[] };
        pupil(&mut marks, asked, standard, &NoRoster(policy)).map(|outcome| (upn, outcome))
    };
    by_pupil.into_iter().filter_map(outcome).collect()
}

/// Whom no roster names: its school's phase is all that is known.
struct NoRoster<'a>(&'a Policy);

impl Who for NoRoster<'_> {
    fn school_at(&self, _: Session) -> Option<Urn> {
        None
    }

    fn profile(&self, record: &YearRecord) -> Profile {
        self.0.profile(&Roster::default(), record)
    }
}
