//! What schools reach: takes requests, untrusted; answers 202 only after Kafka has acknowledged all that was accepted.

pub(crate) mod access;
pub(crate) mod answer;
pub(crate) mod body;
mod held;
mod pace;
pub(crate) mod problem;
mod pupils;
pub(crate) mod registers;

use crate::partition::Shared;
use crate::roll::Rolls;
use access::{Access, Keys};
use answer::{Answer, RETRY};
use attendance::{Session, Upn, Urn};
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use body::{Format, Limits};
use pace::Pace;
use problem::Problem;
use prost::Message as _;
use registers::Sending;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store::{CommitError, person};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use transport::{Header, Outgoing};

/// Requests with a body in memory at once: each may hold several times `ingest.max_unpacked`.
const AT_ONCE: usize = 8;
/// Bytes of messages that wait for Kafka, in units of so many: what is read and waits takes no turn, and no more memory than the
/// turns do.
const UNIT: usize = 64 << 10;
/// Requests that wait for their turn at once; further ones are told at once to come later.
const WAITING: usize = 256;
/// How long a request waits for its turn before it is told to come later.
const PATIENCE: Duration = Duration::from_secs(5);
/// Those who are told to come later come in so many seconds, spread.
const LATER: u64 = 4;
/// Of a body that is refused so many times `ingest.max_body` are read on, so that the sender hears why.
const DRAINED: usize = 8;

/// The API's description, which the router keeps to.
const OPENAPI: &str = include_str!("../openapi.json");

/// What requests are answered with.
pub(crate) struct App {
    shared: Arc<Shared>,
    keys: Keys,
    pace: Pace,
    rolls: Rolls,
    topic: Arc<str>,
    limits: Limits,
    timeout: Duration,
    turns: Arc<Semaphore>,
    /// Of those who read and those who wait, for their turn or for Kafka.
    room: Arc<Semaphore>,
    /// Units of messages that wait for Kafka.
    waiting: Arc<Semaphore>,
    /// Requests told to come later.
    sent_away: AtomicU64,
}

impl App {
    pub(crate) fn new(shared: Arc<Shared>, topic: Arc<str>, settings: &service::config::Ingest) -> Self {
        let size = |size: service::config::Size| usize::try_from(size.bytes()).unwrap_or(usize::MAX);
        Self {
            keys: Keys::new(shared.store.clone(), shared.clock.clone()),
            pace: Pace::new(settings.key_requests),
            rolls: Rolls::new(shared.store.clone()),
            shared,
            topic,
            limits: Limits { packed: size(settings.max_body), unpacked: size(settings.max_unpacked) },
            timeout: settings.request_timeout,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            room: Arc::new(Semaphore::new(AT_ONCE + WAITING)),
            waiting: Arc::new(Semaphore::new(places(size(settings.max_unpacked)))),
            sent_away: AtomicU64::new(0),
        }
    }

    /// A request's turn, once it has it.
    async fn turn(&self) -> Option<Turn> {
        let room = Arc::clone(&self.room).try_acquire_owned().ok()?;
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await;
        Some(Turn { _room: room, _place: turn.ok()?.ok()? })
    }

    /// Gives a turn up for a place among the messages that wait for Kafka: others may read meanwhile.
    async fn wait(&self, turn: Turn, messages: &[Outgoing]) -> Option<Turn> {
        let bytes: usize = messages.iter().map(|message| message.payload.len()).sum();
        let units = u32::try_from(units(bytes).min(places(self.limits.unpacked))).ok()?;
        let place = Arc::clone(&self.waiting).acquire_many_owned(units).await.ok()?;
        Some(Turn { _place: place, ..turn })
    }
}

fn units(bytes: usize) -> usize {
    bytes / UNIT + 1
}

/// Units that may wait for Kafka: as many as bodies of all turns have.
fn places(unpacked: usize) -> usize {
    units(AT_ONCE.saturating_mul(unpacked)).min(Semaphore::MAX_PERMITS)
}

/// The routes.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/registers", post(post_registers).get(get_registers))
        .route("/v1/pupils", post(post_pupils))
        .route("/v1/installation", get(get_installation))
        .route("/openapi.json", get(async || ([(header::CONTENT_TYPE, "application/json")], OPENAPI)))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "there is nothing here; see /openapi.json"))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this address does not know that method; see /openapi.json")
        })
        .with_state(app)
}

/// What a sending is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Registers,
    Pupils,
}

async fn post_registers(State(app): State<Arc<App>>, request: Request) -> Response {
    timed(&app, take(&app, request, Kind::Registers)).await
}

async fn post_pupils(State(app): State<Arc<App>>, request: Request) -> Response {
    timed(&app, take(&app, request, Kind::Pupils)).await
}

