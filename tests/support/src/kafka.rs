//! A single Kafka broker that is its own controller (`KRaft`).
//!
//! Takes options; gives its address, topics, and ways to hurt it: kill, restart, freeze, thaw. Ports and data stay over a restart.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::metadata::MetadataTopic;

use crate::server::{Server, ServerKind};
use crate::{SupportError, free_port, install};

/// How often a start is tried, each time with other ports.
const TRIES: usize = 3;

/// How a broker is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaOptions {
    /// The largest heap of the Java process, in MiB.
    pub heap_mib: u32,
    /// Lines for `server.properties`, name and value; they win over those that [`Kafka`] sets itself.
    pub settings: Vec<(String, String)>,
}

impl Default for KafkaOptions {
    /// 512 MiB of heap, no further settings.
    fn default() -> Self {
        Self { heap_mib: 512, settings: Vec::new() }
    }
}

/// A broker that is this process's own. Dropping it kills it and removes its folder.
///
/// Topics must be created ([`Kafka::create_topic`]): none comes into being by being asked for, as in production. Consumer groups
/// form without delay and may have session time-outs from 1 s.
#[derive(Debug)]
pub struct Kafka {
    server: Server,
    node: u8,
    brokers: String,
}

/// What is a broker's own in a cluster of `count`.
struct Member<'a> {
    node: u8,
    /// For clients, and for controllers.
    ports: [u16; 2],
    /// The line that tells where controllers are.
    quorum: &'a str,
    count: u8,
}

fn kind(options: &KafkaOptions, lib: &Path) -> ServerKind {
    ServerKind {
        name: "kafka",
        script: "kafka.sh",
        last_signal: "KILL",
        environment: vec![("KAFKA_LIB", lib.into()), ("HEAP_MIB", options.heap_mib.to_string().into())],
    }
}

impl Kafka {
    /// Starts a broker on free ports with empty data and waits until it answers: 2 to 4 s on two cores.
    ///
    /// Blocks. The first call on a machine may fetch the jars (`scripts/install-kafka.sh`). Fails when they cannot be had or the
    /// broker does not answer within a minute.
    pub fn start(options: &KafkaOptions) -> Result<Self, SupportError> {
        let lib = install::run("install-kafka.sh")?;
        let mut tries = 1;
        loop {
            match Self::start_once(options, &lib) {
                Err(error) if error.is_retryable() && tries < TRIES => tries += 1,
                result => return result,
            }
        }
    }

    fn start_once(options: &KafkaOptions, lib: &Path) -> Result<Self, SupportError> {
        let server = Server::new(kind(options, lib))?;
        let (port, controller_port) = (free_port()?, free_port()?);
        let quorum = format!("controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}");
        let member = Member { node: 1, ports: [port, controller_port], quorum: &quorum, count: 1 };
        server.write("server.properties", &properties(server.folder(), &member, options))?;
        server.prepare()?;
        let kafka = Self { server, node: 1, brokers: format!("127.0.0.1:{port}") };
        kafka.start_and_wait()?;
        Ok(kafka)
    }

    /// Starts brokers that are one cluster, each with a third of everything: [`Kafka::brokers`] of each names all of them.
    ///
    /// Blocks. Fails as [`Kafka::start`] does.
    pub fn start_cluster(options: &KafkaOptions, count: u8) -> Result<Vec<Self>, SupportError> {
        let lib = install::run("install-kafka.sh")?;
        let ports = (0..count).map(|_| Ok([free_port()?, free_port()?])).collect::<Result<Vec<_>, SupportError>>()?;
        let numbered = || (1_u8..).zip(&ports);
        let voters: Vec<String> = numbered().map(|(node, [_, port])| format!("{node}@127.0.0.1:{port}")).collect();
        let quorum = format!("controller.quorum.voters={}", voters.join(","));
        let brokers: Vec<String> = ports.iter().map(|[port, _]| format!("127.0.0.1:{port}")).collect();
        let brokers = brokers.join(",");
        let mut members = Vec::new();
        for (node, ports) in numbered() {
            let server = Server::new(kind(options, &lib))?;
            let member = Member { node, ports: *ports, quorum: &quorum, count };
            server.write("server.properties", &properties(server.folder(), &member, options))?;
            server.prepare()?;
            members.push(Self { server, node, brokers: brokers.clone() });
        }
        // None answers before most of them run.
        std::thread::scope(|scope| {
            let starting: Vec<_> = members.iter().map(|member| scope.spawn(|| member.start_and_wait())).collect();
            let ended = |thread: std::thread::ScopedJoinHandle<'_, _>| match thread.join() {
                Ok(started) => started,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            starting.into_iter().try_for_each(ended)
        })?;
        Ok(members)
    }

