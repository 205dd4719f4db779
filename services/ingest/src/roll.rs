//! Who is on a school's roll: takes the enrolments that rules keeps, gives the pupils on roll on a day. Rosters never decide
//! whether a mark counts; they only let the school be warned. Remembered for a few seconds.

use attendance::enrolment::Period;
use attendance::{Day, Upn, Urn};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::{Store, StoreError, pupil_school};
use tokio::time::Instant;

/// How long a roll is taken for the present one.
const REMEMBERED: Duration = Duration::from_secs(10);
/// Rolls remembered at once.
const MOST: usize = 1_000;

/// A school's roll.
#[derive(Debug, Default)]
pub(crate) struct Roll(BTreeMap<Upn, Vec<Period>>);

impl Roll {
    /// Whether the school never sent a roster: then nobody can be missing from it.
    pub(crate) fn is_unknown(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a pupil is on roll on a day.
    pub(crate) fn holds(&self, upn: Upn, day: Day) -> bool {
        self.0.get(&upn).is_some_and(|periods| periods.iter().any(|period| period.holds(day)))
    }

    /// The pupils that were ever on it.
    pub(crate) fn pupils(&self) -> impl Iterator<Item = Upn> + '_ {
        self.0.keys().copied()
    }

    /// Reads it; a stored row that does not decode is passed over: rules holds its pupil and says so.
    pub(crate) async fn read(store: &Store, school: Urn) -> Result<Self, StoreError> {
        let urn = row_urn(school);
        let mut roll = Self::default();
        for (upn, body) in pupil_school::enrolments(store, urn).await? {
            let upn = u64::try_from(upn).ok().and_then(Upn::from_number);
            let (Some(upn), Ok(roster)) = (upn, proto::roster_from_bytes(&body)) else { continue };
            let here = roster.enrolments().iter().filter(|enrolment| enrolment.school == school);
            let periods: Vec<Period> = here.flat_map(attendance::enrolment::Enrolment::periods).collect();
            if !periods.is_empty() {
                roll.0.insert(upn, periods);
            }
        }
        Ok(roll)
    }
}

/// The rolls of all schools.
pub(crate) struct Rolls {
    store: Store,
    remembered: Mutex<HashMap<Urn, (Instant, Arc<Roll>)>>,
}

impl Rolls {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, remembered: Mutex::default() }
    }

    /// A school's roll, at most some seconds old.
    pub(crate) async fn of(&self, school: Urn) -> Result<Arc<Roll>, StoreError> {
        let now = Instant::now();
        let fresh = |(at, roll): &(Instant, Arc<Roll>)| (now - *at < REMEMBERED).then(|| Arc::clone(roll));
        let held = self.remembered.lock().unwrap_or_else(PoisonError::into_inner).get(&school).and_then(fresh);
        if let Some(roll) = held {
            return Ok(roll);
        }
        let roll = Arc::new(Roll::read(&self.store, school).await?);
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MOST {
            remembered.clear();
        }
        remembered.insert(school, (now, Arc::clone(&roll)));
        Ok(roll)
    }
}

/// A URN as the tables hold it: six digits always fit.
pub(crate) fn row_urn(school: Urn) -> i32 {
    i32::try_from(school.number()).unwrap_or(i32::MAX)
}
