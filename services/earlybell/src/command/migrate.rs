//! `earlybell migrate`: database and topics. Repeatable; the first time it founds the installation.

use super::installation::{admin, block_on, connection, options, settings};
use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use service::config::Settings;
use std::path::PathBuf;
use std::process::ExitCode;
use store::{CommitError, Store, installation};
use transport::{Ensured, Topic, TopicSpec};

/// Where nobody says how many.
const PARTITIONS: u32 = 16;

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// Partitions of the events: fixed by the first run, for ever (16 unless told). Enough for as many rules processes as
    /// there may ever be.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=512))]
    partitions: Option<u32>,
    /// What time is: the wall's, or the newest session that was accepted (demonstration, training, tests). Fixed by the
    /// first run, the wall's unless told.
    #[arg(long, value_enum)]
    clock: Option<Clock>,
    /// A role of the database that services connect as, which exists: it may read and write rows, and change no table.
    #[arg(long, value_name = "ROLE")]
    grant_to: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Clock {
    Wall,
    Registers,
}

impl Migrate {
    pub(crate) fn run(&self, config: Option<PathBuf>) -> anyhow::Result<ExitCode> {
        let settings = settings(config)?;
        block_on(async {
            let partitions = self.database(&settings).await?;
            for line in topics(&settings, partitions).await? {
                println!("{line}");
            }
            Ok(ExitCode::SUCCESS)
        })
    }

    /// Gives the number of partitions.
    async fn database(&self, settings: &Settings) -> anyhow::Result<u32> {
        let options = options(settings, "migrate");
        let store = Store::connect(settings.database.url.expose(), &options).await.context("the database")?;
        store.migrate().await.context("the database")?;
        let before = installation::get(&store).await?;
        let clock = match (self.clock, &before) {
            (None, Some(before)) => before.clock,
            (None | Some(Clock::Wall), _) => installation::Clock::Wall,
            (Some(Clock::Registers), _) => installation::Clock::Registers,
        };
        let partitions = match (self.partitions, &before) {
            (Some(partitions), _) => partitions,
            (None, Some(before)) => u32::try_from(before.event_partitions)?,
            (None, None) => PARTITIONS,
        };
        found(&store, partitions, clock).await?;
        println!("database: schema {}, {partitions} partitions", store.schema_version().await?);
        for role in &self.grant_to {
            store.grant(role).await.with_context(|| format!("--grant-to {role}"))?;
            println!("database: {role} may read and write rows, and change no table");
        }
        store.close().await;
        Ok(partitions)
    }
}

/// Makes the topics that are missing; a line each.
pub(crate) async fn topics(settings: &Settings, partitions: u32) -> anyhow::Result<Vec<String>> {
    let admin = admin(&connection(settings, "migrate"))?;
    let replication = u32::from(settings.kafka.replication.get());
    let (mut lines, mut differ) = (Vec::new(), Vec::new());
    for topic in [Topic::registers(), Topic::events(), Topic::alerts()] {
        let mut spec = TopicSpec::new(topic.as_str(), partitions, replication);
        spec.min_in_sync = u32::from(settings.kafka.min_insync.get());
        match admin.ensure_topic(&spec).await? {
            Ensured::Created => lines.push(format!("topic {topic}: made")),
            Ensured::AsWanted => lines.push(format!("topic {topic}: as wanted")),
            Ensured::Different(differences) => {
                differ.extend(differences.iter().map(|difference| format!("topic {topic}: {difference}")));
            }
        }
    }
    if !differ.is_empty() {
        bail!("topics exist with other settings:\n{}", differ.join("\n"));
    }
    Ok(lines)
}

/// Founds the installation, where there is none yet.
pub(crate) async fn found(store: &Store, partitions: u32, clock: installation::Clock) -> anyhow::Result<()> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)?;
    let namespace = uuid::Builder::from_random_bytes(random).into_uuid();
    let mut tx = store.begin().await?;
    installation::found(&mut tx, i32::try_from(partitions)?, clock, &namespace.to_string()).await?;
    tx.commit().await.map_err(CommitError::into_cause)?;
    Ok(())
}
