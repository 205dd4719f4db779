//! The summary as one HTML page that needs nothing else: for an attendance lead to read, print and pass on. Takes a summary.

use super::summary::Summary;
use super::worth::Worth;
use anyhow::Context;
use attendance::Day;
use minijinja::{Environment, context};
use serde::Serialize;
use std::fs;
use std::path::Path;

const PAGE: &str = include_str!("report.html");

/// Pupils by their status at the year's end.
#[derive(Serialize)]
struct Status {
    name: &'static str,
    colour: &'static str,
    share: f64,
}

/// What flags were worth, for all pupils or a phase.
#[derive(Serialize)]
struct Table<'a> {
    title: String,
    /// The last school days before holidays, and of the year.
    ends: Vec<String>,
    rows: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    rule: Option<&'a str>,
    flagged_share: f64,
    persistent: String,
    severe: String,
    found: Vec<String>,
    lead: String,
    to_come: f64,
    alerts: String,
    a_week: String,
}

/// All rules together, whole percent.
#[derive(Serialize)]
struct All {
    flagged: usize,
    found: u64,
    to_come: u64,
}

pub(crate) fn write(path: &Path, summary: &Summary) -> anyhow::Result<()> {
    let page = page(summary).context("the report's template")?;
    fs::write(path, page).with_context(|| format!("cannot write {}", path.display()))
}

fn page(summary: &Summary) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.add_template("report.html", PAGE)?;
    let statuses = [
        ("good", "under 5%", "#7fb7a6"),
        ("at-risk", "at risk", "#d99a2b"),
        ("persistent", "persistent", "#c8553d"),
        ("severe", "severe", "#7c2d3a"),
    ];
    let pupils = summary.pupils().max(1);
    let status =
        statuses.map(|(key, name, colour)| Status { name, colour, share: fraction(summary.status(key), pupils) });
    let worth = summary.worth();
    let tables: Vec<Table<'_>> = worth.chunk_by(|one, other| one.phase == other.phase).map(table).collect();
    let all = worth.iter().find(|worth| worth.rule.is_none() && worth.phase.is_none());
    let all = All {
        flagged: all.map_or(0, |all| all.flagged),
        found: all.map_or(0, |all| whole(fraction(last_found(all), all.persistent.max(1)))),
        to_come: all.map_or(0, |all| whole(all.absence_to_come.unwrap_or_default())),
    };
    environment
        .get_template("report.html")?
        .render(context! { summary, status, tables, all, beside => summary.beside() })
}

fn table(of: &[Worth]) -> Table<'_> {
    let phase = of.first().and_then(|worth| worth.phase.as_deref());
    let ends = of.first().map(|worth| worth.persistent_flagged_by.keys().map(|day| short(day)).collect());
    let percent = |part: usize, of: usize| match of {
        0 => "-".to_owned(),
        of => format!("{}%", whole(fraction(part, of))),
    };
    let row = |worth: &'_ Worth| -> Row<'_> {
        Row {
            rule: None,
            flagged_share: fraction(worth.flagged, worth.pupils.max(1)),
            persistent: percent(worth.flagged_persistent, worth.flagged),
            severe: percent(worth.flagged_severe, worth.flagged),
            found: worth.persistent_flagged_by.values().map(|found| percent(*found, worth.persistent)).collect(),
            lead: worth.lead_days.map_or_else(|| "-".to_owned(), |days| days.to_string()),
            to_come: worth.absence_to_come.unwrap_or_default(),
            alerts: worth.alerts.map_or_else(|| "-".to_owned(), |alerts| alerts.to_string()),
            a_week: worth.alerts_a_team_and_week.map_or_else(|| "-".to_owned(), |alerts| format!("{alerts:.1}")),
        }
    };
    Table {
        title: match phase {
            None => "What flags were worth".to_owned(),
            Some("Not applicable") => "Phase: not applicable (special schools)".to_owned(),
            Some(phase) => format!("Phase: {phase}"),
        },
        ends: ends.unwrap_or_default(),
        rows: of.iter().map(|worth| Row { rule: worth.rule.as_deref(), ..row(worth) }).collect(),
    }
}

/// A day as people write it: "24 Oct".
fn short(day: &str) -> String {
    Day::parse(day).map_or_else(|_| day.to_owned(), |day| day.date().strftime("%-d %b").to_string())
}

fn last_found(worth: &Worth) -> usize {
    worth.persistent_flagged_by.values().next_back().copied().unwrap_or(0)
}

#[expect(clippy::cast_precision_loss, reason = "pupils are far below 2^52")]
fn fraction(part: usize, of: usize) -> f64 {
    part as f64 / of as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a percentage")]
fn whole(share: f64) -> u64 {
    (share * 100.0).round() as u64
}
