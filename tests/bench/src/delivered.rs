//! From a register that is due to be posted until the webhook has what it causes, stage by stage, at a steady rate.

use crate::client::{Client, register};
use crate::county::{County, Size};
use crate::ground::{EVENTS, Ground, Measured, Rules};
use crate::latency::{ALERTS, Latency, at_end, of_millis};
use anyhow::{Context, bail};
use attendance::{Code, Day, Half, Session, Upn};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use prost::Message as _;
use proto::{Event, v1};
use rdkafka::Message as _;
use rdkafka::consumer::BaseConsumer;
use rustc_hash::FxHashMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Marks of a register.
const MARKS: u32 = 30;
/// Between two registers: 2,000 marks a second.
const TICK: Duration = Duration::from_millis(15);
/// Of so many marks one causes an alert.
const ONE_OF: u32 = 20;
const WARM: Duration = Duration::from_secs(15);
const MEASURED: Duration = Duration::from_secs(30);

/// When something was first seen of each pupil.
type Seen = Arc<Mutex<FxHashMap<u64, Instant>>>;

fn note(seen: &Seen, upns: impl IntoIterator<Item = u64>) {
    let now = Instant::now();
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    for upn in upns {
        seen.entry(upn).or_insert(now);
    }
}

/// Where a mark passes.
#[derive(Default)]
struct Stages {
    answered: Seen,
    events: Seen,
    alerts: Seen,
    /// By alert id: a message names no pupil.
    of_alert: Arc<Mutex<FxHashMap<String, u64>>>,
    /// By alert id.
    delivered: Arc<Mutex<FxHashMap<String, Instant>>>,
}

