//! Absence that keeps coming back at the same place of the week, where chance is an unlikely explanation.
//!
//! Looked at are spells of absence of two school days at the most: longer ones fall on every day. Each is an event; given how many
//! there are of a child, and how its possible school days are spread, the chance that so many or more fall where they fall is
//! binomial. Several places are looked at, so that each must be so many times less likely (Bonferroni). Only `libm` and exact operations.

use crate::calendar::Calendar;
use crate::{Day, Half, Session};

/// Where absence keeps coming back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// On one day of the week, Monday 0.
    Weekday(u8),
    /// On the first or last school day of a week, around weekends and holidays.
    Weekend,
    /// In the afternoons of days that began in school.
    Afternoon,
    /// In one week after the other: of the newest twelve school weeks hardly one is whole.
    BrokenWeeks,
}

impl Pattern {
    /// In a sentence: "on Fridays".
    pub fn text(self) -> &'static str {
        match self {
            Self::Weekday(0) => "on Mondays",
            Self::Weekday(1) => "on Tuesdays",
            Self::Weekday(2) => "on Wednesdays",
            Self::Weekday(3) => "on Thursdays",
            Self::Weekday(4) => "on Fridays",
            Self::Weekday(_) => "on weekends",
            Self::Weekend => "next to weekends and holidays",
            Self::Afternoon => "in the afternoons only",
            Self::BrokenWeeks => "in separate weeks, one after the other",
        }
    }
}

/// A pattern with its figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub pattern: Pattern,
    /// Spells that fit it.
    pub fitting: u32,
    /// Of so many short ones; of broken weeks the weeks.
    pub of: u32,
    /// How unlikely chance is: one in so many, at most a million.
    pub one_in: u32,
    /// Short spells in all.
    pub short: u32,
}

/// The possible sessions of a child's school year, as far as patterns need them.
#[derive(Clone, Debug, Default)]
pub struct Week {
    /// Possible school days, by weekday, and those next to weekends and holidays.
    all: u32,
    days: [u32; 5],
    edges: u32,
    /// Short spells, by the weekday of their first session, and those that touch an edge.
    short: u32,
    spells: [u32; 5],
    at_edge: u32,
    /// Short spells that are one morning or one afternoon.
    mornings: u32,
    afternoons: u32,
    /// The newest school weeks, the newest last: the Monday, whether a short spell began in it.
    weeks: Vec<(Day, bool)>,
    spell: Option<Spell>,
    found: Option<Found>,
    /// The newest day, and whether it is next to a weekend or holiday.
    day: Option<(Day, bool)>,
    newest_absent: bool,
}

/// The spell that is under way, or the last.
#[derive(Clone, Copy, Debug)]
struct Spell {
    first: Session,
    last: Session,
    sessions: u32,
    /// What came before on its first day: whether the morning was attended.
    after_morning: bool,
    edge: bool,
}

/// Spells of more possible sessions than two days have are long.
const SHORT: u32 = 4;

/// Weeks that are looked at for broken ones.
const WEEKS: usize = 12;

/// So many places are looked at: five days, weekends, afternoons, broken weeks.
const PLACES: f64 = 8.0;

impl Week {
    /// Takes a possible session in, in the order of the calendar; true where it ended a short spell.
    pub fn observe(&mut self, session: Session, absent: bool, calendar: Option<&Calendar>) -> bool {
        let short = self.short;
        let day = session.day();
        let known = self.day.filter(|(known, _)| *known == day);
        let same_day = known.is_some();
        let edge = known.map_or_else(|| is_edge(day, calendar), |(_, edge)| edge);
        if !same_day {
            self.day = Some((day, edge));
            self.all += 1;
            if let Some(days) = self.days.get_mut(usize::from(day.weekday())) {
                *days += 1;
            }
            self.edges += u32::from(edge);
            let monday = day.monday();
            if self.weeks.last().is_none_or(|(last, _)| *last != monday) {
                self.weeks.push((monday, false));
                if self.weeks.len() > WEEKS {
                    self.weeks.remove(0);
                }
            }
        }
        match (&mut self.spell, absent) {
            (Some(spell), true) if self.newest_absent => {
                spell.last = session;
                spell.sessions += 1;
                spell.edge |= edge;
            }
            (_, true) => {
                let after_morning = same_day && session.half() == Half::Pm;
                self.spell = Some(Spell { first: session, last: session, sessions: 1, after_morning, edge });
            }
            (Some(spell), false) if self.newest_absent => {
                let spell = *spell;
                self.close(spell, same_day);
            }
            (_, false) => {}
        }
        self.newest_absent = absent;
        self.short != short
    }

