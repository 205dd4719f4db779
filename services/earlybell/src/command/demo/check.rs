//! Whether the pipeline did what it should: what is in its tables against `backtest` of the same registers, and every alert's
//! last change against what was published and delivered.

use super::super::backtest::judged::Judged;
use super::ground::Ground;
use attendance::enrolment::Roster;
use attendance::judge::{History, episodes};
use attendance::record::YearRecord;
use attendance::rule::Level;
use attendance::{Half, SchoolYear, Session, Upn};
use std::collections::BTreeMap;
use store::published::PublishedRow;
use store::{casework, delivery, enrolment, published, record};

/// Differences that are told, of each kind.
const TOLD: usize = 3;

/// Episodes by level.
pub(crate) type Levels = BTreeMap<&'static str, u64>;

/// What was found in the tables.
#[derive(Default)]
pub(crate) struct Found {
    /// What differs; empty where all is as it should be.
    pub(crate) problems: Vec<String>,
    /// Episodes in the order of the calendar, by locality and gravest level.
    pub(crate) alerts: BTreeMap<String, Levels>,
    /// Pupils with a record, by locality.
    pub(crate) pupils: BTreeMap<String, u64>,
    /// Those of them with an alert at any time, by locality.
    pub(crate) with_alerts: BTreeMap<String, u64>,
    /// Changes that were published.
    pub(crate) changes: u64,
}

/// What the tables hold.
struct Tables {
    records: BTreeMap<Upn, YearRecord>,
    rosters: BTreeMap<Upn, Roster>,
    published: Vec<PublishedRow>,
}

/// Compares.
pub(crate) async fn check(ground: &Ground, expected: &Judged) -> anyhow::Result<Found> {
    let tables = Tables::read(ground, expected.year).await?;
    let mut problems = Problems::default();
    records(&tables, expected, &mut problems);
    wanted(&tables, expected, &mut problems);
    let changes = alerts(ground, &tables, &mut problems).await?;
    let mut found = Found { changes, ..Found::default() };
    count(ground, &tables, expected.year, &mut found);
    let counted = |level: Level| found.alerts.values().filter_map(|levels| levels.get(level.text())).sum::<u64>();
    for level in Level::ALL {
        let episodes = expected.pupils.iter().flat_map(|pupil| &pupil.outcome.episodes);
        let wanted = episodes.filter(|episode| episode.gravest == level).count();
        if usize::try_from(counted(level)) != Ok(wanted) {
            problems.add("episodes", || format!("{} {level} instead of {wanted}", counted(level)));
        }
    }
    found.problems = problems.told();
    Ok(found)
}