async fn get_registers(State(app): State<Arc<App>>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    timed(&app, async {
        let access = admit(&app, &head).await?;
        let shown = held::list(&app.shared, &access, &query(&head.uri)?).await?;
        Ok(Json(shown).into_response())
    })
    .await
}

/// What a sender must know before it sends: whose installation it is, and what its school time follows.
async fn get_installation(State(app): State<Arc<App>>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    timed(&app, async {
        admit(&app, &head).await?;
        let in_force = Arc::clone(&app.shared.in_force.borrow());
        let clock = &app.shared.clock;
        let newest = app.shared.newest.get().map(|session| session.to_string());
        let shown =
            json!({ "authority": in_force.policy.authority, "clock": clock.mode().text(), "newest_session": newest });
        Ok(Json(shown).into_response())
    })
    .await
}

async fn timed(app: &App, answered: impl Future<Output = Result<Response, Problem>>) -> Response {
    let begun = Instant::now();
    let answered = answered.await;
    app.shared.metrics.request_seconds.observe(begun.elapsed().as_secs_f64());
    answered.unwrap_or_else(|problem| {
        if problem.status() == StatusCode::SERVICE_UNAVAILABLE {
            app.shared.metrics.unavailable_total.inc();
        }
        problem.into_response()
    })
}

fn query(uri: &Uri) -> Result<HashMap<String, String>, Problem> {
    let read = Query::<HashMap<String, String>>::try_from_uri(uri);
    read.map(|Query(query)| query)
        .map_err(|error| Problem::bad_request(format!("the parameters cannot be read: {error}")))
}

fn is_dry_run(query: &HashMap<String, String>) -> Result<bool, Problem> {
    if let Some(name) = query.keys().find(|name| *name != "dry_run") {
        return Err(Problem::bad_request(format!("there is no parameter {name:?}; dry_run is the only one")));
    }
    match query.get("dry_run").map(String::as_str) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Problem::bad_request("dry_run is true or false")),
    }
}

/// What was read of a body: messages to be sent and names to be stored.
pub(crate) struct Read {
    pub(crate) messages: Vec<Outgoing>,
    persons: Vec<person::PersonRow>,
    pub(crate) answer: Answer,
    marked: Vec<Marked>,
}

/// The pupils of a register.
struct Marked {
    school: Urn,
    session: Session,
    upns: Vec<Upn>,
}

/// Warns of pupils who are on no roster of the school. That warning is no reason to refuse or to wait: where the roll cannot
/// be read now, there is none.
async fn look_at_rolls(app: &App, marked: &[Marked], answer: &mut Answer) {
    for Marked { school, session, upns } in marked {
        let Ok(roll) = app.rolls.of(*school).await else { return };
        let strangers = upns.iter().filter(|upn| !roll.is_unknown() && !roll.holds(**upn, session.day()));
        answer.look_at_strangers(*school, *session, strangers.copied());
    }
}

/// Who asks, where it does not ask too often.
async fn admit(app: &App, head: &Parts) -> Result<Access, Problem> {
    let access = app.keys.access(&head.headers).await?;
    app.pace.take(access.name(), Instant::now()).map_err(|wait| {
        let what = "too many requests with this key; send fewer, with more registers in each";
        let seconds = wait.as_secs() + 1;
        Problem::new(StatusCode::TOO_MANY_REQUESTS, what).retry_after(seconds)
    })?;
    Ok(access)
}

/// A request that may be read, with its body.
struct Received {
    access: Access,
    dry_run: bool,
    format: Format,
    bytes: Vec<u8>,
    turn: Turn,
}

/// The right to have a body, or messages, in memory.
struct Turn {
    _room: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

async fn receive(app: &App, head: &Parts, body: &mut Body, deadline: Instant) -> Result<Received, Problem> {
    let access = admit(app, head).await?;
    let dry_run = is_dry_run(&query(&head.uri)?)?;
    let format = body::format(&head.headers)?;
    let Some(turn) = app.turn().await else {
        let what = "too many requests are being read just now; send again";
        let seconds = 1 + app.sent_away.fetch_add(1, Ordering::Relaxed) % LATER;
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, what).retry_after(seconds));
    };
    let bytes = body::read(&head.headers, body, app.limits.packed, deadline).await?;
    Ok(Received { access, dry_run, format, bytes, turn })
}