    /// Counts a spell that has ended; `same_day`: on the day of its last session.
    fn close(&mut self, spell: Spell, same_day: bool) {
        if spell.sessions > SHORT {
            return;
        }
        self.short += 1;
        if let Some(spells) = self.spells.get_mut(usize::from(spell.first.day().weekday())) {
            *spells += 1;
        }
        self.at_edge += u32::from(spell.edge);
        if spell.sessions == 1 {
            self.mornings += u32::from(spell.first.half() == Half::Am && same_day);
            self.afternoons += u32::from(spell.after_morning);
        }
        for (monday, broken) in &mut self.weeks {
            *broken |= *monday == spell.first.day().monday();
        }
        self.found = self.look();
    }

    /// The least likely of the patterns when the newest short spell had ended; none without one.
    pub fn found(&self) -> Option<Found> {
        self.found
    }

    fn look(&self) -> Option<Found> {
        let (spells, days) = (self.short, self.all);
        if spells == 0 || days == 0 {
            return None;
        }
        let found = |pattern, fitting, of, chance: f64| {
            let tail = (tail(of, fitting, chance) * PLACES).min(1.0);
            Found { pattern, fitting, of, one_in: one_in(tail), short: spells }
        };
        let share = |part: u32| f64::from(part) / f64::from(days);
        let weekdays = (0_u8..).zip(self.spells.iter().zip(&self.days));
        let weekdays =
            weekdays.map(|(weekday, (fitting, days))| found(Pattern::Weekday(weekday), *fitting, spells, share(*days)));
        // A spell of two days touches an edge more often than a day is one.
        let edge = (share(self.edges) * 1.3).min(0.95);
        let weekend = found(Pattern::Weekend, self.at_edge, spells, edge);
        let halves = self.mornings + self.afternoons;
        let afternoon = found(Pattern::Afternoon, self.afternoons, halves, 0.6);
        let broken = u32::try_from(self.weeks.iter().filter(|(_, broken)| *broken).count()).unwrap_or(0);
        let weeks = u32::try_from(self.weeks.len()).unwrap_or(0);
        // As many spells as the child has in a week, thrown into weeks at random, leave this share of weeks touched.
        let a_week = f64::from(spells) / (f64::from(days) / 5.0).max(1.0);
        let touched = 1.0 - libm::exp(-a_week);
        let all_weeks = self.weeks.len() == WEEKS;
        let weeks = all_weeks.then(|| found(Pattern::BrokenWeeks, broken, weeks, touched));
        weekdays.chain([weekend, afternoon]).chain(weeks).max_by_key(|found| found.one_in)
    }
}

/// Whether a day is the first or last school day of its week, or next to a holiday.
fn is_edge(day: Day, calendar: Option<&Calendar>) -> bool {
    let Some(calendar) = calendar else { return matches!(day.weekday(), 0 | 4) };
    let weekday = day.weekday();
    let open = |days: i32| calendar.is_open(day.plus(days));
    weekday == 0 || weekday == 4 || !open(-1) || !open(1)
}

