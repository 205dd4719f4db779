//! The roster: who is enrolled where, and the table `pupils.csv`. Takes a county; gives rows in the order of `revised_at`.
//!
//! Conventions: a row is an enrolment, whole. On the year's first day there is one for everybody on roll, with `to` empty; on
//! the day a pupil comes, one for the new enrolment; on the day after the last day on roll, the same row with its `to` (the
//! last day on roll). Names and birth dates are in every row.

use std::borrow::Borrow;
use std::io::Write;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::calendar::london;
use crate::county::County;
use crate::enrolments::{Enrolment, Kind};
use crate::pupils::Pupil;
use attendance::Upn;

/// A row of the roster; the columns of `pupils.csv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterRow {
    /// The pupil.
    pub upn: Upn,
    /// The school.
    pub school_urn: u32,
    /// `R`, `1` to `11`.
    pub year_group: String,
    /// `main` or `subsidiary`.
    pub enrolment: &'static str,
    /// First day on roll.
    pub from: Date,
    /// Last day on roll; `None` while it goes on.
    pub to: Option<Date>,
    /// Groups, separated by `;`.
    pub groups: String,
    /// Invented.
    pub given_name: &'static str,
    /// Invented.
    pub family_name: &'static str,
    /// Fits the year group.
    pub birth_date: Date,
    /// Name of the locality where the child lives.
    pub home_locality: &'static str,
    /// `H` and the household's number.
    pub household_id: String,
    /// When the school's system changed the row.
    pub revised_at: Timestamp,
}

/// The columns of `pupils.csv`.
pub const COLUMNS: [&str; 13] = [
    "upn",
    "school_urn",
    "year_group",
    "enrolment",
    "from",
    "to",
    "groups",
    "given_name",
    "family_name",
    "birth_date",
    "home_locality",
    "household_id",
    "revised_at",
];

/// The rows that a working day brings: everybody on roll on the first day, later on those who came or went.
pub(crate) fn roster_day(county: &County, today: Date, is_first: bool) -> Vec<RosterRow> {
    let days = county.calendar().days();
    let mut rows = Vec::new();
    for enrolment in county.enrolments() {
        let comes =
            if is_first { enrolment.first_day == 0 } else { enrolment.first_day > 0 && enrolment.from == today };
        let gone = |last: Date| last < today && next_day(days, enrolment.last_day).is_none_or(|next| next == today);
        let ended = enrolment.to.filter(|last| !is_first && gone(*last));
        if comes || ended.is_some() {
            rows.push(row(county, enrolment, today, ended));
        }
    }
    rows
}

fn next_day(days: &[Date], day: usize) -> Option<Date> {
    days.get(day + 1).copied()
}

fn row(county: &County, enrolment: &Enrolment, today: Date, to: Option<Date>) -> RosterRow {
    let pupil: &Pupil = &county.pupils()[enrolment.pupil];
    let groups: Vec<&str> = pupil.groups.iter().map(|group| group.as_str()).collect();
    RosterRow {
        upn: pupil.upn,
        school_urn: county.schools()[enrolment.school].urn,
        year_group: if pupil.year_group == 0 { "R".to_owned() } else { pupil.year_group.to_string() },
        enrolment: match enrolment.kind {
            Kind::Main => "main",
            Kind::Subsidiary => "subsidiary",
        },
        from: enrolment.from,
        to,
        groups: groups.join(";"),
        given_name: pupil.given_name,
        family_name: pupil.family_name,
        birth_date: pupil.birth_date,
        home_locality: pupil.home.name(),
        household_id: format!("H{:09}", pupil.household),
        // Seven in the morning, before any register.
        revised_at: london(today, 25_200, 0),
    }
}

/// Writes the whole year's roster, in order.
pub fn write_pupils_csv<W: Write>(county: &County, out: W) -> Result<(), csv::Error> {
    let days = county.calendar().days().iter().enumerate();
    write_rows(days.flat_map(|(index, day)| roster_day(county, *day, index == 0)), out)
}

/// Writes rows with their header.
pub fn write_rows<W, R>(rows: impl IntoIterator<Item = R>, out: W) -> Result<(), csv::Error>
where
    W: Write,
    R: Borrow<RosterRow>,
{
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(COLUMNS)?;
    for row in rows {
        write_row(&mut writer, row.borrow())?;
    }
    writer.flush()?;
    Ok(())
}

fn write_row<W: Write>(writer: &mut csv::Writer<W>, row: &RosterRow) -> Result<(), csv::Error> {
    writer.write_record([
        row.upn.text().as_str(),
        &row.school_urn.to_string(),
        &row.year_group,
        row.enrolment,
        &row.from.to_string(),
        &row.to.map(|to| to.to_string()).unwrap_or_default(),
        &row.groups,
        row.given_name,
        row.family_name,
        &row.birth_date.to_string(),
        row.home_locality,
        &row.household_id,
        &row.revised_at.to_string(),
    ])
}
