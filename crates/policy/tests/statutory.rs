//! The statutory trigger points by the rules that ship, exact to the session at each border.
//!
//! Sources: "Working together to improve school attendance" (DfE, August 2024), by heading; the School Attendance (Pupil
//! Registration) (England) Regulations 2024; "Suspension and permanent exclusion" (DfE).

use attendance::calendar::{Calendar, Calendars};
use attendance::enrolment::{Group, Groups, YearGroup};
use attendance::judge::{Fold, History, Standard};
use attendance::mark::Revision;
use attendance::profile::Profile;
use attendance::record::Record;
use attendance::rule::Level::{self, AtRisk, Persistent, Severe};
use attendance::{Code, Day, Half, Mark, SchoolYear, Session, Timestamp, Upn, Urn};

const P: Code = Code::Present;
const O: Code = Code::O;

/// School days: weekdays from April on, but for August and for half term's week; a term begins in April, in September and in January.
fn calendars() -> Calendars {
    let day = |text: &str| Day::parse(text).unwrap();
    let first = day("2025-04-07");
    let open = (0..330).map(|number| first.plus(number)).filter(|day| day.weekday() < 5);
    let closed = |from: &str, to: &str| {
        let days = day(from)..=day(to);
        move |date: &Day| days.contains(date)
    };
    let (summer, half_term) = (closed("2025-07-23", "2025-08-31"), closed("2025-10-27", "2025-10-31"));
    let open: Vec<Day> = open.filter(|day| !summer(day) && !half_term(day)).collect();
    Calendars::new(Calendar::new([day("2025-04-07"), day("2025-09-01"), day("2026-01-05")], open))
}

/// The level of a rule that ships, after these marks of the school days from a date on: a pair a day.
fn level_from(rule: &str, first: &str, days: &[[Code; 2]]) -> Option<Level> {
    level_of(Profile::default(), rule, first, days)
}

/// The same for a child of this profile.
fn level_of(profile: Profile, rule: &str, first: &str, days: &[[Code; 2]]) -> Option<Level> {
    level_when(None, profile, rule, first, days)
}

/// The same in the morning of a day, which may lie after the last mark.
fn level_when(as_of: Option<&str>, profile: Profile, rule: &str, first: &str, days: &[[Code; 2]]) -> Option<Level> {
    let (rules, calendars) = (policy::read_rules(policy::DEFAULT_RULES).unwrap(), calendars());
    let mut record = Record::default();
    let first = Day::parse(first).unwrap();
    let school = Urn::new(900_001).unwrap();
    let open = (0..).map(|number| first.plus(number)).filter(|day| calendars.of(school).is_open(*day));
    let mut newest = None;
    for (day, codes) in open.zip(days) {
        for (half, code) in [Half::Am, Half::Pm].into_iter().zip(*codes) {
            let revision = Revision { revised_at: Timestamp::from_micros(1), code, minutes_late: None };
            let (upn, session) = (Upn::parse("R900001000001").unwrap(), Session::new(day, half));
            record.apply(&Mark { upn, school, session, revision });
            newest = Some(session);
        }
    }
    let year = newest.map_or(SchoolYear::beginning(2025), Session::school_year);
    let history = History { previous: record.year(year.previous()), present: record.year(year).unwrap(), profile };
    let model = policy::read_projection(None).unwrap();
    let standard = Standard { rules: &rules, calendars: &calendars, model: &model };
    let mut fold = Fold::default();
    fold.advance(&history, standard, |_| {});
    if let Some(day) = as_of {
        fold.wait(Session::new(Day::parse(day).unwrap(), Half::Am), &history, standard, |_| {});
    }
    let place = rules.rules().iter().position(|known| known.id.text() == rule).expect(rule);
    fold.levels().nth(place).unwrap()
}

fn level(rule: &str, days: &[[Code; 2]]) -> Option<Level> {
    level_from(rule, "2025-09-01", days)
}

fn all(code: Code, days: usize) -> Vec<[Code; 2]> {
    vec![[code, code]; days]
}

fn joined(parts: &[Vec<[Code; 2]>]) -> Vec<[Code; 2]> {
    parts.concat()
}