/// Differences by kind: the first few are told, the others counted.
#[derive(Default)]
struct Problems(BTreeMap<&'static str, (Vec<String>, usize)>);

impl Problems {
    fn add(&mut self, kind: &'static str, what: impl FnOnce() -> String) {
        let (told, count) = self.0.entry(kind).or_default();
        *count += 1;
        if told.len() < TOLD {
            told.push(what());
        }
    }

    fn told(self) -> Vec<String> {
        let line = |(kind, (told, count)): (&str, (Vec<String>, usize))| {
            let more = if count > told.len() { format!(" and {} more", count - told.len()) } else { String::new() };
            format!("{kind}: {}{more}", told.join("; "))
        };
        self.0.into_iter().map(line).collect()
    }
}

impl Tables {
    async fn read(ground: &Ground, year: SchoolYear) -> anyhow::Result<Self> {
        let mut tables = Self { records: BTreeMap::new(), rosters: BTreeMap::new(), published: Vec::new() };
        let upn = |number: i64| u64::try_from(number).ok().and_then(Upn::from_number);
        let years = [year.first_calendar_year()];
        for part in 0..i32::try_from(ground.partitions)? {
            let mut pages = record::load_partition(&ground.store, part, &years);
            while let Some(rows) = pages.next().await? {
                for row in rows {
                    let record = proto::year_from_bytes(year, &row.body)?;
                    tables.records.extend(upn(row.upn).map(|upn| (upn, record)));
                }
            }
            for row in enrolment::load_partition(&ground.store, part).await? {
                let roster = proto::roster_from_bytes(&row.body)?;
                tables.rosters.extend(upn(row.upn).map(|upn| (upn, roster)));
            }
            tables.published.extend(published::load_partition(&ground.store, part).await?);
        }
        Ok(tables)
    }
}

fn records(tables: &Tables, expected: &Judged, problems: &mut Problems) {
    for pupil in &expected.pupils {
        let (found, wanted) = (tables.records.get(&pupil.upn).map(YearRecord::counts), pupil.outcome.counts);
        if found != Some(wanted) {
            problems.add("records", || format!("{found:?} instead of {wanted:?}"));
        }
    }
    let (found, wanted) = (tables.records.len(), expected.pupils.len());
    if found != wanted {
        problems.add("pupils", || format!("{found} instead of {wanted}"));
    }
}

fn wanted(tables: &Tables, expected: &Judged, problems: &mut Problems) {
    let open = tables.published.iter().filter(|row| row.level > 0);
    let mut open: Vec<_> = open.map(|row| (row.upn, row.rule.as_str(), row.level)).collect();
    let of_pupil = expected.pupils.iter().flat_map(|pupil| {
        let upn = i64::try_from(pupil.upn.number()).unwrap_or_default();
        pupil.outcome.wanted.iter().map(move |(rule, level, _)| (upn, rule.text(), i16::from(level.number())))
    });
    let mut wanted: Vec<_> = of_pupil.collect();
    open.sort_unstable();
    wanted.sort_unstable();
    if open != wanted {
        let missing = wanted.iter().filter(|one| open.binary_search(one).is_err()).count();
        let extra = open.iter().filter(|one| wanted.binary_search(one).is_err()).count();
        problems.add("open alerts", || format!("{missing} are missing, {extra} should not be there"));
    }
}

/// Each alert's last change is applied and delivered; gives how many changes there were.
async fn alerts(ground: &Ground, tables: &Tables, problems: &mut Problems) -> anyhow::Result<u64> {
    let heads = casework::heads(&ground.store).await?;
    let by_id: BTreeMap<&str, &casework::Head> = heads.iter().map(|head| (head.alert_id.as_str(), head)).collect();
    for row in &tables.published {
        let state = if row.level > 0 { "open" } else { "closed" };
        let found = by_id.get(row.alert_id.as_str());
        let is_same = found.is_some_and(|head| {
            head.version == row.version && head.state == state && (row.level == 0 || head.level == row.level)
        });
        if !is_same {
            problems.add("applied", || format!("{found:?} instead of version {} {state}", row.version));
        }
    }
    let mut delivered: BTreeMap<&str, bool> = BTreeMap::new();
    let last = delivery::last_changes(&ground.store).await?;
    for change in &last {
        *delivered.entry(change.alert_id.as_str()).or_insert(true) &= change.state == "delivered";
    }
    for head in heads.iter().filter(|head| delivered.get(head.alert_id.as_str()) != Some(&true)) {
        problems.add("delivered", || format!("version {} of alert {} is not", head.version, head.alert_id));
    }
    Ok(heads.iter().map(|head| u64::try_from(head.version).unwrap_or_default()).sum())
}

/// Episodes as the judge finds them in the stored records, and pupils, by locality.
fn count(ground: &Ground, tables: &Tables, year: SchoolYear, found: &mut Found) {
    let policy = &ground.policy;
    let standard = policy.standard();
    let newest = tables.records.values().filter_map(YearRecord::newest);
    let as_of = newest.max().unwrap_or(Session::new(year.first_day(), Half::Am));
    let none = || Level::ALL.map(|level| (level.text(), 0)).into();
    found.alerts.extend(policy.localities.iter().map(|locality| (locality.clone(), none())));
    for (upn, record) in &tables.records {
        let (roster, last) = (tables.rosters.get(upn), year.last_day());
        let home = roster.and_then(|roster| roster.home_locality(last));
        let by_marks = || attendance::backtest::newest_school(record);
        let school = roster.and_then(|roster| roster.school(last)).or_else(by_marks);
        let locality = policy.locality_of(home, school).unwrap_or("none").to_owned();
        *found.pupils.entry(locality.clone()).or_default() += 1;
        let nobody = Roster::default();
        let profile = policy.profile(roster.unwrap_or(&nobody), record);
        let episodes = episodes(&History { previous: None, present: record, profile }, as_of, standard);
        *found.with_alerts.entry(locality.clone()).or_default() += u64::from(!episodes.is_empty());
        let levels = found.alerts.entry(locality).or_insert_with(none);
        for episode in episodes {
            *levels.entry(episode.gravest.text()).or_default() += 1;
        }
    }
}
