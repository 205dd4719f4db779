//! A PostgreSQL server with empty data, as its distribution ships it: `fsync` on.
//!
//! Takes settings; gives addresses of databases, a new database for each test, and a crash with the way back.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{Connection, Executor, PgConnection};

use crate::server::{Server, ServerKind};
use crate::{SupportError, free_port, install};

/// How often a start is tried, each time with another port.
const TRIES: usize = 3;

/// A server that is this process's own. Dropping it stops it and removes its folder.
///
/// Everybody on this machine may connect as its superuser `postgres`, without a password, over TCP on 127.0.0.1; the Unix socket
/// lies in the folder.
#[derive(Debug)]
pub struct Postgres {
    server: Server,
    programs: PathBuf,
    port: u16,
    databases: AtomicU32,
}

impl Postgres {
    /// Starts a server on a free port and waits until it answers: 2 to 3 s on two cores.
    ///
    /// Blocks. The first call on a machine may install PostgreSQL (`scripts/install-postgres.sh`). Fails when it cannot be had or
    /// does not answer within a minute.
    pub fn start() -> Result<Self, SupportError> {
        Self::start_with(&[])
    }

    /// As [`Postgres::start`], with lines for `postgresql.conf`, name and value, which win over those that are set here. Values
    /// are put between quotes.
    pub fn start_with(settings: &[(&str, &str)]) -> Result<Self, SupportError> {
        let programs = install::run("install-postgres.sh")?;
        let mut tries = 1;
        loop {
            match Self::start_once(settings, programs.clone()) {
                Err(error) if error.is_retryable() && tries < TRIES => tries += 1,
                result => return result,
            }
        }
    }

    fn start_once(settings: &[(&str, &str)], programs: PathBuf) -> Result<Self, SupportError> {
        let server = Server::new(ServerKind {
            name: "postgres",
            script: "postgres.sh",
            // Immediate shutdown: unlike after KILL, no process and no shared memory stays.
            last_signal: "QUIT",
            environment: vec![("POSTGRES_BIN", programs.clone().into())],
        })?;
        let port = free_port()?;
        server.write("settings.conf", &configuration(server.folder(), port, settings))?;
        server.prepare()?;
        let postgres = Self { server, programs, port, databases: AtomicU32::new(0) };
        postgres.start_again()?;
        Ok(postgres)
    }

    /// The address of a database of this server, which need not exist; the same over restarts.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// The temporary folder: `data`, `server.log`, the Unix socket.
    pub fn folder(&self) -> &Path {
        self.server.folder()
    }

    /// Creates an empty database with a name that no other call gets, and gives its address.
    pub async fn create_database(&self) -> Result<String, SupportError> {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed) + 1);
        let url = self.url("postgres");
        let failed = |source| SupportError::Database { url: url.clone(), source };
        let mut connection = PgConnection::connect(&url).await.map_err(failed)?;
        // A name cannot be a parameter of this statement; this one is made of letters and digits above.
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        connection.execute(sqlx::raw_sql(create)).await.map_err(failed)?;
        connection.close().await.map_err(failed)?;
        Ok(self.url(&name))
    }

    /// Ends the server at once (SIGQUIT: no checkpoint, open connections are cut, as in a crash) and waits until it is gone. Its
    /// data stay and recover at the next start.
    pub fn stop_immediate(&self) -> Result<(), SupportError> {
        self.server.end("QUIT")
    }

    /// Starts the stopped server, on the same port with the same data, and waits until it answers; stops it first if it runs.
    pub fn start_again(&self) -> Result<(), SupportError> {
        self.stop_immediate()?;
        let port = self.port.to_string();
        self.server.start(|| {
            Command::new(self.programs.join("pg_isready"))
                .args(["-q", "-h", "127.0.0.1", "-p", &port])
                .stdin(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        })
    }
}

/// Lines for the end of `postgresql.conf`; of a setting given twice PostgreSQL takes the later.
fn configuration(folder: &Path, port: u16, settings: &[(&str, &str)]) -> String {
    let folder = folder.display().to_string();
    let port = port.to_string();
    let own = [
        ("listen_addresses", "127.0.0.1"),
        ("port", port.as_str()),
        ("unix_socket_directories", folder.as_str()),
        ("max_connections", "200"),
        // Where times appear as text they are to read alike on every machine.
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
    ];
    let mut text = String::new();
    for (name, value) in own.iter().chain(settings) {
        // Writing to a string cannot fail.
        writeln!(text, "{name} = '{}'", value.replace('\'', "''")).ok();
    }
    text
}
