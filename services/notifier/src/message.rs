//! What a receiver is told: values without a name or a UPN, and their texts by templates that ship with the program.

use attendance::alert::Change;
use attendance::rule::Level;
use minijinja::{Environment, UndefinedBehavior};
use serde::{Deserialize, Serialize};

/// What is said about one change. Stored with the delivery, so that every attempt says the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The case's reference, the only name that a child has here.
    pub reference: String,
    /// The school's name.
    pub school: String,
    /// The locality; none where nobody claims the case.
    pub locality: Option<String>,
    /// The rule's title.
    pub rule: String,
    /// The level, in words.
    pub level: String,
    /// What happened, in the domain's word.
    pub change: String,
    /// The alert's version: a receiver that gets two knows the newer.
    pub version: u32,
    /// The evidence.
    pub sentence: String,
    /// Where to read more.
    pub link: Option<String>,
    /// When it was said: RFC 3339.
    pub said_at: String,
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

/// What a receiver is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Told {
    /// One change of an alert.
    Change(Message),
    /// What an import has opened.
    History(Summary),
}

impl Told {
    /// Its type, as webhooks name it.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::Change(message) => format!("alert.{}", message.change),
            Self::History(_) => "history.imported".to_owned(),
        }
    }

    /// When it was said.
    pub(crate) fn said_at(&self) -> &str {
        match self {
            Self::Change(message) => &message.said_at,
            Self::History(summary) => &summary.said_at,
        }
    }

    /// One line.
    ///
    /// # Errors
    /// The template is wrong.
    pub fn subject(&self) -> Result<String, TemplateError> {
        let text = match self {
            Self::Change(message) => render(message, include_str!("../templates/subject.txt"))?,
            Self::History(summary) => render(summary, include_str!("../templates/history_subject.txt"))?,
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
            Self::Change(message) => render(message, include_str!("../templates/body.txt")),
            Self::History(summary) => render(summary, include_str!("../templates/history_body.txt")),
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
        Raw::Erased | Raw::Unspecified => None,
    }
}

#[cfg(test)]
pub(crate) fn sample(change: Change) -> Told {
    Told::Change(Message {
        reference: "7KQM2XRT".into(),
        school: "Hill First School".into(),
        locality: Some("North".into()),
        rule: "Absence this year".into(),
        level: level_words(Level::Persistent).into(),
        change: change.text().into(),
        version: 1,
        sentence: "Missed 9 of 52 sessions since 2 September (17.3%).".into(),
        link: Some("https://earlybell.example/cases/7KQM2XRT".into()),
        said_at: "2025-10-01T09:00:00Z".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_change_is_told_in_words_of_its_own() {
        let mut told = BTreeSet::new();
        for change in Change::ALL {
            let told_now = sample(change);
            let Told::Change(message) = &told_now else { panic!("a change") };
            let (subject, text) = (told_now.subject().unwrap(), told_now.text().unwrap());
            for part in ["7KQM2XRT", "Hill First School", "persistent absence"] {
                assert!(subject.contains(part) && text.contains(part), "{part} in {subject}\n{text}");
            }
            assert!(text.contains(&message.sentence) && text.contains("https://earlybell.example/cases/7KQM2XRT"));
            assert!(told.insert(subject) && told.insert(text));
        }
        assert_eq!(told.len(), 10);
    }

    #[test]
    fn what_is_missing_is_left_out_and_a_line_break_makes_no_header() {
        let Told::Change(mut message) = sample(Change::Raised) else { panic!("a change") };
        (message.locality, message.link) = (None, None);
        message.school = "Hill\r\nBcc: x@example.org".into();
        let told = Told::Change(message);
        assert!(!told.text().unwrap().contains("Locality"));
        assert!(!told.subject().unwrap().contains(['\r', '\n']));
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
        for told in [told, sample(Change::Cleared)] {
            let row = serde_json::to_string(&told).unwrap();
            assert_eq!(serde_json::from_str::<Told>(&row).unwrap(), told);
        }
    }
}
