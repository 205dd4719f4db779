//! The marks that are measured with: invented, by arithmetic alone, so that whoever checks can say what every pupil's level is.

use anyhow::Context;
use attendance::mark::Revision;
use attendance::rate::Counts;
use attendance::rule::Level;
use attendance::{Code, Day, Half, Session, Timestamp, Upn, Urn};
use proto::{Event, MarksPart, Origin};
use std::collections::BTreeMap;
use transport::{Outgoing, partition_of};

/// Pupils a school.
const SCHOOL: u32 = 300;
/// Marks a message, at most: some 400 KB.
const SLICE: usize = 30_000;
/// The first school's number.
const FIRST_URN: u32 = 100_000;

/// How much there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) pupils: u32,
    pub(crate) sessions: u32,
    /// Possible sessions below which the rule says nothing.
    pub(crate) minimum: u32,
}

/// A county.
pub(crate) struct County {
    pub(crate) size: Size,
    pub(crate) partitions: u32,
    /// The pupils of each partition, by school.
    places: Vec<BTreeMap<u32, Vec<(u32, Upn)>>>,
}

impl County {
    pub(crate) fn new(size: Size, partitions: u32) -> anyhow::Result<Self> {
        let mut places = vec![BTreeMap::<u32, Vec<(u32, Upn)>>::new(); usize::try_from(partitions)?];
        for pupil in 0..size.pupils {
            let upn = Self::upn(pupil)?;
            let partition = usize::try_from(partition_of(upn.text().as_bytes(), partitions))?;
            places[partition].entry(FIRST_URN + pupil / SCHOOL).or_default().push((pupil, upn));
        }
        Ok(Self { size, partitions, places })
    }

    pub(crate) fn marks(&self) -> u64 {
        u64::from(self.size.pupils) * u64::from(self.size.sessions)
    }

    pub(crate) fn schools(&self) -> impl Iterator<Item = u32> {
        FIRST_URN..=FIRST_URN + (self.size.pupils - 1) / SCHOOL
    }

    fn upn(pupil: u32) -> anyhow::Result<Upn> {
        Upn::given(900, pupil).ok_or_else(|| anyhow::anyhow!("no UPN has the number {pupil}"))
    }

    /// The sessions in order: mornings and afternoons of weekdays from September on.
    pub(crate) fn sessions(&self) -> anyhow::Result<Vec<Session>> {
        let first = Day::parse("2025-09-01")?;
        let weekdays = (0..).map(|days| first.plus(days)).filter(|day| day.weekday() < 5);
        let sessions = weekdays.flat_map(|day| [Half::Am, Half::Pm].map(|half| Session::new(day, half)));
        Ok(sessions.take(usize::try_from(self.size.sessions)?).collect())
    }

    /// The session after the last.
    pub(crate) fn next_session(&self) -> anyhow::Result<Session> {
        let longer = Size { sessions: self.size.sessions + 1, ..self.size };
        Self { size: longer, partitions: self.partitions, places: Vec::new() }.sessions()?.pop().context("no session")
    }

    /// What a school's register of a session holds.
    pub(crate) fn marks_of(&self, school: u32, session: u32) -> anyhow::Result<Vec<(String, Code)>> {
        let first = (school - FIRST_URN) * SCHOOL;
        let pupils = first..(first + SCHOOL).min(self.size.pupils);
        pupils.map(|pupil| Ok((Self::upn(pupil)?.text(), code(pupil, session)))).collect()
    }

    /// The messages of a session, as ingest cuts them.
    pub(crate) fn messages(&self, number: u32, session: Session, topic: &str) -> Vec<Outgoing> {
        let mut messages = Vec::new();
        for (partition, schools) in (0..).zip(&self.places) {
            let mut slices: Vec<(usize, Vec<Event>)> = vec![(0, Vec::new())];
            for (urn, pupils) in schools {
                let Ok(school) = Urn::new(*urn) else { continue };
                let revised_at = session.begins().plus_micros(600_000_000);
                let mark = |(pupil, upn): &(u32, Upn)| {
                    (*upn, Revision { revised_at, code: code(*pupil, number), minutes_late: None })
                };
                let marks: Vec<_> = pupils.iter().map(mark).collect();
                if let Some((count, events)) = slices.last_mut() {
                    *count += marks.len();
                    let register = [1; 16];
                    let received_at = Timestamp::from_micros(1);
                    let part = MarksPart { register, received_at, school, session, origin: Origin::Live, marks };
                    events.push(Event::Marks(part));
                    if *count >= SLICE {
                        slices.push((0, Vec::new()));
                    }
                }
            }
            for (_, events) in slices.iter().filter(|(_, events)| !events.is_empty()) {
                let payload = Event::to_slice(events);
                messages.push(Outgoing { partition: Some(partition), ..Outgoing::keyed(topic, Vec::new(), payload) });
            }
        }
        messages
    }

    /// The level of every pupil who has one, at the end: the oracle of whoever applies the rule.
    pub(crate) fn levels(&self) -> anyhow::Result<BTreeMap<u64, u8>> {
        let mut levels = BTreeMap::new();
        for pupil in 0..self.size.pupils {
            let mut counts = Counts::default();
            for number in 0..self.size.sessions {
                counts.possible += 1;
                counts.authorised += u32::from(code(pupil, number) == Code::I);
            }
            let absent = counts.authorised;
            let level = match counts.possible {
                possible if possible < self.size.minimum => continue,
                possible if absent * 2 >= possible => Level::Severe,
                possible if absent * 10 >= possible => Level::Persistent,
                possible if absent * 20 >= possible => Level::AtRisk,
                _ => continue,
            };
            levels.insert(Self::upn(pupil)?.number(), level.number());
        }
        Ok(levels)
    }
}

/// A pupil's mark in a session. Most pupils are seldom away, a few often.
fn code(pupil: u32, session: u32) -> Code {
    let thousandths = [10, 20, 30, 40, 60, 80, 120, 600][usize::try_from(mixed(pupil.into()) % 8).unwrap_or(0)];
    let drawn = mixed((u64::from(pupil) << 32) | u64::from(session)) % 1_000;
    if drawn < thousandths { Code::I } else { Code::Present }
}

/// splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
