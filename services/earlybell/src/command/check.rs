//! `earlybell check DIR`: every problem of a policy folder at once, each with its place.

use anyhow::anyhow;
use clap::Args;
use policy::{Files, Policy};
use service::clock::Clock;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The policy folder.
    dir: PathBuf,
}

impl Check {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        let policy = load(&self.dir)?;
        let (rules, schools) = (policy.rules.rules().len(), policy.schools.len());
        let localities = policy.localities.len();
        let today = Clock::wall().today();
        let told =
            policy.calendars.all().filter_map(|(school, calendar)| Some((school, *calendar.open_days().last()?)));
        for (school, last) in told.filter(|(_, last)| *last < today) {
            let whose = school.map_or_else(|| "the calendar".to_owned(), |urn| format!("the calendar of school {urn}"));
            eprintln!(
                "warning: authority.toml: {whose} ends on {last}; no school counts as silent after that: add this school year's terms"
            );
        }
        println!("{}: sound: {rules} rules, {schools} schools, {localities} localities", policy.authority);
        Ok(ExitCode::SUCCESS)
    }
}

/// Reads a policy folder; what is odd goes to the error output, what is wrong ends the command.
pub(crate) fn load(dir: &Path) -> anyhow::Result<Policy> {
    let files = Files::load(dir)?;
    let (policy, warnings) = Policy::read(&files).map_err(|problems| {
        let count = problems.0.len();
        anyhow!("{} has {count} problem{}:\n{problems}", dir.display(), if count == 1 { "" } else { "s" })
    })?;
    for warning in &warnings {
        eprintln!("warning: {warning}");
    }
    Ok(policy)
}
