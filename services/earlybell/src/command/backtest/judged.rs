//! Judging every pupil of the input, on all cores.

use super::read::Input;
use super::write::Refused;
use anyhow::bail;
use attendance::backtest::{Asked, Known, Outcome, Who, pupil, standing};
use attendance::enrolment::Roster;
use attendance::judge::Standard;
use attendance::profile::Profile;
use attendance::record::YearRecord;
use attendance::{Day, Half, Phase, SchoolYear, Session, Timestamp, Upn, Urn};
use policy::Policy;
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
    /// The days on whose evenings the probability of persistent absence was asked for.
    pub(crate) evenings: Vec<Day>,
    /// By UPN.
    pub(crate) pupils: Vec<Pupil>,
}

/// The school days, counted from 1, on whose evenings forecasts are held against what came: two and four weeks, about October half
/// term, Christmas and Easter.
const EVENINGS: [usize; 5] = [10, 20, 38, 75, 120];

/// What judges, and the policy behind it, where there is one.
#[derive(Clone, Copy)]
pub(crate) struct Bench<'a> {
    pub(crate) standard: Standard<'a>,
    pub(crate) policy: Option<&'a Policy>,
}

pub(crate) fn judge(input: &mut Input, year: SchoolYear, bench: Bench<'_>, refused: Refused) -> anyhow::Result<Judged> {
    let newest = input.newest();
    let (registers, count, days) = (input.register_count(), input.marks.len(), input.days(year));
    let first = Session::new(year.previous().first_day(), Half::Am);
    let other_years = input.marks.iter().filter(|known| known.mark.session < first).count();
    let Input { marks, rosters, .. } = input;
    let rosters = &*rosters;
    let evenings: Vec<Day> = EVENINGS.iter().filter_map(|number| days.get(number - 1)).copied().collect();
    let ends: Vec<Timestamp> = evenings.iter().map(|day| evening(*day)).collect();
    let job = Job { asked: Asked { year, newest: &newest, evenings: &ends }, bench, rosters };
    let pupils = each_pupil(marks, |marks| job.pupil(marks))?;
    Ok(Judged { year, registers, marks: count, other_years, refused, days, evenings, pupils })
}

/// Where a pupil stood on the evening of a day.
pub(crate) struct Standing {
    pub(crate) upn: Upn,
    pub(crate) standing: attendance::backtest::Standing,
}

/// Where each pupil stood on the evening of a day, as it was known then.
pub(crate) fn standings(input: &mut Input, day: Day, bench: Bench<'_>) -> anyhow::Result<Vec<Standing>> {
    let Input { marks, rosters, .. } = input;
    let (year, at) = (SchoolYear::of(day), evening(day));
    each_pupil(marks, |marks| {
        let upn = marks.first()?.mark.upn;
        let who = Person { roster: rosters.get(&upn), policy: bench.policy };
        Some(Standing { upn, standing: standing(marks, (year, at), bench.standard, &who)? })
    })
}

/// The last moment of a day, in UTC.
fn evening(day: Day) -> Timestamp {
    const DAY: i64 = 86_400 * 1_000_000;
    Timestamp::from_micros((i64::from(day.days()) + 1) * DAY - 1)
}

/// Works on each pupil's marks on all cores; gives what comes of them in the order of the UPNs.
fn each_pupil<T: Send>(marks: &mut [Known], work: impl Fn(&mut [Known]) -> Option<T> + Sync) -> anyhow::Result<Vec<T>> {
    let work = &work;
    let run = move |part: &mut [Known]| -> Vec<T> {
        part.sort_unstable_by_key(|known| known.mark.upn);
        part.chunk_by_mut(|one, other| one.mark.upn == other.mark.upn).filter_map(work).collect()
    };
    let done = thread::scope(|scope| {
        let parts = split(marks, thread::available_parallelism().map_or(1, usize::from));
        let threads: Vec<_> = parts.into_iter().map(|part| scope.spawn(move || run(part))).collect();
        threads.into_iter().map(thread::ScopedJoinHandle::join).collect::<Result<Vec<_>, _>>()
    });
    let Ok(done) = done else { bail!("a thread ended before its work was done") };
    Ok(done.into_iter().flatten().collect())
}

/// Cuts the marks into parts of about one size that share no pupil, the pupils of a part before those of the next.
fn split(marks: &mut [Known], parts: usize) -> Vec<&mut [Known]> {
    if parts < 2 || marks.len() < 2 {
        return if marks.is_empty() { vec![] } else { vec![marks] };
    }
    let (_, middle, _) = marks.select_nth_unstable_by_key(marks.len() / 2, |known| known.mark.upn);
    let middle = middle.mark.upn;
    let mut before = 0;
    for at in 0..marks.len() {
        if marks.get(at).is_some_and(|known| known.mark.upn < middle) {
            marks.swap(before, at);
            before += 1;
        }
    }
    let (less, more) = marks.split_at_mut(before);
    let mut cut = split(less, parts / 2);
    cut.extend(split(more, parts - parts / 2));
    cut
}

#[derive(Clone, Copy)]
struct Job<'a> {
    asked: Asked<'a>,
    bench: Bench<'a>,
    rosters: &'a FxHashMap<Upn, Roster>,
}

impl Job<'_> {
    fn pupil(self, marks: &mut [Known]) -> Option<Pupil> {
        let upn = marks.first()?.mark.upn;
        let roster = self.rosters.get(&upn);
        let who = Person { roster, policy: self.bench.policy };
        let outcome = pupil(marks, self.asked, self.bench.standard, &who)?;
        let home = roster.and_then(|roster| roster.home_locality(self.asked.year.last_day())).map(str::to_owned);
        Some(Pupil { upn, home, outcome })
    }
}

/// A pupil by its roster and the policy, where there are any.
struct Person<'a> {
    roster: Option<&'a Roster>,
    policy: Option<&'a Policy>,
}

impl Who for Person<'_> {
    fn school_at(&self, session: Session) -> Option<Urn> {
        self.roster?.school(session.day())
    }

    fn profile(&self, record: &YearRecord) -> Profile {
        let phase = |school: Urn| -> Option<Phase> { self.policy?.phase(school) };
        let nobody = Roster::default();
        Profile::of(self.roster.unwrap_or(&nobody), record, phase)
    }
}
