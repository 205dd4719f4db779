//! A roster's file as messages; names go to their table first, and never to Kafka.

use super::file::Progress;
use super::{Desk, message};
use crate::command::backtest::write::RejectedFile;
use attendance::enrolment::RosterEntry;
use attendance::{Upn, Urn};
use ingest::parse::pupils_csv::PupilsCsv;
use proto::RosterPart;
use service::clock::Clock;
use std::collections::BTreeMap;
use std::path::Path;
use store::person::{self, PersonRow};
use store::{CommitError, Store};
use transport::Outgoing;
use uuid::Uuid;

/// Entries of a message, at most.
const PART: usize = 1_000;

/// Imports a roster that is not imported yet. A roster is small: one that was broken off begins anew, which changes nothing.
pub(super) async fn import(desk: &Desk, path: &Path, rejected: &mut RejectedFile) -> anyhow::Result<()> {
    let mut progress = Progress::of(&desk.store, path, "", 0).await?;
    if progress.is_finished() {
        println!("{}: imported before", path.display());
        return Ok(());
    }
    let now = Clock::wall().wall_now();
    let mut rows = PupilsCsv::new(progress.open(path)?)?;
    let mut entries: BTreeMap<Urn, Vec<(Upn, RosterEntry)>> = BTreeMap::new();
    let (mut persons, mut count) = (Vec::new(), 0);
    while let Some(row) = rows.next_numbered()? {
        match row {
            Ok(line) => {
                count += 1;
                persons.extend(line.person_row());
                entries.entry(line.entry.school).or_default().push((line.upn, line.entry));
            }
            Err(refused) => rejected.add(path, &refused)?,
        }
    }
    names(&desk.store, &persons).await?;
    let parts = entries.iter().flat_map(|(school, entries)| entries.chunks(PART).map(move |part| (*school, part)));
    let part = |(school, entries): (Urn, &[(Upn, RosterEntry)])| -> Outgoing {
        let mut part = RosterPart { id: [0; 16], received_at: now, entries: entries.to_vec() };
        part.id = *Uuid::new_v5(&Uuid::NAMESPACE_OID, &part.to_bytes()).as_bytes();
        message(school, "roster", part.to_bytes())
    };
    let messages = parts.map(part).collect();
    progress.finish(now.micros());
    desk.send(messages, &mut progress).await?;
    println!("{}: {count} entries", path.display());
    Ok(())
}

async fn names(store: &Store, persons: &[PersonRow]) -> anyhow::Result<()> {
    let mut tx = store.begin().await?;
    person::upsert_many(&mut tx, persons).await?;
    tx.commit().await.map_err(CommitError::into_cause)?;
    Ok(())
}
