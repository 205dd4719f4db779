//! The files that a backtest writes.

use super::judged::Judged;
use anyhow::Context;
use attendance::Upn;
use attendance::backtest::AlertLine;
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
    file.write_record(["date", "session", "upn", "school_urn", "rule", "level", "change", "rate"])?;
    for line in lines {
        let (day, half) = (line.as_of.day().to_string(), line.as_of.half().text());
        let (upn, school) = (line.upn.text(), line.school.to_string());
        let (level, change) = (line.difference.level.text(), line.difference.change.text());
        file.write_record([&day, half, &upn, &school, line.rule.text(), level, change, &rate(line.rate)])?;
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
