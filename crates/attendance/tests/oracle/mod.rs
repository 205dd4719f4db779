//! The slow, obvious second implementation: everything from a bare list of marks, computed anew for each session.
//! It shares no code with the crate beyond the values themselves.

mod pattern;

use crate::invented::model;
use attendance::calendar::Calendars;
use attendance::code::CodeSet;
use attendance::forecast::{Foreseen, foresee};
use attendance::judge::{History, Standard};
use attendance::mark::Revision;
use attendance::profile::Profile;
use attendance::rate::Share;
use attendance::record::YearRecord;
use attendance::rule::{Level, Measure, Rule, RuleSet, Window};
use attendance::{Code, Day, Half, Mark, Meaning, Phase, SchoolYear, Session, Timestamp, Urn};
use std::collections::{BTreeMap, BTreeSet};

/// What counts: of each school and session the newest, of equal ones the greater (code, minutes).
pub(crate) fn counting(marks: &[Mark]) -> BTreeMap<(Session, Urn), Code> {
    let mut best: BTreeMap<(Session, Urn), Mark> = BTreeMap::new();
    for mark in marks {
        let rank = |m: &Mark| {
            let minutes = m.revision.minutes_late.map_or(-1, |minutes| i32::from(minutes.minutes()));
            (m.revision.revised_at.micros(), m.revision.code.text(), minutes)
        };
        let place = best.entry((mark.session, mark.school)).or_insert(*mark);
        if rank(mark) > rank(place) {
            *place = *mark;
        }
    }
    let taken = best.into_iter().filter(|(_, mark)| mark.revision.code != Code::NotTaken);
    taken.map(|(place, mark)| (place, mark.revision.code)).collect()
}

/// possible, authorised, unauthorised of some codes.
pub(crate) fn count<'a>(codes: impl Iterator<Item = &'a Code>) -> (u64, u64, u64) {
    let mut counts = (0, 0, 0);
    for code in codes {
        match code.meaning() {
            Meaning::Present | Meaning::ApprovedActivity => counts.0 += 1,
            Meaning::Authorised => (counts.0, counts.1) = (counts.0 + 1, counts.1 + 1),
            Meaning::Unauthorised => (counts.0, counts.2) = (counts.0 + 1, counts.2 + 1),
            Meaning::NotPossible | Meaning::Administrative | Meaning::NotTaken => {}
        }
    }
    counts
}

/// Level and since of a rule at the end, with the session at which the last episode ended.
#[derive(Debug, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) level: Option<Level>,
    pub(crate) since: Option<Session>,
    pub(crate) ended: Option<Session>,
}

/// What a rule wants of `year` when `as_of` is the newest session known, of a child whose timetable is to be reviewed on a day.
pub(crate) fn wanted(
    marks: &[Mark],
    (year, as_of): (SchoolYear, Session),
    (rule, by): (&Rule, Option<Day>),
    calendars: &Calendars,
) -> Wanted {
    let counting = counting(marks);
    let of_year: BTreeSet<Session> =
        counting.keys().map(|(session, _)| *session).filter(|s| s.school_year() == year).collect();
    let waits = waits(&of_year, (year, as_of), rule);
    let mut wanted = Wanted { level: None, since: None, ended: None };
    for &now in of_year.union(&waits) {
        let known: Vec<(Session, Urn, Code)> = counting
            .iter()
            .filter(|((s, _), _)| *s <= now && (s.school_year() == year || s.school_year() == year.previous()))
            .map(|((s, school), code)| (*s, *school, *code))
            .collect();
        let level = match &rule.measure {
            Measure::Run { counted, levels } => {
                let days = run(&known, *counted);
                levels.iter().filter(|(_, least)| days >= *least).map(|(level, _)| level).max()
            }
            Measure::Unresolved { counted, after, within, levels } => {
                let sessions = standing(&known, (year, now), (*counted, *after, *within), calendars);
                levels.iter().filter(|(_, least)| sessions >= *least as usize).map(|(level, _)| level).max()
            }
            Measure::Review { counted, after, within, levels } => {
                let days = overdue(&known, now, (*counted, *after, *within, by), calendars);
                levels.iter().filter(|(_, least)| days >= *least as usize).map(|(level, _)| level).max()
            }
            Measure::Change { .. } | Measure::Expected { .. } | Measure::Chance { .. } | Measure::Pattern { .. } => {
                ahead(&known, year, (&rule.measure, wanted.level), calendars)
            }
            Measure::Sessions { counted, window, levels } => {
                let codes = in_window(&known, *window, year, calendars);
                let sessions = codes.iter().filter(|code| counted.codes().any(|one| one == **code)).count();
                levels.iter().filter(|(_, least)| sessions >= *least as usize).map(|(level, _)| level).max()
            }
            Measure::Rate { window, .. } => {
                let codes = in_window(&known, *window, year, calendars);
                rate(&codes, &rule.measure, wanted.level)
            }
        };
        let level = if of_year.contains(&now) { level } else { level.max(wanted.level) };
        // The oracle's child is in a primary school.
        let level = level.filter(|_| rule.applies.phases.iter().all(|phase| *phase == Phase::Primary));
        if wanted.level.is_none() && level.is_some() {
            wanted.since = Some(now);
        }
        if wanted.level.is_some() && level.is_none() {
            wanted.ended = Some(now);
        }
        wanted.level = level;
    }
    wanted
}