/// Guidance, "Attendance returns": ten school days in a row of G, N, O or U.
#[test]
fn attendance_return() {
    let rule = "unauthorised-run";
    assert_eq!(level(rule, &all(O, 4)), None);
    assert_eq!(level(rule, &all(O, 9)), Some(AtRisk));
    assert_eq!(level(rule, &all(O, 10)), Some(Persistent));
    let mixed = [[Code::G, Code::G], [Code::N, Code::O], [Code::U, Code::U]].repeat(4);
    assert_eq!(level(rule, &mixed[..10]), Some(Persistent), "any of the four codes, mixed");
    for breaks in [[P, O], [O, P], [Code::I, Code::I], [Code::I, O], [Code::B, O]] {
        assert_eq!(level(rule, &joined(&[all(O, 9), vec![breaks], all(O, 4)])), None, "{breaks:?} breaks");
    }
    for skipped in [[Code::Closure; 2], [Code::Y4; 2], [Code::D; 2], [Code::NotTaken; 2], [Code::X; 2]] {
        let days = joined(&[all(O, 9), vec![skipped], all(O, 1)]);
        assert_eq!(level(rule, &days), Some(Persistent), "{skipped:?} neither counts nor breaks");
    }
    let half = joined(&[all(O, 9), vec![[Code::NotTaken, O]]]);
    assert_eq!(level(rule, &half), Some(Persistent), "a day with one possible mark is a day");
    let across = level_from(rule, "2025-07-16", &all(O, 10));
    assert_eq!(across, Some(Persistent), "five days before the summer and five after it are ten in a row");
}

/// Guidance, "National framework for penalty notices": ten sessions within ten school weeks.
#[test]
fn penalty_notice_threshold() {
    let rule = "penalty-notice";
    assert_eq!(level(rule, &joined(&[all(O, 4), vec![[O, P]]])), None, "nine sessions");
    assert_eq!(level(rule, &joined(&[all(O, 4), vec![[O, Code::U]]])), Some(Persistent), "ten");
    assert_eq!(level(rule, &all(Code::I, 20)), None, "leave is none");
    // The first in week 1, nine more in week 10; half term's week is no school week.
    let tenth = joined(&[vec![[O, P]], all(P, 48), all(Code::G, 4)]);
    assert_eq!(level(rule, &joined(&[tenth[..49].to_vec(), vec![[O, P]]])), None);
    let in_ten = joined(&[vec![[O, P]], all(P, 44), all(O, 4), vec![[O, P]]]);
    assert_eq!(level(rule, &in_ten), Some(Persistent), "the last day of the tenth school week");
    let in_eleven = joined(&[vec![[O, P]], all(P, 45), all(O, 4), vec![[O, P]]]);
    assert_eq!(level(rule, &in_eleven), None, "the first has left the window by the eleventh week");
    // Terms, the summer and the school year do not matter: two weeks in July, then September.
    let across = joined(&[all(O, 3), all(P, 5), all(O, 2)]);
    assert_eq!(level_from(rule, "2025-07-14", &across), Some(Persistent), "it spans school years");
}

/// Regulations 2024, regulation 9: twenty school days in a row, every mark G, N or O.
#[test]
fn twenty_day_rule() {
    let rule = "twenty-days";
    assert_eq!(level(rule, &all(Code::N, 19)), None);
    assert_eq!(level(rule, &all(Code::N, 20)), Some(Severe));
    assert_eq!(level(rule, &joined(&[all(Code::G, 10), all(O, 10)])), Some(Severe));
    for code in [Code::U, Code::I, P] {
        assert_eq!(level(rule, &joined(&[all(O, 15), all(code, 1), all(O, 10)])), None, "{code} breaks it");
    }
}

/// Guidance, "Sickness returns": fifteen school days, in a row or in all.
#[test]
fn sickness_return() {
    let in_a_row = |days| level("illness-run", &all(Code::I, days));
    assert_eq!([in_a_row(9), in_a_row(10), in_a_row(14)], [None, Some(AtRisk), Some(AtRisk)]);
    assert_eq!(in_a_row(15), Some(Persistent));
    assert_eq!(level("illness-run", &joined(&[all(Code::I, 14), all(Code::M, 1), all(Code::I, 1)])), None);
    let scattered = |days| level("illness", &[[Code::I, P], [P, P]].repeat(days));
    assert_eq!([scattered(19), scattered(20), scattered(29)], [None, Some(AtRisk), Some(AtRisk)]);
    assert_eq!(scattered(30), Some(Persistent), "thirty sessions are fifteen days");
}

/// "Suspension and permanent exclusion": the sixth day in a row, more than fifteen days in a term, forty-five in a year.
#[test]
fn suspensions() {
    let in_a_row = |days| level("suspension-run", &all(Code::E, days));
    assert_eq!([in_a_row(4), in_a_row(5), in_a_row(6)], [None, Some(AtRisk), Some(Persistent)]);
    let fifteen = joined(&[all(Code::E, 8), all(P, 3), all(Code::E, 7)]);
    assert_eq!(level("suspension-term", &fifteen), Some(AtRisk), "fifteen days are not more than fifteen");
    assert_eq!(level("suspension-term", &joined(&[fifteen.clone(), vec![[Code::E, P]]])), Some(Persistent));
    let next_term = joined(&[fifteen, all(P, 80), vec![[Code::E, P]]]);
    assert_eq!(level("suspension-term", &next_term), None, "each term counts for itself");
    let year = |days| level("suspension-year", &joined(&[all(Code::E, days), vec![[Code::E, P]]]));
    assert_eq!([year(29), year(30), year(44)], [None, Some(Persistent), Some(Persistent)]);
    assert_eq!(level("suspension-year", &all(Code::E, 45)), Some(Severe));
}

