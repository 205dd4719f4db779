//! Why an alert was raised: the figures, the strip of codes, what is to be expected, and one plain sentence that needs no other system.

use crate::alert::Change;
use crate::code::CodeSet;
use crate::day::Day;
use crate::forecast::{Foreseen, Limit};
use crate::judge::{Finding, Fold, History, InWindow, Measured, Standard};
use crate::pattern::{Found, Pattern};
use crate::rate::Counts;
use crate::record::YearRecord;
use crate::rule::{RuleId, Shared};
use crate::{Code, Session, Urn};
use std::fmt;

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

/// What one rule says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The rule; none where an alert ends with its year or its rule.
    pub rule: Option<RuleId>,
    /// What it measured.
    pub measured: Measured,
    /// Its sentence, where it is not the usual one.
    pub template: Option<Template>,
}

/// What an alert rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// What the rule says that speaks.
    pub said: Said,
    /// What other rules of the same alert say that have reached a level.
    pub also: Vec<Said>,
    /// Counts over the school year so far.
    pub year_to_date: Counts,
    /// Spells of absence in the school year so far: from a session missed to the next attended, over weekends,
    /// holidays and sessions that were not possible.
    pub spells: u32,
    /// The newest marks, the oldest first.
    pub strip: Vec<StripMark>,
    /// What the rest of the year will bring, if nothing changes.
    pub foreseen: Option<Foreseen>,
}

impl Evidence {
    /// The evidence of an alert's finding.
    pub fn of(finding: &Finding, alert: &Shared, fold: &Fold, history: &History<'_>, standard: Standard<'_>) -> Self {
        let rules = standard.rules.rules();
        let said = |place: usize| {
            let rule = rules.get(place);
            Said {
                rule: rule.map(|rule| rule.id.clone()),
                measured: fold.measured(place, history, standard),
                template: rule.and_then(|rule| rule.sentence.clone()),
            }
        };
        let levels: Vec<_> = fold.levels().collect();
        let reached = |place: &&usize| **place != finding.leading && levels.get(**place).is_some_and(Option::is_some);
        let also = alert.rules.iter().filter(reached).map(|place| said(*place)).collect();
        Self {
            said: said(finding.leading),
            also,
            foreseen: fold.foreseen(history, standard),
            ..Self::bare(history.present)
        }
    }

    /// The evidence of an alert that no rule speaks of any more.
    pub fn bare(record: &YearRecord) -> Self {
        let newest = record.entries().rev().filter(|entry| entry.revision.code != Code::NotTaken).take(STRIP);
        let mut strip: Vec<StripMark> = newest
            .map(|entry| StripMark { session: entry.session, school: record.school(entry), code: entry.revision.code })
            .collect();
        strip.reverse();
        let said = Said { rule: None, measured: Measured::NONE, template: None };
        Self { said, also: vec![], year_to_date: record.counts(), spells: spells(record), strip, foreseen: None }
    }

    /// The rate that the rule measured; where it measures none the absence rate of the year to date. From 0 to 1.
    pub fn rate(&self) -> Option<f64> {
        match self.said.measured {
            Measured::Rate(window) => window.rate().fraction(),
            Measured::Sessions(_)
            | Measured::Run { .. }
            | Measured::Unresolved { .. }
            | Measured::Review { .. }
            | Measured::Chance { .. }
            | Measured::Expected { .. }
            | Measured::Pattern { .. }
            | Measured::Change { .. } => self.year_to_date.absence().fraction(),
        }
    }

    /// The sentence of a change: "Missed 9 of 52 sessions since 2 September (17.3%)".
    pub fn sentence(&self, change: Change) -> String {
        let mut figures = self.told(&self.said);
        let also: Vec<String> = self.also.iter().map(|said| self.told(said)).collect();
        if !also.is_empty() {
            figures = format!("{figures}. Also: {}", also.join("; "));
        }
        match change {
            Change::Raised | Change::Escalated | Change::Reduced | Change::Moved => figures,
            Change::Cleared if matches!(self.said.measured, Measured::Run { .. }) => {
                format!("The days in a row have ended. {figures}")
            }
            Change::Cleared if matches!(self.said.measured, Measured::Unresolved { standing: 0, .. }) => {
                format!("Settled: it is marked otherwise now. {}", year_sentence(self.year_to_date))
            }
            Change::Cleared if matches!(self.said.measured, Measured::Unresolved { .. }) => {
                format!("No further session of this. {}", year_sentence(self.year_to_date))
            }
            Change::Cleared if matches!(self.said.measured, Measured::Review { .. }) => {
                format!("Reviewed, or over. {}", year_sentence(self.year_to_date))
            }
            Change::Cleared => format!("Improved: no longer at this alert's level. {figures}"),
            Change::Withdrawn => {
                format!("Taken back: corrected registers, the roster or changed rules disprove it. {figures}")
            }
            Change::YearEnded => format!("The school year is over. {figures}"),
        }
    }

