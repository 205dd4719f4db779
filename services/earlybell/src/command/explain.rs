//! `earlybell explain --upn …`: the child's strip, each rule's state, why. The reading is audited before it is shown.

use super::installation::{Actor, block_on, clock, connection, founded, settings, store as open};
use ::installation::InForce;
use anyhow::bail;
use attendance::code::CodeSet;
use attendance::enrolment::Roster;
use attendance::evidence::{Evidence, expected, strip_text};
use attendance::forecast::{Foreseen, Interval, foresee};
use attendance::judge::{Finding, History, InWindow, Measured};
use attendance::rate::{Counts, Status};
use attendance::record::Record;
use attendance::rule::{Level, Levels, Measure, Rule, Window};
use attendance::{Day, SchoolYear, Session, Upn};
use clap::Args;
use rules::snapshot::{Findings, Snapshot, findings};
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
            let clock = clock(&installation);
            let year = self.year.unwrap_or_else(|| clock.present_year());
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
            show((record, roster), (year, Session::at(clock.now())), &in_force, &alerts);
            Ok(ExitCode::SUCCESS)
        })
    }
}

fn show(
    (record, roster): (&Record, &Roster),
    (year, as_of): (SchoolYear, Session),
    in_force: &InForce,
    alerts: &[PublishedRow],
) {
    let Some(Findings { history, fold }) = findings(record, roster, (year, as_of), in_force) else {
        println!("no mark in {year}");
        return;
    };
    let counts = history.present.counts();
    let (absent, possible) = (counts.absent(), counts.possible);
    println!(
        "year so far  missed {absent} of {possible} sessions ({}), {}",
        counts.absence().percent(),
        Status::of(counts).text()
    );
    println!("             {} authorised, {} unauthorised", counts.authorised, counts.unauthorised);
    enrolments(&history);
    let evidence = Evidence::bare(history.present);
    println!("             spells of absence: {}", evidence.spells);
    println!("newest marks {}", strip_text(&evidence.strip));
    let standard = in_force.standard();
    if let Some(foreseen) = foresee(&history, standard) {
        outlook(&foreseen);
    }
    println!("judged by    rule set {}", in_force.version);
    if let Some(due) = fold.due() {
        println!("due on       {due}, unless a mark or the roster changes that before");
    }
    let rules = standard.rules.rules();
    for (finding, alert) in fold.findings(standard.rules).zip(standard.rules.alerts()) {
        let Some(first) = alert.rules.first().and_then(|place| rules.get(*place)) else { continue };
        println!("\n{} ({})", first.title, alert.id);
        println!("  {}", state(&finding));
        let published = alerts
            .iter()
            .find(|row| row.rule == alert.id.text() && row.school_year == year.first_calendar_year() && row.level > 0);
        if let Some(row) = published {
            println!("  told to the team: episode {}, change {}", row.episode, row.version);
        }
        let levels: Vec<Option<Level>> = fold.levels().collect();
        for place in &alert.rules {
            let (Some(rule), Some(level)) = (rules.get(*place), levels.get(*place)) else { continue };
            let level = level.map_or("-", Level::text);
            let who = if rule.applies.to(&history.profile) { "" } else { "; not for this child" };
            let why = why(rule, &fold.measured(*place, &history, standard), counts);
            println!("  {:<20} {level:<10} {why}{who}", rule.id.text());
        }
    }
}

/// Official figures are an enrolment's; the child's are those of all schools together.
fn enrolments(history: &History<'_>) {
    let schools = history.present.schools();
    if schools.len() < 2 {
        return;
    }
    for school in schools {
        let mut counts = Counts::default();
        let of_school = history.present.entries().filter(|entry| history.present.school(*entry) == Some(*school));
        of_school.for_each(|entry| counts.add(entry.revision.code.meaning()));
        let (absent, possible, rate) = (counts.absent(), counts.possible, counts.absence().percent());
        println!("             at school {school}: missed {absent} of {possible} ({rate})");
    }
}

