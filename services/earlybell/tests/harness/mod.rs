//! An installation on real Kafka and PostgreSQL, an invented stream of registers, and an independent checker that only
//! reads topics and tables.

pub(crate) mod checker;
pub(crate) mod registers;

use std::process::{Child, Command, Stdio};
use std::time::Duration;
use support::{Kafka, KafkaOptions, Postgres};
use tempfile::TempDir;

/// Kafka of its own, a database of its own, migrated, with a policy in force.
pub(crate) struct Installation {
    pub(crate) kafka: Kafka,
    /// The other brokers of its cluster.
    pub(crate) others: Vec<Kafka>,
    /// Its own server; none where the tests share one.
    pub(crate) postgres: Option<Postgres>,
    pub(crate) database: String,
    /// Where services reach the database.
    pub(crate) services_database: String,
    pub(crate) folder: TempDir,
    pub(crate) policy: policy::Policy,
    pub(crate) partitions: u32,
    checkpoint_every: &'static str,
}

/// What an installation runs on.
pub(crate) struct Servers {
    pub(crate) brokers: u8,
    pub(crate) postgres: Server,
}

/// Whose PostgreSQL.
pub(crate) enum Server {
    /// That of all tests of the process.
    Shared,
    /// One that may be stopped.
    Own,
}

/// A process of the program; killed when dropped.
pub(crate) struct Process(Child);

impl Installation {
    /// Starts all of it; school time follows the registers.
    pub(crate) async fn start(partitions: u32) -> Self {
        Self::start_on(partitions, "registers").await
    }

    /// Starts all of it on a clock.
    pub(crate) async fn start_on(partitions: u32, clock: &str) -> Self {
        let parts = Servers { brokers: 1, postgres: Server::Shared };
        Self::start_with(partitions, clock, parts).await
    }

    /// Starts all of it with these servers.
    pub(crate) async fn start_with(partitions: u32, clock: &str, servers: Servers) -> Self {
        let brokers = servers.brokers;
        let start = move || match brokers {
            1 => vec![Kafka::start(&KafkaOptions::default()).unwrap()],
            count => Kafka::start_cluster(&KafkaOptions::default(), count).unwrap(),
        };
        let mut others = tokio::task::spawn_blocking(start).await.unwrap();
        let kafka = others.remove(0);
        let (postgres, database) = match servers.postgres {
            Server::Shared => {
                let shared = tokio::task::spawn_blocking(support::postgres).await.unwrap();
                (None, shared.create_database().await.unwrap())
            }
            Server::Own => {
                let own = tokio::task::spawn_blocking(|| Postgres::start().unwrap()).await.unwrap();
                let database = own.create_database().await.unwrap();
                (Some(own), database)
            }
        };
        let folder = tempfile::tempdir().unwrap();
        registers::write_policy(folder.path());
        let (policy, _) = policy::Policy::read(&policy::Files::load(folder.path()).unwrap()).unwrap();
        let services_database = database.clone();
        let checkpoint_every = "300ms";
        let installation =
            Self { kafka, others, postgres, database, services_database, folder, policy, partitions, checkpoint_every };
        let count = partitions.to_string();
        installation.run(&["migrate", "--partitions", &count, "--clock", clock]);
        let folder = installation.folder.path().to_str().unwrap().to_owned();
        installation.run(&["apply", &folder, "--yes", "--by", "test"]);
        installation
    }

    /// A command with this installation's settings.
    pub(crate) fn earlybell(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_earlybell"));
        command
            .args(arguments)
            .env("EARLYBELL__KAFKA__BROKERS", self.kafka.brokers())
            .env("EARLYBELL__KAFKA__REPLICATION", (self.others.len() + 1).to_string())
            .env("EARLYBELL__KAFKA__MIN_INSYNC", (self.others.len() + 1).div_ceil(2).to_string())
            .env("EARLYBELL__DATABASE__URL", &self.services_database)
            .env("EARLYBELL__CONSUMER__SESSION_TIMEOUT", "3s")
            .env("EARLYBELL__ADMIN__INGEST", "127.0.0.1:0")
            .env("EARLYBELL__ADMIN__RULES", "127.0.0.1:0")
            .env("EARLYBELL__ADMIN__NOTIFIER", "127.0.0.1:0")
            // Passes of many chunks, one after the other: batches come in between.
            .env("EARLYBELL__RULES__CHUNK", "5")
            .env("EARLYBELL__RULES__CHECKPOINT_EVERY", self.checkpoint_every)
            .env("EARLYBELL__RULES__BACKLOG_CHECKPOINT_EVERY", "1h")
            .env("EARLYBELL__LOG__FORMAT", "text")
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end and gives what it printed.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let output = self.earlybell(arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "earlybell {arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// From now on services write records only when they stop in order; gives what [`Installation::undo`] takes.
    pub(crate) fn write_seldom(&mut self) -> &'static str {
        std::mem::replace(&mut self.checkpoint_every, "1h")
    }

    /// Services that start from now on write records as often as before.
    pub(crate) fn undo(&mut self, checkpoint_every: &'static str) {
        self.checkpoint_every = checkpoint_every;
    }

    /// Starts a service; with a fault it aborts at that named point.
    pub(crate) fn service(&self, name: &str, fault: Option<&str>) -> Process {
        let mut command = self.earlybell(&[name]);
        if let Some(fault) = fault {
            command.env("EARLYBELL_FAULT", fault);
        }
        Process::spawn(&mut command)
    }

    /// The database.
    pub(crate) async fn store(&self) -> store::Store {
        store::Store::open(&self.database, &store::Options::named("checker")).await.unwrap()
    }
}

impl Process {
    /// Starts it.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }

    /// The most memory that it ever had, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        1024 * line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    }

    /// Waits until it stands still (stopped by a signal).
    pub(crate) async fn frozen(&self) {
        let stat = format!("/proc/{}/stat", self.0.id());
        support::wait_until(Duration::from_mins(1), "the process to freeze", async || {
            let text = std::fs::read_to_string(&stat).map_err(|error| error.to_string())?;
            let state = text.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
            if state == Some('T') { Ok(()) } else { Err(format!("state {state:?}")) }
        })
        .await
        .unwrap();
    }

    /// Stops it where it stands (SIGSTOP).
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Wakes it up.
    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Waits for it to end by itself, and says how; none where it did not within the time.
    pub(crate) async fn ended(&mut self, within: Duration) -> Option<std::process::ExitStatus> {
        let deadline = tokio::time::Instant::now() + within;
        while tokio::time::Instant::now() < deadline {
            if let Some(status) = self.0.try_wait().unwrap() {
                return Some(status);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        None
    }

    /// Asks it to stop in order (SIGTERM).
    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    fn signal(&self, signal: &str) {
        let done = Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
