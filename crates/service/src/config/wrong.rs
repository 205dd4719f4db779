//! What is wrong with settings, and where. Every mistake is kept until all are known: an operator mends them at once.

use std::fmt;

/// Where a value comes from; the later in this order, the stronger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The program's own default, of this key.
    Default(String),
    /// A file, and the key in it.
    File {
        /// The file as it was named.
        file: String,
        /// The key, with its section: `kafka.brokers`. Empty: the file as a whole.
        key: String,
    },
    /// An environment variable.
    Variable(String),
}

impl Place {
    /// The layer alone, for telling which of two places is the stronger.
    pub(super) fn layer(&self) -> u8 {
        match self {
            Self::Default(_) => 0,
            Self::File { .. } => 1,
            Self::Variable(_) => 2,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default(key) => write!(f, "default of {key}"),
            Self::File { file, key } if key.is_empty() => f.write_str(file),
            Self::File { file, key } => write!(f, "{file}:{key}"),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct Wrong {
    /// Where to mend it.
    pub place: Place,
    /// What is wrong and what to do. Never a secret's value.
    pub problem: String,
}

/// All mistakes in the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the settings cannot be used, mistakes: {}{}", .wrong.len(), listed(.wrong))]
pub struct SettingsError {
    wrong: Vec<Wrong>,
}

fn listed(wrong: &[Wrong]) -> String {
    wrong.iter().flat_map(|one| ["\n  ".to_owned(), one.to_string()]).collect()
}

impl SettingsError {
    pub(super) fn new(wrong: Vec<Wrong>) -> Self {
        Self { wrong }
    }

    /// Each mistake, in the order of the layers and then of the sections.
    pub fn wrong(&self) -> &[Wrong] {
        &self.wrong
    }

    /// Never: the same settings are as wrong the next time.
    pub fn retryable(&self) -> bool {
        false
    }
}
