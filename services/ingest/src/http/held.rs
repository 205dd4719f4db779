//! `GET /v1/registers`: what is held of a school's registers. Marks are counted from the records of its pupils. A child's data is
//! read, so the audit's row comes first.

use crate::feed::{Feed, Held};
use crate::http::access::Access;
use crate::http::problem::Problem;
use crate::partition::Shared;
use crate::recent::Recent;
use crate::roll::{Roll, row_urn};
use attendance::{Day, Half, SchoolYear, Session, Timestamp, Urn};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use store::StoreError;
use store::audit::{self, Act};
use store::register::{self, RegisterRow};

/// Days of an answer, at most.
const LONGEST: i32 = 400;

/// Answers `urn`, `from` and `to` (both included; without them the last 31 days).
pub(crate) async fn list(shared: &Shared, access: &Access, query: &HashMap<String, String>) -> Result<Value, Problem> {
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
    let to = day("to", shared.clock.today())?;
    let from = day("from", to.plus(-30))?;
    if from > to || to.days() - from.days() > LONGEST {
        return Err(bad(format!("from {from} to {to} is no span of 1 to {LONGEST} days")));
    }
    let act = Act {
        at: shared.clock.wall_now().micros(),
        actor: access.actor(),
        action: "registers.read".to_owned(),
        upn: None,
        detail: format!("school {school} from {from} to {to}"),
    };
    let away = |error: StoreError| {
        tracing::warn!(%error, "registers could not be read");
        Problem::unavailable("the registers cannot be read just now; ask again", 2)
    };
    let audited = audit::append_alone(&shared.store, &act).await;
    audited.map_err(|error| away(error.into_cause()))?;
    let (registers, is_whole) = registers(shared, school, from, to).await.map_err(away)?;
    Ok(json!({
        "school_urn": school.number(),
        "from": from.to_string(),
        "to": to.to_string(),
        "up_to_date": is_whole,
        "registers": registers,
    }))
}

/// Each session received; and whether the newest marks are counted too.
async fn registers(shared: &Shared, school: Urn, from: Day, to: Day) -> Result<(Vec<Value>, bool), StoreError> {
    let store = &shared.store;
    let urn = row_urn(school);
    let (first, last) = (Session::new(from, Half::Am).number(), Session::new(to, Half::Pm).number());
    let mut sessions: BTreeMap<Session, Vec<RegisterRow>> = BTreeMap::new();
    for row in register::list(store, urn, first, last).await? {
        sessions.entry(Session::from_number(row.session)).or_default().push(row);
    }
    let roll = Roll::read(store, school).await?;
    let mut feed = Feed::new(school, &roll, sessions.keys().copied());
    let years: BTreeSet<SchoolYear> = sessions.keys().map(|session| session.school_year()).collect();
    let recent = Recent::read(shared, school, &years).await?;
    for ((upn, _), record) in &recent.records {
        feed.take(*upn, record);
    }
    let held = feed.held();
    let shown = sessions.iter().filter_map(|(session, parts)| shown(*session, parts, held.get(session)?));
    Ok((shown.collect(), recent.is_whole))
}

fn shown(session: Session, parts: &[RegisterRow], held: &Held) -> Option<Value> {
    let first = parts.first()?;
    Some(json!({
        "date": session.day().to_string(),
        "session": session.half().text(),
        "revised_at": Timestamp::from_micros(first.revised_at).to_string(),
        "received_at": Timestamp::from_micros(first.received_at).to_string(),
        "ids": parts.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(),
        "refused": parts.iter().map(|row| i64::from(row.refused)).sum::<i64>(),
        "marks": held.marks,
        "on_roll_without_mark": held.on_roll_without_mark,
        "not_on_roll": held.not_on_roll,
    }))
}
