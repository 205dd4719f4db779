//! A client of ingest that sends as much as it can, or at a rate.

use crate::county::County;
use anyhow::{Context, bail};
use attendance::{Code, Half, Session, Timestamp};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Request, StatusCode};
use hyper_util::client::legacy::Client as Hyper;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Requests under way at once.
const AT_ONCE: usize = 64;

/// What is sent.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    pub(crate) kind: &'static str,
    pub(crate) bytes: Bytes,
}

/// Clones share connections.
#[derive(Clone)]
pub(crate) struct Client {
    hyper: Hyper<HttpConnector, Full<Bytes>>,
    address: Arc<str>,
    key: Arc<str>,
}

impl Client {
    pub(crate) fn new(port: u16, key: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let hyper = Hyper::builder(TokioExecutor::new()).build(connector);
        Self { hyper, address: format!("http://127.0.0.1:{port}/v1/registers").into(), key: key.into() }
    }

    /// Sends a body until it is answered 202.
    pub(crate) async fn post(&self, body: Body) -> anyhow::Result<()> {
        let limit = Instant::now() + Duration::from_mins(2);
        loop {
            let request = Request::post(&*self.address)
                .header(AUTHORIZATION, format!("Bearer {}", self.key))
                .header(CONTENT_TYPE, body.kind)
                .body(Full::new(body.bytes.clone()))?;
            let answer = self.hyper.request(request).await?;
            let status = answer.status();
            let told = answer.into_body().collect().await?.to_bytes();
            match status {
                StatusCode::ACCEPTED => return Ok(()),
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE if Instant::now() < limit => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                _ => bail!("{status}: {}", String::from_utf8_lossy(&told)),
            }
        }
    }

    /// Sends all of them, several at once; gives the seconds it took.
    pub(crate) async fn post_all(&self, bodies: impl Iterator<Item = Body>) -> anyhow::Result<f64> {
        let (begun, turns, mut sending) = (Instant::now(), Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
        for body in bodies {
            let turn = Arc::clone(&turns).acquire_owned().await?;
            let client = self.clone();
            sending.spawn(async move {
                let done = client.post(body).await;
                drop(turn);
                done
            });
            while let Some(done) = sending.try_join_next() {
                done??;
            }
        }
        while let Some(done) = sending.join_next().await {
            done??;
        }
        Ok(begun.elapsed().as_secs_f64())
    }
}

/// A register as JSON, of these pupils.
pub(crate) fn register(school: u32, session: Session, revised_at: Timestamp, marks: &[(String, Code)]) -> Body {
    let marks: Vec<String> =
        marks.iter().map(|(upn, code)| format!(r#"{{"upn":"{upn}","code":"{}"}}"#, code.text())).collect();
    let text = format!(
        r#"{{"school_urn":{school},"date":"{}","session":"{}","revised_at":"{revised_at}","marks":[{}]}}"#,
        session.day(),
        session.half().text(),
        marks.join(",")
    );
    Body { kind: "application/json", bytes: text.into() }
}

/// Registers of `size` marks in turn over all schools and sessions.
pub(crate) fn registers(county: &County, size: usize) -> anyhow::Result<Vec<Body>> {
    let mut bodies = Vec::new();
    for (number, session) in (0..).zip(county.sessions()?) {
        for school in county.schools() {
            let revised_at = session.begins().plus_micros(600_000_000);
            let marks = county.marks_of(school, number)?;
            bodies.extend(marks.chunks(size).map(|marks| register(school, session, revised_at, marks)));
        }
    }
    Ok(bodies)
}

/// A school's day as CSV: both sessions of all its pupils; `first` is the number of the morning's session.
pub(crate) fn upload(county: &County, school: u32, (first, morning): (u32, Session)) -> anyhow::Result<Body> {
    let mut text = String::from("school_urn,date,session,upn,code,revised_at\n");
    let day = morning.day();
    for (number, half) in [(first, Half::Am), (first + 1, Half::Pm)] {
        let revised_at = Session::new(day, half).begins().plus_micros(600_000_000).to_string();
        for (upn, code) in county.marks_of(school, number)? {
            for part in [&school.to_string(), ",", &day.to_string(), ",", half.text(), ",", &upn, ",", code.text(), ","]
            {
                text.push_str(part);
            }
            text.push_str(&revised_at);
            text.push('\n');
        }
    }
    Ok(Body { kind: "text/csv", bytes: text.into() })
}

/// The uploads of the county's first day.
pub(crate) fn uploads(county: &County) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Body>> + '_> {
    let morning = *county.sessions()?.first().context("no session")?;
    Ok(county.schools().map(move |school| upload(county, school, (0, morning))))
}
