//! Measures the pipeline beside what people would otherwise use, everything in one run on one machine, and prints tables as
//! `docs/benchmarks.md` has them. `make bench` builds and runs it.

mod bare;
mod county;
mod ground;
mod latency;
mod ours;
mod peer;

use anyhow::Context;
use clap::Parser;
use county::{County, Size};
use ground::{Ground, Rules};
use std::path::PathBuf;

/// Partitions of the topic.
const PARTITIONS: u32 = 16;

/// Measures the rules service on a backlog beside a Kafka Streams application, and beside bare loops.
#[derive(Debug, Parser)]
struct Bench {
    /// The program that is measured, a release build.
    #[arg(long, value_name = "FILE")]
    program: PathBuf,
    /// Pupils; without it both sizes, 46,000 and 1,000,000.
    #[arg(long, requires = "sessions")]
    pupils: Option<u32>,
    /// Sessions, each with a mark of every pupil.
    #[arg(long, requires = "pupils")]
    sessions: Option<u32>,
    /// How often each run of ours and of the peer is made; the best counts.
    #[arg(long, default_value_t = 2)]
    runs: u32,
    /// Passes the peer over.
    #[arg(long)]
    alone: bool,
}

fn main() -> anyhow::Result<()> {
    let bench = Bench::parse();
    let sizes = match (bench.pupils, bench.sessions) {
        (Some(pupils), Some(sessions)) => vec![Size { pupils, sessions, minimum: 20.min(sessions / 2).max(1) }],
        _ => vec![
            Size { pupils: 46_000, sessions: 87, minimum: 20 },
            Size { pupils: 1_000_000, sessions: 16, minimum: 8 },
        ],
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    for size in sizes {
        runtime.block_on(bench.measure(size))?;
    }
    if bench.pupils.is_none() {
        runtime.block_on(bench.latency())?;
    }
    Ok(())
}

/// One line of the table.
struct Line {
    what: String,
    seconds: f64,
    start: Option<f64>,
    peak_mib: Option<u64>,
    wrong: Option<usize>,
}

impl Bench {
    async fn latency(&self) -> anyhow::Result<()> {
        let program = self.program.canonicalize().with_context(|| format!("{}", self.program.display()))?;
        let classes = if self.alone { None } else { Some(peer::prepare()?) };
        println!("\n## Mark to alert, at 2,000 marks and 100 alerts a second\n");
        println!("| what | p50, ms | p99, ms | most, ms | alerts |\n|---|---:|---:|---:|---:|");
        for (what, latency) in latency::compare(&program, PARTITIONS, classes.as_deref()).await? {
            let latency::Latency { p50, p99, most, alerts } = latency;
            println!("| {what} | {p50:.1} | {p99:.1} | {most:.1} | {alerts} |");
        }
        Ok(())
    }

    async fn measure(&self, size: Size) -> anyhow::Result<()> {
        let program = self.program.canonicalize().with_context(|| format!("{}", self.program.display()))?;
        let county = County::new(size, PARTITIONS)?;
        let ground = Ground::start(&program)?;
        // The first installation makes the topics.
        ground.install(&county, Rules::One).await?;
        ground.fill(&county).await?;
        let marks = county.marks();
        println!("\n## {} pupils, {marks} marks, {PARTITIONS} partitions\n", size.pupils);

        // Read once for nothing: the broker is warm then for everybody.
        bare::consume(&ground).await?;
        let mut lines = vec![Line {
            what: "limit: a bare consumer that discards".to_owned(),
            seconds: bare::consume(&ground).await?,
            start: None,
            peak_mib: None,
            wrong: None,
        }];
        let mut done = None;
        for (rules, what) in [(Rules::One, "rules, the same rule"), (Rules::All, "rules, all that ship")] {
            let mut best: Option<ours::Done> = None;
            for _ in 0..self.runs.max(1) {
                let run = ours::backlog(&ground, &county, rules).await?;
                if best.as_ref().is_none_or(|best| run.run.seconds < best.run.seconds) {
                    best = Some(run);
                }
            }
            let best = best.context("no run")?;
            lines.push(line(what, &best.run));
            done = done.or(Some(best));
        }
        if !self.alone {
            let classes = peer::prepare()?;
            for store in peer::STORES {
                let run = peer::backlog(&ground, &county, &classes, store).await?;
                lines.push(line(&format!("Kafka Streams, {store}"), &run));
            }
        }
        let done = done.context("no run")?;
        let ready = ours::ready(&ground, &done, PARTITIONS).await?;
        let (seconds, stored) = bare::upsert(&ground, &done.database).await?;
        lines.push(bare_line(&format!("limit: {} records upserted once", size.pupils), seconds));
        let mut held = 0;
        for (rules, what) in [(Rules::One, "the same rule"), (Rules::All, "all rules")] {
            let (seconds, bytes) = bare::fold(&county, rules)?;
            held = if held == 0 { bytes } else { held };
            lines.push(bare_line(&format!("limit: fold and judge each mark, one thread, {what}"), seconds));
        }
        print(&lines, marks);
        println!(
            "\nReady after a start with these records in the database: {:.2} s from the start of the process,",
            ready.from_start
        );
        println!(
            "{:.2} s from the assignment. A record: {held} bytes in memory, {stored} in the database.",
            ready.from_assignment
        );
        Ok(())
    }
}

fn line(what: &str, run: &ours::Run) -> Line {
    let ours::Run { seconds, start, peak_mib, wrong } = run;
    Line {
        what: what.to_owned(),
        seconds: *seconds,
        start: Some(*start),
        peak_mib: Some(*peak_mib),
        wrong: Some(*wrong),
    }
}

fn bare_line(what: &str, seconds: f64) -> Line {
    Line { what: what.to_owned(), seconds, start: None, peak_mib: None, wrong: None }
}

#[expect(clippy::cast_precision_loss, reason = "marks are far below 2^52")]
fn print(lines: &[Line], marks: u64) {
    println!("| what | seconds | marks a second | start, seconds | peak, MiB | wrong levels |");
    println!("|---|---:|---:|---:|---:|---:|");
    for Line { what, seconds, start, peak_mib, wrong } in lines {
        let text = |value: Option<String>| value.unwrap_or_default();
        println!(
            "| {what} | {seconds:.2} | {:.0} | {} | {} | {} |",
            marks as f64 / seconds,
            text(start.map(|start| format!("{start:.1}"))),
            text(peak_mib.map(|peak| peak.to_string())),
            text(wrong.map(|wrong| wrong.to_string())),
        );
    }
    let best = |begins: &str| {
        let seconds = lines.iter().filter(|line| line.what.starts_with(begins)).map(|line| line.seconds);
        seconds.fold(f64::INFINITY, f64::min)
    };
    let peer = best("Kafka Streams");
    if peer.is_finite() {
        println!(
            "\nThe peer's best took {:.1} times as long as ours with the same rule,",
            peer / best("rules, the same")
        );
        println!("{:.1} times as long as ours with all rules.", peer / best("rules, all"));
    }
}
