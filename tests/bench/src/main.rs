//! Measures the pipeline beside what people would otherwise use, everything in one run on one machine, and prints tables as
//! `docs/benchmarks.md` has them. `make bench` builds and runs it.

mod accepting;
mod backtest;
mod bare;
mod client;
mod county;
mod delivered;
mod england;
mod ground;
mod latency;
mod ours;
mod peer;

use anyhow::Context;
use clap::Parser;
use county::{County, Size};
use ground::{Ground, PARTITIONS, Rules};
use std::path::{Path, PathBuf};

/// Measures the pipeline beside a Kafka Streams application, and beside bare loops.
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
    /// A Python that has `DuckDB`; without it backtests are not compared.
    #[arg(long, value_name = "PYTHON")]
    duckdb: Option<PathBuf>,
    /// Only these parts.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Backlog,
    Latency,
    Delivered,
    Http,
    England,
    Bytes,
    Backtest,
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
    // Memory is measured by the growth of this process: first, while nothing was freed that could be used again.
    if bench.does(Part::Bytes) && bench.pupils.is_none() {
        bytes()?;
    }
    if bench.does(Part::Backlog) {
        for size in sizes {
            runtime.block_on(bench.measure(size))?;
        }
    }
    if bench.pupils.is_some() {
        return Ok(());
    }
    let program = bench.program()?;
    if let Some(python) = bench.duckdb.as_ref().filter(|_| bench.does(Part::Backtest)) {
        backtests(&program, python, bench.runs)?;
    }
    if bench.does(Part::Latency) {
        runtime.block_on(bench.latency())?;
    }
    if bench.does(Part::Delivered) {
        runtime.block_on(delivered(&program))?;
    }
    if bench.does(Part::Http) {
        runtime.block_on(http(&program))?;
    }
    if bench.does(Part::England) {
        runtime.block_on(growth(&program))?;
    }
    Ok(())
}

fn backtests(program: &Path, python: &Path, runs: u32) -> anyhow::Result<()> {
    let backtest::Compared { rows, bytes, ours, theirs } = backtest::compare(program, python, runs)?;
    println!("\n## A county's year of registers from CSV: {rows} rows, {} MB\n", bytes / 1_000_000);
    println!("| what | seconds | of processor time | peak, MiB |\n|---|---:|---:|---:|");
    for (what, took) in [("backtest: all rules that ship, mark by mark", ours), ("DuckDB: each pupil's totals", theirs)]
    {
        println!("| {what} | {:.1} | {:.1} | {} |", took.seconds, took.cpu, took.peak_mib);
    }
    Ok(())
}

async fn delivered(program: &Path) -> anyhow::Result<()> {
    println!("\n## POST to delivered webhook, at 2,000 marks and 100 alerts a second\n");
    println!("| until | p50, ms | p99, ms | most, ms |\n|---|---:|---:|---:|");
    for (what, latency) in delivered::stages(program, PARTITIONS).await? {
        println!("| {what} | {:.1} | {:.1} | {:.1} |", latency.p50, latency.p99, latency.most);
    }
    Ok(())
}

async fn http(program: &Path) -> anyhow::Result<()> {
    println!("\n## HTTP: marks a second to 202\n");
    println!("| what | ours | a bare axum handler that discards | share |\n|---|---:|---:|---:|");
    for (what, accepting::Rates { ours, bare }) in accepting::compare(program, PARTITIONS).await? {
        println!("| {what} | {ours:.0} | {bare:.0} | {:.0}% |", 100.0 * ours / bare);
    }
    Ok(())
}

fn bytes() -> anyhow::Result<()> {
    let year = County::new(Size { pupils: 20_000, sessions: 380, minimum: 20 }, PARTITIONS)?;
    let bare::Folded { memory, stored, .. } = bare::fold(&year, Rules::All)?;
    println!("\nA pupil's year of 380 sessions: {memory} bytes in memory, {stored} in the database.");
    Ok(())
}

async fn growth(program: &Path) -> anyhow::Result<()> {
    println!("\n## A day (two sessions) of so many pupils\n");
    println!(
        "| pupils | marks | domain, one thread, s | accepted (HTTP), s | through rules, s | marks a second | ingest, MiB | rules, MiB | \
         backlog, one process, s | MiB | two, s | MiB |\n|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    );
    for pupils in england::SIZES {
        let day = england::day(program, pupils).await?;
        let [one, two] = &day.processes;
        let marks = f64::from(day.pupils) * 2.0;
        println!(
            "| {} | {marks:.0} | {:.2} | {:.1} | {:.1} | {:.0} | {} | {} | {:.2} | {} | {:.2} | {} |",
            day.pupils,
            day.domain.seconds,
            day.accepted,
            day.through,
            marks / day.through,
            day.memory.0,
            day.memory.1,
            one.seconds,
            one.peak_mib,
            two.seconds,
            two.peak_mib
        );
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
    fn does(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    fn program(&self) -> anyhow::Result<PathBuf> {
        self.program.canonicalize().with_context(|| format!("{}", self.program.display()))
    }

    async fn latency(&self) -> anyhow::Result<()> {
        let program = self.program()?;
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
        let program = self.program()?;
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
                let run = ours::backlog(&ground, &county, rules, 1).await?;
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
        let (seconds, stored) = bare::upsert(&ground, &done.database).await?;
        lines.push(bare_line(&format!("limit: {} records upserted once", size.pupils), seconds));
        let mut held = 0;
        for (rules, what) in [(Rules::One, "the same rule"), (Rules::All, "all rules")] {
            let folded = bare::fold(&county, rules)?;
            held = if held == 0 { folded.memory } else { held };
            lines.push(bare_line(&format!("limit: fold and judge each mark, one thread, {what}"), folded.seconds));
        }
        print(&lines, marks);
        println!("\nA record: {held} bytes in memory, {stored} in the database.");
        self.starts(&ground, &county, &done).await
    }

    /// A start with these records in the database, and one after a kill, beside the peer's.
    async fn starts(&self, ground: &Ground, county: &County, done: &ours::Done) -> anyhow::Result<()> {
        println!("\n| start to ready | from the start of the process, s | from the assignment, s |\n|---|---:|---:|");
        let line = |what: &str, ours::Ready { from_start, from_assignment }| {
            println!("| {what} | {from_start:.2} | {from_assignment:.2} |");
        };
        line("ours, after an ordinary stop", ours::ready(ground, done).await?);
        line("ours, after kill -9 under load", ours::after_kill(ground, county, done).await?);
        if !self.alone {
            let classes = peer::prepare()?;
            for store in ["memory", "rocksdb-cached"] {
                line(
                    &format!("Kafka Streams, {store}, after kill -9 under load"),
                    peer::after_kill(ground, county, &classes, store).await?,
                );
            }
        }
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
