//! `earlybell explain --upn …`: the child's strip, each rule's state, why. The reading is audited before it is shown.

use super::installation::{Actor, block_on, clock, connection, founded, settings, store as open};
use ::installation::InForce;
use anyhow::bail;
use attendance::code::CodeSet;
use attendance::evidence::{Evidence, strip_text};
use attendance::judge::{Finding, History, InWindow, Measured};
use attendance::rate::Status;
use attendance::record::Record;
use attendance::rule::{Levels, Measure, Rule, Window};
use attendance::{Day, SchoolYear, Upn};
use clap::Args;
use rules::snapshot::{Snapshot, findings};
use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;
use store::published::{self, PublishedRow};
use transport::partition_of;

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The child's unique pupil number.
    #[arg(long, value_name = "UPN", value_parser = |text: &str| Upn::parse(text))]
    upn: Upn,
    /// The school year; without it the present one.
    #[arg(long, value_name = "2025/26", value_parser = |text: &str| SchoolYear::parse(text))]
    year: Option<SchoolYear>,
    #[command(flatten)]
    actor: Actor,
}

impl Explain {
    pub(crate) fn run(&self, config: Option<PathBuf>) -> anyhow::Result<ExitCode> {
        let settings = settings(config)?;
        block_on(async {
            let store = open(&settings, "explain").await?;
            let installation = founded(&store).await?;
            let year = self.year.unwrap_or_else(|| clock(&installation).present_year());
            self.actor.audit(&store, "pupil.explain", Some(self.upn), &year.to_string()).await?;
            let in_force = ::installation::load(&store).await?;
            let partitions = u32::try_from(installation.event_partitions)?;
            let part = partition_of(self.upn.text().as_bytes(), partitions);
            let connection = connection(&settings, "explain");
            let years = [year.previous(), year];
            let snapshot = Snapshot::read(&store, &connection, part, &years, Some(self.upn)).await?;
            let alerts = published::load(&store, i64::try_from(self.upn.number())?).await?;
            store.close().await;
            let Some((record, roster)) = snapshot.pupil(self.upn) else {
                bail!("nothing is held of {} in {} or {year}", self.upn.text(), year.previous());
            };
            println!("{}, {year}, partition {part} up to offset {}", self.upn.text(), snapshot.next_offset);
            let school = roster.school(year.last_day());
            let enrolled = school.map_or_else(|| "not on roster".to_owned(), |urn| format!("school {urn}"));
            println!("roster       {enrolled}");
            show(record, year, &in_force, &alerts);
            Ok(ExitCode::SUCCESS)
        })
    }
}

fn show(record: &Record, year: SchoolYear, in_force: &InForce, alerts: &[PublishedRow]) {
    let (Some(present), Some(findings)) = (record.year(year), findings(record, year, in_force)) else {
        println!("no mark in {year}");
        return;
    };
    let counts = present.counts();
    let (absent, possible) = (counts.absent(), counts.possible);
    println!(
        "year so far  missed {absent} of {possible} sessions ({}), {}",
        counts.absence().percent(),
        Status::of(counts).text()
    );
    println!("             {} authorised, {} unauthorised", counts.authorised, counts.unauthorised);
    println!("judged by    rule set {}", in_force.version);
    let history = History { previous: record.year(year.previous()), present };
    for (rule, finding) in in_force.policy.rules.rules().iter().zip(&findings) {
        println!("\n{} ({})", rule.title, rule.id);
        println!("  {}", state(finding));
        println!("  {}", why(rule, finding));
        let published = alerts
            .iter()
            .find(|row| row.rule == rule.id.text() && row.school_year == year.first_calendar_year() && row.level > 0);
        if let Some(row) = published {
            println!("  told to the team: episode {}, change {}", row.episode, row.version);
        }
    }
    if let Some(finding) = findings.first() {
        let evidence = Evidence::of(finding, &history);
        println!("\nspells of absence  {}", evidence.spells);
        println!("newest marks       {}", strip_text(&evidence.strip));
    }
}

fn state(finding: &Finding) -> String {
    match (finding.level, finding.since, finding.ended) {
        (Some(level), Some(since), _) => format!("{level} since {since}"),
        (None, _, Some(ended)) => format!("no alert; the last one ended {ended}"),
        _ => "no alert".to_owned(),
    }
}

fn why(rule: &Rule, finding: &Finding) -> String {
    match (&rule.measure, finding.measured) {
        (Measure::Rate { window, minimum, levels, .. }, Measured::Rate(found)) => {
            let short = if found.counts.possible < *minimum {
                format!("; not judged below {minimum} possible sessions")
            } else {
                String::new()
            };
            let (possible, percent) = (found.counts.possible, found.rate().percent());
            format!("{} of {possible} {} ({percent}); {}{short}", counted(&found), within(*window, &found), at(levels))
        }
        (Measure::Sessions { window, levels, .. }, Measured::Sessions(found)) => {
            format!("{} sessions {}; {}", counted(&found), within(*window, &found), at(levels))
        }
        (Measure::Run { levels, .. }, Measured::Run { of, days, from }) => {
            let from = from.map(|day: Day| format!(" since {day}")).unwrap_or_default();
            format!("{days} school days in a row of {of}{from}; {}", at(levels))
        }
        _ => String::new(),
    }
}

/// How many sessions of the rule's codes there are.
fn counted(found: &InWindow) -> String {
    if found.of == CodeSet::ABSENT {
        format!("missed {}", found.counted)
    } else {
        format!("{} marked {}", found.counted, found.of)
    }
}

fn within(window: Window, found: &InWindow) -> String {
    let window = match window {
        Window::YearToDate => "this school year".to_owned(),
        Window::Term => "this term".to_owned(),
        Window::SchoolWeeks(weeks) => format!("the last {weeks} school weeks"),
    };
    let from = found.from.map(|from| format!(", from {}", from.day())).unwrap_or_default();
    format!("in {window}{from}")
}

fn at<T: Copy + Ord + Display>(levels: &Levels<T>) -> String {
    levels.iter().map(|(level, threshold)| format!("{level} at {threshold}")).collect::<Vec<_>>().join(", ")
}