/// N becomes another code at the latest five school days after the session.
#[test]
fn reasons_that_are_owed() {
    let rule = "unresolved";
    let n = [Code::N, P];
    assert_eq!(level(rule, &joined(&[vec![n], all(P, 5)])), None, "the fifth school day after it");
    assert_eq!(level(rule, &joined(&[vec![n], all(P, 6)])), Some(AtRisk), "the sixth");
    assert_eq!(level(rule, &joined(&[vec![[Code::O, P]], all(P, 9)])), None, "it has become another code");
    let over_a_weekend = joined(&[all(P, 3), vec![n], all(P, 5)]);
    assert_eq!(level(rule, &over_a_weekend), None, "weekends are no school days");
    let no_further_mark = |as_of| level_when(Some(as_of), Profile::default(), rule, "2025-10-23", &[n]);
    assert_eq!(no_further_mark("2025-11-06"), None, "the fifth after half term, though no mark has come");
    assert_eq!(no_further_mark("2025-11-07"), Some(AtRisk), "the sixth, by the calendar alone");
    let over_the_summer = level_from(rule, "2025-07-21", &joined(&[vec![n], all(P, 1)]));
    assert_eq!(over_the_summer, None);
}

/// The worker of a child who is away without a reason is told the same day.
#[test]
fn unexplained_absence_of_children_with_a_worker() {
    let of = |group| Profile { groups: Groups::NONE.with(group), ..Profile::default() };
    let level = |profile, days: &[[Code; 2]]| level_of(profile, "unexplained-today", "2025-09-01", days);
    for group in [Group::SocialWorker, Group::YouthJustice] {
        assert_eq!(level(of(group), &[[P, P], [Code::N, P]]), Some(AtRisk), "{group:?}");
        assert_eq!(level(of(group), &[[P, P], [Code::I, P]]), None, "a reason is known");
    }
    assert_eq!(level(of(Group::Fsm), &[[P, P], [Code::N, P]]), None);
    assert_eq!(level(Profile::default(), &[[P, P], [Code::N, P]]), None);
}

/// Guidance, "Part-time timetables".
#[test]
fn part_time_timetable() {
    let days = |days| level("part-time-timetable", &[[P, Code::C2]].repeat(days));
    assert_eq!([days(29), days(30), days(60)], [None, Some(AtRisk), Some(Persistent)]);
    let rule = "part-time-review";
    let part_time = |days| [[P, Code::C2]].repeat(days);
    assert_eq!([level(rule, &part_time(31)), level(rule, &part_time(32))], [None, Some(AtRisk)], "six school weeks");
    let by = |day: &str| Profile { part_time_review: Some(Day::parse(day).unwrap()), ..Profile::default() };
    let reviewed = |day, as_of| level_when(Some(as_of), by(day), rule, "2025-09-01", &part_time(5));
    assert_eq!(reviewed("2025-09-12", "2025-09-12"), None, "on the day itself");
    assert_eq!(reviewed("2025-09-12", "2025-09-15"), Some(AtRisk), "the next school day, by the calendar alone");
    assert_eq!(reviewed("2025-09-22", "2025-10-01"), None, "the timetable ended before");
    let planned = level_of(by("2025-11-14"), rule, "2025-09-01", &part_time(40));
    assert_eq!(planned, None, "what is planned may take longer");
    let over = joined(&[part_time(40), all(P, 11)]);
    assert_eq!(level(rule, &over), None, "back full time");
}

/// Returns and penalty notices are for children of compulsory school age.
#[test]
fn compulsory_school_age() {
    let of = |group: &str| Profile { year_group: Some(YearGroup::parse(group).unwrap()), ..Profile::default() };
    for (rule, code) in [("unauthorised-run", O), ("penalty-notice", O), ("illness-run", Code::I), ("illness", Code::I)]
    {
        let level = |profile| level_of(profile, rule, "2025-09-01", &all(code, 15));
        for group in ["N1", "N2", "12", "13", "14"] {
            assert_eq!(level(of(group)), None, "{rule}, {group}");
        }
        for group in ["R", "1", "11"] {
            assert_eq!(level(of(group)), Some(Persistent), "{rule}, {group}");
        }
        assert_eq!(level(Profile::default()), Some(Persistent), "{rule}: nobody is left out for want of a roster");
    }
    let not_yet = level_of(of("R"), "unauthorised-run", "2025-09-01", &all(Code::X, 15));
    assert_eq!(not_yet, None, "who need not attend yet is marked X");
}
