//! The demonstration as a person runs it: embedded and on real parts, to its end and interrupted; and a county simulated to an
//! installation over HTTP.
#![expect(dead_code, reason = "the harness serves other tests too")]

mod harness;
#[path = "harness/http.rs"]
mod http;

use harness::Installation;
use harness::checker::{EVENTS, stored};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const REGISTERS: &str = "attendance.registers.v1";
const COUNTY: [&str; 6] = ["--seed", "5", "--schools", "6", "--pupils", "400"];

fn earlybell(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_earlybell"));
    command.current_dir(folder).stdin(Stdio::null());
    command
}

fn demo(folder: &Path, more: &[&str]) -> Output {
    earlybell(folder).arg("demo").args(COUNTY).args(more).output().unwrap()
}

fn summary(output: &Output) -> Value {
    let error = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|wrong| panic!("{wrong}: {error}"))
}

/// Files below a folder.
fn files(folder: &Path) -> Vec<String> {
    let folders = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    folders
        .flat_map(|team| fs::read_dir(team).unwrap())
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect()
}

/// What `backtest` finds in the same county's files.
fn backtest(folder: &Path, days: &str) -> Value {
    let simulated = earlybell(folder)
        .args(["simulate", "registers.csv", "--pupils-out", "pupils.csv", "--policy-out", "policy", "--days", days])
        .args(COUNTY)
        .status();
    assert!(simulated.unwrap().success());
    let run = ["backtest", "--registers", "registers.csv", "--pupils", "pupils.csv", "--policy", "policy", "--json"];
    summary(&earlybell(folder).args(run).output().unwrap())
}

#[test]
fn a_demonstration_needs_nothing_else_and_ends_as_backtest_does() {
    let folder = TempDir::new().unwrap();
    let output = demo(folder.path(), &["--days", "30", "--headless", "--json"]);
    let found = summary(&output);
    assert!(output.status.success(), "{found}");
    assert_eq!((&found["verified"], &found["rejected"], &found["days"]), (&true.into(), &0.into(), &30.into()));
    let expected = backtest(folder.path(), "30");
    assert_eq!(found["marks"], expected["marks"]);
    assert_eq!(found["alerts_by_locality"], expected["alerts_by_locality"], "{expected}");
    let messages = files(&folder.path().join("earlybell-demo/messages"));
    let delivered: u64 =
        found["deliveries"].as_object().unwrap().values().map(|of| of["delivered"].as_u64().unwrap()).sum();
    // What changes for a pupil at a moment is one message; that every change is in one is what `verified` says.
    assert!(delivered > 10 && delivered <= found["changes_sent"].as_u64().unwrap(), "{found}");
    assert_eq!(messages.len() as u64, delivered, "a file a message");
    let figures = ["Missed ", " days in a row", "sessions since", "still marked", "marked N", "Settled: ", " of "];
    let bare = messages.iter().find(|text| !figures.iter().any(|part| text.contains(part)));
    assert_eq!(bare, None, "each says why");

    // A second one takes the first one's folder, and no other.
    let again = summary(&demo(folder.path(), &["--days", "30", "--headless", "--json"]));
    assert_eq!(again["alerts_by_locality"], found["alerts_by_locality"]);
    let refused = demo(folder.path(), &["--folder", "policy"]);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && told.contains("policy is no folder of a demonstration"), "{told}");
    assert!(folder.path().join("policy/rules.toml").exists());
}

#[test]
fn ctrl_c_ends_a_demonstration_in_order_and_what_was_sent_is_verified() {
    let folder = TempDir::new().unwrap();
    let mut command = earlybell(folder.path());
    command.arg("demo").args(COUNTY).args(["--speed", "4", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    std::thread::sleep(Duration::from_secs(5));
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupt.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let found = summary(&output);
    assert!(output.status.success(), "{found}");
    let days = found["days"].as_u64().unwrap();
    assert!((1..60).contains(&days) && found["verified"] == true, "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_real_parts_the_demonstration_is_the_same_and_leaves_an_installation_alone() {
    let kafka = tokio::task::spawn_blocking(|| support::Kafka::start(&support::KafkaOptions::default()).unwrap());
    let kafka = kafka.await.unwrap();
    let postgres = tokio::task::spawn_blocking(support::postgres).await.unwrap();
    let database = postgres.create_database().await.unwrap();
    let folder = TempDir::new().unwrap();
    let real = ["--days", "20", "--headless", "--json", "--brokers", kafka.brokers(), "--database", &database];
    let output = demo(folder.path(), &real);
    let found = summary(&output);
    assert!(output.status.success(), "{found}");
    assert_eq!(found["alerts_by_locality"], backtest(folder.path(), "20")["alerts_by_locality"]);
    let refused = demo(folder.path(), &real);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && told.contains("holds an installation already"), "{told}");
    // Nor another database on the same Kafka, whose services would take the demonstration's children for theirs.
    let other = postgres.create_database().await.unwrap();
    let refused = demo(folder.path(), &["--days", "20", "--brokers", kafka.brokers(), "--database", &other]);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && told.contains("this Kafka holds an installation already"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_county_is_simulated_to_an_installation_that_runs_by_registers_and_to_no_other() {
    let by_registers = Installation::start_on(2, "registers").await;
    let folder = by_registers.folder.path().to_owned();
    let county = ["--schools", "3", "--pupils", "90", "--seed", "3"];
    by_registers.run(&[&["simulate", "--policy-out", "county"][..], &county].concat());
    by_registers.run(&["apply", "county", "--yes", "--by", "test"]);
    let key = by_registers.key(&["--name", "county", "--all-schools"]);
    fs::write(folder.join("key"), key).unwrap();
    let _rules = by_registers.service("rules", None);
    let ingest = by_registers.ingest(None).await;
    let to = format!("http://127.0.0.1:{}", ingest.port);
    let send = [&["simulate", "--to", &to, "--key-file", "key", "--days", "3"][..], &county].concat();
    // Twice: what was sent before changes nothing.
    for _ in 0..2 {
        by_registers.run(&send);
    }
    let store = by_registers.store().await;
    by_registers.taken(&store, REGISTERS).await;
    by_registers.taken(&store, EVENTS).await;
    by_registers.settled(&store).await;
    let records = stored(&store, 2).await;
    assert!(records.len() > 80 && records.values().all(|record| (1..=6).contains(&record.len())), "{}", records.len());

    let by_wall = Installation::start_on(1, "wall").await;
    let key = by_wall.key(&["--name", "county", "--all-schools"]);
    fs::write(by_wall.folder.path().join("key"), key).unwrap();
    let ingest = by_wall.ingest(None).await;
    let to = format!("http://127.0.0.1:{}", ingest.port);
    let refused = by_wall.earlybell(&["simulate", "--to", &to, "--key-file", "key"]).output().unwrap();
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && told.contains("runs on the clock `wall`"), "{told}");
    by_wall.taken(&by_wall.store().await, REGISTERS).await;
}
