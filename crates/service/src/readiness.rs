//! Whether a service can do its work: takes what each of its parts says about itself, gives a list of named checks.
//! Keeps the last word of each part.

use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a part said last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// It works.
    Ok,
    /// It does not, or has not said anything yet.
    Failed {
        /// What is wrong and what to do; no secret, no pupil.
        problem: String,
    },
}

/// A named check with its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    /// The part: `database`.
    pub name: &'static str,
    /// What it said last.
    #[serde(flatten)]
    pub state: State,
}

/// The checks of a process. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, State>>>);

impl Readiness {
    /// No checks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The handle of a part. Until the part speaks, the service is not ready.
    pub fn check(&self, name: &'static str) -> Check {
        let silent = || State::Failed { problem: "has not reported yet; wait for its first check".to_owned() };
        self.states().entry(name).or_insert_with(silent);
        Check { name, readiness: self.clone() }
    }

    /// Every check, by name.
    pub fn named(&self) -> Vec<Named> {
        self.states().iter().map(|(name, state)| Named { name, state: state.clone() }).collect()
    }

    fn states(&self) -> MutexGuard<'_, BTreeMap<&'static str, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a part says how it is. Clones speak for the same part.
#[derive(Clone, Debug)]
pub struct Check {
    name: &'static str,
    readiness: Readiness,
}

impl Check {
    /// The part works.
    pub fn set_ok(&self) {
        self.readiness.states().insert(self.name, State::Ok);
    }

    /// The part does not work: what is wrong and what to do, without secrets.
    pub fn set_failed(&self, problem: impl Into<String>) {
        self.readiness.states().insert(self.name, State::Failed { problem: problem.into() });
    }
}
