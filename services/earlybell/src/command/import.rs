//! `earlybell import`: history from files, by the same topic as what schools send, so that an authority may start in mid-year.
//! What it changes is no news: cases open and close without a message, and at the end each team gets one summary. Goes on where it
//! was broken off.

mod file;
mod pupils;
mod registers;
mod worked_off;

use super::backtest::write::RejectedFile;
use super::installation::{Actor, admin, block_on, connection, settings, store as open};
use crate::pipeline::Pipeline;
use ::installation::InForce;
use anyhow::Context;
use attendance::SchoolYear;
use clap::Args;
use file::Progress;
use service::clock::Clock;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use store::Store;
use transport::{Header, Outgoing, Producer, ProducerConfig, Topic};

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Registers as CSV, plain or gzip; may be given several times: of equal marks without a time of revision that of the later
    /// file counts.
    #[arg(long, value_name = "FILE.csv", required_unless_present = "pupils")]
    registers: Vec<PathBuf>,
    /// The roster as CSV; taken first.
    #[arg(long, value_name = "FILE.csv")]
    pupils: Option<PathBuf>,
    /// Takes the registers of this school year only.
    #[arg(long, value_name = "2025/26", value_parser = |text: &str| SchoolYear::parse(text))]
    school_year: Option<SchoolYear>,
    /// Writes the refused rows with their line and reason.
    #[arg(long, value_name = "OUT.csv")]
    rejected: Option<PathBuf>,
    #[command(flatten)]
    actor: Actor,
}

/// What an import works with.
struct Desk {
    store: Store,
    producer: Producer,
    in_force: Arc<InForce>,
    school_year: Option<SchoolYear>,
}

impl Import {
    pub(crate) fn run(&self, config: Option<PathBuf>) -> anyhow::Result<ExitCode> {
        let settings = settings(config)?;
        block_on(async {
            let store = open(&settings, "import").await?;
            let in_force = ::installation::load(&store).await?;
            let connection = connection(&settings, "import");
            let admin = admin(&connection)?;
            let pipeline = Pipeline { store: store.clone(), admin };
            let producer = Producer::new(&ProducerConfig::new(connection))?;
            let desk = Desk { store, producer, in_force, school_year: self.school_year };
            let files = self.registers.iter().chain(&self.pupils).map(|path| path.display().to_string());
            let names = files.collect::<Vec<_>>().join(", ");
            self.actor.audit(&desk.store, "history.import", None, &names).await?;
            // What the import is known by: told twice of its end, the notifier sums up once.
            let mut id = String::new();
            let mut rejected = RejectedFile::create(self.rejected.as_deref())?;
            if let Some(path) = &self.pupils {
                pupils::import(&desk, path, &mut rejected).await.with_context(|| path.display().to_string())?;
            }
            let mut before = 0;
            for path in &self.registers {
                let taken = registers::import(&desk, path, before, &mut rejected).await;
                let progress = taken.with_context(|| path.display().to_string())?;
                before = progress.row();
                id.push_str(progress.digest());
            }
            let refused = rejected.finish()?;
            if refused.total() > 0 {
                let by_reason = refused.0.iter().map(|(reason, count)| format!("{} {count}", reason.text()));
                eprintln!("refused: {}", by_reason.collect::<Vec<_>>().join(", "));
            }
            // A roster alone opens no case.
            if !self.registers.is_empty() {
                worked_off::finish(&desk, &pipeline, &id).await?;
                println!("worked off: cases are open without a message for each; every team gets one summary");
            }
            desk.store.close().await;
            Ok(ExitCode::SUCCESS)
        })
    }
}

impl Desk {
    /// What of a file is taken: another part of it is another import.
    fn part(&self) -> String {
        self.school_year.map_or_else(String::new, |year| format!(" {year}"))
    }

    /// Writes messages, then, once all are acknowledged, how far the file has come.
    async fn send(&self, messages: Vec<Outgoing>, progress: &mut Progress) -> anyhow::Result<()> {
        self.producer
            .send_all(messages)
            .await
            .context("Kafka does not take it; run the same command again to go on")?;
        progress.store(&self.store, Clock::wall().wall_now().micros()).await
    }
}

/// A message of an import.
fn message(school: attendance::Urn, kind: &str, payload: Vec<u8>) -> Outgoing {
    Outgoing {
        headers: vec![
            Header::new("content-type", b"application/protobuf".to_vec()),
            Header::new("kind", kind.as_bytes().to_vec()),
            Header::new(ingest::IMPORT, b"history".to_vec()),
        ],
        ..Outgoing::keyed(Topic::registers(), school.number().to_string(), payload)
    }
}
