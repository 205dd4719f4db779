//! Any order, repetition and correction of the same marks ends in the same record and the same wanted alerts, and in
//! those of the slow second implementation (invariant I-2).
#![expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "small numbers in a test")]

mod invented;
mod oracle;

use attendance::calendar::{Calendar, Calendars};
use attendance::code::CodeSet;
use attendance::enrolment::Groups;
use attendance::forecast::Limit;
use attendance::judge::{Fold, History, Standard, transitions};
use attendance::mark::{MinutesLate, Revision};
use attendance::profile::{Applies, Profile};
use attendance::rate::Share;
use attendance::record::{Applied, Record};
use attendance::rule::{Levels, Measure, Rule, RuleId, RuleSet, Window};
use attendance::trail::Trail;
use attendance::{Code, Day, Half, Mark, Phase, SchoolYear, Session, Timestamp, Upn, Urn};
use proptest::prelude::*;

const YEAR: SchoolYear = SchoolYear::beginning(2025);
/// Its timetable is to be reviewed by 18 September 2025.
const PROFILE: Profile = Profile {
    phase: Some(Phase::Primary),
    year_group: None,
    groups: Groups::NONE,
    part_time_review: Some(Day::from_days(20_349)),
};

/// Days on both sides of the year's border, and of a term's.
fn days() -> impl Strategy<Value = Day> {
    let around = |text: &str, count: i32| {
        let first = Day::parse(text).unwrap();
        (0..count).prop_map(move |days| first.plus(days))
    };
    prop_oneof![2 => around("2025-07-14", 25), 5 => around("2025-09-01", 30), 3 => around("2025-12-15", 30)]
}

fn codes() -> impl Strategy<Value = Code> {
    use Code::{B, D, G, I, L, N, NotTaken, O, Present, Y4};
    prop_oneof![
        4 => Just(Present), 4 => Just(O), 2 => Just(I), 1 => Just(N), 1 => Just(G), 1 => Just(L), 1 => Just(B),
        1 => Just(D), 1 => Just(Y4), 1 => Just(NotTaken)
    ]
}

fn marks() -> impl Strategy<Value = Mark> {
    let half = prop_oneof![Just(Half::Am), Just(Half::Pm)];
    let school = prop_oneof![6 => Just(900_001_u32), 1 => Just(900_002)];
    (days(), half, school, codes(), 0_i64..4, proptest::option::of(0_u32..3)).prop_map(
        |(day, half, school, code, revised_at, minutes)| Mark {
            upn: Upn::parse("R900001000001").unwrap(),
            school: Urn::new(school).unwrap(),
            session: Session::new(day, half),
            revision: Revision {
                revised_at: Timestamp::from_micros(revised_at),
                code,
                minutes_late: minutes.map(|m| MinutesLate::new(m).unwrap()),
            },
        },
    )
}

/// Marks and the same marks in another order, some twice.
fn two_orders() -> impl Strategy<Value = (Vec<Mark>, Vec<Mark>)> {
    proptest::collection::vec(marks(), 0..120).prop_flat_map(|marks| {
        let repeated = proptest::sample::subsequence(marks.clone(), 0..=marks.len());
        repeated.prop_flat_map(move |again| (Just(marks.clone()), Just([marks.clone(), again].concat()).prop_shuffle()))
    })
}

fn rule(id: &str, measure: Measure) -> Rule {
    Rule::new(RuleId::parse(id).unwrap(), id.to_owned(), measure)
}

fn rate(id: &str, window: Window, minimum: u32, margin: u32) -> Rule {
    let levels = Levels::new(Some(Share::percent(5)), Some(Share::percent(10)), Some(Share::percent(50))).unwrap();
    rule(id, Measure::Rate { counted: CodeSet::ABSENT, window, minimum, margin: Share::percent(margin), levels })
}

