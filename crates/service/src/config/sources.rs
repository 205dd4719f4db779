//! What settings are read from: at most one file, and environment variables as values, so that tests need no process
//! of their own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// The variable that names the file, unless the command line does.
pub const FILE_VARIABLE: &str = "EARLYBELL_CONFIG";

/// The file in the working directory that is read where none is named.
const FILE: &str = "earlybell.toml";

/// The layers over the defaults.
#[derive(Clone, Default)]
pub struct Sources {
    /// The file; it must exist.
    pub file: Option<PathBuf>,
    /// Environment variables; only those that begin with `EARLYBELL__` are settings.
    pub environment: BTreeMap<String, OsString>,
}

impl Sources {
    /// What this process was given: its environment, and the file that `named` (the command line's `--config`), else
    /// `EARLYBELL_CONFIG` names, else `./earlybell.toml` if there is one.
    pub fn of_process(named: Option<PathBuf>) -> Self {
        let environment =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
        Self::choose(named, environment, Path::new(FILE))
    }

    fn choose(named: Option<PathBuf>, environment: BTreeMap<String, OsString>, present: &Path) -> Self {
        let by_variable = environment.get(FILE_VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from);
        let by_place = || present.exists().then(|| present.to_owned());
        Self { file: named.or(by_variable).or_else(by_place), environment }
    }
}

/// Names only: values may be secrets.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.environment.keys().collect();
        f.debug_struct("Sources").field("file", &self.file).field("environment", &names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_goes_before_the_variable_and_that_before_the_working_directory() {
        let folder = tempfile::tempdir().unwrap();
        let present = folder.path().join(FILE);
        let chosen = |named: Option<&str>, variable: Option<&str>| {
            let environment = variable.map(|name| (FILE_VARIABLE.to_owned(), name.into())).into_iter().collect();
            Sources::choose(named.map(PathBuf::from), environment, &present).file
        };
        assert_eq!(chosen(None, None), None, "no file is fine");
        std::fs::write(&present, "").unwrap();
        assert_eq!(chosen(None, None), Some(present.clone()));
        assert_eq!(chosen(None, Some("b.toml")), Some("b.toml".into()));
        assert_eq!(chosen(Some("a.toml"), Some("b.toml")), Some("a.toml".into()));
    }
}
