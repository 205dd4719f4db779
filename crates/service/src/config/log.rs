//! The section `log`.

use super::section::{Check, choice, section};
use super::value::Setting;
use std::fmt;
use tracing_subscriber::EnvFilter;

section! {
    /// What is logged, to standard error.
    Log in "log" {
        /// json or text.
        format: Format = "json";
        /// error, warn, info, debug or trace; also by part of the program: info,rules=debug.
        level: Filter = "info";
    }
}

choice! {
    /// How a log line is written.
    Format {
        /// An object a line, for machines.
        Json = "json",
        /// A line, for people.
        Text = "text",
    }
}

/// Which log lines are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(String);

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Setting for Filter {
    fn parse(text: &str) -> Result<Self, String> {
        let how = "write error, warn, info, debug or trace, also by part: info,rules=debug";
        // A filter of one unknown word would be taken for the name of a part, and silence all others.
        let a_level = |part: &str| part.contains('=') || part.parse::<tracing::Level>().is_ok();
        match EnvFilter::builder().parse(text) {
            Ok(_) if text.split(',').any(a_level) => Ok(Self(text.to_owned())),
            _ => Err(format!("{text:?} is no filter of log lines; {how}")),
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

impl Check for Log {}
