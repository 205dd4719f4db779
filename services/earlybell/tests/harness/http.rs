//! Ingest over HTTP: a free port, keys, requests made by hand so that wrong ones can be made too.

use crate::harness::registers::Sending;
use crate::harness::{Installation, Process};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// An ingest process and where it listens.
pub(crate) struct Ingest {
    pub(crate) process: Process,
    pub(crate) port: u16,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// Everything up to the end; what came before a connection was reset counts.
    pub(crate) fn read(stream: &mut TcpStream) -> std::io::Result<Self> {
        let mut answer = Vec::new();
        let ended = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let Some((head, body)) = answer.split_once("\r\n\r\n") else {
            ended?;
            return Err(std::io::Error::other(answer));
        };
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Ok(Self { status, head: head.to_lowercase(), body: body.to_owned() })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn detail(&self) -> String {
        assert!(self.head.contains("application/problem+json"), "{self:?}");
        let json = self.json();
        assert_eq!(json["status"], self.status);
        json["detail"].as_str().unwrap().to_owned()
    }
}

impl Installation {
    /// Starts ingest and waits until it answers.
    pub(crate) async fn ingest(&self, fault: Option<&str>) -> Ingest {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        self.ingest_at(port, fault).await
    }

    pub(crate) async fn ingest_at(&self, port: u16, fault: Option<&str>) -> Ingest {
        let fault = fault.map(|fault| ("EARLYBELL_FAULT", fault));
        self.ingest_with(port, fault.as_slice()).await
    }

    /// With further variables of the environment.
    pub(crate) async fn ingest_with(&self, port: u16, environment: &[(&str, &str)]) -> Ingest {
        let mut command = self.earlybell(&["ingest"]);
        command.env("EARLYBELL__INGEST__LISTEN", format!("127.0.0.1:{port}"));
        command.env("EARLYBELL__KAFKA__DELIVERY_TIMEOUT", "3s");
        command.envs(environment.iter().copied());
        let process = Process::spawn(&mut command);
        support::wait_until(Duration::from_secs(30), "ingest to listen", async || {
            TcpStream::connect(("127.0.0.1", port)).map(drop).map_err(|error| error.to_string())
        })
        .await
        .unwrap();
        Ingest { process, port }
    }

    /// A new key.
    pub(crate) fn key(&self, arguments: &[&str]) -> String {
        let arguments = [&["key", "create"], arguments].concat();
        self.run(&arguments).trim().to_owned()
    }
}

impl Ingest {
    /// A request with these lines in its head, and an answer. A body of a wrong length has its length in `lines`.
    pub(crate) fn ask(&self, line: &str, lines: &[&str], body: &[u8]) -> std::io::Result<Answer> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(40)))?;
        let mut head = format!("{line} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
        for line in lines {
            head.push_str(&format!("{line}\r\n"));
        }
        if !lines.iter().any(|line| line.starts_with("content-length")) {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        stream.write_all(format!("{head}\r\n").as_bytes())?;
        stream.write_all(body)?;
        Answer::read(&mut stream)
    }

    /// A connection on which nothing was said yet.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
        stream
    }

    /// A sending of that type.
    pub(crate) fn send(&self, path: &str, key: &str, kind: &str, body: impl AsRef<[u8]>) -> Answer {
        let lines = [format!("authorization: Bearer {key}"), format!("content-type: {kind}")];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        self.ask(&format!("POST {path}"), &lines, body.as_ref()).unwrap()
    }
}

/// A sending as a school posts it.
pub(crate) fn json(sending: &Sending) -> String {
    let mark = |(upn, revision): &(attendance::Upn, attendance::mark::Revision)| serde_json::json!({ "upn": upn.text(), "code": revision.code.text() });
    let revised_at = sending.marks[0].1.revised_at;
    assert!(sending.marks.iter().all(|(_, revision)| revision.revised_at == revised_at));
    serde_json::json!({
        "school_urn": sending.school.number(), "date": sending.session.day().to_string(),
        "session": sending.session.half().text(), "revised_at": revised_at.to_string(),
        "marks": sending.marks.iter().map(mark).collect::<Vec<_>>(),
    })
    .to_string()
}
