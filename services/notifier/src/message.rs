//! What a receiver is told: values without a name or a UPN, and their texts by templates that ship with the program.

use attendance::alert::Change;
use attendance::rule::Level;
use minijinja::{Environment, UndefinedBehavior};
use serde::{Deserialize, Serialize};

/// What is said about one case. Stored with the delivery, so that every attempt says the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The case's reference, the only name that a child has here.
    pub reference: String,
    /// The school's name.
    pub school: String,
    /// The locality; none where nobody claims the case.
    pub locality: Option<String>,
    /// That the child has moved, or is on no roll, in one sentence.
    #[serde(default)]
    pub moved: Option<String>,
    /// What changed: each alert once, the gravest first.
    pub changes: Vec<Said>,
    /// Where to read more.
    pub link: Option<String>,
    /// When it was said: RFC 3339.
    pub said_at: String,
}

/// What is said about one alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The alert's id: what is said later of the same alert bears the same.
    pub alert: String,
    /// The alert's version: a receiver that gets two knows the newer.
    pub version: u32,
    /// What happened, in the domain's word.
    pub change: String,
    /// The level, in words.
    pub level: String,
    /// The rule's title.
    pub rule: String,
    /// The evidence.
    pub sentence: String,
    /// Sessions still to be missed this school year that are to be expected: what cases of equal weight are ranked by.
    #[serde(default)]
    pub expected_missed: Option<u32>,
}

impl Said {
    /// What is said of each alert once, by the newest of its versions, the gravest first. An alert that is raised and then changes its
    /// level before anybody was told is a new one to who hears of it.
    pub(crate) fn in_order(said: impl Iterator<Item = Self>) -> Vec<Self> {
        let mut once: Vec<Self> = Vec::new();
        for mut later in said {
            let Some(earlier) = once.iter_mut().find(|earlier| earlier.alert == later.alert) else {
                once.push(later);
                continue;
            };
            if earlier.version > later.version {
                continue;
            }
            let goes_on =
                [Change::Escalated, Change::Reduced, Change::Moved].iter().any(|change| change.text() == later.change);
            if earlier.change == Change::Raised.text() && goes_on {
                later.change.clone_from(&earlier.change);
            }
            *earlier = later;
        }
        once.sort_by_key(|said| std::cmp::Reverse(said.weight()));
        once
    }

    /// The more, the sooner it is to be read: what has become worse, then what is better, then what has ended, each by level.
    pub(crate) fn weight(&self) -> u8 {
        let level = Level::ALL.into_iter().find(|level| level_words(*level) == self.level).map_or(0, Level::number);
        match Change::parse(&self.change) {
            Some(Change::Raised | Change::Escalated) => 20 + level,
            Some(Change::Reduced | Change::Moved) => 10 + level,
            Some(Change::Cleared | Change::Withdrawn | Change::YearEnded) | None => level,
        }
    }
}

/// What changed in many cases within an hour or a day, above what a receiver wishes to be told one by one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// Each case once, the gravest first, then by what is to be expected.
    pub cases: Vec<Message>,
    /// Within what: "an hour", "a day".
    #[serde(default = "an_hour")]
    pub within: String,
    /// When it was said: RFC 3339.
    pub said_at: String,
}

/// What digests were about before there were others.
fn an_hour() -> String {
    "an hour".to_owned()
}

/// What an import of history has opened, for one team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The team's localities with their open cases.
    pub localities: Vec<OpenCases>,
    /// When it was said: RFC 3339.
    pub said_at: String,
}

/// The open cases of a locality, each at its gravest level.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenCases {
    /// The locality; none for what no locality claims.
    pub locality: Option<String>,
    /// At risk of persistent absence.
    pub at_risk: i64,
    /// Persistent absence.
    pub persistent: i64,
    /// Severe absence.
    pub severe: i64,
}

/// Schools whose registers are missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schools {
    /// Each school once, by URN.
    pub schools: Vec<SchoolSaid>,
    /// When it was said: RFC 3339.
    pub said_at: String,
}

/// What is said about one school.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchoolSaid {
    /// The alert's id: what is said later of the same alert bears the same.
    pub alert: String,
    /// The alert's version.
    pub version: u32,
    /// What happened, in the domain's word.
    pub change: String,
    /// The rule's title.
    pub rule: String,
    /// The school's URN.
    pub school_urn: u32,
    /// The school's name.
    pub school: String,
    /// Its locality.
    pub locality: Option<String>,
    /// The evidence.
    pub sentence: String,
}

/// What a receiver is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Told {
    /// What changed in a case.
    Case(Message),
    /// What changed in many.
    Storm(Digest),
    /// What an import has opened.
    History(Summary),
    /// Schools whose registers are missing.
    Schools(Schools),
}