async fn take(app: &Arc<App>, request: Request, kind: Kind) -> Result<Response, Problem> {
    let deadline = body::deadline(app.timeout);
    let (head, mut body) = request.into_parts();
    let Received { access, dry_run, format, bytes, turn } = match receive(app, &head, &mut body, deadline).await {
        Ok(received) => received,
        Err(problem) => {
            let most = app.limits.packed.saturating_mul(DRAINED);
            body::drain(&head.headers, &mut body, most, deadline).await;
            return Err(problem);
        }
    };
    let reader = Arc::clone(app);
    let read = tokio::task::spawn_blocking(move || read(&reader, bytes, format, kind, &access)).await;
    let Read { messages, persons, mut answer, marked } =
        read.map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the body could not be read"))??;
    look_at_rolls(app, &marked, &mut answer).await;
    answer.dry_run = dry_run;
    for reason in &answer.reasons {
        app.shared.metrics.rejected_total.of(*reason).inc();
    }
    if answer.is_nothing_accepted() {
        let detail = match (answer.rejected_count, kind) {
            (0, Kind::Registers) => "it holds no register; send at least one with a mark",
            (0, Kind::Pupils) => "it holds no pupil; send at least one",
            _ => "nothing of it could be accepted; see `rejected`",
        };
        let rejected = json!(answer.rejected);
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail).with("rejected", rejected));
    }
    if !dry_run {
        let stored = tokio::time::timeout_at(deadline, async {
            let _place = app.wait(turn, &messages).await;
            store(app, messages, &persons).await
        });
        let stored = stored.await;
        let stored = stored.unwrap_or_else(|_| Err(Problem::unavailable("it took too long; send again", 5)));
        stored.map_err(|problem| match &answer.revised_at {
            Some(stamp) => problem.with("revised_at", json!(stamp)).with("warning", json!(RETRY)),
            None => problem,
        })?;
        counted(app, &answer);
    }
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}

fn counted(app: &App, answer: &Answer) {
    let number = |count: usize| u64::try_from(count).unwrap_or(0);
    let metrics = &app.shared.metrics;
    metrics.registers_total.inc_by(number(answer.accepted.registers));
    metrics.marks_total.inc_by(number(answer.accepted.marks));
    metrics.roster_entries_total.inc_by(number(answer.accepted.pupils));
    for register in &answer.registers {
        tracing::info!(register.id = register.id, register.marks = register.marks, "register accepted");
    }
}

fn read(app: &App, bytes: Vec<u8>, format: Format, kind: Kind, access: &Access) -> Result<Read, Problem> {
    let bytes = body::unpack(bytes, app.limits.unpacked)?;
    let in_force = Arc::clone(&app.shared.in_force.borrow());
    let (moment, namespace) = (app.shared.moment(), app.shared.namespace);
    let sending = Sending { policy: &in_force.policy, access, moment, namespace };
    read_plain(&bytes, format, kind, sending, &app.topic)
}

/// Reads a body that is unpacked. Pure.
pub(crate) fn read_plain(
    bytes: &[u8],
    format: Format,
    kind: Kind,
    sending: Sending<'_>,
    topic: &Arc<str>,
) -> Result<Read, Problem> {
    let message = |school: Urn, payload, kind: &str| Outgoing {
        headers: vec![
            Header::new("content-type", b"application/protobuf".to_vec()),
            Header::new("kind", kind.as_bytes().to_vec()),
        ],
        ..Outgoing::keyed(Arc::clone(topic), school.number().to_string(), payload)
    };
    Ok(match kind {
        Kind::Registers => {
            let (registers, answer) = registers::read(bytes, format, sending)?;
            let of = |(id, register): &(uuid::Uuid, crate::accept::Accepted)| {
                message(register.school, register.message(*id).encode_to_vec(), "register")
            };
            let marked = |(_, register): &(uuid::Uuid, crate::accept::Accepted)| Marked {
                school: register.school,
                session: register.session,
                upns: register.marks.iter().map(|(upn, _)| *upn).collect(),
            };
            let (messages, marked) = (registers.iter().map(of).collect(), registers.iter().map(marked).collect());
            Read { messages, persons: Vec::new(), answer, marked }
        }
        Kind::Pupils => {
            let (mut roster, answer) = pupils::read(bytes, format, sending)?;
            let persons = std::mem::take(&mut roster.persons);
            let parts = roster.messages(sending);
            let messages = parts.iter().map(|(school, part)| message(*school, part.to_bytes(), "roster")).collect();
            Read { messages, persons, answer, marked: Vec::new() }
        }
    })
}

/// Names into their table, then the rest to Kafka: a repetition of either changes nothing.
async fn store(app: &App, messages: Vec<Outgoing>, persons: &[person::PersonRow]) -> Result<(), Problem> {
    if !persons.is_empty() {
        let written = async {
            let mut tx = app.shared.store.begin().await?;
            person::upsert_many(&mut tx, persons).await?;
            tx.commit().await.map_err(CommitError::into_cause)
        };
        written.await.map_err(|error: store::StoreError| {
            tracing::warn!(%error, "names could not be written");
            Problem::unavailable("the names could not be stored; send again", 5)
        })?;
    }
    app.shared.producer.send_all(messages).await.map_err(|error| {
        tracing::warn!(%error, "registers could not be written to Kafka");
        let seconds = error.retry_after().map_or(30, |after| after.as_secs().max(1));
        Problem::unavailable("it could not be stored safely; send all of it again", seconds)
    })
}
