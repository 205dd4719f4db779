//! A school's marks as they are: the stored records of its pupils, then the events from the checkpoints to the topic's ends, folded
//! without writing. What a school has just sent is in it as soon as it is cut into events.

use crate::partition::Shared;
use crate::roll::row_urn;
use attendance::record::YearRecord;
use attendance::{SchoolYear, Upn, Urn};
use proto::Event;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use store::{StoreError, position, pupil_school};
use transport::read_to_ends;

/// Events read at once, at most: in an import's backlog the records alone are told.
const MOST: usize = 2_000;
/// How long a school waits for them.
const PATIENCE: Duration = Duration::from_secs(3);

/// The records of a school's pupils.
pub(crate) struct Recent {
    pub(crate) records: BTreeMap<(Upn, SchoolYear), YearRecord>,
    /// Whether all that was cut into events is in them.
    pub(crate) is_whole: bool,
}

impl Recent {
    /// Reads them, for some school years.
    pub(crate) async fn read(shared: &Shared, school: Urn, years: &BTreeSet<SchoolYear>) -> Result<Self, StoreError> {
        // Checkpoints first: a record that is stored meanwhile is ahead of them, and folding again changes nothing.
        let positions = position::list(&shared.store, &shared.events).await?;
        let start = |part: u32| {
            let row = positions.iter().find(|row| u32::try_from(row.part) == Ok(part));
            (part, row.map_or(0, |row| row.checkpoint_offset))
        };
        let starts: Vec<(u32, i64)> = (0..shared.partitions).map(start).collect();
        let mut recent = Self { records: BTreeMap::new(), is_whole: false };
        let urn = row_urn(school);
        for year in years {
            for (upn, body) in pupil_school::records(&shared.store, urn, year.first_calendar_year()).await? {
                let upn = u64::try_from(upn).ok().and_then(Upn::from_number);
                // A row that does not decode holds its pupil, and rules says so.
                if let (Some(upn), Ok(record)) = (upn, proto::year_from_bytes(*year, &body)) {
                    recent.records.insert((upn, *year), record);
                }
            }
        }
        let reading = read_to_ends(&shared.connection, shared.events.to_string(), starts, MOST);
        match tokio::time::timeout(PATIENCE, reading).await {
            Ok(Ok(Some(messages))) => {
                // An event of ours that does not decode stops rules, which says so.
                for event in messages.iter().filter_map(|message| Event::of_slice(&message.payload).ok()).flatten() {
                    recent.fold(&event, school, years);
                }
                recent.is_whole = true;
            }
            Ok(Ok(None)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the newest events cannot be read for a school"),
            Err(_) => tracing::warn!("the newest events were not read for a school in time"),
        }
        Ok(recent)
    }

    fn fold(&mut self, event: &Event, school: Urn, years: &BTreeSet<SchoolYear>) {
        match event {
            Event::Marks(part) if part.school == school => {
                let year = part.session.school_year();
                for (upn, revision) in part.marks.iter().filter(|_| years.contains(&year)) {
                    let record = self.records.entry((*upn, year)).or_insert_with(|| YearRecord::new(year));
                    record.apply(school, part.session, *revision);
                }
            }
            Event::Erasure(upn) => self.records.retain(|(pupil, _), _| pupil != upn),
            Event::Replay(_, parts) => parts.iter().for_each(|part| self.fold(part, school, years)),
            Event::Marks(_) | Event::Enrolment(..) => {}
        }
    }
}
