//! What operators start from is true: the compose file's settings are settings, its versions are those of the tests, the
//! sample policy is sound, every metric that an alert names exists. No engine is needed; the files are read.

mod compose;
mod image;
mod policy;
mod prometheus;

use serde_json::Value;
use std::path::{Path, PathBuf};

/// A file of the repository, by its path from the root.
fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A YAML file, its anchors and merges resolved.
fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The texts of a list.
fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}
