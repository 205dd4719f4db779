//! The installation's clock, from its row.

use attendance::Session;
use service::clock::{Clock, NewestSession};
use store::installation::{self, Installation};

/// The installation's clock as it stands, and what moves it where the installation runs by registers.
pub fn clock(installation: &Installation) -> (Clock, NewestSession) {
    let newest = NewestSession::none();
    note(installation, &newest);
    let clock = match installation.clock {
        installation::Clock::Wall => Clock::wall(),
        installation::Clock::Registers => Clock::wall().by_registers(newest.clone()),
    };
    (clock, newest)
}

/// Moves the clock to where the row stands.
pub(crate) fn note(installation: &Installation, newest: &NewestSession) {
    if let Some(session) = installation.clock_session {
        newest.advance(Session::from_number(session));
    }
}
