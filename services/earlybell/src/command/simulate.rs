//! `earlybell simulate`: a county of invented schools, as files.

use anyhow::Context;
use clap::Args;
use simulator::policy::policy_files;
use simulator::registers_csv::write_registers_csv;
use simulator::roster::write_pupils_csv;
use simulator::{County, Options, Stream, Truth};
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// Writes the registers here, in the order in which schools send them.
    #[arg(value_name = "FILE.csv")]
    registers: PathBuf,
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
#[derive(Debug, Args)]
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
        let county = self.county.county()?;
        let truth = Truth::new(&county);
        let days = Stream::new(&county, &truth).take(self.county.days());
        write_registers_csv(days, create(&self.registers)?).with_context(|| cannot(&self.registers))?;
        if let Some(path) = &self.pupils_out {
            write_pupils_csv(&county, create(path)?).with_context(|| cannot(path))?;
        }
        if let Some(folder) = &self.policy_out {
            write_policy(&county, folder)?;
        }
        Ok(ExitCode::SUCCESS)
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
