//! The contracts on Kafka and in stored rows, and the way between them and the domain's types.
//!
//! Takes and gives bytes. What does not decode is an error that says which part: nothing is guessed, nothing defaults.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod alert;
mod enrolment;
mod event;
mod record;
mod register;

pub use enrolment::{roster_from_bytes, roster_to_bytes};
pub use event::{Event, MarksPart, Origin};
pub use record::{year_from_bytes, year_to_bytes};
pub use register::RosterPart;

/// The generated types.
pub mod v1 {
    #![expect(
        missing_docs,
        clippy::all,
        clippy::pedantic,
        reason = "generated; the .proto files are the documentation"
    )]
    include!(concat!(env!("OUT_DIR"), "/attendance.v1.rs"));
}

/// Bytes that are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContractError {
    /// Not the message at all.
    #[error("the bytes are no {message}: {error}")]
    Form {
        /// The message's name.
        message: &'static str,
        /// What the decoder says.
        error: prost::DecodeError,
    },
    /// A field with a value that it cannot have.
    #[error("{message}.{field} has a value that it cannot have")]
    Value {
        /// The message's name.
        message: &'static str,
        /// The field's name.
        field: &'static str,
    },
}

impl ContractError {
    fn value(message: &'static str, field: &'static str) -> Self {
        Self::Value { message, field }
    }
}

fn decode<M: prost::Message + Default>(message: &'static str, bytes: &[u8]) -> Result<M, ContractError> {
    M::decode(bytes).map_err(|error| ContractError::Form { message, error })
}
