//! A backtest ends where the slow second implementation ends, and nothing that it says depends on the future.
#![expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "small numbers in a test")]

mod invented;
mod oracle;

use attendance::backtest::{AlertLine, Asked, Known, Newest, Outcome, Unknown, pupil};
use attendance::calendar::{Calendar, Calendars};
use attendance::code::CodeSet;
use attendance::judge::Standard;
use attendance::mark::Revision;
use attendance::rate::Share;
use attendance::rule::{Levels, Measure, Rule, RuleId, RuleSet, Window};
use attendance::{Code, Day, Mark, SchoolYear, Session, Timestamp, Upn, Urn};
use proptest::prelude::*;

const YEAR: SchoolYear = SchoolYear::beginning(2025);

fn rules() -> RuleSet {
    let levels = Levels::new(Some(Share::percent(5)), Some(Share::percent(10)), Some(Share::percent(50))).unwrap();
    let rule = |id: &str, measure| Rule::new(RuleId::parse(id).unwrap(), id.to_owned(), measure);
    let rate = |id: &str, window, minimum| {
        rule(id, Measure::Rate { counted: CodeSet::ABSENT, window, minimum, margin: Share::percent(2), levels })
    };
    let levels = Levels::new(Some(2), Some(4), None).unwrap();
    let run = Measure::Run { counted: CodeSet::UNAUTHORISED, levels };
    let run = rule("run", run);
    let (counted, levels) = (CodeSet::of(&[Code::N]), Levels::new(Some(1), Some(3), None).unwrap());
    let standing = rule("standing", Measure::Unresolved { counted, after: 3, within: None, levels });
    let rates = [rate("year", Window::YearToDate, 4), rate("weeks", Window::SchoolWeeks(2), 2)];
    RuleSet::new([&rates[..], &[run, standing]].concat()).unwrap()
}

fn calendars() -> Calendars {
    Calendars::new(Calendar::new([], (0..60).map(|days| Day::parse("2025-09-01").unwrap().plus(days))))
}

/// Marks of 40 sessions, each with a first version and perhaps later ones, some long after.
fn known() -> impl Strategy<Value = Vec<Known>> {
    use Code::{I, N, NotTaken, O, Present};
    let code = prop_oneof![3 => Just(Present), 2 => Just(O), 1 => Just(I), 1 => Just(N), 1 => Just(NotTaken)];
    let mark = (0_i32..40, code, prop_oneof![3 => 0_i64..3, 1 => 0_i64..400]).prop_map(|(number, code, hours)| {
        let first = Day::parse("2025-09-03").unwrap().days() * 2;
        let session = Session::from_number(first + number);
        let revised_at = session.begins().plus_micros((hours - 1) * 3_600_000_000);
        let upn = Upn::parse("R900001000001").unwrap();
        let revision = Revision { revised_at, code, minutes_late: None };
        let mark = Mark { upn, school: Urn::new(900_001).unwrap(), session, revision };
        Known { at: revised_at.max(session.begins()), mark }
    });
    proptest::collection::vec(mark, 1..80)
}

/// What is known of this child and, from each session's beginning on, of others, up to a moment.
fn heard(known: &[Known], until: Timestamp) -> Vec<(Timestamp, Session)> {
    let first = Day::parse("2025-09-03").unwrap().days() * 2;
    let others = (first..first + 60).map(Session::from_number).map(|session| (session.begins(), session));
    let own = known.iter().map(|known| (known.at, known.mark.session));
    own.chain(others).filter(|(at, _)| *at <= until).collect()
}

fn end() -> Timestamp {
    Timestamp::in_london(Day::parse("2026-07-31").unwrap(), 12)
}

fn run(mut known: Vec<Known>, until: Timestamp) -> Option<Outcome> {
    let (rules, calendars) = (rules(), calendars());
    let newest = Newest::of(heard(&known, until));
    let model = invented::model();
    let standard = Standard { rules: &rules, calendars: &calendars, model: &model };
    pupil(&mut known, Asked { year: YEAR, newest: &newest, evenings: &[] }, standard, &Unknown)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn it_ends_where_the_slow_second_implementation_ends(known in known()) {
        let outcome = run(known.clone(), end()).unwrap();
        let as_of = heard(&known, end()).into_iter().map(|(_, session)| session).max().unwrap();
        let marks: Vec<Mark> = known.iter().map(|known| known.mark).collect();
        let (possible, authorised, unauthorised) = oracle::count(oracle::counting(&marks).values());
        let counts = outcome.counts;
        prop_assert_eq!((possible, authorised, unauthorised), (counts.possible.into(), counts.authorised.into(), counts.unauthorised.into()));
        let mut expected = Vec::new();
        for rule in rules().rules() {
            let wanted = oracle::wanted(&marks, (YEAR, as_of), (rule, None), &calendars());
            if let (Some(level), Some(since)) = (wanted.level, wanted.since) {
                expected.push((rule.id.clone(), level, since));
            }
        }
        prop_assert_eq!(&outcome.wanted, &expected);
        // The last change of each rule agrees with what is wanted.
        for rule in rules().rules() {
            let last = outcome.changes.iter().rev().find(|line| line.rule == rule.id);
            let published = last.and_then(|line| line.difference.published.level);
            let wanted = expected.iter().find(|(id, _, _)| *id == rule.id).map(|(_, level, _)| *level);
            prop_assert_eq!(published, wanted);
        }
    }

    #[test]
    fn no_alert_knows_the_future(known in known(), moment in 0_usize..80) {
        let outcome = run(known.clone(), end()).unwrap();
        let now = known[moment % known.len()].at;
        let past: Vec<Known> = known.into_iter().filter(|known| known.at <= now).collect();
        let until_now = |line: &&AlertLine| line.known_at <= now;
        let so_far = run(past, now).map(|outcome| outcome.changes).unwrap_or_default();
        let expected: Vec<AlertLine> = outcome.changes.iter().filter(until_now).cloned().collect();
        prop_assert_eq!(so_far, expected);
    }

    #[test]
    fn a_change_bears_the_newest_session_known_and_never_one_to_come(known in known()) {
        for line in run(known.clone(), end()).unwrap().changes {
            let heard = heard(&known, line.known_at).into_iter().map(|(_, session)| session);
            prop_assert_eq!(Some(line.as_of), heard.max());
            prop_assert!(line.as_of.begins() <= line.known_at.max(Timestamp::default()));
        }
    }
}
