//! Registers of a file as messages: rows that follow each other and share school, session and revision are one register.

use super::file::Progress;
use super::{Desk, message};
use crate::command::backtest::write::RejectedFile;
use attendance::mark::Revision;
use attendance::{SchoolYear, Session, Timestamp, Upn, Urn};
use ingest::parse::registers_csv::{LastYear, RegisterRow, RegistersCsv};
use ingest::validate::Admission;
use prost::Message as _;
use proto::v1;
use rustc_hash::FxHashSet;
use service::clock::Clock;
use std::path::Path;
use transport::Outgoing;

/// Marks of a message, at most.
const PART: usize = 1_000;
/// Marks that are acknowledged together: what is sent again after a crash.
const TOGETHER: usize = 50_000;

/// Imports what is not imported yet; gives how far the file has come: to its end.
pub(super) async fn import(
    desk: &Desk,
    path: &Path,
    before: u64,
    rejected: &mut RejectedFile,
) -> anyhow::Result<Progress> {
    let mut progress = Progress::of(&desk.store, path, &desk.part(), before).await?;
    if progress.is_finished() {
        println!("{}: imported before, {} marks", path.display(), progress.marks());
        return Ok(progress);
    }
    let why = "the present one is the last that an import takes; correct the date";
    let last_year = LastYear { year: Clock::wall().present_year(), why };
    let admission = Admission::Policy(&desk.in_force.policy);
    let mut rows = RegistersCsv::new(progress.open(path)?, admission)?.until(last_year).after(before);
    let (done, mut batch) = (progress.row(), Batch::default());
    let mut other_years = 0_u64;
    while let Some(row) = rows.next_row()? {
        if rows.number() <= done {
            continue;
        }
        match row {
            Ok(row) if is_wanted(desk.school_year, row.mark.session) => batch.take(&row),
            Ok(_) => other_years += 1,
            Err(refused) => rejected.add(path, &refused)?,
        }
        if batch.marks >= TOGETHER {
            progress.advance(rows.number(), batch.marks);
            desk.send(batch.messages(), &mut progress).await?;
        }
    }
    progress.advance(rows.number().max(done), batch.marks);
    progress.finish(Clock::wall().wall_now().micros());
    desk.send(batch.messages(), &mut progress).await?;
    println!("{}: {} marks", path.display(), progress.marks());
    if other_years > 0 {
        println!("{}: {other_years} rows of other school years were passed over", path.display());
    }
    Ok(progress)
}

fn is_wanted(only: Option<SchoolYear>, session: Session) -> bool {
    only.is_none_or(|year| session.school_year() == year)
}

/// Registers that are sent together.
#[derive(Default)]
struct Batch {
    done: Vec<Outgoing>,
    open: Option<Register>,
    marks: usize,
}

/// A register that may go on in the next row.
struct Register {
    school: Urn,
    session: Session,
    given: Option<Timestamp>,
    /// Without a time of revision of its own, that of its first row.
    revised_at: Timestamp,
    marks: Vec<(Upn, Revision)>,
    upns: FxHashSet<Upn>,
}

impl Batch {
    fn take(&mut self, row: &RegisterRow) {
        let mark = row.mark;
        if !self.open.as_ref().is_some_and(|open| open.goes_on(row)) {
            self.close();
        }
        let open = self.open.get_or_insert_with(|| Register {
            school: mark.school,
            session: mark.session,
            given: row.given,
            revised_at: mark.revision.revised_at,
            marks: Vec::new(),
            upns: FxHashSet::default(),
        });
        open.marks.push((mark.upn, mark.revision));
        open.upns.insert(mark.upn);
        self.marks += 1;
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            self.done.push(open.message());
        }
    }

    /// The messages, after which it is empty.
    fn messages(&mut self) -> Vec<Outgoing> {
        self.close();
        self.marks = 0;
        std::mem::take(&mut self.done)
    }
}

impl Register {
    /// Whether a row belongs to it. A pupil's second row is a correction: a register of its own, and newer.
    fn goes_on(&self, row: &RegisterRow) -> bool {
        let place = (self.school, self.session, self.given) == (row.mark.school, row.mark.session, row.given);
        place && self.marks.len() < PART && !self.upns.contains(&row.mark.upn)
    }

    fn message(self) -> Outgoing {
        let mark = |(upn, revision): &(Upn, Revision)| v1::Mark {
            upn: upn.text(),
            code: revision.code.text().to_owned(),
            minutes_late: revision.minutes_late.map(|minutes| u32::from(minutes.minutes())),
        };
        let register = v1::Register {
            id: Vec::new(),
            school_urn: self.school.number(),
            date: self.session.day().to_string(),
            session: self.session.half().text().to_owned(),
            revised_at: Some(self.revised_at.micros()),
            marks: self.marks.iter().map(mark).collect(),
            received_at: 0,
            part: 0,
            refused: 0,
        };
        message(self.school, "register", register.encode_to_vec())
    }
}