fn rules() -> RuleSet {
    let levels = Levels::new(Some(2), Some(4), None).unwrap();
    let run = |codes: &[Code]| Measure::Run { counted: CodeSet::of(codes), levels };
    let sessions = |codes: &[Code], window| Measure::Sessions { counted: CodeSet::of(codes), window, levels };
    let shares = Levels::new(Some(Share::percent(20)), None, Some(Share::percent(40))).unwrap();
    let (window, margin) = (Window::SchoolWeeks(3), Share::percent(5));
    let unresolved = |after, within| Measure::Unresolved {
        within,
        counted: CodeSet::of(&[Code::N, Code::O]),
        after,
        levels: Levels::new(Some(1), Some(3), None).unwrap(),
    };
    let review = |after, within| Measure::Review {
        counted: CodeSet::of(&[Code::I, Code::G]),
        after,
        within,
        levels: Levels::new(Some(1), Some(4), None).unwrap(),
    };
    let chance = Measure::Chance { of: Limit::Persistent, minimum: 2, margin, levels: shares };
    let illness = Measure::Rate { counted: CodeSet::of(&[Code::I]), window, minimum: 3, margin, levels: shares };
    RuleSet::new(vec![
        rate("year", Window::YearToDate, 4, 2),
        rate("term", Window::Term, 3, 0),
        rate("weeks", Window::SchoolWeeks(2), 1, 3),
        rate("many-weeks", Window::SchoolWeeks(6), 5, 1),
        rule("run", run(&[Code::G, Code::N, Code::O, Code::U])),
        rule("run-of-some", run(&[Code::O, Code::G])),
        rule("run-of-illness", run(&[Code::I])),
        rule("illness", illness),
        rule("penalty", sessions(&[Code::G, Code::N, Code::O, Code::U], Window::SchoolWeeks(2))),
        rule("illness-in-term", sessions(&[Code::I], Window::Term)),
        rule("late-in-year", sessions(&[Code::L, Code::B], Window::YearToDate)),
        rule("standing", unresolved(0, Some(1))),
        rule("standing-long", unresolved(3, None)),
        rule("review", review(2, 3)),
        rule("review-at-once", review(0, 1)),
        rule("change", Measure::Change { levels: Levels::new(Some(3), Some(8), None).unwrap() }),
        rule(
            "expected",
            Measure::Expected { minimum: 3, margin: 4, levels: Levels::new(Some(20), Some(60), None).unwrap() },
        ),
        rule("chance", chance),
        rule("pattern", Measure::Pattern { minimum: 2, levels: Levels::new(Some(3), Some(20), None).unwrap() }),
        Rule {
            applies: Applies { phases: vec![Phase::Secondary], ..Applies::default() },
            ..rate("others", Window::YearToDate, 1, 0)
        },
        Rule {
            applies: Applies { phases: vec![Phase::Primary], ..Applies::default() },
            ..rate("these", Window::YearToDate, 1, 0)
        },
    ])
    .unwrap()
}

/// The second school keeps other terms and weeks.
fn calendars() -> Calendars {
    let weekdays = |from: &str, to: &str| {
        let (from, to) = (Day::parse(from).unwrap(), Day::parse(to).unwrap());
        (from.days()..=to.days()).map(Day::from_days).filter(|day| day.weekday() < 5).collect::<Vec<_>>()
    };
    let open = [
        weekdays("2025-06-02", "2025-07-18"),
        weekdays("2025-09-02", "2025-12-19"),
        weekdays("2026-01-05", "2026-02-13"),
    ];
    let starts = ["2025-09-02", "2026-01-05"].map(|text| Day::parse(text).unwrap());
    let mut calendars = Calendars::new(Calendar::new(starts, open.concat()));
    let other = [weekdays("2025-09-08", "2025-09-19"), weekdays("2025-12-18", "2026-01-09")].concat();
    calendars.set(Urn::new(900_002).unwrap(), Calendar::new([Day::parse("2025-12-18").unwrap()], other));
    calendars
}

/// Applies marks one by one, advancing the fold after each as a service would, for which the newest session of all is the present one.
fn arrived(marks: &[Mark], as_of: Session, rules: &RuleSet, calendars: &Calendars) -> (Record, Fold) {
    let model = invented::model();
    let standard = Standard { rules, calendars, model: &model };
    let (mut record, mut fold) = (Record::default(), Fold::default());
    for (mark, known) in with_newest(marks, as_of) {
        if let Applied::Changed(session) = record.apply(mark) {
            fold.touched(session);
        }
        if let Some(present) = record.year(YEAR) {
            let history = History { previous: record.year(YEAR.previous()), present, profile: PROFILE };
            fold.advance(&history, standard, |_| {});
            fold.wait(known, &history, standard, |_| {});
        }
    }
    (record, fold)
}

/// The same, as a backtest does.
fn followed(marks: &[Mark], as_of: Session, standard: Standard<'_>) -> Trail {
    let (mut record, mut trail) = (Record::default(), Trail::default());
    for (mark, known) in with_newest(marks, as_of) {
        if let Applied::Changed(session) = record.apply(mark) {
            trail.touched(session);
        }
        if let Some(present) = record.year(YEAR) {
            let history = History { previous: record.year(YEAR.previous()), present, profile: PROFILE };
            trail.advance(&history, standard);
            trail.wait(known, &history, standard);
        }
    }
    trail
}

/// Each mark with the newest session known when it comes; with the last `as_of` is.
fn with_newest(marks: &[Mark], as_of: Session) -> impl Iterator<Item = (&Mark, Session)> {
    let mut newest = Session::new(YEAR.first_day(), Half::Am);
    marks.iter().enumerate().map(move |(at, mark)| {
        newest = newest.max(mark.session);
        (mark, if at + 1 == marks.len() { as_of } else { newest })
    })
}

