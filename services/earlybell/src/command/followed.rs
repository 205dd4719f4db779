//! A file that is read with a bar: how much of it, how long still. Nothing is shown where nobody watches.

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use ingest::parse::gzip;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// A bar over so many bytes.
pub(crate) fn bar(bytes: u64) -> ProgressBar {
    let bar = ProgressBar::new(bytes);
    let style = ProgressStyle::with_template("{bar:40.cyan} {percent}%  {msg}  {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Opens a file, plain or gzip; the bar follows what is read.
pub(crate) fn open(path: &Path, bar: &ProgressBar) -> anyhow::Result<Box<dyn Read + Send>> {
    let cannot = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(cannot)?;
    let followed = Followed { file, bar: bar.clone() };
    gzip::plain(followed).with_context(cannot)
}

struct Followed {
    file: File,
    bar: ProgressBar,
}

impl Read for Followed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(into)?;
        self.bar.inc(u64::try_from(count).unwrap_or(0));
        Ok(count)
    }
}