    /// What a rule says, in a sentence.
    fn told(&self, said: &Said) -> String {
        if let Some(template) = &said.template {
            return template.fill(|field| self.value(field, said.measured));
        }
        match said.measured {
            Measured::Rate(window) => rate_sentence(&window),
            Measured::Sessions(window) => sessions_sentence(&window),
            Measured::Run { days: 0, .. } => year_sentence(self.year_to_date),
            Measured::Run { of, days, from } => run_sentence(of, days, from),
            Measured::Unresolved { of, sessions, after, .. } => unresolved_sentence(of, sessions, after),
            Measured::Review { of, overdue, from: Some(from), by } if overdue > 0 => {
                review_sentence(of, overdue, from, by)
            }
            Measured::Review { .. } => year_sentence(self.year_to_date),
            Measured::Chance { of, chance, counts } => {
                let year = year_sentence(counts);
                let absent = if of == Limit::Persistent { "persistently" } else { "severely" };
                format!("{year}; the chance to end it {absent} absent is {:.0}%", chance.fraction() * 100.0)
            }
            Measured::Expected { missed, counts, .. } => format!("{}; {}", year_sentence(counts), expected(missed)),
            Measured::Pattern { found: Some(found), .. } => pattern_sentence(found),
            Measured::Pattern { found: None, counts } => year_sentence(counts),
            Measured::Change { missed, newest, .. } => {
                let often = if missed * 10 >= newest * 2 {
                    ", far more often than before"
                } else {
                    " after a time of many absences"
                };
                format!("Missed {missed} of the last {newest} sessions{often}")
            }
        }
    }

    /// The value of a template's field.
    fn value(&self, field: Field, measured: Measured) -> String {
        let year = self.year_to_date;
        let (counted, possible, percent, from) = match measured {
            Measured::Rate(window) | Measured::Sessions(window) => {
                (window.counted, window.counts.possible, window.rate().percent(), window.from.map(Session::day))
            }
            Measured::Run { days, from, .. } => (days, year.possible, year.absence().percent(), from),
            Measured::Unresolved { sessions, .. } => (sessions, year.possible, year.absence().percent(), None),
            Measured::Review { overdue, from, .. } => (overdue, year.possible, year.absence().percent(), from),
            Measured::Change { missed, newest, .. } => (missed, newest, year.absence().percent(), None),
            Measured::Pattern { found: Some(found), .. } => (found.fitting, found.of, year.absence().percent(), None),
            Measured::Chance { .. } | Measured::Expected { .. } | Measured::Pattern { .. } => {
                (year.absent(), year.possible, year.absence().percent(), None)
            }
        };
        let foreseen = self.foreseen.as_ref();
        match field {
            Field::Counted | Field::Days => counted.to_string(),
            Field::Possible => possible.to_string(),
            Field::Rate => percent,
            Field::Since => from.map_or_else(|| "the school year began".to_owned(), Day::spoken),
            Field::Expected => foreseen.map_or(0, Foreseen::urgency).to_string(),
            Field::ExpectedDays => foreseen.map_or(0, |foreseen| foreseen.urgency().div_ceil(2)).to_string(),
            Field::Chance => {
                let chance = match measured {
                    Measured::Chance { chance, .. } => chance.fraction(),
                    _ => foreseen.map_or(0.0, |foreseen| foreseen.outlook.persistent),
                };
                format!("{:.0}%", chance * 100.0)
            }
        }
    }
}

/// What a template may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Counted,
    Possible,
    Rate,
    Days,
    Since,
    Expected,
    ExpectedDays,
    Chance,
}

