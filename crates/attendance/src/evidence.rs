//! Why an alert was raised: the figures, the strip of codes, and one plain sentence that needs no other system.

use crate::alert::Change;
use crate::code::CodeSet;
use crate::day::Day;
use crate::judge::{Finding, History, InWindow, Measured};
use crate::rate::Counts;
use crate::record::YearRecord;
use crate::{Code, Session, Urn};

/// How many of the newest marks the strip shows: four school weeks of one school.
const STRIP: usize = 40;

/// One mark of the strip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StripMark {
    /// The session.
    pub session: Session,
    /// The school.
    pub school: Option<Urn>,
    /// The code.
    pub code: Code,
}

/// What an alert rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What the rule measured.
    pub measured: Measured,
    /// Counts over the school year so far.
    pub year_to_date: Counts,
    /// Spells of absence in the school year so far: from a session missed to the next attended, over weekends,
    /// holidays and sessions that were not possible.
    pub spells: u32,
    /// The newest marks, the oldest first.
    pub strip: Vec<StripMark>,
}

impl Evidence {
    /// The evidence of a finding.
    pub fn of(finding: &Finding, history: &History<'_>) -> Self {
        let record = history.present;
        let newest = record.entries().rev().filter(|entry| entry.revision.code != Code::NotTaken).take(STRIP);
        let mut strip: Vec<StripMark> = newest
            .map(|entry| StripMark { session: entry.session, school: record.school(entry), code: entry.revision.code })
            .collect();
        strip.reverse();
        Self { measured: finding.measured, year_to_date: record.counts(), spells: spells(record), strip }
    }

    /// The rate that the rule measured; where it measures none the absence rate of the year to date. From 0 to 1.
    pub fn rate(&self) -> Option<f64> {
        match self.measured {
            Measured::Rate(window) => window.rate().fraction(),
            Measured::Sessions(_) | Measured::Run { .. } => self.year_to_date.absence().fraction(),
        }
    }

    /// The sentence of a change: "Missed 9 of 52 sessions since 2 September (17.3%)".
    pub fn sentence(&self, change: Change) -> String {
        let figures = match self.measured {
            Measured::Rate(window) => rate_sentence(&window),
            Measured::Sessions(window) => sessions_sentence(&window),
            Measured::Run { days: 0, .. } => {
                let (of, counts) = (CodeSet::ABSENT, self.year_to_date);
                rate_sentence(&InWindow { of, counted: counts.absent(), counts, from: None })
            }
            Measured::Run { of, days, from } => run_sentence(of, days, from),
        };
        match change {
            Change::Raised | Change::Escalated | Change::Reduced | Change::Moved => figures,
            Change::Cleared if matches!(self.measured, Measured::Run { .. }) => {
                format!("The days in a row have ended. {figures}")
            }
            Change::Cleared => format!("Improved: no longer at this alert's level. {figures}"),
            Change::Withdrawn => format!("Taken back: corrected registers or changed rules disprove it. {figures}"),
            Change::YearEnded => format!("The school year is over. {figures}"),
        }
    }
}

fn rate_sentence(window: &InWindow) -> String {
    let InWindow { of, counted, counts, from } = window;
    let (possible, percent) = (counts.possible, window.rate().percent());
    let since = since(*from);
    match missed(*of) {
        Some(how) => format!("Missed {counted} of {possible} sessions{how}{since} ({percent})"),
        None => format!("{counted} of {possible} sessions{since} were marked {of} ({percent})"),
    }
}

fn sessions_sentence(window: &InWindow) -> String {
    let InWindow { of, counted, from, .. } = window;
    let (since, sessions) = (since(*from), if *counted == 1 { "session" } else { "sessions" });
    match missed(*of) {
        Some(how) => format!("Missed {counted} {sessions}{how}{since}"),
        None => format!("{counted} {sessions}{since} marked {of}"),
    }
}

fn run_sentence(of: CodeSet, days: u32, from: Option<Day>) -> String {
    let since = from.map_or_else(String::new, |from| format!(" since {}", spoken(from)));
    let what = missed(of).map_or_else(|| format!("Marked {of}"), |how| format!("Absent{how}"));
    match days {
        1 => format!("{what} for 1 school day{since}"),
        _ => format!("{what} for {days} school days in a row{since}"),
    }
}

fn since(from: Option<Session>) -> String {
    from.map_or_else(|| " this school year".to_owned(), |from| format!(" since {}", spoken(from.day())))
}

/// How sessions of these codes are missed, where they are a kind of absence.
fn missed(of: CodeSet) -> Option<&'static str> {
    match of {
        CodeSet::ABSENT => Some(""),
        CodeSet::AUTHORISED => Some(" with leave"),
        CodeSet::UNAUTHORISED => Some(" without leave"),
        _ => None,
    }
}

