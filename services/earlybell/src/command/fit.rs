//! `earlybell fit`: the numbers of the forecast, derived from past years' registers, as `projection.toml`.

use crate::command::backtest::{apart, read, write};
use crate::command::check;
use anyhow::{Context, bail};
use attendance::enrolment::Roster;
use attendance::forecast::{Child, Gap, Steps, fit};
use attendance::profile::Profile;
use attendance::record::{Record, YearRecord};
use attendance::{Code, SchoolYear, Upn};
use clap::Args;
use ingest::validate::Admission;
use policy::{Files, Policy};
use service::clock::Clock;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

/// Pupils below which a fit would say more of chance than of children.
const LEAST_PUPILS: usize = 1_000;

/// Possible sessions below which a pupil's year teaches nothing of a whole one.
const LEAST_SESSIONS: usize = 100;

#[derive(Debug, Args)]
pub(crate) struct Fit {
    /// Registers as CSV, plain or gzip, of whole past school years: the last of them is learnt from, the one before tells what a bad
    /// year leads to. May be given several times.
    #[arg(long, required = true, value_name = "YEARS.csv")]
    registers: Vec<PathBuf>,
    /// The school year that is learnt from; without it the last one that is over.
    #[arg(long, value_name = "2024/25", value_parser = |text: &str| SchoolYear::parse(text))]
    year: Option<SchoolYear>,
    /// The roster as CSV: year groups.
    #[arg(long, value_name = "FILE.csv")]
    pupils: Option<PathBuf>,
    /// The policy folder: phases of schools. Without one a phase is that of the year group.
    #[arg(long, value_name = "DIR")]
    policy: Option<PathBuf>,
    /// Where the numbers are written: `projection.toml` of a policy folder, for `check` and `apply`.
    #[arg(long, value_name = "projection.toml")]
    out: PathBuf,
}

impl Fit {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        apart::check(&self.inputs(), &[("--out", self.out.clone())])?;
        let policy = self.policy.as_deref().map(check::load).transpose()?;
        let year = self.year.unwrap_or_else(|| Clock::wall().present_year().previous());
        let why = "the one that is learnt from; name a later year with --year if it is over";
        let last_year = ingest::parse::registers_csv::LastYear { year, why };
        let admission = policy.as_ref().map_or(Admission::Anyone, Admission::Policy);
        let mut rejected = write::RejectedFile::create(None)?;
        let mut input = read::Input::default();
        for file in &self.registers {
            input.registers(file, read::Taken { admission, last_year }, &mut rejected)?;
        }
        if let Some(file) = &self.pupils {
            input.pupils(file, &mut rejected)?;
        }
        let refused = rejected.finish()?.total();
        if refused > 0 {
            println!("refused rows: {refused}; `earlybell backtest --rejected` tells which and why");
        }
        let children = children(&mut input, year, policy.as_ref());
        if children.len() < LEAST_PUPILS {
            let found = children.len();
            bail!(
                "only {found} pupils have {LEAST_SESSIONS} possible sessions or more in {year}; a fit needs {LEAST_PUPILS}: \
                 give whole years' registers, and name the year with --year"
            );
        }
        let with_year_before = children.iter().filter(|child| !child.before.is_empty()).count();
        let source = format!(
            "earlybell fit: {} pupils of {year}, {with_year_before} of them with {} before",
            children.len(),
            year.previous()
        );
        println!("{source}");
        let model = fit(&children, source)?;
        let text = policy::write_projection(&model);
        fs::write(&self.out, text).with_context(|| format!("cannot write {}", self.out.display()))?;
        println!("wrote {}; `earlybell backtest` shows whether its forecasts come true", self.out.display());
        Ok(ExitCode::SUCCESS)
    }

    fn inputs(&self) -> Vec<apart::Named> {
        let registers = self.registers.iter().map(|path| ("--registers", path.clone()));
        let pupils = self.pupils.iter().map(|path| ("--pupils", path.clone()));
        // The projection may be written over.
        let policy = self.policy.iter().flat_map(|folder| Files::NAMES.map(|name| ("--policy", folder.join(name))));
        registers.chain(pupils).chain(policy).collect()
    }
}

/// Each pupil's sessions as they stand in the end.
fn children(input: &mut read::Input, year: SchoolYear, policy: Option<&Policy>) -> Vec<Child> {
    let read::Input { marks, rosters, .. } = input;
    marks.sort_unstable_by_key(|known| known.mark.upn);
    let nobody = Roster::default();
    let child = |upn: Upn, record: &Record| {
        let present = record.year(year)?;
        let roster = rosters.get(&upn).unwrap_or(&nobody);
        let profile = Profile::of(roster, present, |school| policy?.phase(school));
        let before = record.year(year.previous()).map(steps).filter(|steps| steps.len() >= LEAST_SESSIONS);
        let child = Child {
            phase: profile.phase,
            year_group: profile.year_group,
            before: before.unwrap_or_default(),
            year: steps(present),
        };
        (child.year.len() >= LEAST_SESSIONS).then_some(child)
    };
    let pupils = marks.chunk_by(|one, other| one.mark.upn == other.mark.upn);
    let children = pupils.filter_map(|marks| {
        let upn = marks.first()?.mark.upn;
        let mut record = Record::default();
        for known in marks {
            record.apply(&known.mark);
        }
        child(upn, &record)
    });
    children.collect()
}

fn steps(record: &YearRecord) -> Steps {
    let mut steps = Steps::default();
    let mut before = None;
    for entry in record.entries().filter(|entry| entry.revision.code != Code::NotTaken) {
        let meaning = entry.revision.code.meaning();
        if meaning.is_possible() {
            let day = entry.session.day();
            steps.push(Gap::between(before, day), meaning.is_absent());
            before = Some(day);
        }
    }
    steps
}
