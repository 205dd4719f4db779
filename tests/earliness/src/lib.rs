//! Cohorts of several kinds, scores of several ways to see absence early, and what they are worth. For `make earliness` and its tests.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of some thousands"
)]
#![expect(clippy::missing_panics_doc, reason = "a benchmark")]

pub mod boost;
pub mod cohort;
pub mod county;
pub mod judged;
pub mod kinds;
pub mod measure;
pub mod regression;
pub mod seen;
