//! Cases, one a child and school year, with their alerts, and the changes that are kept aside because one before them is
//! missing.
//!
//! Owner: the notifier, the owner of the partition of `alerts` that the pupil belongs to, under its position row.

use crate::dialect::{self, BulkRead, BulkWrite, Column, Keys, Pools, postgres, sqlite};
use crate::{Store, StoreError, Tx};

/// A case as it is to be after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseChange {
    /// The child.
    pub upn: i64,
    /// The school year.
    pub school_year: i16,
    /// The reference of a case that is made by this; one that exists keeps its own.
    pub reference: String,
    /// The locality; none where nobody claims it.
    pub locality: Option<String>,
    /// The school; 0 where none is known.
    pub school_urn: i32,
    /// Since when the child is on no roll, in days since 1970-01-01; none where it is on one.
    pub off_roll_since: Option<i32>,
    /// Localities that see it too, a line each.
    pub seen_by: String,
    /// When.
    pub at: i64,
}

/// An alert of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRow {
    /// Its id, a UUID as text.
    pub alert_id: String,
    /// The case.
    pub case_id: i64,
    /// The rule.
    pub rule: String,
    /// The episode.
    pub episode: i32,
    /// The version applied last.
    pub version: i32,
    /// What happened last, in the domain's word.
    pub change: String,
    /// `open` or `closed`.
    pub state: String,
    /// The level; of a closed alert the one that it had.
    pub level: i16,
    /// The session since when.
    pub since: i32,
    /// The newest session known at the last change.
    pub as_of: i32,
    /// The evidence, encoded.
    pub evidence: Vec<u8>,
    /// The evidence in one sentence.
    pub sentence: String,
    /// The rule set that judged.
    pub rule_set: i64,
    /// When it was applied.
    pub changed_at: i64,
}

/// A change kept aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GapRow {
    /// The alert.
    pub alert_id: String,
    /// The version, which is more than one above the alert's.
    pub version: i32,
    /// The child.
    pub upn: i64,
    /// The partition.
    pub part: i32,
    /// The change, encoded.
    pub body: Vec<u8>,
    /// Since when it is kept.
    pub since: i64,
}

/// A case as the notifier finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownCase {
    /// Its number, rising.
    pub id: i64,
    /// The child.
    pub upn: i64,
    /// The school year.
    pub school_year: i16,
    /// Its reference.
    pub reference: String,
    /// The locality; none where nobody claims it.
    pub locality: Option<String>,
    /// `open` or `closed`.
    pub state: String,
    /// Since when the child is on no roll.
    pub off_roll_since: Option<i32>,
}

/// A case as readers see it: without the UPN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseRow {
    /// Its number, rising.
    pub id: i64,
    /// Its reference.
    pub reference: String,
    /// The school year.
    pub school_year: i16,
    /// The locality; none where nobody claims it.
    pub locality: Option<String>,
    /// The school.
    pub school_urn: i32,
    /// `open` or `closed`.
    pub state: String,
    /// The gravest level of its open alerts; 0 for none.
    pub level: i16,
    /// When it was made.
    pub opened_at: i64,
    /// When it last changed.
    pub changed_at: i64,
    /// Since when the child is on no roll, in days since 1970-01-01.
    pub off_roll_since: Option<i32>,
    /// Localities that see it too.
    pub seen_by: Vec<String>,
}

/// Which cases; what is none asks nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of one of these localities, or seen by one; cases that nobody claims only where none is asked.
    pub localities: Option<Vec<String>>,
    /// The level.
    pub level: Option<i16>,
    /// `open` or `closed`.
    pub state: Option<String>,
}

/// The versions of those of these alerts that are known.
///
/// # Errors
/// As the database answers.
pub async fn versions(tx: &mut Tx, alert_ids: &[&str]) -> Result<Vec<(String, i32)>, StoreError> {
    dialect::read_many(tx, &VERSIONS, Keys::Text(alert_ids)).await
}

/// The cases of these children, of all school years.
///
/// # Errors
/// As the database answers.
pub async fn cases(tx: &mut Tx, upns: &[i64]) -> Result<Vec<KnownCase>, StoreError> {
    type Row = (i64, i64, i16, String, Option<String>, String, Option<i32>);
    let rows: Vec<Row> = dialect::read_many(tx, &CASES, Keys::Big(upns)).await?;
    let decode = |(id, upn, school_year, reference, locality, state, off_roll_since): Row| KnownCase {
        id,
        upn,
        school_year,
        reference,
        locality,
        state,
        off_roll_since,
    };
    Ok(rows.into_iter().map(decode).collect())
}

