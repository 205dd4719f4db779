//! An installation with all three services, a receiver, and schools that send. Keeps what was sent, and sees to it that a service
//! that ended is started again, as whoever runs it would.

use crate::harness::registers::{Sending, Size, stream};
use crate::harness::{Installation, Process, Server, Servers};
use crate::hook::Hook;
use crate::http::{Answer, json};
use crate::judge::{self, Tally};
use crate::proxy::Proxy;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::held::{self, HeldRow};
use store::{Store, StoreError, position};
use tokio::task::JoinSet;

/// On what a fault is played.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    /// One broker, the database server of the tests.
    Plain,
    /// Three brokers.
    ThreeBrokers,
    /// A database server of its own.
    OwnDatabase,
    /// A proxy between the services and the database.
    Proxied,
}

pub(crate) const REGISTERS: &str = "attendance.registers.v1";
pub(crate) const SERVICES: [&str; 3] = ["ingest", "rules", "notifier"];
const PARTITIONS: u32 = 4;
const SIZE: Size = Size { pupils: 90, days: 190 };

pub(crate) struct World {
    pub(crate) installation: Installation,
    pub(crate) hook: Hook,
    pub(crate) store: Store,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) problems: Vec<String>,
    /// What schools have sent and were told is stored.
    pub(crate) sent: Vec<Sending>,
    left: std::vec::IntoIter<Sending>,
    key: String,
    port: u16,
    processes: BTreeMap<&'static str, Process>,
    /// Positions that were seen to go back.
    went_back: Arc<Mutex<Vec<String>>>,
    watching: JoinSet<()>,
}

impl World {
    /// Everything runs.
    pub(crate) async fn start(on: On, seed: u64) -> Self {
        let servers = Servers {
            brokers: if on == On::ThreeBrokers { 3 } else { 1 },
            postgres: if on == On::OwnDatabase { Server::Own } else { Server::Shared },
        };
        let mut installation = Installation::start_with(PARTITIONS, "registers", servers).await;
        let hook = Hook::start().await;
        installation.notify(0, &[("hook", hook.receiver("hook", ""))]);
        // All is news, however late it comes: what makes no message is another test's.
        let path = installation.folder.path().join("authority.toml");
        let policy = std::fs::read_to_string(&path)
            .unwrap()
            .replace("storm = 0", "storm = 0\nnewer_than = 200\nrule_changes = \"news\"");
        std::fs::write(&path, policy).unwrap();
        installation.run(&["apply", installation.folder.path().to_str().unwrap(), "--yes", "--by", "test"]);
        let key = installation.key(&["--name", "county", "--all-schools"]);
        let proxy = match on {
            On::Proxied => {
                let (proxy, address) = Proxy::start(&installation.database).await;
                installation.services_database = address;
                Some(proxy)
            }
            _ => None,
        };
        let store = installation.store().await;
        let mut world = Self {
            hook,
            store,
            proxy,
            rng: ChaCha8Rng::seed_from_u64(seed),
            problems: Vec::new(),
            sent: Vec::new(),
            left: stream(seed, SIZE).into_iter(),
            key,
            port: support::free_port().unwrap(),
            processes: BTreeMap::new(),
            went_back: Arc::default(),
            watching: JoinSet::new(),
            installation,
        };
        for service in SERVICES {
            world.restart(service, None);
        }
        world.watch();
        // Long enough to raise alerts: the rules ask for 20 sessions.
        world.send(80).await;
        world
    }