impl Field {
    const ALL: [(&'static str, Self); 8] = [
        ("counted", Self::Counted),
        ("possible", Self::Possible),
        ("rate", Self::Rate),
        ("days", Self::Days),
        ("since", Self::Since),
        ("expected", Self::Expected),
        ("expected_days", Self::ExpectedDays),
        ("chance", Self::Chance),
    ];
}

/// A sentence with places for figures: "Missed {counted} of {possible} sessions".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<(String, Option<Field>)>,
}

/// What is wrong with a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A brace without its other.
    #[error("a brace is open or closed without the other; figures are written as {{counted}}")]
    Brace,
    /// No figure of that name.
    #[error(
        "there is no figure {{{0}}}; there are {{counted}}, {{possible}}, {{rate}}, {{days}}, {{since}}, {{expected}}, {{expected_days}} and {{chance}}"
    )]
    Field(String),
    /// Nothing in it.
    #[error("the sentence is empty")]
    Empty,
    /// Too long for a message.
    #[error("the sentence is longer than 300 characters")]
    Long,
}

impl Template {
    /// Reads a sentence.
    ///
    /// # Errors
    /// As [`TemplateError`] says.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TemplateError::Empty);
        }
        if text.chars().count() > 300 {
            return Err(TemplateError::Long);
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or(TemplateError::Brace)?;
            if before.contains('}') {
                return Err(TemplateError::Brace);
            }
            let field = Field::ALL.iter().find(|(known, _)| *known == name).map(|(_, field)| *field);
            let field = field.ok_or_else(|| TemplateError::Field(name.chars().take(24).collect()))?;
            parts.push((before.to_owned(), Some(field)));
            rest = after;
        }
        if rest.contains('}') {
            return Err(TemplateError::Brace);
        }
        parts.push((rest.to_owned(), None));
        Ok(Self { parts })
    }

    fn fill(&self, value: impl Fn(Field) -> String) -> String {
        let part = |(text, field): &(String, Option<Field>)| format!("{text}{}", field.map(&value).unwrap_or_default());
        self.parts.iter().map(part).collect()
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |field: Field| {
            let known = Field::ALL.iter().find(|(_, known)| *known == field);
            format!("{{{}}}", known.map_or("", |(name, _)| name))
        };
        f.write_str(&self.fill(name))
    }
}

/// "about 64 more sessions, 32 days, by July unless something changes"
pub fn expected(sessions: u32) -> String {
    match sessions {
        0 => "hardly a session more by July unless something changes".to_owned(),
        1 => "about 1 more session by July unless something changes".to_owned(),
        2 | 3 => format!("about {sessions} more sessions by July unless something changes"),
        _ => format!("about {sessions} more sessions, {} days, by July unless something changes", sessions.div_ceil(2)),
    }
}

fn year_sentence(counts: Counts) -> String {
    rate_sentence(&InWindow { of: CodeSet::ABSENT, counted: counts.absent(), counts, from: None })
}

fn pattern_sentence(found: Found) -> String {
    let Found { pattern, fitting, of, one_in, .. } = found;
    let what = if pattern == Pattern::BrokenWeeks {
        "of the last school weeks have"
    } else {
        "short absences this school year were"
    };
    let where_ = if pattern == Pattern::BrokenWeeks { "an absence" } else { pattern.text() };
    format!("{fitting} of {of} {what} {where_}; chance alone would do that in one of {one_in} children")
}

fn unresolved_sentence(of: CodeSet, sessions: u32, after: u32) -> String {
    let sessions = if sessions == 1 { "1 session is".to_owned() } else { format!("{sessions} sessions are") };
    match after {
        0 => format!("{sessions} marked {of}"),
        1 => format!("{sessions} still marked {of} a school day later"),
        _ => format!("{sessions} still marked {of} {after} school days later"),
    }
}

