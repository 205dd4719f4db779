//! Time as a value: takes the system's clock, a test's hand or the newest session of the registers; gives moments, days
//! and the present school year. The only place that reads the system's clock.
//!
//! The installation has one setting (a row in the database): on [`Mode::Wall`] school time is the wall's; on
//! [`Mode::Registers`] (demo, tests, training) it is the newest session that ingest accepted. Who reads that row
//! [advances](NewestSession::advance) the handle, at the start before any work and then on its tick.

use attendance::{Day, SchoolYear, Session, Timestamp};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// What school time follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The wall clock.
    Wall,
    /// The newest session that was accepted.
    Registers,
}

/// What is wrong with the text of a clock's mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no clock; it is wall or registers")]
pub struct ModeError(String);

impl Mode {
    /// Reads `wall` or `registers`.
    pub fn parse(text: &str) -> Result<Self, ModeError> {
        match text {
            "wall" => Ok(Self::Wall),
            "registers" => Ok(Self::Registers),
            _ => Err(ModeError(text.chars().take(40).collect())),
        }
    }

    /// As the database and `/readyz` name it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Wall => "wall",
            Self::Registers => "registers",
        }
    }
}

/// The newest session that ingest accepted, shared by all who ask the time. Goes forward only.
#[derive(Clone)]
pub struct NewestSession(Arc<AtomicI32>);

impl NewestSession {
    const NONE: i32 = i32::MIN;

    /// No session yet.
    pub fn none() -> Self {
        Self(Arc::new(AtomicI32::new(Self::NONE)))
    }

    /// Notes a session; an older one than the newest changes nothing.
    pub fn advance(&self, session: Session) {
        self.0.fetch_max(session.number(), Ordering::AcqRel);
    }

    /// The newest session, if there is one.
    pub fn get(&self) -> Option<Session> {
        let number = self.0.load(Ordering::Acquire);
        (number != Self::NONE).then(|| Session::from_number(number))
    }
}

impl fmt::Debug for NewestSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NewestSession").field(&self.get()).finish()
    }
}

/// The hand of a test's clock.
#[derive(Clone, Debug)]
pub struct Hand(Arc<AtomicI64>);

impl Hand {
    /// Puts the wall clock to `moment`, backwards too.
    pub fn set(&self, moment: Timestamp) {
        self.0.store(moment.micros(), Ordering::Release);
    }
}

#[derive(Clone, Debug)]
enum Wall {
    System,
    Set(Hand),
}

/// The clock of an installation. Clones show the same time.
#[derive(Clone, Debug)]
pub struct Clock {
    wall: Wall,
    registers: Option<NewestSession>,
}

impl Clock {
    /// The system's clock, for school time too.
    pub fn wall() -> Self {
        Self { wall: Wall::System, registers: None }
    }

    /// A clock that stands at `moment` until its hand is moved.
    pub fn standing_at(moment: Timestamp) -> (Self, Hand) {
        let hand = Hand(Arc::new(AtomicI64::new(moment.micros())));
        (Self { wall: Wall::Set(hand.clone()), registers: None }, hand)
    }

    /// The same wall clock, but school time follows the registers.
    pub fn by_registers(self, newest: NewestSession) -> Self {
        Self { registers: Some(newest), ..self }
    }

    /// What school time follows.
    pub fn mode(&self) -> Mode {
        if self.registers.is_some() { Mode::Registers } else { Mode::Wall }
    }

    /// Now, for all that concerns school: what is due, how old news is, mute times.
    ///
    /// On [`Mode::Registers`] that is when the newest session began; before the first one it is 1 January 1970, not
    /// the wall's time: school time must never go back, and nothing is due or late before anything was received.
    pub fn now(&self) -> Timestamp {
        match &self.registers {
            None => self.wall_now(),
            Some(newest) => newest.get().map(Session::begins).unwrap_or_default(),
        }
    }

    /// Now by the wall, whatever school time follows: stamps of receipt, "ahead of the clock", expiry of keys, retries.
    pub fn wall_now(&self) -> Timestamp {
        match &self.wall {
            Wall::System => system_now(),
            Wall::Set(hand) => Timestamp::from_micros(hand.0.load(Ordering::Acquire)),
        }
    }

    /// The day of [`now`](Self::now) in London.
    pub fn today(&self) -> Day {
        self.now().day_in_london()
    }

    /// The school year of [`today`](Self::today).
    pub fn present_year(&self) -> SchoolYear {
        SchoolYear::of(self.today())
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
fn system_now() -> Timestamp {
    // A machine whose clock stands before 1970 is shown as 1970.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use attendance::Half;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn session(day: &str, half: Half) -> Session {
        Session::new(Day::parse(day).unwrap(), half)
    }

    #[test]
    fn a_standing_clock_goes_where_its_hand_is_put() {
        let (clock, hand) = Clock::standing_at(at("2025-07-31T22:30:00Z"));
        let (other, mode) = (clock.clone(), clock.mode());
        assert_eq!((clock.present_year().to_string(), mode), ("2024/25".to_owned(), Mode::Wall));
        hand.set(at("2025-07-31T23:30:00Z"));
        assert_eq!(other.today().to_string(), "2025-08-01", "it is past midnight in London");
        assert_eq!(clock.present_year().to_string(), "2025/26");
    }

    #[test]
    fn school_time_by_registers_is_the_newest_session_and_never_goes_back() {
        let newest = NewestSession::none();
        let (clock, hand) = Clock::standing_at(at("2026-11-24T03:00:00Z"));
        let clock = clock.by_registers(newest.clone());
        assert_eq!(clock.now(), Timestamp::from_micros(0), "nothing was received yet");
        newest.advance(session("2025-09-03", Half::Pm));
        newest.advance(session("2025-09-03", Half::Am));
        assert_eq!(clock.now(), at("2025-09-03T12:00:00Z"));
        assert_eq!(clock.present_year().to_string(), "2025/26");
        assert_eq!(clock.wall_now(), at("2026-11-24T03:00:00Z"));
        hand.set(at("2026-11-24T04:00:00Z"));
        assert_eq!(clock.now(), at("2025-09-03T12:00:00Z"), "the wall does not move it");
    }

    #[test]
    fn the_system_clock_is_somewhere_after_this_was_written() {
        assert!(Clock::wall().now() > at("2025-01-01T00:00:00Z"));
    }

    #[test]
    fn modes_are_read_as_they_are_written() {
        for mode in [Mode::Wall, Mode::Registers] {
            assert_eq!(Mode::parse(mode.text()), Ok(mode));
        }
        assert!(Mode::parse("Wall").is_err());
    }
}
