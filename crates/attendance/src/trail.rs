//! A fold that goes back a little way where an older mark changes, and not to the year's beginning: for whoever judges a whole year mark
//! by mark, in which most corrections come within days. It keeps copies of the fold along its way, each some sessions further, so that
//! it takes more memory than a fold that is kept for years.

use crate::Session;
use crate::judge::{Fold, History, Schools, Standard, Transition};

/// A copy is kept each time that so many marks were folded.
const APART: usize = 10;

/// A fold, its copies, and all changes of level so far. Belongs to one pupil, school year, profile and standard.
#[derive(Clone, Debug, Default)]
pub struct Trail {
    fold: Fold,
    /// The oldest first, each with the number of changes of level before it.
    waypoints: Vec<(Fold, usize)>,
    transitions: Vec<Transition>,
}

impl Trail {
    /// Tells that a mark of `session` changed; marks of the year before are older than all.
    pub fn touched(&mut self, session: Session) {
        if self.fold.seen().is_some_and(|seen| seen < session) {
            return;
        }
        while self.waypoints.last().is_some_and(|(waypoint, _)| waypoint.seen() >= Some(session)) {
            self.waypoints.pop();
        }
        let (fold, changes) = self.waypoints.last().cloned().unwrap_or_default();
        self.fold = fold;
        self.transitions.truncate(changes);
    }

    /// Forgets everything: the rules, the calendars, the child's profile or the past changed.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Folds what is new in the history.
    pub fn advance(&mut self, history: &History<'_>, standard: Standard<'_>) {
        let mut schools = Schools::new(standard.calendars);
        let transitions = &mut self.transitions;
        while self.fold.step(history, &mut schools, standard, &mut |transition| transitions.push(transition)) {
            if self.fold.folded() >= self.waypoints.last().map_or(0, |(waypoint, _)| waypoint.folded()) + APART {
                self.waypoints.push((self.fold.clone(), transitions.len()));
            }
        }
    }

    /// Lets time pass after the newest mark, until `as_of` is the newest session known.
    pub fn wait(&mut self, as_of: Session, history: &History<'_>, standard: Standard<'_>) {
        self.fold.wait(as_of, history, standard, |transition| self.transitions.push(transition));
    }

    /// The state of all rules.
    pub fn fold(&self) -> &Fold {
        &self.fold
    }

    /// All changes of level so far, in the order of the calendar.
    pub fn transitions(&self) -> &[Transition] {
        &self.transitions
    }
}
