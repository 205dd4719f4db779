//! Whatever way a test process ends, no server of it, no watchdog and no folder stays.
//!
//! The ends are tried on processes of their own: this very test program, started again for one of the `child_…` functions, which
//! are tests only by form.

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use support::{Kafka, KafkaOptions, Postgres, wait_until};

const SOON: Duration = Duration::from_mins(1);

/// Ids and command lines of the processes that name the folder or work in it; of Linux only, elsewhere always none.
fn processes_of(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let is_of = |entry: &fs::DirEntry| {
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let place = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        // The place of a process whose folder was removed reads "<folder> (deleted)", hence no comparison of paths.
        let folder = folder.to_string_lossy();
        let names_it = command.contains(&*folder) || place.to_string_lossy().contains(&*folder);
        names_it.then(|| format!("{} {command}", entry.file_name().display()))
    };
    entries.flatten().filter_map(|entry| is_of(&entry)).collect()
}

/// A process of this test program that runs one `child_…` function.
struct Started {
    process: Child,
    folders: Vec<PathBuf>,
    /// Closing it lets the child end by itself.
    stdin: ChildStdin,
    /// Kept open, for the harness in the child to write its last lines to.
    _stdout: Lines<BufReader<ChildStdout>>,
}

fn start(function: &str) -> Started {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", function])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = process.stdin.take().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    // The harness may have begun the line.
    let folder = |line: String| line.split_once("folder=").map(|(_, folder)| PathBuf::from(folder));
    let folders =
        lines.by_ref().map(Result::unwrap).take_while(|line| !line.contains("started")).filter_map(folder).collect();
    Started { process, folders, stdin, _stdout: lines }
}

async fn wait_until_nothing_is_left(folders: &[PathBuf]) {
    assert_eq!(folders.len(), 2, "the child did not start both servers");
    for folder in folders {
        wait_until(SOON, "nothing to be left", async || match (folder.exists(), processes_of(folder)) {
            (false, processes) if processes.is_empty() => Ok(()),
            (exists, processes) => Err(format!("folder exists: {exists}, processes: {processes:?}")),
        })
        .await
        .unwrap();
    }
}

/// Tells the parent of the servers, which then ends this process or, by closing stdin, lets it go on.
fn report_and_wait(kafka: &Kafka, postgres: &Postgres) {
    println!("folder={}", kafka.folder().display());
    println!("folder={}", postgres.folder().display());
    println!("started");
    std::io::stdin().lines().for_each(drop);
}

#[test]
#[ignore = "run by kill_9_of_the_test_process_leaves_nothing"]
fn child_with_a_frozen_broker() {
    support::kafka().freeze().unwrap();
    report_and_wait(support::kafka(), support::postgres());
}

#[tokio::test]
async fn kill_9_of_the_test_process_leaves_nothing() {
    let mut child = start("child_with_a_frozen_broker");
    assert!(child.folders.iter().all(|folder| !processes_of(folder).is_empty()), "the servers were not seen running");
    child.process.kill().unwrap();
    child.process.wait().unwrap();
    wait_until_nothing_is_left(&child.folders).await;
}

#[test]
#[ignore = "run by a_panic_leaves_nothing"]
fn child_that_panics() {
    report_and_wait(support::kafka(), support::postgres());
    panic!("as wanted");
}

#[tokio::test]
async fn a_panic_leaves_nothing() {
    let Started { mut process, folders, stdin, _stdout } = start("child_that_panics");
    drop(stdin);
    assert!(!process.wait().unwrap().success());
    wait_until_nothing_is_left(&folders).await;
}

#[test]
fn a_dropped_server_is_gone_when_drop_returns() {
    let kafka = Kafka::start(&KafkaOptions::default()).unwrap();
    let postgres = Postgres::start().unwrap();
    let folders = [kafka.folder().to_owned(), postgres.folder().to_owned()];
    assert!(folders.iter().all(|folder| folder.exists() && !processes_of(folder).is_empty()));
    drop((kafka, postgres));
    for folder in folders {
        assert!(!folder.exists());
        assert_eq!(processes_of(&folder), Vec::<String>::new());
    }
}
