//! How it grows: a day of a county, of a million pupils and of England, through the domain alone, then through ingest and rules; and
//! the same events through one and through two rules processes.

use crate::bare;
use crate::client::{Client, uploads};
use crate::county::{County, Size};
use crate::ground::{EVENTS, Ground, Measured, PARTITIONS, REGISTERS, Rules, now, seconds};
use crate::ours;
use anyhow::bail;
use std::path::Path;
use std::time::{Duration, Instant};
use store::{Options, Store};

/// Pupils: Dorset's, a million, England's.
pub(crate) const SIZES: [u32; 3] = [46_000, 1_000_000, 8_100_000];

/// A day of so many pupils.
pub(crate) struct Day {
    pub(crate) pupils: u32,
    pub(crate) domain: bare::Folded,
    /// Seconds from the first upload until all of them were answered 202.
    pub(crate) accepted: f64,
    /// Seconds from the first upload until rules had committed all of it.
    pub(crate) through: f64,
    /// The most memory of ingest and of rules, in MiB.
    pub(crate) memory: (u64, u64),
    /// Seconds of the backlog of events through one process, and through two, with the memory of all of them.
    pub(crate) processes: [ours::Run; 2],
}

/// A day of so many pupils.
pub(crate) async fn day(program: &Path, pupils: u32) -> anyhow::Result<Day> {
    let county = County::new(Size { pupils, sessions: 2, minimum: 20 }, PARTITIONS)?;
    let ground = Ground::start(program)?;
    let (database, folder) = ground.install(&county, Rules::All).await?;
    let store = Store::open(&database, &Options::named("bench")).await?;
    let ingest = ground.ingest(&database, &folder).await?;
    let mut rules = Measured::start(ground.command(&database, &folder).arg("rules"), folder.join("log"))?;
    rules.says("reading at=", usize::try_from(PARTITIONS)?).await?;
    let client = Client::new(ingest.port, &ground.key(&database, &folder)?);
    let begun = now();
    let accepted = client.post_all(uploads(&county)?.filter_map(Result::ok)).await?;
    for topic in [REGISTERS, EVENTS] {
        let (ends, limit) = (ground.ends(topic).await?, Instant::now() + Duration::from_mins(15));
        while !ours::is_done(&store, topic, &ends).await? {
            rules.runs()?;
            if Instant::now() > limit {
                bail!("it does not come to an end:\n{}", rules.said()?);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let through = seconds(begun, now());
    let memory = (ingest.process.peak_mib()?, rules.peak_mib()?);
    ingest.process.stop()?;
    rules.stop()?;
    let one = ours::backlog(&ground, &county, Rules::All, 1).await?.run;
    let two = ours::backlog(&ground, &county, Rules::All, 2).await?.run;
    // Last, with the servers gone: what it frees stays with this process, and England's needs the machine's memory.
    drop((store, ground));
    let domain = bare::fold(&county, Rules::All)?;
    Ok(Day { pupils, domain, accepted, through, memory, processes: [one, two] })
}
