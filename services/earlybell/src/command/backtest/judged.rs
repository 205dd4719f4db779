//! Judging every pupil of the input, on all cores.

use super::read::Input;
use super::write::Refused;
use anyhow::bail;
use attendance::backtest::{Known, Newest, Outcome, pupil};
use attendance::enrolment::Roster;
use attendance::judge::Standard;
use attendance::{Day, Half, SchoolYear, Session, Upn};
use rustc_hash::FxHashMap;
use std::thread;

/// A pupil's outcome.
pub(crate) struct Pupil {
    pub(crate) upn: Upn,
    /// Where the child lives, where the roster tells.
    pub(crate) home: Option<String>,
    pub(crate) outcome: Outcome,
}

/// What came of it all.
pub(crate) struct Judged {
    pub(crate) year: SchoolYear,
    pub(crate) registers: usize,
    pub(crate) marks: usize,
    /// Marks before the school year before: not judged.
    pub(crate) other_years: usize,
    pub(crate) refused: Refused,
    /// The days of the year judged for which there is a register.
    pub(crate) days: Vec<Day>,
    /// By UPN.
    pub(crate) pupils: Vec<Pupil>,
}

pub(crate) fn judge(
    input: &mut Input,
    year: SchoolYear,
    standard: Standard<'_>,
    refused: Refused,
) -> anyhow::Result<Judged> {
    let newest = input.newest();
    let (registers, count, days) = (input.register_count(), input.marks.len(), input.days(year));
    let first = Session::new(year.previous().first_day(), Half::Am);
    let other_years = input.marks.iter().filter(|known| known.mark.session < first).count();
    let Input { marks, rosters, .. } = input;
    marks.sort_unstable_by_key(|known| known.mark.upn);
    let rosters = &*rosters;
    let job = Job { year, standard, newest: &newest, rosters };
    let pupils = thread::scope(|scope| {
        let parts = split(marks, thread::available_parallelism().map_or(1, usize::from));
        let threads: Vec<_> = parts.into_iter().map(|part| scope.spawn(move || job.run(part))).collect();
        threads.into_iter().map(thread::ScopedJoinHandle::join).collect::<Result<Vec<_>, _>>()
    });
    let Ok(pupils) = pupils else { bail!("a thread ended before its work was done") };
    let pupils = pupils.into_iter().flatten().collect();
    Ok(Judged { year, registers, marks: count, other_years, refused, days, pupils })
}

/// Cuts the marks, sorted by pupil, into parts of about one size that share no pupil.
fn split(marks: &mut [Known], parts: usize) -> Vec<&mut [Known]> {
    let size = marks.len().div_ceil(parts.max(1)).max(1);
    let mut rest = marks;
    let mut cut = Vec::new();
    while !rest.is_empty() {
        let at = size.min(rest.len());
        let last = rest.get(at - 1).map(|known| known.mark.upn);
        let end = at + rest.iter().skip(at).take_while(|known| Some(known.mark.upn) == last).count();
        let (part, after) = rest.split_at_mut(end);
        cut.push(part);
        rest = after;
    }
    cut
}

#[derive(Clone, Copy)]
struct Job<'a> {
    year: SchoolYear,
    standard: Standard<'a>,
    newest: &'a Newest,
    rosters: &'a FxHashMap<Upn, Roster>,
}

impl Job<'_> {
    fn run(self, part: &mut [Known]) -> Vec<Pupil> {
        let pupils = part.chunk_by_mut(|one, other| one.mark.upn == other.mark.upn);
        pupils.filter_map(|marks| self.pupil(marks)).collect()
    }

    fn pupil(self, marks: &mut [Known]) -> Option<Pupil> {
        let upn = marks.first()?.mark.upn;
        let roster = self.rosters.get(&upn);
        let school_at = |session: Session| roster?.school(session.day());
        let outcome = pupil(marks, self.year, self.standard, self.newest, school_at)?;
        let home = roster.and_then(|roster| roster.home_locality(self.year.last_day())).map(str::to_owned);
        Some(Pupil { upn, home, outcome })
    }
}
