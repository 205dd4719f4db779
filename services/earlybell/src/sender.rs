//! Sends invented registers and rosters to an installation over HTTP, as schools do: one request a register, each school's in
//! order, several schools at once; what is not answered, or answered 429 or 503, is sent again as it was.

use anyhow::{Context, anyhow, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::{Deserialize, Serialize};
use simulator::SchoolDay;
use simulator::roster::{RosterRow, write_rows};
use simulator::types::{Register, Sending};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Schools that send at once.
const AT_ONCE: usize = 6;
/// Rows of a roster in one request.
const ROSTER_ROWS: usize = 2_000;
/// After so long without an acceptance sending is given up.
const PATIENCE: Duration = Duration::from_mins(2);
/// The pause before something is sent again, where the answer names none.
const PAUSE: Duration = Duration::from_millis(500);

/// Reads school days a second.
pub(crate) fn speed(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    number.filter(|speed| (0.01..=1_000.0).contains(speed)).ok_or_else(|| "it is a number from 0.01 to 1000".to_owned())
}

/// What was accepted so far. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    registers: AtomicU64,
    marks: AtomicU64,
    rejected: AtomicU64,
}

impl Counts {
    /// Registers accepted.
    pub(crate) fn registers(&self) -> u64 {
        self.0.registers.load(Ordering::Relaxed)
    }

    /// Marks accepted.
    pub(crate) fn marks(&self) -> u64 {
        self.0.marks.load(Ordering::Relaxed)
    }

    /// Marks and rows of rosters refused.
    pub(crate) fn rejected(&self) -> u64 {
        self.0.rejected.load(Ordering::Relaxed)
    }
}

/// What an installation says of itself.
#[derive(Debug, Deserialize)]
pub(crate) struct Told {
    /// The authority's name.
    pub(crate) authority: String,
    /// `wall` or `registers`.
    pub(crate) clock: String,
}

/// A client of one installation. Clones share connections and counts.
#[derive(Clone)]
pub(crate) struct Sender {
    client: Client<HttpConnector, Full<Bytes>>,
    base: Arc<str>,
    authorization: Arc<str>,
    pub(crate) counts: Counts,
}

#[derive(Deserialize)]
struct Answer {
    accepted: Accepted,
    rejected_count: u64,
}

#[derive(Deserialize)]
struct Accepted {
    registers: u64,
    marks: u64,
}

impl Sender {
    /// A client of the installation at `base`, such as `http://127.0.0.1:8080`.
    pub(crate) fn new(base: &str, key: &str) -> anyhow::Result<Self> {
        let base = base.trim_end_matches('/');
        if !base.starts_with("http://") {
            bail!("{base:?} is no address of ingest: http://HOST:PORT (put a tunnel before one that speaks https)");
        }
        let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        let authorization = format!("Bearer {key}").into();
        Ok(Self { client, base: base.into(), authorization, counts: Counts::default() })
    }

    /// Asks whose installation it is, and what its school time follows; waits until it answers.
    pub(crate) async fn ask(&self) -> anyhow::Result<Told> {
        let body = self.until_done(Method::GET, "/v1/installation", "application/json", Bytes::new()).await?;
        serde_json::from_slice(&body)
            .context("the answer of /v1/installation cannot be read: is that ingest's address?")
    }