/// The level of a rate of these codes; `held` is the level before.
fn rate(codes: &[Code], measure: &Measure, held: Option<Level>) -> Option<Level> {
    let Measure::Rate { counted, minimum, margin, levels, .. } = measure else { panic!("no rate") };
    let (possible, _, _) = count(codes.iter());
    let part = codes.iter().filter(|code| counted.codes().any(|one| one == **code)).count();
    if possible < u64::from(*minimum) {
        held
    } else {
        // In percent with all decimals: the test's thresholds are whole percents.
        let percent = |text: String| text.trim_end_matches('%').parse::<f64>().unwrap();
        let rate = 100.0 * part as f64;
        let reaches = |least: f64| possible > 0 && rate >= least * possible as f64;
        let margin = percent(margin.to_string());
        let stays = |level: Level| held.is_some_and(|held| level <= held);
        let least = |level, share: String| percent(share) - if stays(level) { margin } else { 0.0 };
        levels.iter().filter(|(l, share)| reaches(least(*l, share.to_string()).max(0.0))).map(|(l, _)| l).max()
    }
}

/// Mornings without a mark, which count for what must not stand for long and for nothing else.
fn waits(of_year: &BTreeSet<Session>, (year, as_of): (SchoolYear, Session), rule: &Rule) -> BTreeSet<Session> {
    let Some(first) = of_year.first() else { return BTreeSet::new() };
    let mornings = (first.day().days() + 1..=as_of.day().days()).map(|day| Session::new(Day::from_days(day), Half::Am));
    let in_time = matches!(rule.measure, Measure::Unresolved { within: None, .. } | Measure::Review { .. });
    mornings.filter(|now| in_time && now.school_year() == year && !of_year.contains(now)).collect()
}

/// Sessions of these codes that still stand on so manieth school day of the newest mark's school, or later: counted day by day.
fn standing(
    known: &[(Session, Urn, Code)],
    (year, now): (SchoolYear, Session),
    (counted, after, within): (CodeSet, u32, Option<u32>),
    calendars: &Calendars,
) -> usize {
    let (_, school) = known.iter().map(|(session, school, _)| (*session, *school)).max().unwrap();
    let open = |from: Day| open_days(from, now.day(), school, calendars);
    let of_year = known.iter().filter(|(session, _, code)| session.school_year() == year && counted.contains(*code));
    let within = within.map_or(usize::MAX, |within| within as usize);
    of_year.filter(|(session, _, _)| (after as usize..=within).contains(&open(session.day()))).count()
}

/// School days after a day, up to another, by a school's calendar: counted day by day.
fn open_days(after: Day, until: Day, school: Urn, calendars: &Calendars) -> usize {
    let calendar = calendars.of(school);
    let told = calendar.open_days().iter().any(|day| SchoolYear::of(*day) == SchoolYear::of(until));
    let days = (after.days() + 1..=until.days()).map(Day::from_days);
    days.filter(|day| if told { calendar.is_open(*day) } else { day.weekday() < 5 }).count()
}

