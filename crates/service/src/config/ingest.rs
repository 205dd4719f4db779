//! The section `ingest`: what is taken by HTTP.

use super::reader::Reader;
use super::section::{Check, Section, section};
use super::value::Size;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

section! {
    /// What ingest takes by HTTP.
    Ingest in "ingest" {
        /// Where schools reach us; behind a proxy that speaks TLS.
        listen: SocketAddr = "127.0.0.1:8080";
        /// The largest body of a request, as it is sent.
        max_body: Size = "16 MiB";
        /// The largest body of a request once it is unpacked.
        max_unpacked: Size = "64 MiB";
        /// Requests a second with one key, on average; twice as many may come at once. 0: no limit.
        key_requests: u32 = "200";
        /// Connections at once; further ones wait.
        connections: NonZeroU32 = "4096";
        /// The longest that a client may take to send the head of a request, stay idle, or take nothing of its answer.
        header_timeout: Duration = "10s";
        /// The longest that a request may take, its acknowledgements by Kafka included.
        request_timeout: Duration = "30s";
    }
}

impl Check for Ingest {
    fn check(&self, reader: &mut Reader) {
        if self.max_unpacked < self.max_body {
            reader.refuse(Self::NAME, "max_unpacked", "must not be smaller than ingest.max_body; raise it");
        }
        if self.header_timeout > self.request_timeout {
            reader.refuse(Self::NAME, "header_timeout", "must not be longer than ingest.request_timeout; lower it");
        }
    }
}
