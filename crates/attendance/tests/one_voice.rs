//! Rules that fire for the same reason share one alert: its level is the gravest, the first that reaches it speaks, the others are evidence.

mod invented;

use attendance::alert::Change;
use attendance::calendar::{Calendar, Calendars};
use attendance::code::CodeSet;
use attendance::evidence::Evidence;
use attendance::judge::{Fold, History, Standard, transitions};
use attendance::mark::Revision;
use attendance::profile::Profile;
use attendance::record::YearRecord;
use attendance::rule::{Level, Levels, Measure, Rule, RuleId, RuleSet, Window};
use attendance::{Code, Day, Half, SchoolYear, Session, Timestamp, Urn};

fn rules() -> RuleSet {
    let levels = |at_risk, persistent| Levels::new(at_risk, persistent, None).unwrap();
    let rule = |id: &str, measure| Rule::new(RuleId::parse(id).unwrap(), id.to_owned(), measure);
    let (counted, window) = (CodeSet::UNAUTHORISED, Window::YearToDate);
    let with = Some(RuleId::parse("run").unwrap());
    let penalty = rule("penalty", Measure::Sessions { counted, window, levels: levels(Some(4), Some(8)) });
    let illness = rule("illness", Measure::Run { counted: CodeSet::of(&[Code::I]), levels: levels(Some(1), None) });
    let run = rule("run", Measure::Run { counted, levels: levels(Some(2), Some(4)) });
    RuleSet::new(vec![Rule { with, ..penalty }, illness, run]).unwrap()
}

fn record(days: &[Code]) -> YearRecord {
    let mut record = YearRecord::new(SchoolYear::beginning(2025));
    let first = Day::parse("2025-09-01").unwrap();
    for (number, code) in (0..).zip(days) {
        for half in [Half::Am, Half::Pm] {
            let revision = Revision { revised_at: Timestamp::default(), code: *code, minutes_late: None };
            record.apply(Urn::new(900_001).unwrap(), Session::new(first.plus(number), half), revision);
        }
    }
    record
}

fn judged<T>(days: &[Code], look: impl FnOnce(&Fold, &History<'_>, Standard<'_>) -> T) -> T {
    judged_by(&rules(), days, look)
}

fn judged_by<T>(rules: &RuleSet, days: &[Code], look: impl FnOnce(&Fold, &History<'_>, Standard<'_>) -> T) -> T {
    let (model, record) = (invented::model(), record(days));
    let calendars = Calendars::new(Calendar::new([], (0..200).map(|day| Day::parse("2025-09-01").unwrap().plus(day))));
    let history = History { previous: None, present: &record, profile: Profile::default() };
    let standard = Standard { rules, calendars: &calendars, model: &model };
    let mut fold = Fold::default();
    fold.advance(&history, standard, |_| {});
    look(&fold, &history, standard)
}

#[test]
fn one_alert_has_the_gravest_level_and_the_others_stand_behind_it() {
    use Code::{O, Present};
    let told = |days: &[Code]| {
        judged(days, |fold, history, standard| {
            let alerts = fold.findings(standard.rules).zip(standard.rules.alerts());
            let open = alerts.filter(|(finding, _)| finding.level.is_some()).map(|(finding, alert)| {
                let evidence = Evidence::of(&finding, alert, fold, history, standard);
                (alert.id.text().to_owned(), finding.level.unwrap(), evidence.sentence(Change::Raised))
            });
            open.collect::<Vec<_>>()
        })
    };
    assert_eq!(told(&[O]), []);
    let run = "Absent without leave for 2 school days in a row since 1 September. Also: Missed 4 sessions without leave since 1 September";
    assert_eq!(told(&[O, O]), [("run".to_owned(), Level::AtRisk, run.to_owned())], "the first of the two speaks");
    let [(alert, level, sentence)] = &told(&[O, O, Present, O, O])[..] else { panic!("one alert") };
    assert_eq!((alert.as_str(), *level), ("run", Level::Persistent));
    assert!(
        sentence.starts_with("Missed 8 sessions without leave since 1 September. Also: Absent"),
        "the graver: {sentence}"
    );
}

/// Who spoke last tells of the end, and only what has come is settled.
#[test]
fn the_end_is_told_by_the_rule_that_spoke_last() {
    use Code::{I, N, Present};
    let owed = |within| {
        let levels = Levels::new(Some(1), None, None).unwrap();
        let measure = Measure::Unresolved { counted: CodeSet::of(&[N]), after: 0, within, levels };
        let with = Some(RuleId::parse("run").unwrap());
        let rule = Rule::new(RuleId::parse("owed").unwrap(), "owed".to_owned(), measure);
        RuleSet::new([rules().rules(), &[Rule { with, ..rule }]].concat()).unwrap()
    };
    let last = |rules: RuleSet, days: &[Code]| {
        judged_by(&rules, days, |fold, history, standard| {
            let run = standard.rules.alerts().iter().position(|alert| alert.id.text() == "run").unwrap();
            let finding = fold.findings(standard.rules).nth(run).unwrap();
            let evidence = Evidence::of(&finding, &standard.rules.alerts()[run], fold, history, standard);
            (finding.level, finding.owed, evidence.sentence(Change::Cleared))
        })
    };
    let year = "Missed 2 of 4 sessions this school year (50.0%)";
    let standing = last(owed(Some(0)), &[N, Present]);
    assert_eq!(standing, (None, true, format!("No further session of this. {year}")), "the N stands, the day is over");
    let still = last(owed(None), &[N, Present]);
    assert_eq!((still.0, still.1), (Some(Level::AtRisk), true));
    let never = last(owed(None), &[I, Present]);
    assert_eq!((never.0, never.1), (None, false), "the run would speak first, and it never did");
}

#[test]
fn the_alert_goes_on_while_any_of_its_rules_does() {
    use Code::{O, Present};
    let days = [O, O, Present, Present, O, O];
    let changes = judged(&days, |_, history, standard| {
        transitions(history, history.present.entries().next_back().unwrap().session, standard)
            .into_iter()
            .map(|change| (change.alert, change.from, change.to))
            .collect::<Vec<_>>()
    });
    let run = 1;
    let at_risk = Some(Level::AtRisk);
    assert_eq!(
        changes,
        [(run, None, at_risk), (run, at_risk, Some(Level::Persistent))],
        "it is not cleared in between"
    );
}
