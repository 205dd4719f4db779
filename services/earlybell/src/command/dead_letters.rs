//! `earlybell dead-letters`: what could not be used, listed, shown, and sent again as it came.

use super::installation::{Actor, block_on, connection, founded, settings, store as open};
use super::listing;
use anyhow::{Context, anyhow, bail};
use attendance::Upn;
use clap::{Args, Subcommand};
use proto::Event;
use serde_json::json;
use service::clock::Clock;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use store::dead_letter::{self, DeadLetter, Filter, State};
use store::{Store, audit};
use transport::{Outgoing, Producer, ProducerConfig, Topic, partition_of};

/// Letters read at once.
const PAGE: u32 = 500;
/// The source of letters that hold a pupil's events.
const RULES: &str = "rules";

#[derive(Debug, Args)]
pub(crate) struct DeadLetters {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists those that were not replayed: number, time, place, reason, what is wrong. Shows no message.
    List {
        #[command(flatten)]
        which: Which,
        /// An object a line.
        #[arg(long)]
        json: bool,
    },
    /// Shows one with its message. Audited: a message holds children's data.
    Show {
        /// Its number.
        id: i64,
        #[command(flatten)]
        actor: Actor,
    },
    /// Sends them again with their own stamp, timestamp and headers, and marks them replayed. A held pupil's go together,
    /// and lift the hold.
    Replay {
        #[command(flatten)]
        which: Which,
        /// This one only.
        #[arg(long)]
        id: Option<i64>,
        /// All of them.
        #[arg(long, conflicts_with = "id")]
        all: bool,
        #[command(flatten)]
        actor: Actor,
    },
}

#[derive(Debug, Args)]
struct Which {
    /// Of this reason only.
    #[arg(long)]
    reason: Option<String>,
    /// Of this school only.
    #[arg(long)]
    urn: Option<i32>,
}

impl Which {
    fn is_all(&self) -> bool {
        self.reason.is_none() && self.urn.is_none()
    }

    async fn read(&self, store: &Store) -> anyhow::Result<Vec<DeadLetter>> {
        let filter = Filter { reason: self.reason.as_deref(), urn: self.urn, state: State::Open };
        all(store, filter).await
    }
}

async fn all(store: &Store, filter: Filter<'_>) -> anyhow::Result<Vec<DeadLetter>> {
    let mut letters: Vec<DeadLetter> = Vec::new();
    loop {
        let after = letters.last().map_or(0, |letter| letter.id);
        let page = dead_letter::list(store, filter, after, PAGE).await?;
        if page.is_empty() {
            return Ok(letters);
        }
        letters.extend(page);
    }
}

impl DeadLetters {
    pub(crate) fn run(&self, config: Option<PathBuf>) -> anyhow::Result<ExitCode> {
        let settings = settings(config)?;
        block_on(async {
            let store = open(&settings, "dead-letters").await?;
            match &self.command {
                Command::List { which, json } => {
                    let letters = which.read(&store).await?;
                    if *json {
                        for letter in &letters {
                            println!("{}", object(letter));
                        }
                    } else {
                        let fields = ["number", "when", "where", "reason", "what is wrong"];
                        listing::print(&fields, letters.iter().map(line));
                    }
                }
                Command::Show { id, actor } => {
                    let letter = dead_letter::get(&store, *id).await?;
                    let letter = letter.ok_or_else(|| anyhow!("there is no dead letter {id}"))?;
                    actor.audit(&store, "dead_letter.show", None, &id.to_string()).await?;
                    println!("{}\n{}", line(&letter), letter.letter.headers);
                    println!("{}", String::from_utf8_lossy(&letter.letter.payload));
                }
                Command::Replay { which, id, all, actor } => {
                    if which.is_all() && id.is_none() && !all {
                        bail!("this would replay all of them: name which (--id, --reason, …) or give --all");
                    }
                    let mut letters = which.read(&store).await?;
                    letters.retain(|letter| id.is_none_or(|id| letter.id == id));
                    let connection = connection(&settings, "dead-letters");
                    let producer = Producer::new(&ProducerConfig::new(connection))?;
                    let replayed = replay(&store, &producer, letters, &actor.by).await?;
                    println!("{replayed} dead letters replayed");
                }
            }
            store.close().await;
            Ok(ExitCode::SUCCESS)
        })
    }
}

