//! The files of a policy, four and one that may be left out, from a folder or from the database's row.

use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) const AUTHORITY: &str = "authority.toml";
pub(crate) const RULES: &str = "rules.toml";
pub(crate) const SCHOOLS: &str = "schools.csv";
pub(crate) const LOCALITIES: &str = "localities.csv";
pub(crate) const PROJECTION: &str = "projection.toml";

/// The files' texts. The two CSV files may have come in Windows-1252; here they are Unicode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// `authority.toml`.
    pub authority: String,
    /// `rules.toml`.
    pub rules: String,
    /// `schools.csv`.
    pub schools: String,
    /// `localities.csv`.
    pub localities: String,
    /// `projection.toml`; without it the numbers that ship hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projection: Option<String>,
}

/// A file that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}: {error}; a policy folder holds authority.toml, rules.toml, schools.csv and localities.csv", path = .path.display())]
pub struct FilesError {
    path: PathBuf,
    error: std::io::Error,
}

impl Files {
    /// The names of the files that a policy folder must hold.
    pub const NAMES: [&str; 4] = [AUTHORITY, RULES, SCHOOLS, LOCALITIES];
    /// The names of all files that a policy folder may hold.
    pub const ALL_NAMES: [&str; 5] = [AUTHORITY, RULES, SCHOOLS, LOCALITIES, PROJECTION];

    /// Reads a policy folder.
    pub fn load(folder: &Path) -> Result<Self, FilesError> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).map(|bytes| decode(&bytes)).map_err(|error| FilesError { path, error })
        };
        Ok(Self {
            authority: read(AUTHORITY)?,
            rules: read(RULES)?,
            schools: read(SCHOOLS)?,
            localities: read(LOCALITIES)?,
            projection: if folder.join(PROJECTION).exists() { Some(read(PROJECTION)?) } else { None },
        })
    }
}

/// What its byte order mark says (UTF-8, UTF-16); without one UTF-8 where it is that, else Windows-1252, which GIAS publishes.
fn decode(bytes: &[u8]) -> String {
    if let Some((encoding, mark)) = encoding_rs::Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(bytes.get(mark..).unwrap_or_default()).0.into_owned();
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encodings_of_gias_and_of_spreadsheets_are_read() {
        assert_eq!(decode("St Mary’s".as_bytes()), "St Mary’s");
        assert_eq!(decode(b"St Mary\x92s"), "St Mary’s");
        assert_eq!(decode(b"\xEF\xBB\xBFURN"), "URN");
        assert_eq!(decode(b"\xFF\xFEU\0R\0N\0\x19\x20"), "URN\u{2019}");
        assert_eq!(decode(b"\xFE\xFF\0U\0R\0N"), "URN");
    }
}