impl Told {
    /// Its type, as webhooks name it: of several changes the gravest.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::Case(message) => {
                format!("alert.{}", message.changes.first().map_or("changed", |said| said.change.as_str()))
            }
            Self::Storm(_) => "alerts.gathered".to_owned(),
            Self::History(_) => "history.imported".to_owned(),
            Self::Schools(_) => "schools.missing".to_owned(),
        }
    }

    /// When it was said.
    pub(crate) fn said_at(&self) -> &str {
        match self {
            Self::Case(message) => &message.said_at,
            Self::Storm(digest) => &digest.said_at,
            Self::History(summary) => &summary.said_at,
            Self::Schools(schools) => &schools.said_at,
        }
    }

    /// One line.
    ///
    /// # Errors
    /// The template is wrong.
    pub fn subject(&self) -> Result<String, TemplateError> {
        let text = match self {
            Self::Case(message) => render(message, include_str!("../templates/subject.txt"))?,
            Self::Storm(digest) => render(digest, include_str!("../templates/storm_subject.txt"))?,
            Self::History(summary) => render(summary, include_str!("../templates/history_subject.txt"))?,
            Self::Schools(schools) => render(schools, include_str!("../templates/schools_subject.txt"))?,
        };
        // A line break would end the header and begin another.
        Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// The plain text.
    ///
    /// # Errors
    /// The template is wrong.
    pub fn text(&self) -> Result<String, TemplateError> {
        match self {
            Self::Case(message) => render(message, include_str!("../templates/body.txt")),
            Self::Storm(digest) => render(digest, include_str!("../templates/storm_body.txt")),
            Self::History(summary) => render(summary, include_str!("../templates/history_body.txt")),
            Self::Schools(schools) => render(schools, include_str!("../templates/schools_body.txt")),
        }
    }
}

fn render(values: &impl Serialize, template: &str) -> Result<String, TemplateError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    Ok(environment.render_str(template, values)?)
}

/// A template that does not render: a fault of this release.
#[derive(Debug, thiserror::Error)]
#[error("the message's template does not render: {0}; report it")]
pub struct TemplateError(#[from] minijinja::Error);

/// A level as people read it.
pub fn level_words(level: Level) -> &'static str {
    match level {
        Level::AtRisk => "at risk of persistent absence",
        Level::Persistent => "persistent absence",
        Level::Severe => "severe absence",
    }
}

/// The change of that number on Kafka; none for an erasure or what this release does not know.
pub(crate) fn change(change: proto::v1::Change) -> Option<Change> {
    use proto::v1::Change as Raw;
    match change {
        Raw::Raised => Some(Change::Raised),
        Raw::Escalated => Some(Change::Escalated),
        Raw::Reduced => Some(Change::Reduced),
        Raw::Cleared => Some(Change::Cleared),
        Raw::Withdrawn => Some(Change::Withdrawn),
        Raw::YearEnded => Some(Change::YearEnded),
        Raw::Moved => Some(Change::Moved),
        Raw::Erased | Raw::Unspecified => None,
    }
}

