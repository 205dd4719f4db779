//! `GET /v1/registers`: what is held of a school's registers.

use crate::http::access::Access;
use crate::http::problem::Problem;
use attendance::{Day, Half, Session, Timestamp, Urn};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use store::Store;
use store::register::{self, RegisterRow};

/// Days of an answer, at most.
const LONGEST: i32 = 400;

/// Answers `urn`, `from` and `to` (both included; without them the last 31 days).
pub(crate) async fn list(
    store: &Store,
    access: &Access,
    query: &HashMap<String, String>,
    today: Day,
) -> Result<Value, Problem> {
    let bad = |error: String| Problem::bad_request(error);
    if let Some(name) = query.keys().find(|name| !["urn", "from", "to"].contains(&name.as_str())) {
        return Err(bad(format!("there is no parameter {name:?}; write urn, from and to")));
    }
    let urn = query.get("urn").ok_or_else(|| bad("the parameter urn is missing".to_owned()))?;
    let school = Urn::parse(urn).map_err(|error| bad(format!("urn: {error}")))?;
    access.check(school)?;
    let day = |name: &str, default: Day| match query.get(name) {
        Some(text) => Day::parse(text).map_err(|error| bad(format!("{name}: {error}"))),
        None => Ok(default),
    };
    let to = day("to", today)?;
    let from = day("from", to.plus(-30))?;
    if from > to || to.days() - from.days() > LONGEST {
        return Err(bad(format!("from {from} to {to} is no span of 1 to {LONGEST} days")));
    }
    let urn = i32::try_from(school.number()).unwrap_or(i32::MAX);
    let (first, last) = (Session::new(from, Half::Am).number(), Session::new(to, Half::Pm).number());
    let rows = register::list(store, urn, first, last).await.map_err(|error| {
        tracing::warn!(%error, "registers could not be read");
        Problem::unavailable("the registers cannot be read just now; ask again", 2)
    })?;
    let mut sessions: BTreeMap<i32, Vec<RegisterRow>> = BTreeMap::new();
    for row in rows {
        sessions.entry(row.session).or_default().push(row);
    }
    let registers: Vec<Value> = sessions.values().filter_map(|parts| shown(parts)).collect();
    Ok(json!({ "school_urn": school.number(), "from": from.to_string(), "to": to.to_string(), "registers": registers }))
}

fn shown(parts: &[RegisterRow]) -> Option<Value> {
    let first = parts.first()?;
    let session = Session::from_number(first.session);
    let sum = |count: fn(&RegisterRow) -> i32| parts.iter().map(|row| i64::from(count(row))).sum::<i64>();
    Some(json!({
        "date": session.day().to_string(),
        "session": session.half().text(),
        "revised_at": Timestamp::from_micros(first.revised_at).to_string(),
        "received_at": Timestamp::from_micros(first.received_at).to_string(),
        "ids": parts.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(),
        "marks": {
            "attending": sum(|row| row.marks.attending),
            "authorised": sum(|row| row.marks.authorised),
            "unauthorised": sum(|row| row.marks.unauthorised),
            "not_possible": sum(|row| row.marks.not_possible),
            "not_taken": sum(|row| row.marks.not_taken),
        },
        "refused": sum(|row| row.refused),
    }))
}
