//! The section `admin`: the port of `/metrics`, `/healthz` and `/readyz`, one a service, so that one file serves all.

use super::section::{Check, section};
use std::net::SocketAddr;
use std::time::Duration;

section! {
    /// Where operators reach a service: /metrics, /healthz, /readyz. Not for the world: it asks for no key.
    Admin in "admin" {
        /// Ingest's address.
        ingest: SocketAddr = "127.0.0.1:9101";
        /// Rules' address.
        rules: SocketAddr = "127.0.0.1:9102";
        /// Notifier's address.
        notifier: SocketAddr = "127.0.0.1:9103";
        /// The longest that a client may take to send the head of a request, stay idle, or take nothing of its answer.
        header_timeout: Duration = "5s";
    }
}

impl Check for Admin {}
