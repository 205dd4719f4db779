//! A county of invented schools and pupils, calibrated to published statistics.
//! Takes a seed and options; gives schools, pupils, their true marks and the registers that schools send, late, twice and
//! corrected. Pure: no IO, no clock; the same seed gives the same bytes on every machine.

mod absence;
pub mod calendar;
pub mod county;
mod dice;
pub mod enrolments;
mod model;
mod names;
pub mod policy;
mod provision;
pub mod pupils;
pub mod registers_csv;
pub mod roster;
pub mod schools;
mod sending_plan;
pub mod stream;
pub mod truth;
pub mod types;

pub use county::{County, CountyError, Options};
pub use stream::{SchoolDay, Stream};
pub use truth::Truth;