/// A day as people say it: "2 September".
fn spoken(day: Day) -> String {
    let date = day.date();
    let month = match date.month() {
        1 => "January",
        2 => "February",
        3 => "March",
        4 => "April",
        5 => "May",
        6 => "June",
        7 => "July",
        8 => "August",
        9 => "September",
        10 => "October",
        11 => "November",
        _ => "December",
    };
    format!("{} {month}", date.day())
}

/// Spells of absence in a record.
pub fn spells(record: &YearRecord) -> u32 {
    let mut spells = 0;
    let mut away = false;
    for meaning in record.entries().map(|entry| entry.revision.code.meaning()).filter(|meaning| meaning.is_possible()) {
        spells += u32::from(meaning.is_absent() && !away);
        away = meaning.is_absent();
    }
    spells
}

/// The strip as text, a day a group: "3 Sep / \\  4 Sep O O".
pub fn strip_text(strip: &[StripMark]) -> String {
    let mut text = String::new();
    let mut day = None;
    for mark in strip {
        if day != Some(mark.session.day()) {
            day = Some(mark.session.day());
            let spoken = spoken(mark.session.day());
            let short: String = spoken.chars().take(spoken.find(' ').unwrap_or(0) + 4).collect();
            text.push_str(if text.is_empty() { "" } else { "  " });
            text.push_str(&short);
        }
        text.push(' ');
        text.push_str(mark.code.text());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mark::Revision;
    use crate::{Half, SchoolYear, Timestamp};

    fn record(codes: &[Code]) -> YearRecord {
        let mut record = YearRecord::new(SchoolYear::beginning(2025));
        let first = Session::new(Day::parse("2025-09-02").unwrap(), Half::Am);
        for (at, &code) in codes.iter().enumerate() {
            let session = Session::from_number(first.number() + i32::try_from(at).unwrap());
            let revision = Revision { revised_at: Timestamp::default(), code, minutes_late: None };
            record.apply(Urn::new(900_001).unwrap(), session, revision);
        }
        record
    }

    #[test]
    fn a_spell_runs_over_sessions_that_were_not_possible() {
        use Code::{I, O, Present, X, Y4};
        assert_eq!(spells(&record(&[Present, I, Y4, X, O, Present, I])), 2);
        assert_eq!(spells(&record(&[])), 0);
    }

    #[test]
    fn the_sentence_tells_figures_since_when_and_the_rate() {
        let from = Session::new(Day::parse("2025-09-02").unwrap(), Half::Am);
        let counts = Counts { possible: 52, authorised: 4, unauthorised: 5 };
        let window = InWindow { of: CodeSet::ABSENT, counted: 9, counts, from: Some(from) };
        let measured = Measured::Rate(window);
        let mut evidence = Evidence { measured, year_to_date: counts, spells: 3, strip: vec![] };
        assert_eq!(evidence.sentence(Change::Raised), "Missed 9 of 52 sessions since 2 September (17.3%)");
        assert_eq!(
            evidence.sentence(Change::Cleared),
            "Improved: no longer at this alert's level. Missed 9 of 52 sessions since 2 September (17.3%)"
        );
        let mut told = |measured| {
            evidence.measured = measured;
            evidence.sentence(Change::Raised)
        };
        let illness = InWindow { of: CodeSet::of(&[Code::I]), counted: 4, ..window };
        assert_eq!(told(Measured::Rate(illness)), "4 of 52 sessions since 2 September were marked I (7.6%)");
        assert_eq!(told(Measured::Sessions(illness)), "4 sessions since 2 September marked I");
        let without_leave = InWindow { of: CodeSet::UNAUTHORISED, counted: 5, ..window };
        assert_eq!(
            told(Measured::Rate(without_leave)),
            "Missed 5 of 52 sessions without leave since 2 September (9.6%)"
        );
        assert_eq!(told(Measured::Sessions(without_leave)), "Missed 5 sessions without leave since 2 September");
        let suspended = CodeSet::of(&[Code::E]);
        let run = Measured::Run { of: suspended, days: 6, from: Some(from.day()) };
        assert_eq!(told(run), "Marked E for 6 school days in a row since 2 September");
        evidence.measured = Measured::Run { of: CodeSet::UNAUTHORISED, days: 5, from: Some(from.day()) };
        assert_eq!(
            evidence.sentence(Change::Raised),
            "Absent without leave for 5 school days in a row since 2 September"
        );
        assert!(evidence.sentence(Change::Withdrawn).starts_with("Taken back: corrected registers"));
    }

    #[test]
    fn the_strip_shows_the_newest_marks_day_by_day() {
        let record = record(&[Code::Present, Code::NotTaken, Code::O]);
        let evidence = Evidence::of(&Finding::NONE, &History { previous: None, present: &record });
        assert_eq!(strip_text(&evidence.strip), "2 Sep /  3 Sep O");
    }
}