fn outlook(foreseen: &Foreseen) {
    let Foreseen { outlook, persistent, severe, missed, rest } = foreseen;
    let range = |of: &Interval| format!("{:.0}% to {:.0}%", of.low * 100.0, of.high * 100.0);
    println!("to come      {}", expected(foreseen.urgency()));
    println!("             {:.0} to {:.0} of {rest} sessions in 8 of 10 cases", missed.low, missed.high);
    println!(
        "             chance to end at 10% or more {:.0}% ({}), at 50% or more {:.0}% ({})",
        outlook.persistent * 100.0,
        range(persistent),
        outlook.severe * 100.0,
        range(severe)
    );
}

fn state(finding: &Finding) -> String {
    match (finding.level, finding.since, finding.ended) {
        (Some(level), Some(since), _) => format!("{level} since {since}"),
        (None, _, Some(ended)) => format!("no alert; the last one ended {ended}"),
        _ => "no alert".to_owned(),
    }
}

fn why(rule: &Rule, measured: &Measured, year: Counts) -> String {
    let short = |possible: u32, minimum: u32| {
        if possible < minimum { format!("; not judged below {minimum} possible sessions") } else { String::new() }
    };
    match (&rule.measure, measured) {
        (Measure::Rate { window, minimum, levels, .. }, Measured::Rate(found)) => {
            let short = short(found.counts.possible, *minimum);
            let (possible, percent) = (found.counts.possible, found.rate().percent());
            format!("{} of {possible} {} ({percent}); {}{short}", counted(found), within(*window, found), at(levels))
        }
        (Measure::Sessions { window, levels, .. }, Measured::Sessions(found)) => {
            format!("{} sessions {}; {}", counted(found), within(*window, found), at(levels))
        }
        (Measure::Run { levels, .. }, Measured::Run { of, days, from }) => {
            let from = from.map(|day: Day| format!(" since {day}")).unwrap_or_default();
            format!("{days} school days in a row of {of}{from}; {}", at(levels))
        }
        (Measure::Unresolved { levels, .. }, Measured::Unresolved { of, sessions, after, .. }) => {
            format!("{sessions} sessions marked {of} {after} school days later or more; {}", at(levels))
        }
        (Measure::Review { levels, .. }, Measured::Review { of, overdue, from, by }) => {
            let from = from.map_or_else(|| format!("no session marked {of}"), |day| format!("marked {of} since {day}"));
            let by =
                by.map_or_else(|| "no day of a review is known".to_owned(), |day| format!("to be reviewed by {day}"));
            format!("{from}, {by}; {overdue} school days overdue; {}", at(levels))
        }
        (Measure::Chance { minimum, levels, .. }, Measured::Chance { of, chance, .. }) => {
            let short = short(year.possible, *minimum);
            format!("chance to end the year {} absent {chance}; {}{short}", of.text(), at(levels))
        }
        (Measure::Expected { minimum, levels, .. }, Measured::Expected { missed, rest, .. }) => {
            let short = short(year.possible, *minimum);
            format!("about {missed} of {rest} sessions to come; {}{short}", at(levels))
        }
        (Measure::Pattern { minimum, levels }, Measured::Pattern { found, .. }) => match found {
            Some(found) => {
                let few = if found.short < *minimum {
                    format!("; not judged below {minimum} short absences")
                } else {
                    String::new()
                };
                let (fitting, of, one_in) = (found.fitting, found.of, found.one_in);
                format!("{fitting} of {of} {}, one in {one_in} by chance; {}{few}", found.pattern.text(), at(levels))
            }
            None => "no short absence".to_owned(),
        },
        (Measure::Change { levels }, Measured::Change { sum, missed, newest, .. }) => {
            format!("{sum} points, missed {missed} of the last {newest} sessions; {}", at(levels))
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
