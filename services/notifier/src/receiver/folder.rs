//! A folder of files, one a message, named by its id: written beside and then renamed, so that a reader never sees half
//! of one, and a repetition replaces what it repeats.

use super::{Outgoing, SendError};
use std::path::Path;
use tokio::fs;
use tokio::io::AsyncWriteExt;

pub(super) async fn send(folder: &Path, outgoing: Outgoing<'_>) -> Result<(), SendError> {
    let text = format!("{}\n{}", outgoing.message.subject()?, outgoing.message.text()?);
    let wrong = |error: std::io::Error| SendError::later(format!("folder {}: {error}", folder.display()));
    fs::create_dir_all(folder).await.map_err(wrong)?;
    let beside = folder.join(format!(".{}.part", outgoing.id));
    let mut file = fs::File::create(&beside).await.map_err(wrong)?;
    file.write_all(text.as_bytes()).await.map_err(wrong)?;
    file.sync_all().await.map_err(wrong)?;
    drop(file);
    fs::rename(&beside, folder.join(format!("{}.txt", outgoing.id))).await.map_err(wrong)
}
