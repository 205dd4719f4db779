//! Kafka and PostgreSQL of a run's own, with the county's marks in the topic, and a process that is measured.

use crate::county::County;
use anyhow::{Context, bail};
use attendance::Timestamp;
use policy::Files;
use service::clock::Clock;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::{Kafka, KafkaOptions, Postgres};
use tempfile::TempDir;
use transport::{Admin, Connection, Producer, ProducerConfig};

/// Partitions of each topic.
pub(crate) const PARTITIONS: u32 = 16;
pub(crate) const EVENTS: &str = "attendance.events.v1";
pub(crate) const REGISTERS: &str = "attendance.registers.v1";

/// Servers, and the program.
pub(crate) struct Ground {
    pub(crate) kafka: Kafka,
    pub(crate) postgres: Postgres,
    pub(crate) folder: TempDir,
    pub(crate) program: PathBuf,
}

/// Which rules are in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rules {
    /// The one that the peer has too.
    One,
    /// Those that ship.
    All,
}

impl Rules {
    /// A policy with these rules, for the county's schools.
    pub(crate) fn policy(self, county: &County) -> Files {
        let rule = format!(
            "[[rule]]\nid = \"year-to-date\"\ntitle = \"Absence\"\nkind = \"rate\"\nwindow = \"year-to-date\"\n\
             minimum = {}\nlevels = {{ at-risk = \"5%\", persistent = \"10%\", severe = \"50%\" }}\n",
            county.size.minimum
        );
        Files {
            authority: "name = \"Bench\"\ncode = 900\nlocalities = [\"North\"]\n[calendar]\n\
                 term = [{ name = \"autumn\", first = \"2025-09-01\", last = \"2025-12-19\" }]\n"
                .to_owned(),
            rules: if self == Self::One { rule } else { policy::DEFAULT_RULES.to_owned() },
            schools: lines("URN,EstablishmentName", county.schools().map(|urn| format!("{urn},School {urn}"))),
            localities: lines("URN,locality", county.schools().map(|urn| format!("{urn},North"))),
            projection: None,
        }
    }
}

