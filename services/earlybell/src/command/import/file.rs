//! A file that is imported: known by what is in it, read with a bar, remembered as far as Kafka has acknowledged it.

use crate::command::followed;
use anyhow::Context;
use indicatif::ProgressBar;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use store::import_file::{self, ImportFile};
use store::{CommitError, Store};

/// Bytes at either end of a file that it is known by, with its length.
const ENDS: u64 = 1 << 20;

/// How far a file has come.
pub(super) struct Progress {
    file: ImportFile,
    bar: ProgressBar,
    /// The number of the first row of the run: 0 where the file is numbered on from another.
    numbered_from: u64,
}

impl Progress {
    /// Looks up how far `part` of a file has come; its rows are numbered on from `before`.
    pub(super) async fn of(store: &Store, path: &Path, part: &str, before: u64) -> anyhow::Result<Self> {
        let (digest, length) = digest(path)?;
        let digest = digest + part;
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let none = ImportFile { digest: digest.clone(), name, rows: 0, marks: 0, changed_at: 0, finished_at: None };
        let file = import_file::get(store, &digest).await?.unwrap_or(none);
        Ok(Self { file, bar: followed::bar(length), numbered_from: before })
    }

    /// Whether all of it is imported.
    pub(super) fn is_finished(&self) -> bool {
        self.file.finished_at.is_some()
    }

    /// The number of the last row that is imported.
    pub(super) fn row(&self) -> u64 {
        self.numbered_from + u64::try_from(self.file.rows).unwrap_or(0)
    }

    /// What it is known by.
    pub(super) fn digest(&self) -> &str {
        &self.file.digest
    }

    /// Marks that are imported.
    pub(super) fn marks(&self) -> i64 {
        self.file.marks
    }

    /// Opens the file, plain or gzip; the bar follows what is read.
    pub(super) fn open(&self, path: &Path) -> anyhow::Result<Box<dyn Read + Send>> {
        followed::open(path, &self.bar)
    }

    /// All rows up to `row` have been read, `marks` of them taken since the last time.
    pub(super) fn advance(&mut self, row: u64, marks: usize) {
        self.file.rows = i64::try_from(row - self.numbered_from).unwrap_or(i64::MAX);
        self.file.marks += i64::try_from(marks).unwrap_or(i64::MAX);
        self.bar.set_message(format!("{} marks", self.file.marks));
    }

    /// The last row has been read.
    pub(super) fn finish(&mut self, now: i64) {
        self.file.finished_at = Some(now);
        self.bar.finish_and_clear();
    }

    /// Remembers it.
    pub(super) async fn store(&mut self, store: &Store, now: i64) -> anyhow::Result<()> {
        self.file.changed_at = now;
        let mut tx = store.begin().await?;
        import_file::put(&mut tx, &self.file).await?;
        tx.commit().await.map_err(CommitError::into_cause)?;
        Ok(())
    }
}

/// What a file is known by, and its length.
fn digest(path: &Path) -> anyhow::Result<(String, u64)> {
    let cannot = || format!("cannot read {}", path.display());
    let mut file = File::open(path).with_context(cannot)?;
    let length = file.metadata().with_context(cannot)?.len();
    let mut hash = Sha256::new();
    hash.update(length.to_le_bytes());
    for from in [0, length.saturating_sub(ENDS)] {
        let mut part = Vec::new();
        file.seek(SeekFrom::Start(from)).with_context(cannot)?;
        Read::by_ref(&mut file).take(ENDS).read_to_end(&mut part).with_context(cannot)?;
        hash.update(&part);
    }
    let mut text = String::new();
    for byte in hash.finalize() {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").ok();
    }
    Ok((text, length))
}
