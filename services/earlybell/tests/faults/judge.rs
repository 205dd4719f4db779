//! The independent checker: reads topics, tables and what the receiver got, and counts what differs from what schools were told is
//! stored, and from what `backtest` makes of it. A mark is lost where its pupil's record has not its newest revision; doubled where the
//! record has one that nobody sent, or counts it twice. An alert change is lost where it is wanted and not published, published and
//! not applied, applied and not told; doubled where it is there and not wanted, or was told under two ids.

use crate::harness::checker::{ALERTS, EVENTS, stored, stored_rows};
use crate::harness::registers::expected;
use crate::world::{REGISTERS, World};
use attendance::mark::Revision;
use attendance::{Session, Upn, Urn};
use std::collections::{BTreeMap, BTreeSet};
use store::{casework, delivery, outbox, policy_set, position, published};

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) marks: u64,
    pub(crate) marks_lost: u64,
    pub(crate) marks_doubled: u64,
    pub(crate) alerts: u64,
    pub(crate) alerts_lost: u64,
    pub(crate) alerts_doubled: u64,
    pub(crate) problems: Vec<String>,
}

impl Tally {
    /// Of a fault whose playing came to an end before its time.
    pub(crate) fn ended(why: &str) -> Self {
        Self { problems: vec![why.to_owned()], ..Self::default() }
    }

    fn lost(&mut self, how: &str, count: u64) {
        self.alerts_lost += count;
        self.tell(how, count);
    }

    fn doubled(&mut self, how: &str, count: u64) {
        self.alerts_doubled += count;
        self.tell(how, count);
    }

    fn tell(&mut self, how: &str, count: u64) {
        if count > 0 {
            self.problems.push(format!("alert changes {how}: {count}"));
        }
    }

    pub(crate) fn is_well(&self) -> bool {
        let counts = [self.marks_lost, self.marks_doubled, self.alerts_lost, self.alerts_doubled];
        counts == [0; 4] && self.problems.is_empty() && self.marks > 0 && self.alerts > 0
    }
}

/// Whether nothing is on its way: all but who is held are judged by the rules in force and up to the newest session, positions at the
/// topics' ends, every record written, no outbox, nothing owed.
pub(crate) async fn settled(world: &World) -> Result<(), String> {
    let store = &world.store;
    let in_force = policy_set::version(store).await.map_err(|error| error.to_string())?.unwrap_or(0);
    let mut rows = stored_rows(store, world.installation.partitions).await.map_err(|error| error.to_string())?;
    // Whoever is held waits for a replay, maybe past the day on which it is due.
    for held in world.held().await.map_err(|error| error.to_string())? {
        rows.retain(|row| row.upn != held.upn);
    }
    let older = rows.iter().filter(|row| row.judged_with != in_force).count();
    if older > 0 {
        return Err(format!("{older} pupils are not yet judged by rule set {in_force}"));
    }
    let newest = world.sent.iter().map(|sending| sending.session.begins().micros()).max();
    let due = rows.iter().filter(|row| row.due_at.is_some_and(|due| Some(due) <= newest)).count();
    if due > 0 {
        return Err(format!("{due} pupils are due by the calendar"));
    }
    for topic in [REGISTERS, EVENTS, ALERTS] {
        let ends = world.installation.ends(topic).await?;
        for (part, high) in ends {
            let found = position::read(store, topic, part).await.map_err(|error| error.to_string())?;
            let next = found.as_ref().map_or(0, |found| found.next_offset);
            let checkpoint = found.map_or(0, |found| found.checkpoint_offset);
            if next != high || (topic == EVENTS && checkpoint != high) {
                return Err(format!("{topic}-{part}: next {next}, checkpoint {checkpoint}, end {high}"));
            }
        }
        if topic == EVENTS {
            let waiting = outbox::backlog(store).await.map_err(|error| error.to_string())?;
            if !waiting.is_empty() {
                return Err(format!("{} partitions have an outbox", waiting.len()));
            }
        }
    }
    let owed = delivery::owed(store).await.map_err(|error| error.to_string())?;
    if owed.is_empty() { Ok(()) } else { Err(format!("owed: {owed:?}")) }
}

/// Counts.
pub(crate) async fn judge(world: &World) -> Tally {
    let mut tally = Tally { problems: world.problems.clone(), ..Tally::default() };
    marks(world, &mut tally).await;
    alerts(world, &mut tally).await;
    tally
}

type Key = (Upn, Session, Urn);