async fn replay(store: &Store, producer: &Producer, letters: Vec<DeadLetter>, by: &str) -> anyhow::Result<usize> {
    if letters.is_empty() {
        bail!("no dead letter that was not replayed is meant; see `dead-letters list`");
    }
    let (held, others): (Vec<_>, Vec<_>) = letters.into_iter().partition(|letter| letter.letter.source == RULES);
    let mut done: Vec<i64> = others.iter().map(|letter| letter.id).collect();
    let mut messages = others.iter().map(again).collect::<anyhow::Result<Vec<_>>>()?;
    if !held.is_empty() {
        let partitions = u32::try_from(founded(store).await?.event_partitions)?;
        // The hold of a pupil is lifted by all of its parts, whichever of them was named.
        let meant = by_pupil(held)?;
        let open = Filter { reason: Some("held"), urn: None, state: State::Open };
        for (upn, letters) in by_pupil(all(store, open).await?)?.into_iter().filter(|(upn, _)| meant.contains_key(upn))
        {
            done.extend(letters.iter().map(|(letter, _)| letter.id));
            let parts: Vec<Event> = letters.into_iter().flat_map(|(_, events)| events).collect();
            let slice = Event::to_slice(&[Event::Replay(upn, parts)]);
            let partition = Some(partition_of(upn.text().as_bytes(), partitions));
            messages.push(Outgoing { partition, ..Outgoing::keyed(Topic::events(), Vec::new(), slice) });
        }
    }
    producer.send_all(messages).await?;
    mark(store, &done, by).await?;
    Ok(done.len())
}

async fn mark(store: &Store, done: &[i64], by: &str) -> anyhow::Result<()> {
    let now = Clock::wall().wall_now().micros();
    let mut tx = store.begin().await?;
    for id in done {
        dead_letter::mark_replayed(&mut tx, *id, now).await?;
    }
    let (actor, detail) = (by.to_owned(), format!("{done:?}"));
    let act = audit::Act { at: now, actor, action: "dead_letter.replay".to_owned(), upn: None, detail };
    audit::append(&mut tx, &act).await?;
    tx.commit().await.context("they were sent but perhaps not marked; replaying them again does no harm")?;
    Ok(())
}

/// The message as it came.
fn again(letter: &DeadLetter) -> anyhow::Result<Outgoing> {
    let NewLetter { key, headers } = NewLetter::of(letter)?;
    Ok(Outgoing {
        topic: letter.letter.topic.as_str().into(),
        partition: Some(u32::try_from(letter.letter.part)?),
        key,
        payload: letter.letter.payload.clone(),
        headers,
        timestamp_ms: Some(letter.letter.message_at / 1_000),
    })
}

/// What a letter keeps beside the payload.
struct NewLetter {
    key: Option<Vec<u8>>,
    headers: Vec<transport::Header>,
}

impl NewLetter {
    fn of(letter: &DeadLetter) -> anyhow::Result<Self> {
        let parsed = ingest::letter::parse(&letter.letter.headers);
        let (key, headers) = parsed.with_context(|| format!("dead letter {}", letter.id))?;
        Ok(Self { key, headers })
    }
}

type Parts = Vec<(DeadLetter, Vec<Event>)>;

/// Letters of rules by their pupil, in the order of offsets.
fn by_pupil(letters: Vec<DeadLetter>) -> anyhow::Result<BTreeMap<Upn, Parts>> {
    let mut pupils: BTreeMap<Upn, Parts> = BTreeMap::new();
    for letter in letters {
        let events = Event::of_slice(&letter.letter.payload).with_context(|| format!("dead letter {}", letter.id))?;
        let upn = events.first().and_then(|event| match event {
            Event::Marks(part) => part.marks.first().map(|(upn, _)| *upn),
            Event::Enrolment(upn, _) | Event::Erasure(upn) | Event::Replay(upn, _) => Some(*upn),
        });
        let upn = upn.ok_or_else(|| anyhow!("dead letter {} names no pupil", letter.id))?;
        pupils.entry(upn).or_default().push((letter, events));
    }
    for parts in pupils.values_mut() {
        parts.sort_by_key(|(letter, _)| (letter.letter.message_offset, letter.id));
    }
    Ok(pupils)
}

/// Rules' places name the pupil, for whom a list is no place.
fn place(letter: &DeadLetter) -> &str {
    letter.letter.place.split(", pupil").next().unwrap_or_default()
}

fn line(letter: &DeadLetter) -> String {
    let it = &letter.letter;
    let at = attendance::Timestamp::from_micros(it.created_at);
    let where_ = format!("{}-{}@{} {}", it.topic, it.part, it.message_offset, place(letter));
    format!("{}\t{at}\t{}\t{}\t{}", letter.id, where_.trim(), it.reason, it.detail)
}

fn object(letter: &DeadLetter) -> serde_json::Value {
    let it = &letter.letter;
    json!({
        "id": letter.id, "source": it.source, "topic": it.topic, "partition": it.part, "offset": it.message_offset,
        "place": place(letter), "reason": it.reason, "detail": it.detail, "urn": it.urn,
        "created_at": attendance::Timestamp::from_micros(it.created_at).to_string(), "bytes": it.payload.len(),
    })
}