/// School days for which the review of an arrangement is overdue: since the day that it was to be reviewed by, else since so many school days
/// after it began. It began with the first session of the codes, or the first after so long a gap that the one before had ended.
fn overdue(
    known: &[(Session, Urn, Code)],
    now: Session,
    (counted, after, within, by): (CodeSet, u32, u32, Option<Day>),
    calendars: &Calendars,
) -> usize {
    let (_, school) = known.iter().map(|(session, school, _)| (*session, *school)).max().unwrap();
    let marked: Vec<(Day, Urn)> = known
        .iter()
        .filter(|(_, _, code)| counted.codes().any(|one| one == *code))
        .map(|(session, school, _)| (session.day(), *school))
        .collect();
    let begins = |at: usize| {
        let (day, school) = marked[at];
        at == 0 || open_days(marked[at - 1].0, day, school, calendars) > within as usize
    };
    let Some(first) = (0..marked.len()).rev().find(|at| begins(*at)) else { return 0 };
    let (first, last) = (marked[first].0, marked.last().unwrap().0);
    let until_now = |day| open_days(day, now.day(), school, calendars);
    match by {
        _ if until_now(last) > within as usize => 0,
        Some(by) if by >= first => until_now(by),
        _ => until_now(first).saturating_sub(after as usize),
    }
}

/// Length of the run of school days of these codes that lasts at the newest session.
fn run(known: &[(Session, Urn, Code)], counted: CodeSet) -> u32 {
    let mut days: BTreeMap<Day, Vec<Code>> = BTreeMap::new();
    for (session, _, code) in known.iter().filter(|(_, _, code)| code.meaning().is_possible()) {
        days.entry(session.day()).or_default().push(*code);
    }
    let fits = |day: &&Vec<Code>| day.iter().all(|code| counted.codes().any(|one| one == *code));
    days.values().rev().take_while(fits).count() as u32
}

fn in_window(known: &[(Session, Urn, Code)], window: Window, year: SchoolYear, calendars: &Calendars) -> Vec<Code> {
    let this_year: Vec<_> = known.iter().filter(|(s, _, _)| s.school_year() == year).collect();
    match window {
        Window::YearToDate => this_year.iter().map(|(_, _, code)| *code).collect(),
        Window::Term => {
            // Back from the newest mark to the last one whose school began a term after the mark before it.
            let mut codes = Vec::new();
            for (at, (session, school, code)) in this_year.iter().enumerate().rev() {
                codes.push(*code);
                let starts = calendars.of(*school).term_starts();
                let begins = |before: Day| starts.iter().any(|start| before < *start && *start <= session.day());
                if at == 0 || begins(this_year[at - 1].0.day()) {
                    break;
                }
            }
            codes
        }
        Window::SchoolWeeks(weeks) => {
            let start = known.iter().map(|(s, school, _)| start_of_window(s.day(), *school, weeks, calendars)).max();
            known.iter().filter(|(s, _, _)| Some(s.day()) >= start).map(|(_, _, code)| *code).collect()
        }
    }
}

/// Walks back week by week until enough of them held an open day; the week of the mark counts anyway.
fn start_of_window(day: Day, school: Urn, weeks: u16, calendars: &Calendars) -> Day {
    let calendar = calendars.of(school);
    let open = |monday: Day| (0..7).any(|d| calendar.is_open(monday.plus(d)));
    let begins = calendar.open_days().first().map(|first| first.monday());
    let mut monday = day.monday();
    let mut left = weeks.saturating_sub(1);
    while left > 0 {
        monday = monday.plus(-7);
        // Before the calendar begins every week is taken for a school week.
        if begins.is_none_or(|first| monday < first) || open(monday) {
            left -= 1;
        }
    }
    monday
}

/// Whether rules of the forecast are not looked at: enough sessions, no level, and the newest session was not missed.
fn unseen(known: &[(Session, Urn, Code)], year: SchoolYear, minimum: u32, held: Option<Level>) -> bool {
    let of_year = || known.iter().filter(|(session, _, _)| session.school_year() == year);
    let possible = of_year().filter(|(_, _, code)| code.meaning().is_possible()).count();
    let newest = of_year().map(|(session, _, _)| *session).max();
    let missed = of_year().any(|(session, _, code)| Some(*session) == newest && code.meaning().is_absent());
    possible > minimum as usize + 1 && held.is_none() && !missed
}

