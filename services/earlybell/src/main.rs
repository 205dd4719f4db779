//! The `earlybell` binary: parses the command line and runs one command.

mod command;
mod pipeline;
mod sender;

use clap::Parser;
use std::process::ExitCode;

/// Records and alerts are many small pieces of memory: this one spends a fifth less time on a county's backlog than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a process ends with whose reader has closed the pipe, as others do that get SIGPIPE.
const CLOSED_PIPE: i32 = 141;

fn main() -> ExitCode {
    // `earlybell explain … | head` has shown all that was asked for: no fault of anybody.
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let told = panic.payload_as_str().unwrap_or_default();
        if told.starts_with("failed printing to stdout") && told.contains("Broken pipe") {
            std::process::exit(CLOSED_PIPE);
        }
        usual(panic);
    }));
    match command::Earlybell::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("earlybell: {error:#}");
            ExitCode::FAILURE
        }
    }
}