    /// Sends a day: its roster first, then its registers. Gives it back with what was sent.
    pub(crate) async fn day(&self, day: SchoolDay) -> anyhow::Result<SchoolDay> {
        for rows in day.roster.chunks(ROSTER_ROWS) {
            self.roster(rows).await?;
        }
        let day = Arc::new(day);
        let mut by_school: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (at, sending) in day.sendings.iter().enumerate() {
            by_school.entry(sending.register.school_urn).or_default().push(at);
        }
        let (turns, mut schools) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
        for places in by_school.into_values() {
            let (sender, day, turns) = (self.clone(), Arc::clone(&day), Arc::clone(&turns));
            schools.spawn(async move {
                let _turn = turns.acquire_owned().await?;
                for sending in places.iter().filter_map(|at| day.sendings.get(*at)) {
                    sender.register(sending).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(school) = schools.join_next().await {
            school??;
        }
        Arc::into_inner(day).ok_or_else(|| anyhow!("a day is still being sent"))
    }

    async fn register(&self, sending: &Sending) -> anyhow::Result<()> {
        let body = serde_json::to_vec(&JsonRegister::of(&sending.register))?;
        self.post("/v1/registers", "application/json", body).await
    }

    async fn roster(&self, rows: &[RosterRow]) -> anyhow::Result<()> {
        let mut body = Vec::new();
        write_rows(rows, &mut body)?;
        self.post("/v1/pupils", "text/csv", body).await
    }

    async fn post(&self, path: &str, kind: &str, body: Vec<u8>) -> anyhow::Result<()> {
        let answer = self.until_done(Method::POST, path, kind, body.into()).await?;
        let answer: Answer = serde_json::from_slice(&answer).with_context(|| format!("the answer of {path}"))?;
        self.counts.0.registers.fetch_add(answer.accepted.registers, Ordering::Relaxed);
        self.counts.0.marks.fetch_add(answer.accepted.marks, Ordering::Relaxed);
        self.counts.0.rejected.fetch_add(answer.rejected_count, Ordering::Relaxed);
        Ok(())
    }

    /// Sends a request until it succeeds; gives the answer's body.
    async fn until_done(&self, method: Method, path: &str, kind: &str, body: Bytes) -> anyhow::Result<Bytes> {
        let begun = Instant::now();
        loop {
            let (problem, pause) = match self.once(method.clone(), path, kind, body.clone()).await {
                Ok((status, answer, _)) if status.is_success() => return Ok(answer),
                Ok((status, answer, pause)) if is_temporary(status) => {
                    (format!("{status}: {}", detail(&answer)), pause)
                }
                Ok((status, answer, _)) => bail!("{}{path} answers {status}: {}", self.base, detail(&answer)),
                Err(error) => (error.to_string(), PAUSE),
            };
            if begun.elapsed() > PATIENCE {
                bail!("{}{path} does not take it for {} s: {problem}", self.base, PATIENCE.as_secs());
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn once(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: Bytes,
    ) -> anyhow::Result<(StatusCode, Bytes, Duration)> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(AUTHORIZATION, &*self.authorization)
            .header(CONTENT_TYPE, kind)
            .body(Full::new(body))?;
        let answer = self.client.request(request).await?;
        let status = answer.status();
        let after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let body = answer.into_body().collect().await?.to_bytes();
        Ok((status, body, after.map_or(PAUSE, Duration::from_secs)))
    }
}

fn is_temporary(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE | StatusCode::REQUEST_TIMEOUT)
}

/// What problem+json says, else the text itself.
fn detail(body: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let detail = json.as_ref().and_then(|json| json.get("detail")?.as_str().map(str::to_owned));
    detail.unwrap_or_else(|| String::from_utf8_lossy(body).chars().take(300).collect())
}

#[derive(Serialize)]
struct JsonRegister {
    school_urn: u32,
    date: String,
    session: &'static str,
    revised_at: String,
    marks: Vec<JsonMark>,
}

#[derive(Serialize)]
struct JsonMark {
    upn: String,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    minutes_late: Option<u8>,
}

impl JsonRegister {
    fn of(register: &Register) -> Self {
        let marks = register.marks.iter().map(|mark| JsonMark {
            upn: mark.upn.text(),
            code: mark.code.text(),
            minutes_late: mark.minutes_late,
        });
        Self {
            school_urn: register.school_urn,
            date: register.date.to_string(),
            session: register.session.text(),
            revised_at: register.revised_at.to_string(),
            marks: marks.collect(),
        }
    }
}
