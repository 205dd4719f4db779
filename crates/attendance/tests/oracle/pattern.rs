//! Patterns, the slow way: the spells laid out anew, every chance summed term by term.

use attendance::calendar::Calendars;
use attendance::{Code, Day, Half, Session, Urn};
use std::collections::{BTreeMap, BTreeSet};

/// A possible session of a school, and whether it was missed.
type Mark = (Session, Urn, bool);

/// The least likely pattern among the short spells that have ended: how many these are, and one in how many by chance.
pub(crate) fn pattern(known: &[(Session, Urn, Code)], calendars: &Calendars) -> Option<(u32, u32)> {
    let marks: Vec<Mark> = known
        .iter()
        .filter(|(_, _, code)| code.meaning().is_possible())
        .map(|(session, school, code)| (*session, *school, code.meaning().is_absent()))
        .collect();
    let marks = &marks[..=last_end(&marks)?];
    // The first possible mark of each day decides whose calendar the day goes by.
    let mut days: BTreeMap<Day, Urn> = BTreeMap::new();
    for (session, school, _) in marks {
        days.entry(session.day()).or_insert(*school);
    }
    let all = days.len() as f64;
    let short: Vec<&[Mark]> = marks
        .chunk_by(|one, other| one.2 == other.2)
        .filter(|spell| spell[0].2 && spell.len() <= 4 && spell.last() != marks.last())
        .collect();
    let of = short.len() as u32;
    let mut found: Vec<(u32, f64)> = Vec::new();
    for weekday in 0..5 {
        let share = days.keys().filter(|day| day.weekday() == weekday).count() as f64 / all;
        let fitting = short.iter().filter(|spell| spell[0].0.day().weekday() == weekday).count();
        found.push((of, tail(fitting, of, share)));
    }
    let edge = |day: Day, school: Urn| is_edge(day, school, calendars);
    let edges = days.iter().filter(|(day, school)| edge(**day, **school)).count() as f64 / all;
    let touches = |spell: &&&[Mark]| spell.iter().any(|(at, _, _)| edge(at.day(), days[&at.day()]));
    found.push((of, tail(short.iter().filter(touches).count(), of, (edges * 1.3).min(0.95))));
    let halves = |half: Half| short.iter().filter(|spell| is_half(spell, half, marks)).count();
    let (mornings, afternoons) = (halves(Half::Am), halves(Half::Pm));
    let both = (mornings + afternoons) as u32;
    found.push((both, tail(afternoons, both, 0.6)));
    let weeks: BTreeSet<Day> = days.keys().map(|day| day.monday()).collect();
    if weeks.len() >= 12 {
        let begins = |week: &&Day| short.iter().any(|spell| spell[0].0.day().monday() == **week);
        let broken = weeks.iter().rev().take(12).filter(begins).count();
        let a_week = f64::from(of) / (all / 5.0).max(1.0);
        found.push((12, tail(broken, 12, 1.0 - (-a_week).exp())));
    }
    found.into_iter().map(|(_, tail)| (of, one_in(tail))).max_by_key(|(_, one_in)| *one_in)
}

/// Where the newest short spell was seen to have ended.
fn last_end(marks: &[Mark]) -> Option<usize> {
    let length = |at: usize| marks[..at].iter().rev().take_while(|(_, _, absent)| *absent).count();
    (1..marks.len()).rfind(|at| !marks[*at].2 && (1..=4).contains(&length(*at)))
}

fn is_edge(day: Day, school: Urn, calendars: &Calendars) -> bool {
    let open = |other: i32| calendars.of(school).is_open(day.plus(other));
    matches!(day.weekday(), 0 | 4) || !open(-1) || !open(1)
}

/// Whether a spell is one morning or afternoon of a day whose other half was attended.
fn is_half(spell: &[Mark], half: Half, marks: &[Mark]) -> bool {
    let at = marks.iter().position(|other| other == &spell[0]).unwrap();
    let beside = match half {
        Half::Am => marks.get(at + 1),
        Half::Pm => at.checked_sub(1).and_then(|before| marks.get(before)),
    };
    let same_day = beside.is_some_and(|(session, _, _)| session.day() == spell[0].0.day());
    spell.len() == 1 && spell[0].0.half() == half && same_day
}

/// The chance of so many or more, times the number of places that are looked at.
fn tail(fitting: usize, of: u32, chance: f64) -> f64 {
    let choose = |k: u32| (0..k).fold(1.0, |c, i| c * f64::from(of - i) / f64::from(i + 1));
    let power = |base: f64, times: u32| (0..times).fold(1.0, |power, _| power * base);
    let term = |k: u32| choose(k) * power(chance, k) * power(1.0 - chance, of - k);
    let tail: f64 = if fitting == 0 { 1.0 } else { (fitting as u32..=of).map(term).sum() };
    (tail * 8.0).min(1.0)
}

#[expect(clippy::cast_sign_loss, reason = "not below nought")]
fn one_in(chance: f64) -> u32 {
    // A border that is met exactly counts, whatever the sums have lost.
    (1.0 / chance.max(1e-9) + 1e-6).min(1e6) as u32
}
