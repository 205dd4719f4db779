//! `earlybell token`: readers' tokens, by locality. A token is shown once, when it is made; the database keeps its hash.

use super::installation::{Actor, block_on, settings, store};
use super::listing;
use anyhow::{anyhow, bail};
use attendance::Timestamp;
use clap::{Args, Subcommand};
use notifier::Localities;
use service::clock::Clock;
use std::path::PathBuf;
use std::process::ExitCode;
use store::{CommitError, Store, Tx, audit, token};

#[derive(Debug, Args)]
pub(crate) struct Token {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Makes a token and prints it, once.
    Create(Create),
    /// All tokens: number, name, localities, until when. Never the tokens themselves.
    List,
    /// Ends a token at once.
    Revoke(Revoke),
}

#[derive(Debug, Args)]
struct Create {
    /// Who gets it.
    #[arg(long)]
    name: String,
    /// A locality that it opens; may be given again.
    #[arg(long, required_unless_present = "all", conflicts_with = "all")]
    locality: Vec<String>,
    /// Opens all localities, with the cases that none claims.
    #[arg(long)]
    all: bool,
    /// For how many days it is valid.
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=3660))]
    days: u16,
    #[command(flatten)]
    actor: Actor,
}

#[derive(Debug, Args)]
struct Revoke {
    /// The token's number, as `token list` shows it.
    id: i64,
    #[command(flatten)]
    actor: Actor,
}

impl Token {
    pub(crate) fn run(&self, config: Option<PathBuf>) -> anyhow::Result<ExitCode> {
        let settings = settings(config)?;
        block_on(async {
            let store = store(&settings, "token").await?;
            match &self.action {
                Action::Create(create) => create.run(&store).await?,
                Action::List => list(&store).await?,
                Action::Revoke(revoke) => revoke.run(&store).await?,
            }
            store.close().await;
            Ok(ExitCode::SUCCESS)
        })
    }
}

impl Create {
    async fn run(&self, store: &Store) -> anyhow::Result<()> {
        let localities = if self.all { Localities::All } else { Localities::These(self.locality.clone()) };
        // May be made before the policy knows the locality; a name mistyped is told.
        if let Ok(in_force) = ::installation::load(store).await {
            let known = &in_force.policy.localities;
            for name in self.locality.iter().filter(|name| !known.contains(name)) {
                let known = known.join(", ");
                eprintln!(
                    "earlybell: the policy in force knows no locality {name:?}: until it does, this token opens nothing of it; it knows {known}"
                );
            }
        }
        let (text, hash) = notifier::new_token(&notifier::of_system()).map_err(|error| anyhow!(error))?;
        let now = Clock::wall().wall_now();
        let expires_at = now.plus_micros(i64::from(self.days) * 86_400_000_000).micros();
        let new = token::NewToken {
            name: self.name.clone(),
            hash,
            localities: localities.to_row(),
            at: now.micros(),
            expires_at: Some(expires_at),
        };
        let mut tx = store.begin().await?;
        let id = token::create(&mut tx, &new).await?;
        let detail = format!("token {id} ({}), localities {}", self.name, new.localities);
        finish(tx, &self.actor, "token.create", detail, now).await?;
        eprintln!("token {id}; it is shown this once:");
        println!("{text}");
        Ok(())
    }
}

impl Revoke {
    async fn run(&self, store: &Store) -> anyhow::Result<()> {
        let now = Clock::wall().wall_now();
        let mut tx = store.begin().await?;
        if !token::revoke(&mut tx, self.id, now.micros()).await? {
            bail!("there is no token {} that is not revoked; see `earlybell token list`", self.id);
        }
        finish(tx, &self.actor, "token.revoke", format!("token {}", self.id), now).await?;
        println!("token {} is revoked", self.id);
        Ok(())
    }
}

/// Writes the audit's row in the transaction that it tells of.
async fn finish(mut tx: Tx, actor: &Actor, action: &str, detail: String, now: Timestamp) -> anyhow::Result<()> {
    let (actor, action) = (actor.by.clone(), action.to_owned());
    audit::append(&mut tx, &audit::Act { at: now.micros(), actor, action, upn: None, detail }).await?;
    tx.commit().await.map_err(CommitError::into_cause)?;
    Ok(())
}

async fn list(store: &Store) -> anyhow::Result<()> {
    let now = Clock::wall().wall_now().micros();
    let line = |row: token::TokenRow| {
        let localities = match Localities::from_row(&row.localities) {
            Some(Localities::All) => "all".to_owned(),
            Some(Localities::These(names)) => names.join(", "),
            None => "unreadable".to_owned(),
        };
        let state = match (row.is_valid(now), row.revoked_at) {
            (true, _) => "valid",
            (false, Some(_)) => "revoked",
            (false, None) => "expired",
        };
        let until = row.expires_at.map_or_else(|| "for ever".to_owned(), |at| Timestamp::from_micros(at).to_string());
        format!("{}\t{}\t{localities}\t{state}\t{until}", row.id, row.name)
    };
    let rows = token::list(store).await?;
    listing::print(&["number", "name", "localities", "state", "until"], rows.into_iter().map(line));
    Ok(())
}
