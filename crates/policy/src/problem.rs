//! What is wrong with a policy: all of it, each with its place.

use std::fmt;

/// Where a problem is: the file, and the line or the path in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    file: &'static str,
    at: String,
}

impl Place {
    pub(crate) fn new(file: &'static str, at: impl Into<String>) -> Self {
        Self { file, at: at.into() }
    }

    pub(crate) fn line(file: &'static str, line: u64) -> Self {
        Self::new(file, format!("line {line}"))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.at.is_empty() { f.write_str(self.file) } else { write!(f, "{}, {}", self.file, self.at) }
    }
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, and what to do.
    pub what: String,
}

impl Problem {
    pub(crate) fn new(place: Place, what: impl fmt::Display) -> Self {
        Self { place, what: what.to_string() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Every problem of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    pub(crate) fn add(&mut self, place: Place, what: impl fmt::Display) {
        self.0.push(Problem::new(place, what));
    }

    /// The value, or nothing and its problems among these.
    pub(crate) fn take<T>(&mut self, result: Result<T, Problems>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(problems) => {
                self.0.extend(problems.0);
                None
            }
        }
    }

    /// The value of a part, or nothing and its problem among these.
    pub(crate) fn part<T, E: fmt::Display>(&mut self, place: impl Fn() -> Place, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(place(), error)).ok()
    }

    /// The value where there is one and no problem; a value that is missing has told its problem before.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) => self.or(value),
            None => Err(self),
        }
    }

    pub(crate) fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}
