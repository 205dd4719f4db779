//! Reads topics and tables, nothing else, and compares them with what should be there: the invariants of
//! docs/invariants.md.

use super::Installation;
use super::registers::{Sending, YEAR};
use attendance::backtest::Outcome;
use attendance::record::YearRecord;
use attendance::{Session, Upn};
use prost::Message as _;
use proto::{Event, v1};
use sqlx::{Connection as _, PgConnection};
use std::collections::BTreeMap;
use std::time::Duration;
use store::record::{self, RecordRow};
use store::{Store, StoreError, outbox, position, published};
use transport::{Admin, Connection};

pub(crate) const EVENTS: &str = "attendance.events.v1";
pub(crate) const ALERTS: &str = "attendance.alerts.v1";

impl Installation {
    pub(crate) fn connection(&self) -> Connection {
        Connection::new(self.kafka.brokers(), "checker")
    }

    /// Waits until every event is folded and judged, every record written, every alert relayed.
    pub(crate) async fn settled(&self, store: &Store) {
        let admin = Admin::new(&self.connection(), Duration::from_secs(10)).unwrap();
        support::wait_until(Duration::from_secs(90), "lag, checkpoint and outbox to be nought", async || {
            let ends = admin.watermarks(EVENTS).await.map_err(|error| error.to_string())?;
            for end in ends {
                let part = i32::try_from(end.partition).unwrap();
                let found = position::read(store, EVENTS, part).await.map_err(|error| error.to_string())?;
                let (next, checkpoint) = found.map_or((0, 0), |found| (found.next_offset, found.checkpoint_offset));
                if (next, checkpoint) != (end.high, end.high) {
                    return Err(format!("partition {part}: next {next}, checkpoint {checkpoint}, end {}", end.high));
                }
            }
            let waiting = outbox::backlog(store).await.map_err(|error| error.to_string())?;
            if waiting.is_empty() { Ok(()) } else { Err(format!("{} outbox rows wait", waiting.len())) }
        })
        .await
        .unwrap();
    }

    /// All events, partition by partition.
    pub(crate) async fn events(&self) -> Vec<Event> {
        let (connection, mut events) = (self.connection(), Vec::new());
        let admin = Admin::new(&connection, Duration::from_secs(10)).unwrap();
        for end in admin.watermarks(EVENTS).await.unwrap() {
            let read = transport::read_range(&connection, EVENTS, end.partition, end.low..end.high);
            for message in read.await.unwrap() {
                events.extend(Event::of_slice(&message.payload).unwrap());
            }
        }
        events
    }

    /// The ends of a topic's partitions.
    pub(crate) async fn ends(&self, topic: &str) -> Result<Vec<(i32, i64)>, String> {
        let admin = Admin::new(&self.connection(), Duration::from_secs(10)).map_err(|error| error.to_string())?;
        let ends = admin.watermarks(topic).await.map_err(|error| error.to_string())?;
        Ok(ends.iter().map(|end| (i32::try_from(end.partition).unwrap(), end.high)).collect())
    }

    /// How many changes of each alert are in messages that were delivered.
    pub(crate) async fn told(&self) -> BTreeMap<String, u64> {
        let sql = "SELECT alert_id, COUNT(*) FROM told JOIN delivery USING (message_id) WHERE state = 'delivered'
            GROUP BY alert_id";
        let mut connection = PgConnection::connect(&self.database).await.unwrap();
        let rows: Vec<(String, i64)> = sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap();
        rows.into_iter().map(|(alert, count)| (alert, u64::try_from(count).unwrap())).collect()
    }

    /// What ingest does, where none runs: the newest session is the installation's time.
    pub(crate) async fn forward(&self, store: &Store, sendings: &[Sending]) {
        let newest = sendings.iter().map(|sending| sending.session).max().unwrap();
        self.comes(store, newest).await;
    }

