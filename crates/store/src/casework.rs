//! Cases, one a child and school year, with their alerts, and the changes that are kept aside because one before them is
//! missing.
//!
//! Owner: the notifier, the owner of the partition of `alerts` that the pupil belongs to, under its position row.

use crate::dialect::{Pools, postgres, sqlite};
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
}

/// Which cases; what is none asks nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// One of these localities; cases that nobody claims only where none is asked.
    pub localities: Option<Vec<String>>,
    /// The level.
    pub level: Option<i16>,
    /// `open` or `closed`.
    pub state: Option<String>,
}

/// The version of an alert; 0 where it is not known.
///
/// # Errors
/// As the database answers.
pub async fn version(tx: &mut Tx, alert_id: &str) -> Result<i32, StoreError> {
    let found: Option<i32> = in_tx!(tx, "casework.version", fetch_optional, sqlx::query_scalar(VERSION), alert_id)?;
    Ok(found.unwrap_or(0))
}

/// Makes or changes a child's case; gives its number and reference. State and level follow by [`settle`].
///
/// # Errors
/// `Constraint` for a reference that another case has, else as the database answers.
pub async fn put_case(tx: &mut Tx, case: &CaseChange) -> Result<(i64, String), StoreError> {
    let (reference, locality) = (case.reference.as_str(), case.locality.as_deref());
    in_tx!(
        tx,
        "casework.put_case",
        fetch_one,
        sqlx::query_as::<_, (i64, String)>(PUT_CASE),
        case.upn,
        case.school_year,
        reference,
        locality,
        case.school_urn,
        case.at
    )
}

/// Writes an alert, new or known.
///
/// # Errors
/// As the database answers.
pub async fn put_alert(tx: &mut Tx, row: &AlertRow) -> Result<(), StoreError> {
    in_tx!(
        tx,
        "casework.put_alert",
        execute,
        sqlx::query(PUT_ALERT),
        row.alert_id.as_str(),
        row.case_id,
        row.rule.as_str(),
        row.episode,
        row.version,
        row.change.as_str(),
        row.state.as_str(),
        row.level,
        row.since,
        row.as_of,
        row.evidence.as_slice(),
        row.sentence.as_str(),
        row.rule_set,
        row.changed_at
    )?;
    Ok(())
}

/// Gives a case the state and level that its alerts make: open while one is.
///
/// # Errors
/// As the database answers.
pub async fn settle(tx: &mut Tx, case_id: i64) -> Result<(), StoreError> {
    in_tx!(tx, "casework.settle", execute, sqlx::query(SETTLE), case_id)?;
    Ok(())
}

/// Keeps a change aside; false where it is kept already.
///
/// # Errors
/// As the database answers.
pub async fn put_gap(tx: &mut Tx, row: &GapRow) -> Result<bool, StoreError> {
    let (alert_id, body) = (row.alert_id.as_str(), row.body.as_slice());
    let touched = in_tx!(
        tx,
        "casework.put_gap",
        execute,
        sqlx::query(PUT_GAP),
        alert_id,
        row.version,
        row.upn,
        row.part,
        body,
        row.since
    )?;
    Ok(touched == 1)
}

/// Takes the change of that version out, where it is kept aside.
///
/// # Errors
/// As the database answers.
pub async fn take_gap(tx: &mut Tx, alert_id: &str, version: i32) -> Result<Option<Vec<u8>>, StoreError> {
    in_tx!(tx, "casework.take_gap", fetch_optional, sqlx::query_scalar(TAKE_GAP), alert_id, version)
}

/// How many changes of a partition are kept aside, and since when the oldest is (0 for none).
///
/// # Errors
/// As the database answers.
pub async fn gaps(store: &Store, part: i32) -> Result<(i64, i64), StoreError> {
    on_pool!(store, "casework.gaps", fetch_one, sqlx::query_as::<_, (i64, i64)>(GAPS), part)
}

/// Deletes all that is about a child: case, alerts, changes kept aside, deliveries and attempts.
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
    // As one JSON text: arrays differ between the databases, and no name is spliced into the statement.
    let localities = filter.localities.as_ref().map(|names| json_list(names));
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

