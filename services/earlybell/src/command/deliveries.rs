//! `earlybell deliveries`: what receivers are owed and what was given up; replaying tries it anew.

use super::installation::{Actor, block_on, settings, store};
use super::listing;
use anyhow::bail;
use attendance::Timestamp;
use clap::{Args, Subcommand, ValueEnum};
use service::clock::Clock;
use std::path::PathBuf;
use std::process::ExitCode;
use store::{CommitError, Store, audit, delivery};

#[derive(Debug, Args)]
pub(crate) struct Deliveries {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Deliveries of a state: number, message id, receiver, attempts, since when, last error.
    List(List),
    /// Tries anew what was given up: one delivery, all of a receiver, or all.
    Replay(Replay),
}

#[derive(Debug, Args)]
struct List {
    /// Which.
    #[arg(long, value_enum, default_value_t = State::GivenUp)]
    state: State,
    /// From after this number.
    #[arg(long, default_value_t = 0)]
    after: i64,
    /// How many at most.
    #[arg(long, default_value_t = 100)]
    limit: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    /// Put into one message with others when the hour is over.
    Gathered,
    Waiting,
    Sending,
    Delivered,
    GivenUp,
}

#[derive(Debug, Args)]
struct Replay {
    /// The delivery's number.
    #[arg(long, required_unless_present_any = ["receiver", "all"])]
    id: Option<i64>,
    /// All of this receiver.
    #[arg(long, conflicts_with = "id")]
    receiver: Option<String>,
    /// All.
    #[arg(long, conflicts_with_all = ["id", "receiver"])]
    all: bool,
    #[command(flatten)]
    actor: Actor,
}

impl Deliveries {
    pub(crate) fn run(&self, config: Option<PathBuf>) -> anyhow::Result<ExitCode> {
        let settings = settings(config)?;
        block_on(async {
            let store = store(&settings, "deliveries").await?;
            match &self.action {
                Action::List(list) => list.run(&store).await?,
                Action::Replay(replay) => replay.run(&store).await?,
            }
            store.close().await;
            Ok(ExitCode::SUCCESS)
        })
    }
}

impl List {
    async fn run(&self, store: &Store) -> anyhow::Result<()> {
        let state = match self.state {
            State::Gathered => "gathered",
            State::Waiting => "waiting",
            State::Sending => "sending",
            State::Delivered => "delivered",
            State::GivenUp => "given_up",
        };
        let line = |row: delivery::DeliveryRow| {
            let since = Timestamp::from_micros(row.created_at);
            let error = row.last_error.unwrap_or_default();
            let (id, message, receiver, attempts) = (row.id, row.message_id, row.receiver, row.attempts);
            format!("{id}\t{message}\t{receiver}\t{attempts}\t{since}\t{error}")
        };
        let rows = delivery::list(store, state, self.after, self.limit).await?;
        let fields = ["number", "message", "receiver", "attempts", "since", "last error"];
        listing::print(&fields, rows.into_iter().map(line));
        Ok(())
    }
}

impl Replay {
    async fn run(&self, store: &Store) -> anyhow::Result<()> {
        let at = Clock::wall().wall_now().micros();
        let mut tx = store.begin().await?;
        let count = delivery::replay(&mut tx, self.id, self.receiver.as_deref(), at).await?;
        if count == 0 {
            bail!("nothing of that was given up; see `earlybell deliveries list`");
        }
        let detail = format!("{count} deliveries: id {:?}, receiver {:?}", self.id, self.receiver);
        let (actor, action) = (self.actor.by.clone(), "deliveries.replay".to_owned());
        audit::append(&mut tx, &audit::Act { at, actor, action, upn: None, detail }).await?;
        tx.commit().await.map_err(CommitError::into_cause)?;
        println!("{count} deliveries are tried anew");
        Ok(())
    }
}