/// The newest session known in the end: that of the newest mark, or so many days later.
fn newest(marks: &[Mark], later: i32) -> Session {
    let newest = marks.iter().map(|mark| mark.session).max().unwrap_or(Session::new(YEAR.first_day(), Half::Am));
    if later == 0 { newest } else { Session::new(newest.day().plus(later), Half::Pm) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_order_and_repetition_ends_in_the_same_record_and_findings((once, again) in two_orders(), later in 0..9) {
        let (rules, calendars) = (rules(), calendars());
        let model = invented::model();
        let standard = Standard { rules: &rules, calendars: &calendars, model: &model };
        let as_of = newest(&once, later);
        let (record, fold) = arrived(&once, as_of, &rules, &calendars);
        let (other_record, other_fold) = arrived(&again, as_of, &rules, &calendars);
        prop_assert_eq!(&record, &other_record);
        if let Some(present) = record.year(YEAR) {
            let history = History { previous: record.year(YEAR.previous()), present, profile: PROFILE };
            let findings: Vec<_> = fold.findings(standard.rules).collect();
            for rule in 0..rules.rules().len() {
                let measured = fold.measured(rule, &history, standard);
                prop_assert_eq!(measured, other_fold.measured(rule, &history, standard));
            }
            prop_assert_eq!(&findings, &other_fold.findings(standard.rules).collect::<Vec<_>>());
            let mut anew = Fold::default();
            anew.advance(&history, standard, |_| {});
            anew.wait(as_of, &history, standard, |_| {});
            prop_assert_eq!(&findings, &anew.findings(standard.rules).collect::<Vec<_>>());
            let trail = followed(&once, as_of, standard);
            prop_assert_eq!(&findings, &trail.fold().findings(standard.rules).collect::<Vec<_>>());
            prop_assert_eq!(trail.transitions(), &transitions(&history, as_of, standard)[..]);
        }
    }

    #[test]
    fn records_and_findings_are_those_of_the_slow_second_implementation((marks, _) in two_orders(), later in 0..9) {
        let (rules, calendars) = (rules(), calendars());
        let model = invented::model();
        let standard = Standard { rules: &rules, calendars: &calendars, model: &model };
        let as_of = newest(&marks, later);
        let (record, fold) = arrived(&marks, as_of, &rules, &calendars);
        let counting = oracle::counting(&marks);
        for year in [YEAR.previous(), YEAR] {
            let counts = record.year(year).map(attendance::record::YearRecord::counts).unwrap_or_default();
            let expected = oracle::count(counting.iter().filter(|((s, _), _)| s.school_year() == year).map(|(_, c)| c));
            let found = (counts.possible.into(), counts.authorised.into(), counts.unauthorised.into());
            prop_assert_eq!(found, expected, "{}", year);
        }
        if record.year(YEAR).is_some() {
            for (finding, rule) in fold.findings(standard.rules).zip(rules.rules()) {
                let found = oracle::Wanted { level: finding.level, since: finding.since, ended: finding.ended };
                prop_assert_eq!(found, oracle::wanted(&marks, (YEAR, as_of), (rule, PROFILE.part_time_review), &calendars), "rule {}", rule.id);
            }
        }
    }
}

/// The new school counts other terms: its second begins while the child's first lasts, and that is none of the child's.
#[test]
fn a_child_who_changes_school_in_mid_term_keeps_its_term() {
    let rules = RuleSet::new(vec![rate("term", Window::Term, 3, 0)]).unwrap();
    let mut calendars = Calendars::new(Calendar::new([Day::parse("2025-09-02").unwrap()], []));
    let second = ["2025-09-08", "2025-11-03"].map(|text| Day::parse(text).unwrap());
    calendars.set(Urn::new(900_002).unwrap(), Calendar::new(second, []));
    let mark = |school, day: &str, code| Mark {
        upn: Upn::parse("R900001000001").unwrap(),
        school: Urn::new(school).unwrap(),
        session: Session::new(Day::parse(day).unwrap(), Half::Am),
        revision: Revision { revised_at: Timestamp::from_micros(1), code, minutes_late: None },
    };
    let before = ["2025-09-03", "2025-09-04", "2025-11-10"].map(|day| mark(900_001, day, Code::O));
    let after = [mark(900_002, "2025-11-11", Code::Present)];
    let level = |marks: &[Mark]| {
        let (_, fold) = arrived(marks, newest(marks, 0), &rules, &calendars);
        let model = invented::model();
        let standard = Standard { rules: &rules, calendars: &calendars, model: &model };
        fold.findings(standard.rules).next().unwrap().level
    };
    let severe = Some(attendance::rule::Level::Severe);
    assert_eq!((level(&before), level(&[&before[..], &after].concat())), (severe, severe), "3 of 4 in the same term");
    // At a school whose term began after the last mark, it is a new term, with too little yet to change the level.
    let later = [before[0], before[1], mark(900_002, "2025-11-11", Code::Present)];
    assert_eq!(level(&later), None);
}