/// Makes or changes children's cases. State and level follow by [`settle`].
///
/// # Errors
/// `Constraint` for a reference that another case has, else as the database answers.
pub async fn upsert_cases(tx: &mut Tx, rows: &[CaseChange]) -> Result<(), StoreError> {
    let sorted = dialect::last_of_each_key(rows, |row| (row.upn, row.school_year));
    dialect::write_many(tx, &UPSERT_CASES, &sorted, |rows| {
        vec![
            Column::Big(rows.iter().map(|row| row.upn).collect()),
            Column::Small(rows.iter().map(|row| row.school_year).collect()),
            Column::Text(rows.iter().map(|row| row.reference.as_str()).collect()),
            Column::TextOrNull(rows.iter().map(|row| row.locality.as_deref()).collect()),
            Column::Int(rows.iter().map(|row| row.school_urn).collect()),
            Column::IntOrNull(rows.iter().map(|row| row.off_roll_since).collect()),
            Column::Text(rows.iter().map(|row| row.seen_by.as_str()).collect()),
            Column::Big(rows.iter().map(|row| row.at).collect()),
        ]
    })
    .await?;
    Ok(())
}

/// Writes alerts, new or known; of rows of one alert the last.
///
/// # Errors
/// As the database answers.
pub async fn upsert_alerts(tx: &mut Tx, rows: &[AlertRow]) -> Result<(), StoreError> {
    let sorted = dialect::last_of_each_key(rows, |row| row.alert_id.as_str());
    dialect::write_many(tx, &UPSERT_ALERTS, &sorted, |rows| {
        vec![
            Column::Text(rows.iter().map(|row| row.alert_id.as_str()).collect()),
            Column::Big(rows.iter().map(|row| row.case_id).collect()),
            Column::Text(rows.iter().map(|row| row.rule.as_str()).collect()),
            Column::Int(rows.iter().map(|row| row.episode).collect()),
            Column::Int(rows.iter().map(|row| row.version).collect()),
            Column::Text(rows.iter().map(|row| row.change.as_str()).collect()),
            Column::Text(rows.iter().map(|row| row.state.as_str()).collect()),
            Column::Small(rows.iter().map(|row| row.level).collect()),
            Column::Int(rows.iter().map(|row| row.since).collect()),
            Column::Int(rows.iter().map(|row| row.as_of).collect()),
            Column::Bytes(rows.iter().map(|row| row.evidence.as_slice()).collect()),
            Column::Text(rows.iter().map(|row| row.sentence.as_str()).collect()),
            Column::Big(rows.iter().map(|row| row.rule_set).collect()),
            Column::Big(rows.iter().map(|row| row.changed_at).collect()),
        ]
    })
    .await?;
    Ok(())
}

/// Gives cases the state and level that their alerts make: open while one is.
///
/// # Errors
/// As the database answers.
pub async fn settle(tx: &mut Tx, case_ids: &[i64]) -> Result<(), StoreError> {
    let sorted = dialect::last_of_each_key(case_ids, |id| *id);
    let ids = |rows: &[&i64]| vec![Column::Big(rows.iter().map(|id| **id).collect())];
    dialect::write_many(tx, &SETTLE, &sorted, ids).await?;
    Ok(())
}

/// Keeps changes aside; gives how many were not kept already.
///
/// # Errors
/// As the database answers.
pub async fn put_gaps(tx: &mut Tx, rows: &[GapRow]) -> Result<u64, StoreError> {
    let sorted = dialect::last_of_each_key(rows, |row| (row.alert_id.as_str(), row.version));
    dialect::write_many(tx, &PUT_GAPS, &sorted, |rows| {
        vec![
            Column::Text(rows.iter().map(|row| row.alert_id.as_str()).collect()),
            Column::Int(rows.iter().map(|row| row.version).collect()),
            Column::Big(rows.iter().map(|row| row.upn).collect()),
            Column::Int(rows.iter().map(|row| row.part).collect()),
            Column::Bytes(rows.iter().map(|row| row.body.as_slice()).collect()),
            Column::Big(rows.iter().map(|row| row.since).collect()),
        ]
    })
    .await
}

/// What is kept aside of these alerts: alert, version, the change encoded.
///
/// # Errors
/// As the database answers.
pub async fn gaps_of(tx: &mut Tx, alert_ids: &[&str]) -> Result<Vec<(String, i32, Vec<u8>)>, StoreError> {
    dialect::read_many(tx, &GAPS_OF, Keys::Text(alert_ids)).await
}

