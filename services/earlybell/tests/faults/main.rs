//! The fault suite on real Kafka and PostgreSQL: a county streams its registers through ingest, rules and notifier while something is
//! done to them; then an independent checker, which only reads topics, tables and what the receiver got, counts what is lost or
//! doubled. Prints a table, and fails where any number in it is not nought.
//!
//! `cargo test --test faults` runs a few rounds of each; `make faults` runs all (`-- --all`); a part of a fault's name runs that one.
#![expect(dead_code, reason = "the harness serves other tests too")]

#[path = "../harness/mod.rs"]
mod harness;
#[path = "../hook/mod.rs"]
mod hook;
#[path = "../harness/http.rs"]
mod http;
#[path = "../harness/notifying.rs"]
mod notifying;

mod broken;
mod judge;
mod points;
mod processes;
mod proxy;
mod servers;
mod world;

use judge::Tally;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::Instant;
use world::{On, World};

/// What playing a fault is.
type Playing<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Something that is done to an installation under load, so many times.
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    /// Rounds of a short run, and of a full one.
    pub(crate) rounds: [u32; 2],
    pub(crate) on: On,
    pub(crate) run: for<'a> fn(&'a mut World, u32) -> Playing<'a>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let all = arguments.iter().any(|argument| argument == "--all");
    let names: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let faults = [points::FAULTS, processes::FAULTS, servers::FAULTS, broken::FAULTS];
    // A fault's seed is its place among all: alone it plays as it does in the whole run.
    let wanted: Vec<(u64, &Fault)> = (1..)
        .zip(faults.into_iter().flatten())
        .filter(|(_, fault)| names.is_empty() || names.iter().any(|name| fault.name.contains(*name)))
        .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let begun = Instant::now();
    let (mut out, mut failed) = (std::io::stdout().lock(), 0);
    writeln!(
        out,
        "\n{:55} {:>6} {:>8} {:>6} {:>7} {:>8} {:>6} {:>7} {:>7}",
        "fault", "rounds", "marks", "lost", "doubled", "alerts", "lost", "doubled", "seconds"
    )
    .unwrap();
    for (seed, fault) in &wanted {
        let rounds = fault.rounds[usize::from(all)];
        let begun = Instant::now();
        let played = catch_unwind(AssertUnwindSafe(|| runtime.block_on(play(fault, rounds, *seed))));
        let tally = played.unwrap_or_else(|_| Tally::ended("it ended by a panic, see above"));
        let seconds = begun.elapsed().as_secs();
        let Tally { marks, marks_lost, marks_doubled, alerts, alerts_lost, alerts_doubled, .. } = &tally;
        writeln!(
            out,
            "{:55} {rounds:>6} {marks:>8} {marks_lost:>6} {marks_doubled:>7} {alerts:>8} {alerts_lost:>6} {alerts_doubled:>7} \
             {seconds:>7}",
            fault.name
        )
        .unwrap();
        for problem in &tally.problems {
            writeln!(out, "    {problem}").unwrap();
        }
        out.flush().unwrap();
        failed += u32::from(!tally.is_well());
    }
    let passed = wanted.len() - usize::try_from(failed).unwrap();
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    let seconds = begun.elapsed().as_secs_f64();
    writeln!(
        out,
        "\ntest result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out; finished in {seconds:.2}s\n"
    )
    .unwrap();
    runtime.shutdown_timeout(Duration::from_secs(5));
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A fault on an installation of its own.
async fn play(fault: &Fault, rounds: u32, seed: u64) -> Tally {
    let mut world = World::start(fault.on, seed).await;
    (fault.run)(&mut world, rounds).await;
    world.judge().await
}
