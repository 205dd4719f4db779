//! Names and birth dates of pupils: here and nowhere else, never in Kafka.
//!
//! Owner: ingest's HTTP side. Each field's newest value is kept, and of equally new ones the greater: any order and repetition
//! ends in the same rows.

use crate::{Store, StoreError, Tx};

/// What a school says of a pupil.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonRow {
    /// The pupil.
    pub upn: i64,
    /// The school.
    pub urn: i32,
    /// The given name; `None` says nothing, an empty one takes it back. The same for the others.
    pub given_name: Option<String>,
    /// The family name.
    pub family_name: Option<String>,
    /// The birth date, `2014-05-17`.
    pub birth_date: Option<String>,
    /// When the school's system last changed it.
    pub revised_at: i64,
}

/// Older than all that is said.
const NEVER: i64 = i64::MIN;

/// Writes what is said, in the order of keys.
///
/// # Errors
/// As the database answers.
pub async fn upsert_many(tx: &mut Tx, rows: &[PersonRow]) -> Result<(), StoreError> {
    let mut sorted: Vec<&PersonRow> = rows.iter().collect();
    sorted.sort_by_key(|row| (row.upn, row.urn));
    for row in sorted {
        let said = |field: &Option<String>| if field.is_some() { row.revised_at } else { NEVER };
        in_tx!(
            tx,
            "person.upsert_many",
            execute,
            sqlx::query(UPSERT),
            row.upn,
            row.urn,
            row.given_name.as_deref().unwrap_or_default(),
            said(&row.given_name),
            row.family_name.as_deref().unwrap_or_default(),
            said(&row.family_name),
            row.birth_date.as_deref().unwrap_or_default(),
            said(&row.birth_date)
        )?;
    }
    Ok(())
}

/// What schools say of a pupil, in the order of URNs: given name, family name, birth date, each empty where unknown.
///
/// # Errors
/// As the database answers.
pub async fn of_pupil(store: &Store, upn: i64) -> Result<Vec<(i32, String, String, String)>, StoreError> {
    on_pool!(store, "person.of_pupil", fetch_all, sqlx::query_as::<_, (i32, String, String, String)>(OF_PUPIL), upn)
}

const UPSERT: &str = "
INSERT INTO person (upn, urn, given_name, given_name_at, family_name, family_name_at, birth_date, birth_date_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (upn, urn) DO UPDATE SET
    given_name = CASE WHEN excluded.given_name_at > person.given_name_at
        OR (excluded.given_name_at = person.given_name_at AND excluded.given_name > person.given_name)
        THEN excluded.given_name ELSE person.given_name END,
    given_name_at = CASE WHEN excluded.given_name_at > person.given_name_at
        THEN excluded.given_name_at ELSE person.given_name_at END,
    family_name = CASE WHEN excluded.family_name_at > person.family_name_at
        OR (excluded.family_name_at = person.family_name_at AND excluded.family_name > person.family_name)
        THEN excluded.family_name ELSE person.family_name END,
    family_name_at = CASE WHEN excluded.family_name_at > person.family_name_at
        THEN excluded.family_name_at ELSE person.family_name_at END,
    birth_date = CASE WHEN excluded.birth_date_at > person.birth_date_at
        OR (excluded.birth_date_at = person.birth_date_at AND excluded.birth_date > person.birth_date)
        THEN excluded.birth_date ELSE person.birth_date END,
    birth_date_at = CASE WHEN excluded.birth_date_at > person.birth_date_at
        THEN excluded.birth_date_at ELSE person.birth_date_at END";

const OF_PUPIL: &str = "SELECT urn, given_name, family_name, birth_date FROM person WHERE upn = $1 ORDER BY urn";