/// Forgets a change that was kept aside and is applied now.
///
/// # Errors
/// As the database answers.
pub async fn forget_gap(tx: &mut Tx, alert_id: &str, version: i32) -> Result<(), StoreError> {
    in_tx!(tx, "casework.forget_gap", execute, sqlx::query(FORGET_GAP), alert_id, version)?;
    Ok(())
}

/// How many changes of a partition are kept aside, and since when the oldest is (0 for none).
///
/// # Errors
/// As the database answers.
pub async fn gaps(store: &Store, part: i32) -> Result<(i64, i64), StoreError> {
    on_pool!(store, "casework.gaps", fetch_one, sqlx::query_as::<_, (i64, i64)>(GAPS), part)
}

/// Deletes all that is about a child: case, alerts, changes kept aside, deliveries and attempts. Messages about many cases are
/// not the child's alone: see [`delivery::digests_of`](crate::delivery::digests_of).
///
/// # Errors
/// As the database answers.
pub async fn erase(tx: &mut Tx, upn: i64) -> Result<(), StoreError> {
    for statement in ERASE {
        in_tx!(tx, "casework.erase", execute, sqlx::query(statement), upn)?;
    }
    Ok(())
}

/// The first `limit` cases after number `after` (0 for all), in order of their numbers.
///
/// # Errors
/// As the database answers.
pub async fn list(store: &Store, filter: &Filter, after: i64, limit: u32) -> Result<Vec<CaseRow>, StoreError> {
    let state = filter.state.as_deref();
    let list = |names: &Vec<String>| dialect::json_list(names.iter().map(|name| dialect::json_text(name)));
    let localities = filter.localities.as_ref().map(list);
    let sql = match store.pools() {
        Pools::Postgres(_) => postgres::CASE_LIST,
        Pools::Sqlite { .. } => sqlite::CASE_LIST,
    };
    let rows = on_pool!(
        store,
        "casework.list",
        fetch_all,
        sqlx::query_as::<_, Row>(sql),
        after,
        localities.as_deref(),
        filter.level,
        state,
        i64::from(limit)
    )?;
    Ok(rows.into_iter().map(decode).collect())
}

/// The alerts of cases, newest first.
///
/// # Errors
/// As the database answers.
pub async fn alerts(store: &Store, case_ids: &[i64]) -> Result<Vec<AlertRow>, StoreError> {
    let rows: Vec<Alert> = dialect::read_from_pool(store, &ALERTS, Keys::Big(case_ids)).await?;
    Ok(rows.into_iter().map(decode_alert).collect())
}

type Row = (i64, String, i16, Option<String>, i32, String, i16, i64, i64, Option<i32>, String);

fn decode(row: Row) -> CaseRow {
    let (
        id,
        reference,
        school_year,
        locality,
        school_urn,
        state,
        level,
        opened_at,
        changed_at,
        off_roll_since,
        seen_by,
    ) = row;
    let seen_by = seen_by.lines().map(str::to_owned).collect();
    CaseRow {
        id,
        reference,
        school_year,
        locality,
        school_urn,
        state,
        level,
        opened_at,
        changed_at,
        off_roll_since,
        seen_by,
    }
}

type Alert = (i64, String, String, i32, i32, String, String, i16, i32, i32, Vec<u8>, String, i64, i64);

fn decode_alert(row: Alert) -> AlertRow {
    let (
        case_id,
        alert_id,
        rule,
        episode,
        version,
        change,
        state,
        level,
        since,
        as_of,
        evidence,
        sentence,
        rule_set,
        changed_at,
    ) = row;
    AlertRow {
        alert_id,
        case_id,
        rule,
        episode,
        version,
        change,
        state,
        level,
        since,
        as_of,
        evidence,
        sentence,
        rule_set,
        changed_at,
    }
}

/// How many open cases a locality has at a level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCases {
    /// The locality; `None` for what none claims.
    pub locality: Option<String>,
    /// The gravest level of each.
    pub level: i16,
    /// How many.
    pub count: i64,
}

/// The open cases of all school years, by locality and level.
///
/// # Errors
/// As the database answers.
pub async fn open_cases(tx: &mut Tx) -> Result<Vec<OpenCases>, StoreError> {
    let doing = "casework.open_cases";
    let rows = in_tx!(tx, doing, fetch_all, sqlx::query_as::<_, (Option<String>, i16, i64)>(OPEN_CASES))?;
    Ok(rows.into_iter().map(|(locality, level, count)| OpenCases { locality, level, count }).collect())
}