    /// Whether any position goes back, from now on.
    fn watch(&mut self) {
        let (store, went_back) = (self.store.clone(), Arc::clone(&self.went_back));
        self.watching.spawn(async move {
            let mut seen: BTreeMap<(String, i32), (i64, i64)> = BTreeMap::new();
            loop {
                for topic in [REGISTERS, crate::harness::checker::EVENTS, crate::harness::checker::ALERTS] {
                    for row in position::list(&store, topic).await.unwrap_or_default() {
                        let now = (row.next_offset, row.checkpoint_offset);
                        let before = seen.insert((topic.to_owned(), row.part), now).unwrap_or_default();
                        if now.0 < before.0 || now.1 < before.1 {
                            went_back.lock().unwrap().push(format!("{topic}-{}: {now:?} after {before:?}", row.part));
                        }
                    }
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
    }

    /// Starts a service, which does not run, with a fault.
    fn spawn(&self, service: &str, fault: Option<&str>) -> Process {
        let log =
            OpenOptions::new().create(true).append(true).open(self.installation.folder.path().join("log")).unwrap();
        let mut command = self.installation.earlybell(&[service]);
        command
            .env("EARLYBELL__INGEST__LISTEN", format!("127.0.0.1:{}", self.port))
            .env("EARLYBELL__KAFKA__DELIVERY_TIMEOUT", "3s")
            .envs(fault.map(|fault| ("EARLYBELL_FAULT", fault)))
            .stderr(log);
        Process::spawn(&mut command)
    }

    /// Kills a service where it runs, and starts it.
    pub(crate) fn restart(&mut self, service: &'static str, fault: Option<&str>) {
        self.kill(service);
        let process = self.spawn(service, fault);
        self.processes.insert(service, process);
    }

    pub(crate) fn kill(&mut self, service: &str) {
        self.processes.remove(service);
    }

    /// Another process of a service that runs already.
    pub(crate) fn another(&self, service: &str, fault: Option<&str>) -> Process {
        self.spawn(service, fault)
    }

    pub(crate) fn process(&mut self, service: &str) -> &mut Process {
        self.processes.get_mut(service).unwrap()
    }

    /// From now on another process is that service's.
    pub(crate) fn put(&mut self, service: &'static str, process: Process) {
        self.processes.insert(service, process);
    }

    /// Starts again what ended by itself, as a supervisor does.
    pub(crate) async fn supervise(&mut self) {
        for service in SERVICES {
            let ended = match self.processes.get_mut(service) {
                Some(process) => process.ended(Duration::from_millis(1)).await.is_some(),
                None => true,
            };
            if ended {
                self.restart(service, None);
            }
        }
    }

    /// A pause of up to so many milliseconds.
    pub(crate) async fn pause(&mut self, most: u64) {
        let pause = self.rng.random_range(0..most);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }

    /// Schools begin to send so many registers, a few a second and each until it is accepted, while the caller does something else; to
    /// be awaited by [`World::arrived`].
    pub(crate) fn begin(&mut self, count: usize) -> tokio::task::JoinHandle<Vec<Sending>> {
        let sendings = self.next(count);
        self.begin_with(sendings, Duration::from_millis(80))
    }

    fn next(&mut self, count: usize) -> Vec<Sending> {
        let sendings: Vec<Sending> = self.left.by_ref().take(count).collect();
        assert!(!sendings.is_empty(), "the stream is too short for so many rounds");
        sendings
    }

    /// These, with a pause before each.
    pub(crate) fn begin_with(&self, sendings: Vec<Sending>, pause: Duration) -> tokio::task::JoinHandle<Vec<Sending>> {
        let (port, key) = (self.port, self.key.clone());
        tokio::task::spawn_blocking(move || {
            for sending in &sendings {
                std::thread::sleep(pause);
                while !post(port, &key, &json(sending)) {
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
            sendings
        })
    }

    /// Waits until what was begun is accepted; what ended meanwhile is started again.
    pub(crate) async fn arrived(&mut self, mut sending: tokio::task::JoinHandle<Vec<Sending>>) {
        loop {
            match tokio::time::timeout(Duration::from_millis(500), &mut sending).await {
                Ok(sent) => return self.sent.extend(sent.unwrap()),
                Err(_) => self.supervise().await,
            }
        }
    }

    /// Schools send so many registers, one after the other.
    pub(crate) async fn send(&mut self, count: usize) {
        let sendings = self.next(count);
        let sending = self.begin_with(sendings, Duration::ZERO);
        self.arrived(sending).await;
    }

    /// Who is held.
    pub(crate) async fn held(&self) -> Result<Vec<HeldRow>, StoreError> {
        let mut all = Vec::new();
        for part in 0..self.installation.partitions {
            all.extend(held::list(&self.store, i32::try_from(part).unwrap()).await?);
        }
        Ok(all)
    }

    /// Waits until nothing is on its way; what ended meanwhile is started again.
    pub(crate) async fn settled(&mut self) {
        let begun = tokio::time::Instant::now();
        loop {
            self.supervise().await;
            let Err(missing) = judge::settled(self).await else { return };
            if begun.elapsed() > Duration::from_mins(2) {
                self.problems.push(format!("after two minutes: {missing}"));
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Looks at what came of it all.
    pub(crate) async fn judge(mut self) -> Tally {
        self.settled().await;
        let went_back = std::mem::take(&mut *self.went_back.lock().unwrap());
        self.problems.extend(went_back.into_iter().map(|row| format!("a position went back: {row}")));
        let mut tally = judge::judge(&self).await;
        if !tally.is_well() {
            let log = std::fs::read_to_string(self.installation.folder.path().join("log")).unwrap_or_default();
            let told: Vec<&str> =
                log.lines().filter(|line| line.contains("ERROR") || line.contains("panicked")).collect();
            let last = told.iter().rev().take(10).rev().map(|line| format!("log: {line}"));
            tally.problems.extend(last);
        }
        tally
    }
}

/// Whether a register is accepted.
fn post(port: u16, key: &str, body: &str) -> bool {
    let ask = || -> std::io::Result<Answer> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let length = body.len();
        let head = format!(
            "POST /v1/registers HTTP/1.1\r\nhost: test\r\nconnection: close\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        Answer::read(&mut stream)
    };
    match ask() {
        Ok(answer) if answer.status == 202 => true,
        Ok(answer) => {
            assert!([429, 500, 503].contains(&answer.status), "a register is refused: {answer:?}");
            false
        }
        Err(_) => false,
    }
}
