//! What the doctor finds: each with its area, what is so, and what to do.

use serde::Serialize;
use std::fmt;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Gravity {
    /// As it should be.
    Well,
    /// It works, but somebody should look.
    Warning,
    /// It does not work.
    Problem,
}

/// One finding.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    gravity: Gravity,
    area: &'static str,
    what: String,
    /// What to do; none where nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

/// A number with its words.
pub(crate) fn some(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

/// All findings.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    pub(crate) fn well(&mut self, area: &'static str, what: impl Into<String>) {
        self.0.push(Finding { gravity: Gravity::Well, area, what: what.into(), remedy: None });
    }

    pub(crate) fn warning(&mut self, area: &'static str, what: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(Finding { gravity: Gravity::Warning, area, what: what.into(), remedy: Some(remedy.into()) });
    }

    pub(crate) fn problem(&mut self, area: &'static str, what: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(Finding { gravity: Gravity::Problem, area, what: what.into(), remedy: Some(remedy.into()) });
    }

    /// The value, or its error as a problem with the remedy that comes with it.
    pub(crate) fn take<T, E: fmt::Display>(
        &mut self,
        area: &'static str,
        result: Result<T, (E, &'static str)>,
    ) -> Option<T> {
        result.map_err(|(error, remedy)| self.problem(area, error.to_string(), remedy)).ok()
    }

    /// The rows of a table, or what the database says.
    pub(crate) fn read<T>(&mut self, area: &'static str, result: Result<T, store::StoreError>) -> Option<T> {
        self.take(area, result.map_err(|error| (error, "look at the database's log and our role's rights")))
    }

    pub(crate) fn all(&self) -> &[Finding] {
        &self.0
    }

    /// Whether there is no problem; warnings are none.
    pub(crate) fn is_well(&self) -> bool {
        self.0.iter().all(|finding| finding.gravity != Gravity::Problem)
    }

    fn count(&self, gravity: Gravity) -> usize {
        self.0.iter().filter(|finding| finding.gravity == gravity).count()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { gravity, area, what, remedy } in &self.0 {
            let mark = match gravity {
                Gravity::Well => "ok      ",
                Gravity::Warning => "warning ",
                Gravity::Problem => "PROBLEM ",
            };
            writeln!(f, "{mark} {area:9} {what}")?;
            if let Some(remedy) = remedy {
                writeln!(f, "                   -> {remedy}")?;
            }
        }
        let (problems, warnings) = (self.count(Gravity::Problem), self.count(Gravity::Warning));
        writeln!(f, "{}, {}", some(problems, "problem", "problems"), some(warnings, "warning", "warnings"))
    }
}
