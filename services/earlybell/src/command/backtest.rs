//! `earlybell backtest`: registers from a file through the same record, judge and differences as the services.

pub(crate) mod apart;
mod calibration;
pub(crate) mod judged;
pub(crate) mod read;
mod report;
mod summary;
mod worth;
pub(crate) mod write;
mod year;

use crate::command::check;
use anyhow::{Context, anyhow};
use attendance::judge::Standard;
use attendance::rule::RuleSet;
use attendance::{Day, SchoolYear};
use clap::Args;
use ingest::validate::Admission;
use policy::{Files, Policy};
use service::clock::Clock;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct Backtest {
    /// Registers as CSV, plain or gzip, of the school year judged and of the one before, which is history. May be given
    /// several times: of marks without a time of revision those of a later file are newer.
    #[arg(long, required = true, value_name = "FILE.csv")]
    registers: Vec<PathBuf>,
    /// The school year judged; without it the last one that has marks, up to the present one. Rows of later years are
    /// refused.
    #[arg(long, value_name = "2025/26", value_parser = |text: &str| SchoolYear::parse(text))]
    year: Option<SchoolYear>,
    /// The roster as CSV: names the school of a child that has several.
    #[arg(long, value_name = "FILE.csv")]
    pupils: Option<PathBuf>,
    /// The policy folder. Without one: the rules that ship, every school, and each open on the days for which it sent
    /// registers.
    #[arg(long, value_name = "DIR")]
    policy: Option<PathBuf>,
    /// The rules to judge by, as `rules.toml`, in the place of the policy's or of those that ship.
    #[arg(long, value_name = "FILE.toml")]
    rules: Option<PathBuf>,
    /// Other rules, as `rules.toml`: the same registers are judged by these too, and what both found stands side by side.
    #[arg(long, value_name = "OTHER.toml")]
    compare: Option<PathBuf>,
    /// Writes a line a pupil: upn, possible, absent, authorised, unauthorised, rate (0 to 1), status.
    #[arg(long, value_name = "OUT.csv")]
    records: Option<PathBuf>,
    /// Writes a line an alert change: date, session, `upn`, `school_urn`, rule, level, change, rate (0 to 1), probability (of persistent
    /// absence at the year's end, 0 to 1), `expected_missed` (sessions still to be missed), urgency (the same, whole).
    #[arg(long, value_name = "OUT.csv")]
    alerts: Option<PathBuf>,
    /// The day on whose evening `--list` ranks the pupils, as it was known then.
    #[arg(long, value_name = "DATE", requires = "list", value_parser = |text: &str| Day::parse(text))]
    as_of: Option<Day>,
    /// Writes the ranked list of the day that `--as-of` names, the most urgent first, a line a pupil: `upn`, `school_urn`, possible,
    /// absent, rate, `probability_persistent`, `probability_severe`, `expected_missed`, urgency.
    #[arg(long, value_name = "OUT.csv", requires = "as_of")]
    list: Option<PathBuf>,
    /// Writes the summary as one HTML page with pictures, which needs nothing else.
    #[arg(long, value_name = "OUT.html")]
    html: Option<PathBuf>,
    /// Writes the refused rows, each with its line, the reason and what to do.
    #[arg(long, value_name = "OUT.csv")]
    rejected: Option<PathBuf>,
    /// Prints the summary as one JSON object.
    #[arg(long)]
    json: bool,
}

impl Backtest {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        apart::check(&self.inputs(), &self.outputs())?;
        let policy = self.policy.as_deref().map(check::load).transpose()?;
        let rules = self.rules.as_deref().map(rules_of).transpose()?;
        let other = self.compare.as_deref().map(rules_of).transpose()?;
        let admission = policy.as_ref().map_or(Admission::Anyone, Admission::Policy);
        let taken = read::Taken { admission, last_year: year::last_taken(self.year, Clock::wall().present_year()) };
        let mut rejected = write::RejectedFile::create(self.rejected.as_deref())?;
        let mut input = read::Input::default();
        for file in &self.registers {
            input.registers(file, taken, &mut rejected)?;
        }
        if let Some(file) = &self.pupils {
            input.pupils(file, &mut rejected)?;
        }
        let refused = rejected.finish()?;
        let year = year::judged(&input, self.year, refused.total())?;
        let calendars = policy.as_ref().map_or_else(|| input.observed_calendars(), |policy| policy.calendars.clone());
        let rules = match (rules, &policy) {
            (Some(rules), _) => rules,
            (None, Some(policy)) => policy.rules.clone(),
            (None, None) => policy::read_rules(policy::DEFAULT_RULES)?,
        };
        let model = match &policy {
            Some(policy) => policy.model.clone(),
            None => policy::read_projection(None)?,
        };
        let standard = Standard { rules: &rules, calendars: &calendars, model: &model };
        let bench = judged::Bench { standard, policy: policy.as_ref() };
        if let (Some(day), Some(path)) = (self.as_of, &self.list) {
            let standings = judged::standings(&mut input, day, bench)?;
            write::list(path, standings).with_context(|| format!("cannot write {}", path.display()))?;
        }
        let judged = judged::judge(&mut input, year, bench, refused.clone())?;
        if let Some(path) = &self.records {
            write::records(path, &judged).with_context(|| format!("cannot write {}", path.display()))?;
        }
        if let Some(path) = &self.alerts {
            write::alerts(path, &judged).with_context(|| format!("cannot write {}", path.display()))?;
        }
        let mut summary = summary::Summary::of(&judged, Rules { rules: &rules, policy: policy.as_ref() });
        drop(judged);
        if let (Some(path), Some(other)) = (&self.compare, &other) {
            let standard = Standard { rules: other, ..standard };
            let judged = judged::judge(&mut input, year, judged::Bench { standard, ..bench }, refused)?;
            summary.compare(path, summary::Summary::of(&judged, Rules { rules: other, policy: policy.as_ref() }));
        }
        if let Some(path) = &self.html {
            report::write(path, &summary)?;
        }
        if self.json {
            println!("{}", serde_json::to_string(&summary)?);
        } else {
            print!("{summary}");
        }
        Ok(ExitCode::SUCCESS)
    }

    fn inputs(&self) -> Vec<apart::Named> {
        let registers = self.registers.iter().map(|path| ("--registers", path.clone()));
        let pupils = self.pupils.iter().map(|path| ("--pupils", path.clone()));
        let policy = self.policy.iter().flat_map(|folder| Files::ALL_NAMES.map(|name| ("--policy", folder.join(name))));
        let rules = self.rules.iter().map(|path| ("--rules", path.clone()));
        let other = self.compare.iter().map(|path| ("--compare", path.clone()));
        registers.chain(pupils).chain(policy).chain(rules).chain(other).collect()
    }

    fn outputs(&self) -> Vec<apart::Named> {
        let options = [("--records", &self.records), ("--alerts", &self.alerts), ("--rejected", &self.rejected)];
        let options = options.into_iter().chain([("--list", &self.list), ("--html", &self.html)]);
        options.filter_map(|(option, path)| Some((option, path.clone()?))).collect()
    }
}

/// The rules with the localities and phases that the policy gives to schools.
#[derive(Clone, Copy)]
struct Rules<'a> {
    rules: &'a RuleSet,
    policy: Option<&'a Policy>,
}

fn rules_of(path: &Path) -> anyhow::Result<RuleSet> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    policy::read_rules(&text).map_err(|problems| anyhow!("{}:\n{problems}", path.display()))
}
