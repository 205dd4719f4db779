//! Reading what schools send: one file a format. Bytes in; parts that are sound, or a refusal with its place.

pub mod blocks;
pub mod columns;
pub mod gzip;
pub(crate) mod json;
pub mod pupils_csv;
pub mod registers_csv;
pub(crate) mod roster;
mod row;
mod rows;
