//! `earlybell simulate`: a county of invented schools, as files or over HTTP to an installation that runs by registers.

use super::installation::block_on;
use crate::sender::{self, Sender};
use anyhow::{Context, bail};
use clap::Args;
use simulator::policy::policy_files;
use simulator::registers_csv::write_registers_csv;
use simulator::roster::write_pupils_csv;
use simulator::{County, Options, Stream, Truth};
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::Instant;

#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// Writes the registers here, in the order in which schools send them.
    #[arg(value_name = "FILE.csv", required_unless_present_any = ["to", "policy_out"], conflicts_with = "to")]
    registers: Option<PathBuf>,
    /// Sends rosters and registers to this installation's ingest, http://HOST:PORT, school day by school day. Only to one
    /// whose clock is `registers`: invented children never get among real ones.
    #[arg(long, value_name = "URL", requires = "key_file")]
    to: Option<String>,
    /// With --to: the file that holds an ingest key for all schools.
    #[arg(long, value_name = "FILE", requires = "to")]
    key_file: Option<PathBuf>,
    /// With --to: school days a second; without it as fast as they are taken.
    #[arg(long, value_name = "N", requires = "to", value_parser = sender::speed)]
    speed: Option<f64>,
    /// Writes the registers of the school year before here, as history: then the county of --year is that of the year before, a year
    /// older.
    #[arg(long, value_name = "EARLIER.csv", conflicts_with = "to")]
    earlier: Option<PathBuf>,
    /// Writes the roster here.
    #[arg(long, value_name = "FILE.csv")]
    pupils_out: Option<PathBuf>,
    /// Writes a policy folder for the county here: authority.toml, rules.toml, schools.csv, localities.csv.
    #[arg(long, value_name = "DIR")]
    policy_out: Option<PathBuf>,
    #[command(flatten)]
    county: Size,
}

/// Which county.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Size {
    /// The same seed gives the same county, everywhere.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The year of its September, 2020 to 2030.
    #[arg(long, default_value_t = 2025)]
    year: i16,
    /// How many schools, at least 3.
    #[arg(long, default_value_t = 40)]
    schools: usize,
    /// How many pupils, at least 20 a school.
    #[arg(long, default_value_t = 8_000)]
    pupils: usize,
    /// School days from September on; without it the whole year.
    #[arg(long)]
    days: Option<usize>,
}

impl Size {
    /// The county.
    pub(crate) fn county(&self) -> anyhow::Result<County> {
        let options = Options { start_year: self.year, schools: self.schools, pupils: self.pupils };
        Ok(County::new(self.seed, options)?)
    }

    /// How many working days of the stream are sent.
    pub(crate) fn days(&self) -> usize {
        self.days.unwrap_or(usize::MAX)
    }
}

impl Simulate {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        let county = match &self.earlier {
            Some(path) => {
                let before = Size { year: self.county.year - 1, ..self.county }.county()?;
                write_registers_csv(Stream::new(&before, &Truth::new(&before)), create(path)?)
                    .with_context(|| cannot(path))?;
                before.next_year()?
            }
            None => self.county.county()?,
        };
        if let Some(folder) = &self.policy_out {
            write_policy(&county, folder)?;
        }
        if let Some(path) = &self.pupils_out {
            write_pupils_csv(&county, create(path)?).with_context(|| cannot(path))?;
        }
        if let Some(path) = &self.registers {
            let truth = Truth::new(&county);
            let days = Stream::new(&county, &truth).take(self.county.days());
            write_registers_csv(days, create(path)?).with_context(|| cannot(path))?;
        }
        if let (Some(to), Some(key)) = (&self.to, &self.key_file) {
            let key = fs::read_to_string(key).with_context(|| format!("cannot read {}", key.display()))?;
            block_on(self.send(&county, Sender::new(to, key.trim())?))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Sends day after day. Ctrl-C ends it; sending the same county again later changes nothing but what is new.
    async fn send(&self, county: &County, sender: Sender) -> anyhow::Result<()> {
        let told = sender.ask().await?;
        if told.clock != "registers" {
            bail!(
                "the installation of {} runs on the clock `{}`: invented registers are sent only to one that was founded by \
                 `earlybell migrate --clock registers` (demonstration, training, tests); nothing was sent",
                told.authority,
                told.clock
            );
        }
        let pause = self.speed.map_or(Duration::ZERO, |speed| Duration::from_secs_f64(1.0 / speed));
        let (truth, begun, mut days) = (Truth::new(county), Instant::now(), 0);
        for day in Stream::new(county, &truth).take(self.county.days()) {
            tokio::time::sleep_until(begun + pause * days).await;
            let day = sender.day(day).await?;
            days += 1;
            let taken = &sender.counts;
            let (registers, marks, refused) = (taken.registers(), taken.marks(), taken.rejected());
            eprintln!("{}: {registers} registers, {marks} marks, {refused} refused so far", day.date);
        }
        Ok(())
    }
}

/// Writes a policy folder for the county.
pub(crate) fn write_policy(county: &County, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| cannot(folder))?;
    for file in policy_files(county) {
        let path = folder.join(file.name);
        fs::write(&path, file.text).with_context(|| cannot(&path))?;
    }
    let path = folder.join("rules.toml");
    fs::write(&path, policy::DEFAULT_RULES).with_context(|| cannot(&path))
}

fn create(path: &Path) -> anyhow::Result<BufWriter<File>> {
    Ok(BufWriter::with_capacity(1 << 20, File::create(path).with_context(|| cannot(path))?))
}

fn cannot(path: &Path) -> String {
    format!("cannot write {}", path.display())
}
