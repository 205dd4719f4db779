//! `earlybell records export`: every pupil's figures from the database, in the columns of `backtest --records`.

use super::backtest::write::{RECORD_COLUMNS, record_fields};
use super::installation::{Actor, block_on, connection, founded, settings, store as open};
use anyhow::Context;
use attendance::rate::Status;
use attendance::{SchoolYear, Upn};
use clap::{Args, Subcommand};
use rules::snapshot::Snapshot;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct Records {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Writes a line a pupil: upn, possible, absent, authorised, unauthorised, rate (0 to 1), status.
    Export(Export),
}

#[derive(Debug, Args)]
struct Export {
    /// The school year; without it the present one.
    #[arg(long, value_name = "2025/26", value_parser = |text: &str| SchoolYear::parse(text))]
    year: Option<SchoolYear>,
    /// The file; without it the standard output.
    #[arg(long, value_name = "OUT.csv")]
    out: Option<PathBuf>,
    #[command(flatten)]
    actor: Actor,
}

impl Records {
    pub(crate) fn run(&self, config: Option<PathBuf>) -> anyhow::Result<ExitCode> {
        let Command::Export(export) = &self.command;
        export.run(config)
    }
}

impl Export {
    fn run(&self, config: Option<PathBuf>) -> anyhow::Result<ExitCode> {
        let settings = settings(config)?;
        block_on(async {
            let store = open(&settings, "records").await?;
            let installation = founded(&store).await?;
            let year = self.year.unwrap_or_else(|| super::installation::clock(&installation).present_year());
            self.actor.audit(&store, "records.export", None, &year.to_string()).await?;
            let connection = connection(&settings, "records");
            let mut lines = BTreeMap::new();
            for part in 0..u32::try_from(installation.event_partitions)? {
                let snapshot = Snapshot::read(&store, &connection, part, &[year], None).await?;
                eprintln!("partition {part}: up to offset {}", snapshot.next_offset);
                for (upn, record) in snapshot.records() {
                    lines.extend(record.year(year).map(|record| (upn, record.counts())));
                }
            }
            store.close().await;
            self.write(&lines)?;
            Ok(ExitCode::SUCCESS)
        })
    }

    fn write(&self, lines: &BTreeMap<Upn, attendance::rate::Counts>) -> anyhow::Result<()> {
        let out: Box<dyn Write> = match &self.out {
            Some(path) => {
                Box::new(std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?)
            }
            None => Box::new(io::stdout().lock()),
        };
        let mut file = csv::Writer::from_writer(out);
        file.write_record(RECORD_COLUMNS)?;
        for (upn, counts) in lines {
            file.write_record(record_fields(*upn, *counts, Status::of(*counts)))?;
        }
        Ok(file.flush()?)
    }
}