#[cfg(test)]
pub(crate) fn sample(change: Change) -> Message {
    Message {
        reference: "7KQM2XRT".into(),
        school: "Hill First School".into(),
        locality: Some("North".into()),
        moved: None,
        changes: vec![Said {
            alert: "a".into(),
            version: 1,
            change: change.text().into(),
            level: level_words(Level::Persistent).into(),
            rule: "Absence this year".into(),
            sentence: "Missed 9 of 52 sessions since 2 September (17.3%).".into(),
            expected_missed: Some(64),
        }],
        link: Some("https://earlybell.example/cases/7KQM2XRT".into()),
        said_at: "2025-10-01T09:00:00Z".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_change_is_told_in_words_of_its_own() {
        let mut told = BTreeSet::new();
        for change in Change::ALL {
            let message = sample(change);
            let sentence = message.changes[0].sentence.clone();
            let told_now = Told::Case(message);
            let (subject, text) = (told_now.subject().unwrap(), told_now.text().unwrap());
            for part in ["7KQM2XRT", "Hill First School", "persistent absence"] {
                assert!(subject.contains(part) && text.contains(part), "{part} in {subject}\n{text}");
            }
            assert!(text.contains(&sentence) && text.contains("https://earlybell.example/cases/7KQM2XRT"));
            assert_eq!(told_now.kind(), format!("alert.{}", change.text()));
            assert!(told.insert(subject) && told.insert(text));
        }
        assert_eq!(told.len(), 14);
    }

    #[test]
    fn what_is_missing_is_left_out_and_a_line_break_makes_no_header() {
        let mut message = sample(Change::Raised);
        (message.locality, message.link) = (None, None);
        message.school = "Hill\r\nBcc: x@example.org".into();
        let told = Told::Case(message);
        assert!(!told.text().unwrap().contains("Locality"));
        assert!(!told.subject().unwrap().contains(['\r', '\n']));
    }

    #[test]
    fn several_changes_are_one_message_led_by_the_gravest_each_alert_once() {
        let said = |alert: &str, version, change: Change, level| Said {
            alert: alert.into(),
            version,
            change: change.text().into(),
            level: level_words(level).into(),
            rule: format!("rule {alert}"),
            sentence: format!("sentence {alert}{version}"),
            expected_missed: None,
        };
        let changes = [
            said("ended", 3, Change::Cleared, Level::Severe),
            said("new", 1, Change::Raised, Level::AtRisk),
            said("less", 2, Change::Reduced, Level::Persistent),
            said("grave", 4, Change::Escalated, Level::Severe),
            said("new", 2, Change::Escalated, Level::Persistent),
            said("new", 1, Change::Raised, Level::AtRisk),
        ];
        let changes = Said::in_order(changes.into_iter());
        let order: Vec<_> = changes.iter().map(|said| (said.alert.as_str(), said.change.as_str())).collect();
        assert_eq!(order, [("grave", "escalated"), ("new", "raised"), ("less", "reduced"), ("ended", "cleared")]);
        let told = Told::Case(Message { changes, ..sample(Change::Raised) });
        assert!(
            told.subject().unwrap().starts_with("Alert has become graver: case 7KQM2XRT, Hill First School, severe")
        );
        let text = told.text().unwrap();
        for sentence in ["sentence grave4", "sentence new2", "sentence less2", "sentence ended3"] {
            assert_eq!(text.matches(sentence).count(), 1, "{text}");
        }
        assert!(!text.contains("sentence new1"), "{text}");
    }

    #[test]
    fn a_digest_tells_every_case_and_a_long_one_where_to_look_for_the_rest() {
        let cases = |count: usize| {
            let case = |number| Message { reference: format!("REF{number:05}"), ..sample(Change::Raised) };
            let cases = (0..count).map(case).collect();
            Told::Storm(Digest { cases, within: "an hour".into(), said_at: "2025-10-01T10:00:00Z".into() })
        };
        let told = cases(3);
        assert_eq!(told.subject().unwrap(), "3 cases have changed within an hour");
        let text = told.text().unwrap();
        assert_eq!(text.matches("Case REF").count(), 3, "{text}");
        assert!(
            text.contains("Case REF00001, Hill First School, North\nNew: persistent absence. Missed 9 of")
                && text.contains("(17.3%). About 64 more sessions are to be expected by July.\n"),
            "{text}"
        );
        assert!(!text.contains("more cases"));
        let text = cases(203).text().unwrap();
        assert!(text.contains("And 3 more cases") && text.matches("Case REF").count() == 200);
    }

    #[test]
    fn schools_are_told_together() {
        let said = |school: &str| SchoolSaid {
            alert: school.into(),
            version: 1,
            change: Change::Raised.text().into(),
            rule: "Registers are missing".into(),
            school_urn: 900_001,
            school: school.into(),
            locality: Some("North".into()),
            sentence: "No register of the morning of 3 December had come by 10:30".into(),
        };
        let told = |schools: &[&str]| {
            let schools = schools.iter().map(|school| said(school)).collect();
            Told::Schools(Schools { schools, said_at: "2025-12-03T10:30:00Z".into() })
        };
        assert_eq!(told(&["Hill School"]).subject().unwrap(), "Registers are missing: Hill School");
        let both = told(&["Hill School", "Vale School"]);
        assert_eq!(both.subject().unwrap(), "Registers are missing of 2 schools");
        let text = both.text().unwrap();
        assert!(
            text.starts_with("Hill School (900001), North\nNo register of the morning of 3 December had"),
            "{text}"
        );
        assert!(text.contains("10:30.\nVale School (900001), North\nNo register"), "{text}");
        assert_eq!(both.kind(), "schools.missing");
        assert_eq!(serde_json::from_str::<Told>(&serde_json::to_string(&both).unwrap()).unwrap(), both);
    }

    #[test]
    fn a_summary_counts_each_localitys_cases_and_comes_back_from_its_row_as_what_it_is() {
        let north = OpenCases { locality: Some("North".into()), at_risk: 3, persistent: 2, severe: 1 };
        let nobodys = OpenCases { severe: 4, ..OpenCases::default() };
        let told = Told::History(Summary { localities: vec![north, nobodys], said_at: "2025-11-03T09:00:00Z".into() });
        assert_eq!(told.subject().unwrap(), "History was imported: 10 cases are open");
        let text = told.text().unwrap();
        assert!(text.contains("North: 6 (1 severe, 2 persistent, 3 at risk)"), "{text}");
        assert!(text.contains("No locality: 4 (4 severe, 0 persistent, 0 at risk)"), "{text}");
        let cases = vec![sample(Change::Raised)];
        let digest = Digest { cases, within: "a day".into(), said_at: "2025-10-01T10:00:00Z".into() };
        for told in [told, Told::Storm(digest), Told::Case(sample(Change::Cleared))] {
            let row = serde_json::to_string(&told).unwrap();
            assert_eq!(serde_json::from_str::<Told>(&row).unwrap(), told);
        }
    }
}
