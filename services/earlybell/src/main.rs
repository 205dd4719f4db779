//! The `earlybell` binary: parses the command line and runs one command.

mod command;
mod pipeline;
mod sender;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match command::Earlybell::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("earlybell: {error:#}");
            ExitCode::FAILURE
        }
    }
}