    /// Whether this broker leads a partition just now.
    pub fn leads(&self, topic: &str, partition: i32) -> Result<bool, SupportError> {
        let failed = |error: String| SupportError::Io {
            doing: format!("ask who leads {topic}/{partition}"),
            source: std::io::Error::other(error),
        };
        let client: BaseConsumer = self.client_config().create().map_err(|error| failed(error.to_string()))?;
        let answer = client.fetch_metadata(Some(topic), Duration::from_secs(5));
        let answer = answer.map_err(|error| failed(error.to_string()))?;
        let mut partitions = answer.topics().iter().flat_map(MetadataTopic::partitions);
        Ok(partitions.any(|found| found.id() == partition && found.leader() == i32::from(self.node)))
    }

    /// The broker's address for `bootstrap.servers`; the same over restarts.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// The temporary folder: `server.properties`, `data`, `server.log`.
    pub fn folder(&self) -> &Path {
        self.server.folder()
    }

    /// Creates a topic with so many partitions and one replica; fails if it exists.
    pub async fn create_topic(&self, name: &str, partitions: i32) -> Result<(), SupportError> {
        let failed =
            |reason: String| SupportError::Topic { brokers: self.brokers.clone(), topic: name.to_owned(), reason };
        let admin: AdminClient<DefaultClientContext> =
            self.client_config().create().map_err(|error| failed(error.to_string()))?;
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        // The broker answers once the controller has the topic; its own view may lag, but its clients ask again by themselves.
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
        let results = admin.create_topics([&topic], &options).await.map_err(|error| failed(error.to_string()))?;
        match results.into_iter().next() {
            Some(Err((_, code))) => Err(failed(code.to_string())),
            _ => Ok(()),
        }
    }

    /// Ends the broker as a power cut of its process would (SIGKILL) and waits until it is gone. Its data stay.
    pub fn kill(&self) -> Result<(), SupportError> {
        self.server.end("KILL")
    }

    /// Starts the broker again, on the same ports with the same data, and waits until it answers, about 5 s; kills it first if it
    /// runs.
    pub fn restart(&self) -> Result<(), SupportError> {
        self.kill()?;
        self.start_and_wait()
    }

    /// Stops the broker in mid-work (SIGSTOP): connections stay open, nothing answers. Fails if it does not run.
    pub fn freeze(&self) -> Result<(), SupportError> {
        self.server.signal("STOP")
    }

    /// Lets a frozen broker go on (SIGCONT). Fails if it does not run.
    pub fn thaw(&self) -> Result<(), SupportError> {
        self.server.signal("CONT")
    }

    fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("reconnect.backoff.max.ms", "100");
        config
    }

    /// Ready means: the broker names itself among the living, which it does only once its controller has let it in.
    fn start_and_wait(&self) -> Result<(), SupportError> {
        let client: BaseConsumer = self.client_config().create().map_err(|error| {
            let source = std::io::Error::other(error);
            SupportError::Io { doing: "make a Kafka client".to_owned(), source }
        })?;
        self.server.start(|| {
            let answer = client.fetch_metadata(None, Duration::from_millis(500));
            answer.is_ok_and(|metadata| !metadata.brokers().is_empty())
        })
    }
}

/// The text of `server.properties`; of a setting given twice Kafka takes the later.
///
/// The broker's session is short because a killed broker may not register again before the session of its former life has run
/// out: with Kafka's own 9 s every restart would take 10 s longer.
fn properties(folder: &Path, member: &Member<'_>, options: &KafkaOptions) -> String {
    let Member { node, ports: [port, controller_port], quorum, count } = member;
    let insync = count.div_ceil(2);
    let mut text = format!(
        "process.roles=broker,controller
node.id={node}
{quorum}
listeners=CLIENTS://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=CLIENTS://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=CLIENTS
log.dirs={folder}/data
auto.create.topics.enable=false
default.replication.factor={count}
min.insync.replicas={insync}
offsets.topic.replication.factor={count}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor={count}
transaction.state.log.min.isr={insync}
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor={count}
share.coordinator.state.topic.min.isr={insync}
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
",
        folder = folder.display()
    );
    for (name, value) in &options.settings {
        // Writing to a string cannot fail.
        writeln!(text, "{name}={value}").ok();
    }
    text
}