/// The alerts of a case, newest first.
///
/// # Errors
/// As the database answers.
pub async fn alerts(store: &Store, case_id: i64) -> Result<Vec<AlertRow>, StoreError> {
    let rows = on_pool!(store, "casework.alerts", fetch_all, sqlx::query_as::<_, Alert>(ALERTS), case_id)?;
    Ok(rows.into_iter().map(|row| decode_alert(case_id, row)).collect())
}

/// A list of texts as JSON.
fn json_list(names: &[String]) -> String {
    let mut list = String::from("[");
    for (number, name) in names.iter().enumerate() {
        list.push_str(if number == 0 { "\"" } else { ",\"" });
        for character in name.chars() {
            match character {
                '"' | '\\' => list.extend(['\\', character]),
                control if control.is_control() => list.push(' '),
                plain => list.push(plain),
            }
        }
        list.push('"');
    }
    list.push(']');
    list
}

type Row = (i64, String, i16, Option<String>, i32, String, i16, i64, i64);

fn decode((id, reference, school_year, locality, school_urn, state, level, opened_at, changed_at): Row) -> CaseRow {
    CaseRow { id, reference, school_year, locality, school_urn, state, level, opened_at, changed_at }
}

type Alert = (String, String, i32, i32, String, String, i16, i32, i32, Vec<u8>, String, i64, i64);

fn decode_alert(case_id: i64, row: Alert) -> AlertRow {
    let (
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

const VERSION: &str = "SELECT version FROM alert WHERE alert_id = $1";

const PUT_CASE: &str = "
INSERT INTO child_case (upn, school_year, reference, locality, school_urn, state, level, opened_at, changed_at)
VALUES ($1, $2, $3, $4, $5, 'open', 0, $6, $6)
ON CONFLICT (upn, school_year) DO UPDATE SET
    locality = excluded.locality, school_urn = excluded.school_urn, changed_at = excluded.changed_at
RETURNING id, reference";

const PUT_ALERT: &str = "
INSERT INTO alert (alert_id, case_id, rule, episode, version, change, state, level, since, as_of, evidence, sentence, rule_set,
                   changed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (alert_id) DO UPDATE SET
    version = excluded.version, change = excluded.change, state = excluded.state, level = excluded.level,
    since = excluded.since, as_of = excluded.as_of, evidence = excluded.evidence, sentence = excluded.sentence,
    rule_set = excluded.rule_set, changed_at = excluded.changed_at";

const SETTLE: &str = "
UPDATE child_case SET
    level = COALESCE((SELECT MAX(level) FROM alert WHERE case_id = $1 AND state = 'open'), 0),
    state = CASE WHEN EXISTS (SELECT 1 FROM alert WHERE case_id = $1 AND state = 'open') THEN 'open' ELSE 'closed' END
WHERE id = $1";

const PUT_GAP: &str = "
INSERT INTO alert_gap (alert_id, version, upn, part, body, since) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (alert_id, version) DO NOTHING";

const TAKE_GAP: &str = "DELETE FROM alert_gap WHERE alert_id = $1 AND version = $2 RETURNING body";

const GAPS: &str = "SELECT COUNT(*), CAST(COALESCE(MIN(since), 0) AS bigint) FROM alert_gap WHERE part = $1";

const ERASE: [&str; 5] = [
    "DELETE FROM attempt WHERE delivery_id IN
        (SELECT id FROM delivery WHERE case_id IN (SELECT id FROM child_case WHERE upn = $1))",
    "DELETE FROM delivery WHERE case_id IN (SELECT id FROM child_case WHERE upn = $1)",
    "DELETE FROM alert WHERE case_id IN (SELECT id FROM child_case WHERE upn = $1)",
    "DELETE FROM alert_gap WHERE upn = $1",
    "DELETE FROM child_case WHERE upn = $1",
];

const ALERTS: &str = "
SELECT alert_id, rule, episode, version, change, state, level, since, as_of, evidence, sentence, rule_set, changed_at
FROM alert WHERE case_id = $1 ORDER BY changed_at DESC, alert_id";
