//! What tests of the notifier share: invented alert changes on Kafka, a policy with receivers, questions to the tables.

use crate::harness::Installation;
use crate::hook::{Hook, KEY};
use prost::Message;
use proto::v1;
use sqlx::{Connection, PgConnection};
use std::fs;
use std::time::Duration;
use transport::{Outgoing, Producer, ProducerConfig};

pub(crate) const WITHIN: Duration = Duration::from_mins(1);
pub(crate) const SENTENCE: &str = "Missed 7 of 40 sessions since 1 September (17.5%).";

/// A UPN of an invented pupil, as the contracts carry it, and as text.
pub(crate) fn upn(pupil: u32) -> attendance::Upn {
    attendance::Upn::parse(&format!("A900001{pupil:06}")).unwrap()
}

/// A version of a pupil's one alert.
pub(crate) fn change(pupil: u32, version: u32) -> v1::AlertChange {
    let kind = [v1::Change::Raised, v1::Change::Escalated, v1::Change::Cleared][(version as usize - 1) % 3];
    let mut alert_id = vec![7; 16];
    alert_id[..4].copy_from_slice(&pupil.to_be_bytes());
    let as_of = attendance::Session::new(attendance::Day::parse("2025-10-01").unwrap(), attendance::Half::Am).number();
    v1::AlertChange {
        alert_id,
        version,
        upn: upn(pupil).number(),
        rule: "year-rate".into(),
        school_year: 2025,
        episode: 1,
        change: kind.into(),
        level: 1 + version.min(2),
        since: as_of - 10,
        as_of,
        rule_set: 1,
        school_urn: 900_001 + pupil % 3,
        home_locality: if pupil.is_multiple_of(4) { "North".into() } else { String::new() },
        evidence: Some(v1::Evidence { possible: 40, authorised: 4, unauthorised: 3, ..Default::default() }),
        sentence: SENTENCE.into(),
        register_id: vec![1; 16],
        received_at: 1_760_000_000_000_000,
        history: false,
        caused_by: as_of,
        off_roll_since: 0,
        other_school_urns: Vec::new(),
        by_rule_set: false,
    }
}

pub(crate) async fn produce(producer: &Producer, partition: u32, changes: Vec<v1::AlertChange>) {
    let payload = v1::AlertBatch { changes, ..Default::default() }.encode_to_vec();
    let message =
        Outgoing { partition: Some(partition), ..Outgoing::keyed("attendance.alerts.v1", Vec::new(), payload) };
    producer.send_all(vec![message]).await.unwrap();
}

impl Installation {
    /// An installation whose policy sends everything to the receivers given, at once, and a port for readers.
    pub(crate) async fn notifying(receivers: &[(&str, String)]) -> (Self, u16) {
        Self::notifying_up_to(0, receivers).await
    }

    /// The same, with a limit of changes a receiver and hour.
    pub(crate) async fn notifying_up_to(storm: u32, receivers: &[(&str, String)]) -> (Self, u16) {
        let installation = Self::start(2).await;
        let port = installation.notify(storm, receivers);
        (installation, port)
    }

    /// From now on the policy sends everything to the receivers given; gives a port for readers.
    pub(crate) fn notify(&self, storm: u32, receivers: &[(&str, String)]) -> u16 {
        let folder = self.folder.path();
        let port = support::free_port().unwrap();
        let settings =
            format!("[notifier]\nlisten = \"127.0.0.1:{port}\"\nattempt_timeout = \"1s\"\ntick = \"100ms\"\n");
        fs::write(folder.join("earlybell.toml"), settings).unwrap();
        fs::write(folder.join("secret"), KEY).unwrap();
        let names: Vec<String> = receivers.iter().map(|(name, _)| format!("{name:?}")).collect();
        let mut text = fs::read_to_string(folder.join("authority.toml")).unwrap();
        text.push_str(&format!(
            "\n[notify]\nstorm = {storm}\ndefault = [{}]\nlink = \"https://e.example/{{reference}}\"\n",
            names.join(",")
        ));
        for (name, rest) in receivers {
            text.push_str(&format!(
                "[[receiver]]\nname = {name:?}\nfirst_pause = \"100ms\"\nlongest_pause = \"1s\"\n{rest}\n"
            ));
        }
        fs::write(folder.join("authority.toml"), text).unwrap();
        self.run(&["apply", folder.to_str().unwrap(), "--yes", "--by", "test"]);
        port
    }

    /// From now on each locality's team, North's and East's, has its own path of the hook; gives a port for readers.
    pub(crate) fn notify_localities(&self, hook: &Hook) -> u16 {
        let port = self.notify(0, &[("north", hook.receiver("north", "")), ("east", hook.receiver("east", ""))]);
        let path = self.folder.path().join("authority.toml");
        let routes = ["North", "East"]
            .map(|locality| format!("[[route]]\nlocalities = [{locality:?}]\nto = [{:?}]\n", locality.to_lowercase()));
        fs::write(&path, fs::read_to_string(&path).unwrap() + &routes.concat()).unwrap();
        self.run(&["apply", self.folder.path().to_str().unwrap(), "--yes", "--by", "test"]);
        port
    }

    pub(crate) fn producer(&self) -> Producer {
        Producer::new(&ProducerConfig::new(self.connection())).unwrap()
    }

    /// A query's number.
    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        let mut connection = PgConnection::connect(&self.database).await.unwrap();
        sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
    }

    /// Waits until a query gives a number.
    pub(crate) async fn until(&self, sql: &'static str, wanted: i64) {
        support::wait_until(WITHIN, sql, async || match self.number(sql).await {
            found if found == wanted => Ok(()),
            found => Err(format!("{found} instead of {wanted}")),
        })
        .await
        .unwrap();
    }

    /// Waits until an attempt at a receiver failed, and gives what was written down of it.
    pub(crate) async fn first_error(&self, receiver: &str) -> String {
        let sql = "SELECT a.error FROM attempt a JOIN delivery d ON d.id = a.delivery_id \
                   WHERE d.receiver = $1 AND a.error IS NOT NULL ORDER BY a.number LIMIT 1";
        support::wait_until(WITHIN, receiver, async || {
            let mut connection = PgConnection::connect(&self.database).await.unwrap();
            let found = sqlx::query_scalar(sql).bind(receiver).fetch_optional(&mut connection).await.unwrap();
            found.ok_or_else(|| "no failed attempt".to_owned())
        })
        .await
        .unwrap()
    }

    /// State and number of attempts of a receiver's only delivery; none where there is none yet.
    pub(crate) async fn state(&self, receiver: &str) -> Option<(String, i32)> {
        let mut connection = PgConnection::connect(&self.database).await.unwrap();
        let sql = "SELECT state, attempts FROM delivery WHERE receiver = $1";
        sqlx::query_as(sql).bind(receiver).fetch_optional(&mut connection).await.unwrap()
    }

    /// Waits until every one of these receivers has got its only message.
    pub(crate) async fn delivered(&self, receivers: &[&str]) {
        for receiver in receivers {
            support::wait_until(WITHIN, receiver, async || match self.state(receiver).await {
                Some((state, _)) if state == "delivered" => Ok(()),
                other => Err(format!("{other:?}")),
            })
            .await
            .unwrap();
        }
    }
}