impl Ground {
    pub(crate) fn start(program: &Path) -> anyhow::Result<Self> {
        let settings = [("log.segment.bytes", "268435456"), ("message.max.bytes", "4194304")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Ok(Self {
            kafka: Kafka::start(&KafkaOptions { heap_mib: 1_024, settings })?,
            postgres: Postgres::start_with(&[("shared_buffers", "512MB"), ("max_wal_size", "4GB")])?,
            folder: tempfile::tempdir()?,
            program: program.to_owned(),
        })
    }

    pub(crate) fn connection(&self) -> Connection {
        Connection::new(self.kafka.brokers(), "bench")
    }

    /// Writes the county's marks into the topic, which the first installation has made.
    pub(crate) async fn fill(&self, county: &County) -> anyhow::Result<()> {
        let producer = Producer::new(&ProducerConfig::new(self.connection()))?;
        for (number, session) in (0..).zip(county.sessions()?) {
            producer.send_all(county.messages(number, session, EVENTS)).await?;
        }
        Ok(())
    }

    /// A new database with a policy in force; gives its address and the folder of the policy.
    pub(crate) async fn install(&self, county: &County, rules: Rules) -> anyhow::Result<(String, PathBuf)> {
        let database = self.postgres.create_database().await?;
        let folder = tempfile::tempdir_in(self.folder.path())?.keep();
        let Files { authority, rules, schools, localities, projection: _ } = rules.policy(county);
        for (name, text) in Files::NAMES.into_iter().zip([authority, rules, schools, localities]) {
            fs::write(folder.join(name), text)?;
        }
        let partitions = county.partitions.to_string();
        self.run(&database, &folder, &["migrate", "--partitions", &partitions, "--clock", "registers"])?;
        self.apply(&database, &folder)?;
        Ok((database, folder))
    }

    /// The program with this run's settings.
    pub(crate) fn command(&self, database: &str, folder: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env("EARLYBELL__KAFKA__BROKERS", self.kafka.brokers())
            .env("EARLYBELL__KAFKA__REPLICATION", "1")
            .env("EARLYBELL__KAFKA__MIN_INSYNC", "1")
            .env("EARLYBELL__DATABASE__URL", database)
            .env("EARLYBELL__ADMIN__RULES", "127.0.0.1:0")
            .env("EARLYBELL__LOG__FORMAT", "text")
            .current_dir(folder)
            .stdin(Stdio::null());
        command
    }

    fn run(&self, database: &str, folder: &Path, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.command(database, folder).args(arguments).output()?;
        if !output.status.success() {
            bail!("earlybell {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Puts the folder's policy in force.
    pub(crate) fn apply(&self, database: &str, folder: &Path) -> anyhow::Result<()> {
        let policy = folder.to_str().context("the temporary folder has no name in Unicode")?;
        self.run(database, folder, &["apply", policy, "--yes", "--by", "bench"]).map(drop)
    }

    /// A key for all schools.
    pub(crate) fn key(&self, database: &str, folder: &Path) -> anyhow::Result<String> {
        Ok(self.run(database, folder, &["key", "create", "--name", "bench", "--all-schools"])?.trim().to_owned())
    }

    /// Starts ingest, and waits until it listens.
    pub(crate) async fn ingest(&self, database: &str, folder: &Path) -> anyhow::Result<Ingest> {
        let port = support::free_port()?;
        let mut command = self.command(database, folder);
        command
            .arg("ingest")
            .env("EARLYBELL__INGEST__LISTEN", format!("127.0.0.1:{port}"))
            .env("EARLYBELL__INGEST__KEY_REQUESTS", "0")
            .env("EARLYBELL__ADMIN__INGEST", "127.0.0.1:0");
        let mut process = Measured::start(&mut command, folder.join("ingest.log"))?;
        process.says("reading at=", usize::try_from(PARTITIONS)?).await?;
        Ok(Ingest { process, port })
    }

    /// Starts the notifier, and waits until it reads.
    pub(crate) async fn notifier(&self, database: &str, folder: &Path) -> anyhow::Result<Measured> {
        let mut command = self.command(database, folder);
        command
            .arg("notifier")
            .env("EARLYBELL__NOTIFIER__LISTEN", "127.0.0.1:0")
            .env("EARLYBELL__ADMIN__NOTIFIER", "127.0.0.1:0");
        let mut process = Measured::start(&mut command, folder.join("notifier.log"))?;
        process.says("reading at=", usize::try_from(PARTITIONS)?).await?;
        Ok(process)
    }

    /// The ends of a topic's partitions.
    pub(crate) async fn ends(&self, topic: &str) -> anyhow::Result<BTreeMap<u32, i64>> {
        let admin = Admin::new(&self.connection(), Duration::from_secs(10))?;
        Ok(admin.watermarks(topic).await?.into_iter().map(|end| (end.partition, end.high)).collect())
    }
}

fn lines(header: &str, rows: impl Iterator<Item = String>) -> String {
    let mut text = format!("{header}\n");
    for row in rows {
        text.push_str(&row);
        text.push('\n');
    }
    text
}

/// By the wall.
pub(crate) fn now() -> Timestamp {
    Clock::wall().wall_now()
}

/// Seconds from one moment to a later one.
#[expect(clippy::cast_precision_loss, reason = "microseconds of a run are far below 2^52")]
pub(crate) fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    (to.micros() - from.micros()) as f64 / 1e6
}

/// Ingest, and where it listens.
pub(crate) struct Ingest {
    pub(crate) process: Measured,
    pub(crate) port: u16,
}

/// A process whose memory and processor time are told at its end; killed when dropped.
pub(crate) struct Measured {
    child: Child,
    pub(crate) begun: Timestamp,
    pub(crate) log: PathBuf,
}

impl Measured {
    pub(crate) fn start(command: &mut Command, log: PathBuf) -> anyhow::Result<Self> {
        let file = File::create(&log)?;
        command.stdout(file.try_clone()?).stderr(file);
        Ok(Self { begun: now(), child: command.spawn()?, log })
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> anyhow::Result<String> {
        Ok(fs::read_to_string(&self.log)?)
    }

    /// Waits until it has said something so many times.
    pub(crate) async fn says(&mut self, what: &str, times: usize) -> anyhow::Result<()> {
        let limit = Instant::now() + Duration::from_mins(2);
        while self.said()?.matches(what).count() < times {
            self.runs()?;
            if Instant::now() > limit {
                bail!("it never said {what:?}:\n{}", self.said()?);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// The most memory it had, in MiB.
    pub(crate) fn peak_mib(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1_024)
    }

    /// Seconds that it has worked, on all cores together, up to now.
    pub(crate) fn cpu(&self) -> anyhow::Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields = stat.rsplit_once(") ").context("no stat")?.1.split(' ');
        let ticks: Vec<f64> = fields.skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
        // Linux tells in hundredths of a second.
        Ok(ticks.iter().sum::<f64>() / 100.0)
    }

    /// Fails where it has ended.
    pub(crate) fn runs(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("it ended ({status}):\n{}", self.said()?),
        }
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        let begun = Instant::now();
        while self.child.try_wait()?.is_none() {
            if begun.elapsed() > Duration::from_secs(40) {
                bail!("it does not stop");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
