//! Fault points end a process at the passing that the environment names. The tests run this binary again, as the
//! process that ends.
#![cfg(debug_assertions)]

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

const SIGABRT: i32 = 6;

/// Runs only the walk below, with a fault.
fn walk_with(fault: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "without_a_fault_every_point_is_passed", "--nocapture", "--test-threads=1"])
        .env("EARLYBELL_FAULT", fault)
        .output()
        .unwrap()
}

/// How many times the walk came past the point.
fn passings(output: &Output) -> usize {
    String::from_utf8_lossy(&output.stdout).matches("passed test.walk").count()
}

#[test]
fn without_a_fault_every_point_is_passed() {
    for _ in 0..3 {
        service::fault::point("test.walk");
        println!("passed test.walk");
        service::fault::point("test.other");
    }
}

#[test]
fn a_fault_aborts_at_the_first_passing() {
    let output = walk_with("test.walk");
    assert_eq!((output.status.signal(), passings(&output)), (Some(SIGABRT), 0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("fault point test.walk"));
}

#[test]
fn a_fault_with_a_count_aborts_at_that_passing() {
    let output = walk_with("test.walk:3");
    assert_eq!((output.status.signal(), passings(&output)), (Some(SIGABRT), 2));
}

#[test]
fn a_fault_of_another_name_aborts_nothing() {
    let output = walk_with("test.elsewhere");
    assert_eq!((output.status.code(), passings(&output)), (Some(0), 3));
}

#[test]
fn a_fault_that_cannot_be_read_aborts_at_once() {
    let output = walk_with("test.walk:soon");
    assert_eq!((output.status.signal(), passings(&output)), (Some(SIGABRT), 0));
}