/// The time from when a register was due until each stage.
pub(crate) async fn stages(program: &Path, partitions: u32) -> anyhow::Result<Vec<(&'static str, Latency)>> {
    let county = County::new(Size { pupils: 300, sessions: 1, minimum: 1 }, partitions)?;
    let ground = Ground::start(program)?;
    let stages = Stages::default();
    let (hook, _serving) = hook(Arc::clone(&stages.delivered)).await?;
    let (database, folder) = ground.install(&county, Rules::One).await?;
    let policy = fs::read_to_string(folder.join("authority.toml"))?;
    let receiver = format!(
        "[notify]\nstorm = 0\ndefault = [\"hook\"]\n[[receiver]]\nname = \"hook\"\nkind = \"webhook\"\n\
         url = \"http://127.0.0.1:{hook}/\"\nsecret_file = \"secret\"\ninsecure_http = true\nprivate_addresses = true\n"
    );
    fs::write(folder.join("authority.toml"), policy + &receiver)?;
    fs::write(folder.join("secret"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
    ground.apply(&database, &folder)?;
    let ingest = ground.ingest(&database, &folder).await?;
    let mut rules = Measured::start(ground.command(&database, &folder).arg("rules"), folder.join("log"))?;
    rules.says("reading at=", usize::try_from(partitions)?).await?;
    let notifier = ground.notifier(&database, &folder).await?;
    let key = ground.key(&database, &folder)?;
    let ended = Arc::new(AtomicBool::new(false));
    let mut listening = Vec::new();
    let (events, alerts, of_alert) =
        (Arc::clone(&stages.events), Arc::clone(&stages.alerts), Arc::clone(&stages.of_alert));
    listening.push(listen(at_end(&ground, EVENTS).await?, &ended, move |payload| {
        for event in Event::of_slice(payload).unwrap_or_default() {
            if let Event::Marks(part) = event {
                note(&events, part.marks.iter().map(|(upn, _)| upn.number()));
            }
        }
    }));
    listening.push(listen(at_end(&ground, ALERTS).await?, &ended, move |payload| {
        let batch = v1::AlertBatch::decode(payload).unwrap_or_default();
        note(&alerts, batch.changes.iter().map(|change| change.upn));
        let mut of_alert = of_alert.lock().unwrap_or_else(PoisonError::into_inner);
        for change in batch.changes {
            if let Ok(id) = uuid::Uuid::from_slice(&change.alert_id) {
                of_alert.insert(id.to_string(), change.upn);
            }
        }
    }));
    let due = send(&Client::new(ingest.port, &key), &stages.answered).await?;
    let limit = Instant::now() + Duration::from_secs(30);
    let count = || stages.delivered.lock().unwrap_or_else(PoisonError::into_inner).len();
    while count() < due.len() {
        if Instant::now() > limit {
            bail!("of {} alerts {} were delivered", due.len(), count());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ended.store(true, Ordering::Relaxed);
    for thread in listening {
        thread.join().map_err(|_| anyhow::anyhow!("a consumer panicked"))?;
    }
    for process in [ingest.process, rules, notifier] {
        process.stop()?;
    }
    stages.told(&due)
}

impl Stages {
    fn told(&self, due: &FxHashMap<u64, Instant>) -> anyhow::Result<Vec<(&'static str, Latency)>> {
        let of_alert = self.of_alert.lock().unwrap_or_else(PoisonError::into_inner);
        let delivered = self.delivered.lock().unwrap_or_else(PoisonError::into_inner);
        let delivered: FxHashMap<u64, Instant> =
            delivered.iter().filter_map(|(alert, at)| Some((*of_alert.get(alert)?, *at))).collect();
        let first = due.values().min().copied().context("nothing was sent")?;
        let stage = |seen: &FxHashMap<u64, Instant>| {
            let measured = due.iter().filter(|(_, due)| **due >= first + WARM);
            let millis = measured.map(|(upn, due)| {
                let at = seen.get(upn).context("a stage never saw an alert's pupil")?;
                Ok(at.saturating_duration_since(*due).as_secs_f64() * 1_000.0)
            });
            of_millis(millis.collect::<anyhow::Result<_>>()?)
        };
        let of = |seen: &Seen| stage(&seen.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(vec![
            ("answered 202", of(&self.answered)?),
            ("its events are in Kafka", of(&self.events)?),
            ("its alert is in Kafka", of(&self.alerts)?),
            ("the webhook has it", stage(&delivered)?),
        ])
    }
}

/// Reads a topic on until the end is told.
fn listen(
    consumer: BaseConsumer,
    ended: &Arc<AtomicBool>,
    take: impl Fn(&[u8]) + Send + 'static,
) -> std::thread::JoinHandle<()> {
    let ended = Arc::clone(ended);
    std::thread::spawn(move || {
        while !ended.load(Ordering::Relaxed) {
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) {
                take(message.payload().unwrap_or_default());
            }
        }
    })
}

/// Posts registers at the rate; gives when the register of each pupil with an alert was due.
async fn send(client: &Client, answered: &Seen) -> anyhow::Result<FxHashMap<u64, Instant>> {
    let session = Session::new(Day::parse("2025-09-01")?, Half::Am);
    let (begun, mut due, mut pupil) = (Instant::now(), FxHashMap::default(), 0_u32);
    let (mut ticks, mut sending) = (tokio::time::interval(TICK), JoinSet::new());
    while begun.elapsed() < WARM + MEASURED {
        let at = ticks.tick().await.into_std();
        let (mut marks, mut absent) = (Vec::new(), Vec::new());
        for _ in 0..MARKS {
            let upn = Upn::given(901, pupil).context("no such UPN")?;
            let code = if pupil.is_multiple_of(ONE_OF) { Code::I } else { Code::Present };
            if code == Code::I {
                due.insert(upn.number(), at);
                absent.push(upn.number());
            }
            marks.push((upn.text(), code));
            pupil += 1;
        }
        let body = register(100_000, session, session.begins().plus_micros(i64::from(pupil)), &marks);
        let (client, answered) = (client.clone(), Arc::clone(answered));
        sending.spawn(async move {
            client.post(body).await?;
            note(&answered, absent);
            anyhow::Ok(())
        });
        while let Some(done) = sending.try_join_next() {
            done??;
        }
    }
    while let Some(done) = sending.join_next().await {
        done??;
    }
    Ok(due)
}

/// A webhook's other end, which notes when an alert came; gives its port, and what ends it when dropped.
async fn hook(
    delivered: Arc<Mutex<FxHashMap<String, Instant>>>,
) -> anyhow::Result<(u16, JoinSet<std::io::Result<()>>)> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let take = async |State(delivered): State<Arc<Mutex<FxHashMap<String, Instant>>>>, body: Bytes| {
        let now = Instant::now();
        let told: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let mut delivered = delivered.lock().unwrap_or_else(PoisonError::into_inner);
        for change in told["data"]["changes"].as_array().into_iter().flatten() {
            if let Some(alert) = change["alert"].as_str() {
                delivered.entry(alert.to_owned()).or_insert(now);
            }
        }
        StatusCode::NO_CONTENT
    };
    let router = Router::new().route("/", post(take)).with_state(delivered);
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, router).await });
    Ok((port, serving))
}