fn review_sentence(of: CodeSet, overdue: u32, from: Day, by: Option<Day>) -> String {
    let from = from.spoken();
    let days = if overdue == 1 { "1 school day".to_owned() } else { format!("{overdue} school days") };
    match by {
        Some(by) => format!("Marked {of} since {from}; a review was due by {}, {days} ago", by.spoken()),
        None => format!("Marked {of} since {from}; no day of a review after that is known, which is {days} too long"),
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
    let since = from.map_or_else(String::new, |from| format!(" since {}", from.spoken()));
    let what = missed(of).map_or_else(|| format!("Marked {of}"), |how| format!("Absent{how}"));
    match days {
        1 => format!("{what} for 1 school day{since}"),
        _ => format!("{what} for {days} school days in a row{since}"),
    }
}

fn since(from: Option<Session>) -> String {
    from.map_or_else(|| " this school year".to_owned(), |from| format!(" since {}", from.day().spoken()))
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
            let spoken = mark.session.day().spoken();
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
        let said = |measured| Said { rule: None, measured, template: None };
        let mut evidence =
            Evidence { said: said(Measured::Rate(window)), year_to_date: counts, ..Evidence::bare(&record(&[])) };
        assert_eq!(evidence.sentence(Change::Raised), "Missed 9 of 52 sessions since 2 September (17.3%)");
        assert_eq!(
            evidence.sentence(Change::Cleared),
            "Improved: no longer at this alert's level. Missed 9 of 52 sessions since 2 September (17.3%)"
        );
        let mut told = |measured| {
            evidence.said = said(measured);
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
        evidence.said = said(Measured::Run { of: CodeSet::UNAUTHORISED, days: 5, from: Some(from.day()) });
        assert_eq!(
            evidence.sentence(Change::Raised),
            "Absent without leave for 5 school days in a row since 2 September"
        );
        assert!(evidence.sentence(Change::Withdrawn).starts_with("Taken back: corrected registers"));
        let expected = Measured::Expected { missed: 63, rest: 300, counts };
        evidence.also = vec![
            said(expected),
            said(Measured::Unresolved { of: CodeSet::of(&[Code::N]), sessions: 2, after: 5, standing: 2 }),
            said(Measured::Review { of: CodeSet::of(&[Code::C2]), overdue: 1, from: Some(from.day()), by: None }),
            said(Measured::Review {
                of: CodeSet::of(&[Code::C2]),
                overdue: 5,
                from: Some(from.day()),
                by: Some(from.day().plus(29)),
            }),
        ];
        assert_eq!(
            evidence.sentence(Change::Raised),
            "Absent without leave for 5 school days in a row since 2 September. Also: Missed 9 of 52 sessions this school year \
             (17.3%); about 63 more sessions, 32 days, by July unless something changes; 2 sessions are still marked N 5 \
             school days later; Marked C2 since 2 September; no day of a review after that is known, which is 1 school day too long; Marked C2 \
             since 2 September; a review was due by 1 October, 5 school days ago"
        );
        evidence.also = vec![];
        let chance = Measured::Chance { of: Limit::Severe, chance: crate::rate::Share::percent(83), counts };
        evidence.said = said(chance);
        let year = "Missed 9 of 52 sessions this school year (17.3%)";
        assert_eq!(evidence.sentence(Change::Raised), format!("{year}; the chance to end it severely absent is 83%"));
        evidence.said = said(Measured::Change { sum: 9, missed: 8, newest: 20, counts });
        assert_eq!(evidence.sentence(Change::Raised), "Missed 8 of the last 20 sessions, far more often than before");
    }

    #[test]
    fn a_sentence_of_ones_own_has_places_for_figures() {
        let text = "{counted} of {possible} ({rate}) since {since}";
        let template = Template::parse(text).unwrap();
        assert_eq!(template.to_string(), text);
        let from = Some(Session::new(Day::parse("2025-09-02").unwrap(), Half::Am));
        let counts = Counts { possible: 52, authorised: 9, unauthorised: 0 };
        let measured = Measured::Rate(InWindow { of: CodeSet::ABSENT, counted: 9, counts, from });
        let evidence =
            Evidence { said: Said { rule: None, measured, template: Some(template) }, ..Evidence::bare(&record(&[])) };
        assert_eq!(evidence.sentence(Change::Raised), "9 of 52 (17.3%) since 2 September");
        for (text, wrong) in [
            ("{name} is absent", TemplateError::Field("name".into())),
            ("{counted", TemplateError::Brace),
            ("counted}", TemplateError::Brace),
            ("} {counted}", TemplateError::Brace),
            (" ", TemplateError::Empty),
        ] {
            assert_eq!(Template::parse(text), Err(wrong), "{text}");
        }
    }

    #[test]
    fn the_strip_shows_the_newest_marks_day_by_day() {
        let record = record(&[Code::Present, Code::NotTaken, Code::O]);
        let evidence = Evidence::bare(&record);
        assert_eq!(strip_text(&evidence.strip), "2 Sep /  3 Sep O");
    }
}
