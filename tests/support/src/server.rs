//! One server process in a temporary folder, held through `server/watchdog.sh`.
//!
//! Takes the server's script, its signals and its readiness probe. Gives start, signals, end. Keeps a pipe to the watchdog: when
//! this side of it closes, for whatever reason, the watchdog ends the server and removes the folder. All signals go through the
//! watchdog too: it is the server's parent, so a process id can never have come to mean another process.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::SupportError;

/// How many lines of the server's log an error carries.
const LOG_LINES: usize = 30;
/// How long a server may take until it answers. Generous: several test processes may be starting theirs on two cores.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// Between two looks whether the server answers.
const PAUSE: Duration = Duration::from_millis(50);

/// What the watchdog must know of a kind of server.
#[derive(Debug)]
pub(crate) struct ServerKind {
    /// `kafka` or `postgres`: part of the folder's name and of errors.
    pub(crate) name: &'static str,
    /// The script in `server/`, called with `prepare` and with `start`.
    pub(crate) script: &'static str,
    /// The signal that ends the server for good, leaving nothing behind: `KILL`, `QUIT`.
    pub(crate) last_signal: &'static str,
    /// The environment of the script.
    pub(crate) environment: Vec<(&'static str, OsString)>,
}

/// The two ends of the pipe to the watchdog; one order at a time.
#[derive(Debug)]
struct Orders {
    /// `None` only while being dropped.
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

/// A server process, running or not, with its folder and its watchdog.
#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    folder: PathBuf,
    orders: Mutex<Orders>,
    watchdog: Child,
}

impl Server {
    /// Starts the watchdog, which makes the folder; the server itself is not started yet.
    pub(crate) fn new(kind: ServerKind) -> Result<Self, SupportError> {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("server");
        let mut watchdog = Command::new("sh")
            .arg(scripts.join("watchdog.sh"))
            .arg(kind.name)
            .arg(scripts.join(kind.script))
            .arg(kind.last_signal)
            .envs(kind.environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Not the test's: whoever reads a test's output to its end would wait for the watchdog.
            .stderr(Stdio::null())
            // Ctrl-C in a terminal goes to a whole process group and must leave the watchdog to clear away.
            .process_group(0)
            .spawn()
            .map_err(SupportError::io("run server/watchdog.sh by sh"))?;
        let (Some(to), Some(from)) = (watchdog.stdin.take(), watchdog.stdout.take()) else {
            let source = std::io::Error::other("no pipe");
            return Err(SupportError::Io { doing: "speak to server/watchdog.sh".to_owned(), source });
        };
        let mut from = BufReader::new(from);
        let mut folder = String::new();
        from.read_line(&mut folder).map_err(SupportError::io("read from server/watchdog.sh"))?;
        let folder = PathBuf::from(folder.trim());
        if !folder.is_dir() {
            let source = std::io::Error::other("server/watchdog.sh made none");
            return Err(SupportError::Io { doing: "have a temporary folder made".to_owned(), source });
        }
        Ok(Self { name: kind.name, folder, orders: Mutex::new(Orders { to: Some(to), from }), watchdog })
    }

    /// The folder with everything the server has: settings, data, `server.log`.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a file into the folder.
    pub(crate) fn write(&self, file: &str, text: &str) -> Result<(), SupportError> {
        let path = self.folder.join(file);
        std::fs::write(&path, text).map_err(SupportError::io(format!("write {}", path.display())))
    }

    /// Formats the server's data folder; once, before the first start.
    pub(crate) fn prepare(&self) -> Result<(), SupportError> {
        self.order("prepare")
    }

    /// Starts the server and waits until `answers`; fails as soon as the server ends, or after a minute.
    pub(crate) fn start(&self, mut answers: impl FnMut() -> bool) -> Result<(), SupportError> {
        self.order("start")?;
        let started = Instant::now();
        loop {
            // The status first: the answer might come from another process that has the port.
            if self.order("status").is_err() {
                return Err(SupportError::Ended { server: self.name, log: self.log_tail() });
            }
            if answers() {
                return Ok(());
            }
            let waited = started.elapsed();
            if waited >= READY_WITHIN {
                return Err(SupportError::NotReady { server: self.name, waited, log: self.log_tail() });
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Sends a signal, by its name without `SIG`, and does not wait for what comes of it.
    pub(crate) fn signal(&self, signal: &str) -> Result<(), SupportError> {
        self.order(&format!("signal {signal}"))
    }

    /// Sends a signal that ends the server, and waits for its end; a server that has ended already is no error.
    pub(crate) fn end(&self, signal: &str) -> Result<(), SupportError> {
        self.order(&format!("end {signal}"))
    }

    /// Gives the watchdog an order and waits for its answer.
    fn order(&self, order: &str) -> Result<(), SupportError> {
        match self.answer(order) {
            Ok(answer) if answer.trim() == "ok" => Ok(()),
            _ => Err(SupportError::Order { server: self.name, order: order.to_owned(), log: self.log_tail() }),
        }
    }

    fn answer(&self, order: &str) -> std::io::Result<String> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(to) = &mut orders.to {
            writeln!(to, "{order}")?;
        }
        let mut answer = String::new();
        orders.from.read_line(&mut answer)?;
        Ok(answer)
    }

    /// The last lines of the server's log: the folder with the whole of it is removed before anybody can look.
    fn log_tail(&self) -> String {
        let log = std::fs::read(self.folder.join("server.log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The closed pipe is the order to clear away; the wait makes it done when this returns.
        self.orders.get_mut().unwrap_or_else(PoisonError::into_inner).to = None;
        drop(self.watchdog.wait());
    }
}