/// The forecast of exactly these marks, made anew; with the possible sessions of the year.
fn foreseen(known: &[(Session, Urn, Code)], year: SchoolYear, calendars: &Calendars) -> (u32, Option<Foreseen>) {
    let record = |year: SchoolYear| {
        let mut record = YearRecord::new(year);
        for (session, school, code) in known.iter().filter(|(session, _, _)| session.school_year() == year) {
            let revision = Revision { revised_at: Timestamp::default(), code: *code, minutes_late: None };
            record.apply(*school, *session, revision);
        }
        record
    };
    let (previous, present) = (record(year.previous()), record(year));
    let profile = Profile { phase: Some(Phase::Primary), ..Profile::default() };
    let history = History { previous: Some(&previous), present: &present, profile };
    let standard = Standard { rules: &RuleSet::default(), calendars, model: &model() };
    (present.counts().possible, foresee(&history, standard))
}

/// Both sums of the change rule over all possible sessions of both years, from the rules in the domain's words.
fn change(known: &[(Session, Urn, Code)]) -> f64 {
    let sum = |least: f64| {
        let (mut sum, mut past, mut since, mut run) = (0.0_f64, (0.0, 0.0), (0.0, 0.0), 0);
        for meaning in known.iter().map(|(_, _, code)| code.meaning()).filter(|meaning| meaning.is_possible()) {
            let usual: f64 = (past.0 + 1.6) / (past.1 + 60.0);
            let changed = (4.0 * usual).max(least).min(0.5);
            if meaning.is_absent() {
                run += 1;
                sum += match run {
                    1 => (changed / usual).ln(),
                    2..=10 => 0.15,
                    _ => 0.0,
                };
                since.0 += f64::from(u8::from(run == 1));
            } else {
                run = 0;
                since.1 += 1.0;
                sum += ((1.0 - changed) / (1.0 - usual)).ln();
            }
            sum = sum.min(20.0);
            if sum <= 0.0 {
                past = (past.0 + since.0, past.1 + since.1);
                (sum, since) = (0.0, (0.0, 0.0));
            }
        }
        sum
    };
    sum(0.0).min(6.0) + sum(0.25)
}

/// The level of a rule that goes by what is ahead, or by the course of the year; `held` is the level before.
fn ahead(
    known: &[(Session, Urn, Code)],
    year: SchoolYear,
    (measure, held): (&Measure, Option<Level>),
    calendars: &Calendars,
) -> Option<Level> {
    match measure {
        Measure::Change { levels } => {
            let sum = change(known);
            let least = |level, least: u32| f64::from(least) * if held >= Some(level) { 0.5 } else { 1.0 };
            levels.iter().filter(|(level, threshold)| sum >= least(*level, *threshold)).map(|(level, _)| level).max()
        }
        Measure::Expected { minimum, .. } | Measure::Chance { minimum, .. } if unseen(known, year, *minimum, held) => {
            held
        }
        Measure::Expected { minimum, margin, levels } => {
            let (possible, foreseen) = foreseen(known, year, calendars);
            let least = |level, least: u32| least - if held >= Some(level) { *margin } else { 0 };
            let missed = foreseen.map_or(0.0, |foreseen| foreseen.outlook.missed);
            let reached = levels.iter().filter(|(level, threshold)| missed >= f64::from(least(*level, *threshold)));
            if possible < *minimum { held } else { reached.map(|(level, _)| level).max() }
        }
        Measure::Pattern { minimum, levels } => {
            let this_year: Vec<_> = known.iter().filter(|(s, _, _)| s.school_year() == year).copied().collect();
            let found = pattern::pattern(&this_year, calendars).filter(|(of, _)| of >= minimum);
            let one_in = found.map_or(0, |(_, one_in)| one_in);
            levels.iter().filter(|(_, least)| one_in >= *least).map(|(level, _)| level).max()
        }
        Measure::Chance { of, minimum, margin, levels } => {
            let (possible, foreseen) = foreseen(known, year, calendars);
            let chance = foreseen.map_or(0.0, |foreseen| of.chance(&foreseen.outlook));
            let least = |level, least: Share| if held >= Some(level) { least.less(*margin) } else { least };
            let reached =
                levels.iter().filter(|(level, threshold)| Share::of_fraction(chance) >= least(*level, *threshold));
            if possible < *minimum { held } else { reached.map(|(level, _)| level).max() }
        }
        _ => None,
    }
}