/// The chance of `least` or more of `of`, each of this chance.
fn tail(of: u32, least: u32, chance: f64) -> f64 {
    if least == 0 {
        return 1.0;
    }
    if chance <= 0.0 {
        return 0.0;
    }
    if chance >= 1.0 {
        return 1.0;
    }
    // From the term of `least` upwards, each from the one before it.
    let odds = chance / (1.0 - chance);
    let mut term = libm::exp(
        (0..least).map(|k| libm::log(f64::from(of - k) / f64::from(k + 1))).sum::<f64>()
            + f64::from(least) * libm::log(chance)
            + f64::from(of - least) * libm::log(1.0 - chance),
    );
    let mut sum = 0.0;
    for k in least..=of {
        sum += term;
        term *= odds * f64::from(of - k) / f64::from(k + 1);
    }
    sum.min(1.0)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to a million")]
fn one_in(chance: f64) -> u32 {
    // A border that is met exactly counts, whatever the sums have lost in their last digits.
    libm::floor((1.0 / chance.max(1e-9) + 1e-6).min(1_000_000.0)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weeks of full days, in which the sessions named are missed: week, weekday, half.
    fn weeks(count: i32, missed: impl Fn(i32, i32, Half) -> bool) -> Week {
        let first = Day::parse("2025-09-01").unwrap();
        let mut week = Week::default();
        for number in 0..count {
            for weekday in 0..5 {
                for half in [Half::Am, Half::Pm] {
                    let session = Session::new(first.plus(number * 7 + weekday), half);
                    week.observe(session, missed(number, weekday, half), None);
                }
            }
        }
        week
    }

    fn found(week: &Week) -> (Pattern, u32, u32) {
        let found = week.found().unwrap();
        (found.pattern, found.fitting, found.of)
    }

    #[test]
    fn days_of_the_week_weekends_and_afternoons_are_seen() {
        let wednesdays = weeks(10, |week, weekday, _| weekday == 2 && week < 8);
        assert_eq!(found(&wednesdays), (Pattern::Weekday(2), 8, 8));
        assert!(wednesdays.found().unwrap().one_in > 10_000);
        let edges = weeks(16, |week, weekday, _| weekday == if week % 2 == 0 { 0 } else { 4 } && week % 4 < 2);
        assert_eq!(found(&edges).0, Pattern::Weekend);
        let afternoons = weeks(14, |week, weekday, half| weekday == week % 5 && half == Half::Pm);
        assert_eq!(found(&afternoons), (Pattern::Afternoon, 14, 14));
    }

    #[test]
    fn what_chance_explains_is_no_pattern() {
        let one = |week: &Week| week.found().map_or(0, |found| found.one_in);
        assert_eq!(one(&weeks(10, |_, _, _| false)), 0, "never absent");
        assert!(one(&weeks(10, |week, weekday, _| week % 3 == 0 && weekday == week % 5)) < 100);
        // Two weeks of illness are one long spell.
        assert_eq!(one(&weeks(10, |week, _, _| week == 3 || week == 4)), 0);
        let twice = weeks(10, |week, weekday, _| weekday == 2 && week < 2);
        assert!(one(&twice) < 100, "two Wednesdays");
    }

    #[test]
    fn a_border_that_is_met_exactly_counts() {
        for border in 1..=3_000_u32 {
            let chance = 1.0 / (f64::from(border) * PLACES);
            assert_eq!(one_in(tail(1, 1, chance) * PLACES), border);
            assert_eq!(one_in(tail(2, 2, chance.sqrt()) * PLACES), border);
        }
    }

    #[test]
    fn the_tail_is_that_of_the_binomial() {
        for (of, least, chance) in
            [(10, 0, 0.2_f64), (10, 3, 0.2), (10, 10, 0.2), (40, 12, 0.2), (7, 7, 0.5), (5, 1, 0.9)]
        {
            // Every way to fall, one by one.
            let choose = |k: u32| (0..k).fold(1.0, |c, i| c * f64::from(of - i) / f64::from(i + 1));
            let slow: f64 = (least..=of)
                .map(|k| choose(k) * chance.powi(k.cast_signed()) * (1.0 - chance).powi((of - k).cast_signed()))
                .sum();
            assert!((tail(of, least, chance) - slow).abs() < 1e-9, "{of} {least} {chance}");
        }
    }
}
