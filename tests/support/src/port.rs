//! Free ports for servers that must keep their port over a restart.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::SupportError;

/// Below 32768, where Linux begins to give ports to outgoing connections: while a server is down, a client that tries again and
/// again could otherwise be given the server's own port, connect to itself and keep the server from coming back.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

/// How many ports this process has looked at, so that no two calls look at the same.
static LOOKED_AT: AtomicU32 = AtomicU32::new(0);

/// A port of 127.0.0.1 (12000 to 31999) on which nothing listens now, given twice by one process only after all others.
///
/// Nothing reserves it: another process may still take it first, so who starts a server on it tries again on failure. Processes
/// begin their search at different places. Fails with [`SupportError::NoPort`] when all are taken.
pub fn free_port() -> Result<u16, SupportError> {
    // 97 shares no factor with the count, so that neighbouring process ids begin far from each other.
    let start = u64::from(std::process::id()) * 97;
    for _ in 0..COUNT {
        let step = u64::from(LOOKED_AT.fetch_add(1, Ordering::Relaxed));
        let offset = u16::try_from((start + step) % u64::from(COUNT)).unwrap_or_default();
        let port = FIRST + offset;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(SupportError::NoPort { first: FIRST, last: FIRST + COUNT - 1 })
}