    /// The installation's time is another session's.
    pub(crate) async fn comes(&self, store: &Store, session: Session) {
        let mut tx = store.begin().await.unwrap();
        store::installation::forward(&mut tx, session.number()).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Waits until the position of every partition of a topic has reached its end.
    pub(crate) async fn taken(&self, store: &Store, topic: &str) {
        let admin = Admin::new(&self.connection(), Duration::from_secs(10)).unwrap();
        support::wait_until(Duration::from_mins(1), "the position to reach the end", async || {
            for end in admin.watermarks(topic).await.map_err(|error| error.to_string())? {
                let part = i32::try_from(end.partition).unwrap();
                let found = position::read(store, topic, part).await.map_err(|error| error.to_string())?;
                let next = found.map_or(0, |found| found.next_offset);
                if next != end.high {
                    return Err(format!("partition {part}: next {next}, end {}", end.high));
                }
            }
            Ok(())
        })
        .await
        .unwrap();
    }

    /// I-1 and I-2: the stored records are those of the reference. I-3: what is published is what is wanted. I-5: of each
    /// alert every version was sent, in order, without gaps; repetitions are the same.
    pub(crate) async fn check(&self, store: &Store, expected: &BTreeMap<Upn, Outcome>) {
        let records = stored(store, self.partitions).await;
        assert_eq!(records.len(), expected.len(), "pupils with a record");
        for (upn, outcome) in expected {
            assert_eq!(records[upn].counts(), outcome.counts, "counts of a pupil");
        }
        let mut wanted: Vec<(i64, String, i16)> = Vec::new();
        for (upn, outcome) in expected {
            let open = outcome.wanted.iter().map(|(rule, level, _)| {
                (i64::try_from(upn.number()).unwrap(), rule.text().to_owned(), i16::from(level.number()))
            });
            wanted.extend(open);
        }
        let mut open = Vec::new();
        let mut last: BTreeMap<Vec<u8>, (u32, i16)> = BTreeMap::new();
        for part in 0..self.partitions {
            for row in published::load_partition(store, i32::try_from(part).unwrap()).await.unwrap() {
                let id = uuid::Uuid::parse_str(&row.alert_id).unwrap().as_bytes().to_vec();
                last.insert(id, (u32::try_from(row.version).unwrap(), row.level));
                if row.level > 0 {
                    open.push((row.upn, row.rule, row.level));
                }
            }
        }
        open.sort();
        wanted.sort();
        assert_eq!(open, wanted, "published alerts that are open");
        assert!(!wanted.is_empty(), "the stream raises something");
        let sent = self.sent().await;
        for (id, (version, level)) in last {
            let changes = &sent[&id];
            assert_eq!(changes.len(), version as usize, "versions of an alert without gaps");
            let newest = changes[&version].clone();
            let ends = [v1::Change::Cleared, v1::Change::Withdrawn, v1::Change::YearEnded].contains(&newest.change());
            let told = if ends { 0 } else { i16::try_from(newest.level).unwrap() };
            assert_eq!(told, level, "the last change sent is what is published");
        }
    }

    /// Every change sent, by alert and version. Fails where a version came first after a later one, or came again with
    /// another content.
    pub(crate) async fn sent(&self) -> BTreeMap<Vec<u8>, BTreeMap<u32, v1::AlertChange>> {
        let admin = Admin::new(&self.connection(), Duration::from_secs(10)).unwrap();
        let mut sent: BTreeMap<Vec<u8>, BTreeMap<u32, v1::AlertChange>> = BTreeMap::new();
        for end in admin.watermarks(ALERTS).await.unwrap() {
            let connection = self.connection();
            let messages = transport::read_range(&connection, ALERTS, end.partition, end.low..end.high);
            for message in messages.await.unwrap() {
                for change in v1::AlertBatch::decode(&*message.payload).unwrap().changes {
                    let versions = sent.entry(change.alert_id.clone()).or_default();
                    if let Some(before) = versions.get(&change.version) {
                        assert_eq!(before, &change, "a repetition says the same");
                        continue;
                    }
                    assert_eq!(change.version as usize, versions.len() + 1, "versions come in order");
                    versions.insert(change.version, change);
                }
            }
        }
        sent
    }
}

/// The stored records of the school year.
pub(crate) async fn stored(store: &Store, partitions: u32) -> BTreeMap<Upn, YearRecord> {
    let decoded = |row: RecordRow| {
        let upn = Upn::from_number(u64::try_from(row.upn).unwrap()).unwrap();
        (upn, proto::year_from_bytes(YEAR, &row.body).unwrap())
    };
    stored_rows(store, partitions).await.unwrap().into_iter().map(decoded).collect()
}

/// The same as the table holds them.
pub(crate) async fn stored_rows(store: &Store, partitions: u32) -> Result<Vec<RecordRow>, StoreError> {
    let mut stored = Vec::new();
    for part in 0..partitions {
        let years = [YEAR.first_calendar_year()];
        let mut pages = record::load_partition(store, i32::try_from(part).unwrap(), &years);
        while let Some(rows) = pages.next().await? {
            stored.extend(rows);
        }
    }
    Ok(stored)
}
