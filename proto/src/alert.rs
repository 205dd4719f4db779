//! Alert changes: the domain's words as the contract numbers them.

use crate::v1;
use attendance::alert::Change;

impl From<Change> for v1::Change {
    fn from(change: Change) -> Self {
        match change {
            Change::Raised => Self::Raised,
            Change::Escalated => Self::Escalated,
            Change::Reduced => Self::Reduced,
            Change::Cleared => Self::Cleared,
            Change::Withdrawn => Self::Withdrawn,
            Change::YearEnded => Self::YearEnded,
            Change::Moved => Self::Moved,
        }
    }
}
