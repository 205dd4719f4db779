//! A county's whole year of registers from CSV: `earlybell backtest`, which judges it mark by mark, beside `DuckDB`, which only adds up each
//! pupil's year over the newest revision of every mark.

use crate::ground::Measured;
use anyhow::Context;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const PUPILS: &str = "46000";
const SCHOOLS: &str = "190";
const QUERY: &str = include_str!("totals.py");

/// What one of them took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    pub(crate) seconds: f64,
    /// Of all cores together.
    pub(crate) cpu: f64,
    pub(crate) peak_mib: u64,
}

/// Both, and how much there was.
pub(crate) struct Compared {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) ours: Took,
    pub(crate) theirs: Took,
}

/// Makes the year and reads it with both, `runs` times by turns; the best of each counts. Both must find the same totals.
pub(crate) fn compare(program: &Path, python: &Path, runs: u32) -> anyhow::Result<Compared> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    let (registers, records) = (path("registers.csv"), path("records.csv"));
    let made = Command::new(program)
        .args(["simulate", "--pupils", PUPILS, "--schools", SCHOOLS, "--year", "2024"])
        .arg(&registers)
        .output()?;
    anyhow::ensure!(made.status.success(), "simulate: {}", String::from_utf8_lossy(&made.stderr));
    fs::write(path("totals.py"), QUERY)?;
    let (mut ours, mut theirs): (Option<Took>, Option<Took>) = (None, None);
    let mut rows = 0;
    for _ in 0..runs.max(1) {
        let begun = Instant::now();
        let mut command = Command::new(program);
        command.arg("backtest").arg("--json").arg("--registers").arg(&registers).arg("--records").arg(&records);
        let (mut process, mut last) = (Measured::start(&mut command, path("ours"))?, (0.0, 0));
        while process.runs().is_ok() {
            last = process.cpu().and_then(|cpu| Ok((cpu, process.peak_mib()?))).unwrap_or(last);
            std::thread::sleep(Duration::from_millis(10));
        }
        keep(&mut ours, Took { seconds: begun.elapsed().as_secs_f64(), cpu: last.0, peak_mib: last.1 });
        let said = process.said()?;
        let summary: serde_json::Value = serde_json::from_str(&said).with_context(|| said.clone())?;
        rows = summary["marks"].as_u64().context("the summary has no marks")?;
        let output = Command::new(python).arg(path("totals.py")).arg(&registers).output()?;
        let text = String::from_utf8(output.stdout)?;
        let fields: Vec<&str> = text.split_whitespace().collect();
        let &[seconds, cpu, peak_mib, ref counts @ ..] = &fields[..] else {
            anyhow::bail!("DuckDB: {}", String::from_utf8_lossy(&output.stderr));
        };
        let counts = counts.iter().map(|count| count.parse()).collect::<Result<Vec<u64>, _>>()?;
        let found = totals(&fs::read_to_string(&records)?)?;
        anyhow::ensure!(found[..] == counts[..], "pupils, possible, absent: {found:?}, by DuckDB {counts:?}");
        keep(&mut theirs, Took { seconds: seconds.parse()?, cpu: cpu.parse()?, peak_mib: peak_mib.parse()? });
    }
    let bytes = fs::metadata(&registers)?.len();
    Ok(Compared { rows, bytes, ours: ours.context("no run")?, theirs: theirs.context("no run")? })
}

fn keep(best: &mut Option<Took>, took: Took) {
    if best.is_none_or(|best| took.seconds < best.seconds) {
        *best = Some(took);
    }
}

/// Pupils, possible sessions and sessions missed, of the records that `backtest` has written.
fn totals(records: &str) -> anyhow::Result<[u64; 3]> {
    let mut totals = [0; 3];
    for line in records.lines().skip(1) {
        let mut fields = line.split(',').skip(1);
        let mut count =
            || fields.next().context("a record has too few fields")?.parse::<u64>().context(line.to_owned());
        totals = [totals[0] + 1, totals[1] + count()?, totals[2] + count()?];
    }
    Ok(totals)
}
