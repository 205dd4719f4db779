//! Compiles the contracts without protoc.

use std::io::{Error, Result};

fn main() -> Result<()> {
    let files = ["event", "alert", "record", "register"].map(|name| format!("attendance/v1/{name}.proto"));
    println!("cargo::rerun-if-changed=attendance");
    let descriptors = protox::compile(&files, ["."]).map_err(Error::other)?;
    prost_build::Config::new().compile_fds(descriptors)
}
