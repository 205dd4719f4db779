//! Finds the programs of a server by its install script, which fetches them where they are missing.
//!
//! Takes a script's name; gives the folder that the script prints. Where programs are looked for is the scripts' knowledge alone.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::SupportError;

/// Runs `scripts/<name>` of this repository and gives the folder it prints.
///
/// The script does nothing when all is there (under 0.1 s), and may take minutes the first time. Fails with
/// [`SupportError::Install`] and the script's own words.
pub(crate) fn run(name: &str) -> Result<PathBuf, SupportError> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts").join(name);
    let output = Command::new("sh")
        .arg(&script)
        .output()
        .map_err(SupportError::io(format!("run {} by sh", script.display())))?;
    if !output.status.success() {
        let output = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(SupportError::Install { script, output });
    }
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}