const OPEN_CASES: &str = "
SELECT locality, level, COUNT(*) FROM child_case WHERE state = 'open'
GROUP BY locality, level ORDER BY locality, level";

/// Where an alert stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The alert.
    pub alert_id: String,
    /// The version applied last.
    pub version: i32,
    /// `open` or `closed`.
    pub state: String,
    /// The level; of a closed alert the one that it had.
    pub level: i16,
}

/// Where every alert stands: for who compares with what was published.
///
/// # Errors
/// As the database answers.
pub async fn heads(store: &Store) -> Result<Vec<Head>, StoreError> {
    let rows = on_pool!(store, "casework.heads", fetch_all, sqlx::query_as::<_, (String, i32, String, i16)>(HEADS))?;
    let decode = |(alert_id, version, state, level)| Head { alert_id, version, state, level };
    Ok(rows.into_iter().map(decode).collect())
}

const HEADS: &str = "SELECT alert_id, version, state, level FROM alert ORDER BY alert_id";

const VERSIONS: BulkRead = BulkRead {
    doing: "casework.versions",
    postgres: "SELECT alert_id, version FROM alert WHERE alert_id = ANY ($1)",
    sqlite: "SELECT alert_id, version FROM alert WHERE alert_id IN (SELECT value FROM json_each($1))",
};

const CASES: BulkRead = BulkRead {
    doing: "casework.cases",
    postgres: "SELECT id, upn, school_year, reference, locality, state, off_roll_since FROM child_case WHERE upn = ANY ($1)",
    sqlite: "SELECT id, upn, school_year, reference, locality, state, off_roll_since FROM child_case
        WHERE upn IN (SELECT value FROM json_each($1))",
};

const UPSERT_CASES: BulkWrite =
    BulkWrite { doing: "casework.upsert_cases", postgres: postgres::CASE_UPSERT, sqlite: sqlite::CASE_UPSERT };

const UPSERT_ALERTS: BulkWrite =
    BulkWrite { doing: "casework.upsert_alerts", postgres: postgres::ALERT_UPSERT, sqlite: sqlite::ALERT_UPSERT };

const SETTLE: BulkWrite =
    BulkWrite { doing: "casework.settle", postgres: postgres::CASE_SETTLE, sqlite: sqlite::CASE_SETTLE };

const PUT_GAPS: BulkWrite =
    BulkWrite { doing: "casework.put_gaps", postgres: postgres::GAP_INSERT, sqlite: sqlite::GAP_INSERT };

const GAPS_OF: BulkRead = BulkRead {
    doing: "casework.gaps_of",
    postgres: "SELECT alert_id, version, body FROM alert_gap WHERE alert_id = ANY ($1)",
    sqlite: "SELECT alert_id, version, body FROM alert_gap WHERE alert_id IN (SELECT value FROM json_each($1))",
};

const FORGET_GAP: &str = "DELETE FROM alert_gap WHERE alert_id = $1 AND version = $2";

const GAPS: &str = "SELECT COUNT(*), CAST(COALESCE(MIN(since), 0) AS bigint) FROM alert_gap WHERE part = $1";

const ERASE: [&str; 6] = [
    "DELETE FROM attempt WHERE delivery_id IN
        (SELECT id FROM delivery WHERE case_id IN (SELECT id FROM child_case WHERE upn = $1))",
    "DELETE FROM told WHERE alert_id IN
        (SELECT alert_id FROM alert WHERE case_id IN (SELECT id FROM child_case WHERE upn = $1))",
    "DELETE FROM delivery WHERE case_id IN (SELECT id FROM child_case WHERE upn = $1)",
    "DELETE FROM alert WHERE case_id IN (SELECT id FROM child_case WHERE upn = $1)",
    "DELETE FROM alert_gap WHERE upn = $1",
    "DELETE FROM child_case WHERE upn = $1",
];

const ALERTS: BulkRead = BulkRead {
    doing: "casework.alerts",
    postgres: "SELECT case_id, alert_id, rule, episode, version, change, state, level, since, as_of, evidence, sentence, rule_set,
            changed_at
        FROM alert WHERE case_id = ANY ($1) ORDER BY changed_at DESC, alert_id",
    sqlite: "SELECT case_id, alert_id, rule, episode, version, change, state, level, since, as_of, evidence, sentence, rule_set,
            changed_at
        FROM alert WHERE case_id IN (SELECT value FROM json_each($1)) ORDER BY changed_at DESC, alert_id",
};
