//! The commands, one file each.

mod backtest;
mod check;

use clap::{Parser, Subcommand};

/// Early attendance alerts for a local authority: registers in, alerts out.
#[derive(Debug, Parser)]
#[command(name = "earlybell", version, about, arg_required_else_help = true)]
pub(crate) struct Earlybell {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What the rules would have raised and when, from a file of registers: no broker, no database.
    Backtest(backtest::Backtest),
    /// Verifies a policy folder: authority.toml, rules.toml, schools.csv, localities.csv.
    Check(check::Check),
}

impl Earlybell {
    /// Runs the command to its end.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Backtest(command) => command.run(),
            Command::Check(command) => command.run(),
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
