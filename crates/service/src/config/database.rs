//! The section `database`.

use super::reader::Reader;
use super::secret::Secret;
use super::section::{Check, Section, section};
use std::num::NonZeroU32;
use std::time::Duration;

section! {
    /// Where the database is.
    Database in "database" {
        /// `postgres://user:password@host:port/name`: a secret, since it holds the password.
        url: Secret = "postgres://localhost:5432/earlybell";
        /// The most connections that one process holds.
        pool_size: NonZeroU32 = "10";
        /// The longest wait for a connection.
        acquire_timeout: Duration = "5s";
    }
}

impl Check for Database {
    fn check(&self, reader: &mut Reader) {
        let known = ["postgres://", "postgresql://", "sqlite:"];
        if !known.iter().any(|scheme| self.url.expose().starts_with(scheme)) {
            reader.refuse(Self::NAME, "url", "is no address of a database; begin it with postgres://");
        }
    }
}
