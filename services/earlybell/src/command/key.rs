//! `earlybell key`: schools' and suppliers' ingest keys. A key is printed once, when it is made; the database holds its hash.

use super::installation::{Actor, block_on, settings, store as open};
use super::listing;
use anyhow::{Context, bail};
use attendance::{Day, Timestamp, Urn};
use clap::{Args, Subcommand};
use ingest::key;
use service::clock::Clock;
use std::path::PathBuf;
use std::process::ExitCode;
use store::api_key::{self, ApiKey, NewApiKey};
use store::{Store, audit};

#[derive(Debug, Args)]
pub(crate) struct Key {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes a key and prints it, this once.
    Create(Create),
    /// Lists keys: name, prefix, schools, until when, state.
    List,
    /// Makes another key of that name; the newest before stays valid too, older ones are revoked.
    Rotate(Rotate),
    /// Revokes all keys of that name.
    Revoke {
        /// Whose.
        #[arg(long)]
        name: String,
        #[command(flatten)]
        actor: Actor,
    },
}

#[derive(Debug, Args)]
struct Create {
    /// Whose: one name for a key and those that replace it.
    #[arg(long)]
    name: String,
    /// The schools that it is for.
    #[arg(long, value_delimiter = ',', value_parser = |text: &str| Urn::parse(text), required_unless_present = "all_schools")]
    urn: Vec<Urn>,
    /// It is for every school.
    #[arg(long, conflicts_with = "urn")]
    all_schools: bool,
    /// The day from whose midnight in London on it is refused.
    #[arg(long, value_name = "2026-08-31", value_parser = |text: &str| Day::parse(text))]
    expires: Option<Day>,
    #[command(flatten)]
    actor: Actor,
}

#[derive(Debug, Args)]
struct Rotate {
    /// Whose.
    #[arg(long)]
    name: String,
    /// The day from whose midnight in London on the new key is refused.
    #[arg(long, value_name = "2026-08-31", value_parser = |text: &str| Day::parse(text))]
    expires: Option<Day>,
    #[command(flatten)]
    actor: Actor,
}

impl Key {
    pub(crate) fn run(&self, config: Option<PathBuf>) -> anyhow::Result<ExitCode> {
        let settings = settings(config)?;
        block_on(async {
            let store = open(&settings, "key").await?;
            let now = Clock::wall().wall_now();
            match &self.command {
                Command::Create(create) => {
                    if create.name.trim().is_empty() {
                        bail!("--name is empty: say whose key it is, such as the school's name");
                    }
                    // May be made before the policy knows the school; a number mistyped is told.
                    if let Ok(in_force) = ::installation::load(&store).await {
                        for urn in create.urn.iter().filter(|urn| !in_force.policy.schools.contains_key(urn)) {
                            eprintln!(
                                "earlybell: the policy in force knows no school {urn}: until it does, this key sends nothing for it"
                            );
                        }
                    }
                    if valid(&store, &create.name, now).await?.is_some() {
                        bail!("{} has a key already; `key rotate` makes another", create.name);
                    }
                    let urns: Vec<String> = create.urn.iter().map(Urn::to_string).collect();
                    let urns = if create.all_schools { "*".to_owned() } else { urns.join(",") };
                    println!("{}", make(&store, &create.actor.by, new(&create.name, urns, create.expires)).await?);
                }
                Command::Rotate(rotate) => {
                    let Some(before) = valid(&store, &rotate.name, now).await? else {
                        bail!("{} has no valid key; `key create` makes one", rotate.name);
                    };
                    let new = new(&rotate.name, before.key.urns, rotate.expires);
                    println!("{}", make(&store, &rotate.actor.by, new).await?);
                }
                Command::Revoke { name, actor } => revoke(&store, actor, name).await?,
                Command::List => {
                    let keys = api_key::list(&store).await?;
                    let fields = ["name", "begins with", "schools", "until", "state"];
                    listing::print(&fields, keys.iter().map(|key| line(key, now)));
                }
            }
            store.close().await;
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// A key without what is random about it.
pub(crate) fn new(name: &str, urns: String, expires: Option<Day>) -> NewApiKey {
    let expires_at = expires.map(|day| Timestamp::in_london(day, 0).micros());
    let created_at = Clock::wall().wall_now().micros();
    NewApiKey { name: name.to_owned(), prefix: String::new(), hash: Vec::new(), urns, created_at, expires_at }
}

/// Makes a key and gives its text, which is told this once.
pub(crate) async fn make(store: &Store, by: &str, new: NewApiKey) -> anyhow::Result<String> {
    let mut random = [0; key::RANDOM_BYTES];
    getrandom::fill(&mut random)?;
    let made = key::make(&random);
    let new = NewApiKey { prefix: made.prefix, hash: made.hash, ..new };
    let mut tx = store.begin().await?;
    api_key::insert(&mut tx, &new).await?;
    api_key::revoke(&mut tx, &new.name, 2, new.created_at).await?;
    let detail = format!("{}, {}", new.name, new.prefix);
    audit::append(&mut tx, &act(new.created_at, by, "key.make", detail)).await?;
    tx.commit().await.context("whether the key was stored is not known; look with `key list`")?;
    Ok(made.text)
}

async fn revoke(store: &Store, actor: &Actor, name: &str) -> anyhow::Result<()> {
    let now = Clock::wall().wall_now().micros();
    let mut tx = store.begin().await?;
    let revoked = api_key::revoke(&mut tx, name, 0, now).await?;
    if revoked == 0 {
        bail!("{name} has no key that is not revoked; see `key list`");
    }
    audit::append(&mut tx, &act(now, &actor.by, "key.revoke", name.to_owned())).await?;
    tx.commit().await.context("whether the keys were revoked is not known; look with `key list`")?;
    println!("{revoked} keys of {name} revoked; ingest follows within seconds");
    Ok(())
}

fn act(at: i64, by: &str, action: &str, detail: String) -> audit::Act {
    audit::Act { at, actor: by.to_owned(), action: action.to_owned(), upn: None, detail }
}

/// The newest valid key of a name.
async fn valid(store: &Store, name: &str, now: Timestamp) -> anyhow::Result<Option<ApiKey>> {
    let mut keys = api_key::list(store).await?;
    keys.retain(|key| key.key.name == name && state(key, now) == "valid");
    Ok(keys.into_iter().next())
}

fn state(key: &ApiKey, now: Timestamp) -> &'static str {
    match (key.revoked_at, key.key.expires_at) {
        (Some(_), _) => "revoked",
        (None, Some(at)) if at <= now.micros() => "expired",
        _ => "valid",
    }
}

fn line(key: &ApiKey, now: Timestamp) -> String {
    let until = key.key.expires_at.map_or("-".to_owned(), |at| Timestamp::from_micros(at).to_string());
    format!("{}\teb_{}\t{}\t{until}\t{}", key.key.name, key.key.prefix, key.key.urns, state(key, now))
}
