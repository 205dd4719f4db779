//! The commands, one file each.

mod apply;
mod backtest;
mod check;
mod dead_letters;
mod deliveries;
mod demo;
mod doctor;
mod explain;
mod fit;
mod followed;
mod import;
mod ingest;
mod installation;
mod key;
mod listing;
mod migrate;
mod notifier;
mod records;
mod rules;
mod serve;
mod simulate;
mod token;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Early attendance alerts for a local authority: registers in, alerts out.
#[derive(Debug, Parser)]
#[command(name = "earlybell", version, about, arg_required_else_help = true)]
pub(crate) struct Earlybell {
    /// The file of settings; without it ./earlybell.toml, where there is one. The environment goes before the file:
    /// `EARLYBELL__KAFKA__BROKERS=…`
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A simulated autumn term through all services in one process: nothing else is needed. Checked against backtest.
    Demo(demo::Demo),
    /// Looks at a live installation: what is wrong and what to do. Changes nothing.
    Doctor(doctor::Doctor),
    /// Brings the database to this release and makes the topics; the first time it founds the installation.
    Migrate(migrate::Migrate),
    /// Verifies a policy folder: authority.toml, rules.toml, schools.csv, localities.csv, projection.toml.
    Check(check::Check),
    /// Puts a policy folder in force, after verifying it and telling what changes.
    Apply(apply::Apply),
    /// Runs the ingest service: registers and rosters in, events out.
    Ingest,
    /// History from files, so that an authority may start in mid-year: cases open and close without a message.
    Import(import::Import),
    /// Ingest keys of schools and suppliers.
    Key(key::Key),
    /// What could not be used: list it, show it, send it again.
    DeadLetters(dead_letters::DeadLetters),
    /// Runs the rules service: events in, alert changes out.
    Rules,
    /// Runs the notifier: alert changes in, messages out; readers get cases.
    Notifier,
    /// Readers' tokens: who may read cases, of which localities.
    Token(token::Token),
    /// What receivers are owed, and what was given up.
    Deliveries(deliveries::Deliveries),
    /// Every pupil's figures, from the database.
    Records(records::Records),
    /// Why a child has the alerts it has: the strip, each rule's state. The reading is audited.
    Explain(explain::Explain),
    /// Writes a year of registers of an invented county, calibrated to the DfE's figures for Dorset.
    Simulate(simulate::Simulate),
    /// What the rules would have raised and when, from a file of registers: no broker, no database.
    Backtest(backtest::Backtest),
    /// Derives the numbers of the forecast from past years' registers: projection.toml.
    Fit(fit::Fit),
}

impl Earlybell {
    /// Runs the command to its end.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.config;
        match self.command {
            Command::Demo(command) => command.run(config),
            Command::Doctor(command) => command.run(config),
            Command::Migrate(command) => command.run(config),
            Command::Check(command) => command.run(),
            Command::Apply(command) => command.run(config),
            Command::Ingest => ingest::run(config),
            Command::Import(command) => command.run(config),
            Command::Key(command) => command.run(config),
            Command::DeadLetters(command) => command.run(config),
            Command::Rules => rules::run(config),
            Command::Notifier => notifier::run(config),
            Command::Token(command) => command.run(config),
            Command::Deliveries(command) => command.run(config),
            Command::Records(command) => command.run(config),
            Command::Explain(command) => command.run(config),
            Command::Simulate(command) => command.run(),
            Command::Backtest(command) => command.run(),
            Command::Fit(command) => command.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Earlybell::command().debug_assert();
    }
}
