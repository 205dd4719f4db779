//! School attendance in England, as values and functions: no IO, no clock, no randomness, no async.
//!
//! Takes marks as parsed at the edge, keeps them in a pupil's [`record`], folds the record in calendar order
//! with the authority's rules ([`judge`]) and says what alert is wanted; [`alert`] tells the difference between
//! that and what was last published. The services, `backtest`, `explain` and the tests all call these functions.
//!
//! Terms are the DfE's: "Working together to improve school attendance" (August 2024) and the School Attendance
//! (Pupil Registration) (England) Regulations 2024.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod alert;
pub mod backtest;
pub mod calendar;
pub mod change;
pub mod code;
pub mod day;
pub mod enrolment;
pub mod evidence;
pub mod forecast;
pub mod judge;
pub mod mark;
pub mod pattern;
pub mod phase;
pub mod profile;
pub mod rate;
pub mod record;
pub mod rule;
pub mod session;
pub mod silence;
pub mod timestamp;
pub mod trail;
pub mod upn;
pub mod urn;

pub use code::{Code, Meaning};
pub use day::Day;
pub use mark::Mark;
pub use phase::Phase;
pub use session::{Half, SchoolYear, Session};
pub use timestamp::Timestamp;
pub use upn::Upn;
pub use urn::Urn;