async fn marks(world: &World, tally: &mut Tally) {
    let mut newest: BTreeMap<Key, Revision> = BTreeMap::new();
    for sending in &world.sent {
        for (upn, revision) in &sending.marks {
            tally.marks += 1;
            let kept = newest.entry((*upn, sending.session, sending.school)).or_insert(*revision);
            let order = |revision: &Revision| (revision.revised_at, revision.code, revision.minutes_late);
            if order(revision) > order(kept) {
                *kept = *revision;
            }
        }
    }
    let records = stored(&world.store, world.installation.partitions).await;
    let mut found: BTreeMap<Key, Revision> = BTreeMap::new();
    for (upn, record) in &records {
        for entry in record.entries() {
            let school = record.school(entry).unwrap();
            if found.insert((*upn, entry.session, school), entry.revision).is_some() {
                tally.marks_doubled += 1;
            }
        }
    }
    tally.marks_lost += count(newest.iter().filter(|(key, revision)| found.get(key) != Some(revision)));
    tally.marks_doubled += count(found.keys().filter(|key| !newest.contains_key(key)));
    for (upn, outcome) in expected(&world.installation.policy, &world.sent) {
        let counts = records.get(&upn).map(attendance::record::YearRecord::counts);
        if counts != Some(outcome.counts) {
            tally.problems.push(format!("a record counts {counts:?} instead of {:?}", outcome.counts));
        }
    }
    tally.problems.truncate(10);
}

async fn alerts(world: &World, tally: &mut Tally) {
    let wanted: BTreeSet<(i64, String, i16)> = expected(&world.installation.policy, &world.sent)
        .iter()
        .flat_map(|(upn, outcome)| {
            let upn = i64::try_from(upn.number()).unwrap();
            let open = outcome.wanted.iter();
            open.map(move |(rule, level, _)| (upn, rule.text().to_owned(), i16::from(level.number())))
        })
        .collect();
    let mut rows = Vec::new();
    for part in 0..world.installation.partitions {
        rows.extend(published::load_partition(&world.store, i32::try_from(part).unwrap()).await.unwrap());
    }
    let open: BTreeSet<(i64, String, i16)> =
        rows.iter().filter(|row| row.level > 0).map(|row| (row.upn, row.rule.clone(), row.level)).collect();
    tally.lost("wanted, not published", count(wanted.difference(&open)));
    tally.doubled("published, not wanted", count(open.difference(&wanted)));

    // What was published last is what the case stands at.
    let heads = casework::heads(&world.store).await.unwrap();
    let heads: BTreeMap<&str, i32> = heads.iter().map(|head| (head.alert_id.as_str(), head.version)).collect();
    for row in &rows {
        let applied = heads.get(row.alert_id.as_str()).copied().unwrap_or(0);
        tally.lost("published, not applied", u64::try_from((row.version - applied).max(0)).unwrap());
        tally.doubled("applied, not published", u64::try_from((applied - row.version).max(0)).unwrap());
    }

    // Every change that was sent is applied, and told in one message, which the receiver got under one id.
    let sent = world.installation.sent().await;
    tally.alerts += u64::try_from(sent.values().map(BTreeMap::len).sum::<usize>()).unwrap();
    let mut ids: BTreeMap<(String, u64), BTreeSet<String>> = BTreeMap::new();
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    for got in world.hook.got("hook") {
        let data = &got.body()["data"];
        // Schools that a fault has made late are told too.
        let said = data["changes"].as_array().or(data["schools"].as_array());
        for said in said.unwrap() {
            let (alert, version) = (said["alert"].as_str().unwrap().to_owned(), said["version"].as_u64().unwrap());
            let newest = last.entry(alert.clone()).or_default();
            *newest = (*newest).max(version);
            ids.entry((alert, version)).or_default().insert(got.id.clone());
        }
    }
    tally.doubled("told under two ids", count(ids.values().filter(|ids| ids.len() > 1)));
    let told = world.installation.told().await;
    for (alert, versions) in &sent {
        let alert = uuid::Uuid::from_slice(alert).unwrap().to_string();
        let newest = u64::from(*versions.keys().next_back().unwrap());
        tally.lost("not with the receiver", u64::from(last.get(&alert) != Some(&newest)));
        let told = told.get(&alert).copied().unwrap_or(0);
        tally.lost("applied, not told", newest.saturating_sub(told));
        tally.doubled("told twice", told.saturating_sub(newest));
    }
}

fn count<T>(found: impl Iterator<Item = T>) -> u64 {
    u64::try_from(found.count()).unwrap()
}
