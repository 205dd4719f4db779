//! The files that a backtest writes.

use super::judged::{Judged, Standing};
use anyhow::Context;
use attendance::Upn;
use attendance::backtest::AlertLine;
use attendance::forecast::Foreseen;
use attendance::rate::{Counts, Status};
use ingest::Reason;
use ingest::parse::columns::RefusedRow;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

/// A rate as files carry it: a fraction from 0 to 1 with six decimals; empty where there is none.
pub(crate) fn rate(rate: Option<f64>) -> String {
    rate.map_or_else(String::new, |rate| format!("{rate:.6}"))
}

/// The columns of a file of records.
pub(crate) const RECORD_COLUMNS: [&str; 7] =
    ["upn", "possible", "absent", "authorised", "unauthorised", "rate", "status"];

/// A pupil's line of a file of records.
pub(crate) fn record_fields(upn: Upn, counts: Counts, status: Status) -> [String; 7] {
    let numbers = [counts.possible, counts.absent(), counts.authorised, counts.unauthorised];
    let [possible, absent, authorised, unauthorised] = numbers.map(|number| number.to_string());
    [
        upn.text(),
        possible,
        absent,
        authorised,
        unauthorised,
        rate(counts.absence().fraction()),
        status.text().to_owned(),
    ]
}

/// Writes a line a pupil.
pub(crate) fn records(path: &Path, judged: &Judged) -> anyhow::Result<()> {
    let mut file = csv::Writer::from_path(path)?;
    file.write_record(RECORD_COLUMNS)?;
    for pupil in &judged.pupils {
        file.write_record(record_fields(pupil.upn, pupil.outcome.counts, pupil.outcome.status))?;
    }
    Ok(file.flush()?)
}

/// Writes a line an alert change, in the order in which they were made.
pub(crate) fn alerts(path: &Path, judged: &Judged) -> anyhow::Result<()> {
    let mut lines: Vec<&AlertLine> = judged.pupils.iter().flat_map(|pupil| &pupil.outcome.changes).collect();
    lines.sort_by_key(|line| (line.known_at, line.upn));
    let mut file = csv::Writer::from_path(path)?;
    file.write_record([
        "date",
        "session",
        "upn",
        "school_urn",
        "rule",
        "level",
        "change",
        "rate",
        "probability",
        "expected_missed",
        "urgency",
    ])?;
    for line in lines {
        let (day, half) = (line.as_of.day().to_string(), line.as_of.half().text());
        let (upn, school) = (line.upn.text(), line.school.to_string());
        let (level, change) = (line.difference.level.text(), line.difference.change.text());
        let [probability, _, missed, urgency] = foreseen(line.foreseen.as_ref());
        let figures = [&rate(line.rate), &probability, &missed, &urgency];
        let what = [&day, half, &upn, &school, line.rule.text(), level, change];
        file.write_record(what.into_iter().chain(figures.into_iter().map(String::as_str)))?;
    }
    Ok(file.flush()?)
}

/// Probabilities of persistent and of severe absence, sessions still to be missed, urgency; empty where nothing is foreseen.
fn foreseen(foreseen: Option<&Foreseen>) -> [String; 4] {
    let Some(foreseen) = foreseen else { return Default::default() };
    let (outlook, urgency) = (&foreseen.outlook, foreseen.urgency().to_string());
    [rate(Some(outlook.persistent)), rate(Some(outlook.severe)), format!("{:.1}", outlook.missed), urgency]
}

/// Writes the ranked list of a day, the most urgent first, a line a pupil.
pub(crate) fn list(path: &Path, mut standings: Vec<Standing>) -> anyhow::Result<()> {
    let missed = |one: &Standing| one.standing.foreseen.map_or(-1.0, |foreseen| foreseen.outlook.missed);
    standings.sort_by(|one, other| missed(other).total_cmp(&missed(one)).then(one.upn.cmp(&other.upn)));
    let mut file = csv::Writer::from_path(path)?;
    file.write_record([
        "upn",
        "school_urn",
        "possible",
        "absent",
        "rate",
        "probability_persistent",
        "probability_severe",
        "expected_missed",
        "urgency",
    ])?;
    for Standing { upn, standing } in &standings {
        let counts = standing.counts;
        let [persistent, severe, missed, urgency] = foreseen(standing.foreseen.as_ref());
        file.write_record([
            upn.text(),
            standing.school.map(|school| school.to_string()).unwrap_or_default(),
            counts.possible.to_string(),
            counts.absent().to_string(),
            rate(counts.absence().fraction()),
            persistent,
            severe,
            missed,
            urgency,
        ])?;
    }
    Ok(file.flush()?)
}

/// How many rows were refused, by reason.
#[derive(Clone, Default)]
pub(crate) struct Refused(pub(crate) BTreeMap<Reason, u64>);

impl Refused {
    pub(crate) fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

/// Counts refused rows and, where a file is named, writes them.
pub(crate) struct RejectedFile {
    file: Option<csv::Writer<File>>,
    refused: Refused,
}

impl RejectedFile {
    pub(crate) fn create(path: Option<&Path>) -> anyhow::Result<Self> {
        let create = |path: &Path| -> anyhow::Result<_> {
            let mut file = csv::Writer::from_path(path).with_context(|| format!("cannot write {}", path.display()))?;
            file.write_record(["file", "line", "reason", "field", "what", "row"])?;
            Ok(file)
        };
        Ok(Self { file: path.map(create).transpose()?, refused: Refused::default() })
    }

    pub(crate) fn add(&mut self, path: &Path, row: &RefusedRow) -> anyhow::Result<()> {
        *self.refused.0.entry(row.rejected.reason).or_default() += 1;
        if let Some(file) = &mut self.file {
            let (line, rejected) = (row.line.to_string(), &row.rejected);
            let (path, what) = (path.display().to_string(), rejected.what.as_str());
            file.write_record([path.as_str(), &line, rejected.reason.text(), rejected.field, what, &row.row])?;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> anyhow::Result<Refused> {
        if let Some(file) = &mut self.file {
            file.flush()?;
        }
        Ok(self.refused)
    }
}
