//! The installation: one row, fixed by the first `migrate` but for the registers' clock, which only goes forward.
//!
//! Owner: `earlybell migrate` founds it; ingest moves the clock.

use crate::{Store, StoreError, Tx};

/// What time is, for the whole installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The wall clock.
    Wall,
    /// The newest session that ingest accepted: for demonstrations and tests.
    Registers,
}

impl Clock {
    /// The word in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wall => "wall",
            Self::Registers => "registers",
        }
    }
}

/// The one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The number of partitions of the events, for ever.
    pub event_partitions: i32,
    /// Which clock, for ever.
    pub clock: Clock,
    /// The newest session accepted, where the clock is the registers'; `None` before the first.
    pub clock_session: Option<i32>,
    /// Random, for ever: what ids are made under, so that an id tells nobody what it is about.
    pub namespace: String,
}

/// Founds the installation, or finds it founded with the same values. At the first `migrate`. `namespace` is a new random
/// UUID; that of the founding stays.
///
/// # Errors
/// `Settled`, naming both values, where it was founded with others.
pub async fn found(
    tx: &mut Tx,
    event_partitions: i32,
    clock: Clock,
    namespace: &str,
) -> Result<Installation, StoreError> {
    let doing = "installation.found";
    in_tx!(tx, doing, execute, sqlx::query(FOUND), event_partitions, clock.as_str(), namespace)?;
    let stored = decode(in_tx!(tx, doing, fetch_one, sqlx::query_as::<_, Row>(GET))?)?;
    if stored.event_partitions != event_partitions {
        return Err(StoreError::Settled {
            setting: "the number of event partitions",
            have: stored.event_partitions.to_string(),
            want: event_partitions.to_string(),
            remedy: "go on with the number in force, or drain into a new topic and switch to a new database",
        });
    }
    if stored.clock != clock {
        return Err(StoreError::Settled {
            setting: "the installation's clock",
            have: stored.clock.as_str().to_owned(),
            want: clock.as_str().to_owned(),
            remedy: "go on with the clock in force, or found a new installation in an empty database",
        });
    }
    Ok(stored)
}

/// The installation; `None` before it was founded.
///
/// # Errors
/// `Inconsistent` for a clock of no known name, else as the database answers.
pub async fn get(store: &Store) -> Result<Option<Installation>, StoreError> {
    on_pool!(store, "installation.get", fetch_optional, sqlx::query_as::<_, Row>(GET))?.map(decode).transpose()
}

/// Moves the registers' clock forward to `session`; false where it stands there or later already, or where the clock is the wall's.
///
/// # Errors
/// As the database answers.
pub async fn forward(tx: &mut Tx, session: i32) -> Result<bool, StoreError> {
    Ok(in_tx!(tx, "installation.forward", execute, sqlx::query(FORWARD), session)? == 1)
}

type Row = (i32, String, Option<i32>, String);

fn decode((event_partitions, clock, clock_session, namespace): Row) -> Result<Installation, StoreError> {
    let clock = match clock.as_str() {
        "wall" => Clock::Wall,
        "registers" => Clock::Registers,
        _ => {
            return Err(StoreError::Inconsistent {
                table: "installation",
                column: "clock".to_owned(),
                key: "1".to_owned(),
            });
        }
    };
    Ok(Installation { event_partitions, clock, clock_session, namespace })
}

const FOUND: &str = "
INSERT INTO installation (id, event_partitions, clock, namespace) VALUES (1, $1, $2, $3)
ON CONFLICT (id) DO NOTHING";

const GET: &str = "SELECT event_partitions, clock, clock_session, namespace FROM installation";

const FORWARD: &str = "
UPDATE installation SET clock_session = $1
WHERE clock = 'registers' AND (clock_session IS NULL OR clock_session < $1)";
