//! `GET /v1/cases`: takes a reader's token, gives the cases of its localities, without names and UPNs. Every reading is
//! written to the audit before it is answered. `GET /v1/schools`: the schools there whose registers are missing.

use crate::access::{self, Localities};
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::schools;
use attendance::rule::Level;
use attendance::{Day, Session, Timestamp, Urn};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::routing::get;
use axum::{Json, Router};
use policy::Policy;
use serde::{Deserialize, Serialize};
use service::clock::Clock;
use std::collections::BTreeMap;
use std::sync::Arc;
use store::casework::{self, AlertRow, CaseRow, Filter};
use store::{Store, audit};
use tokio::sync::watch;

use installation::InForce;

/// Cases a page.
const PAGE: u32 = 100;

/// What the API works with.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) in_force: watch::Receiver<Arc<InForce>>,
    pub(crate) metrics: Metrics,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    locality: Option<String>,
    level: Option<String>,
    state: Option<String>,
    after: Option<i64>,
}

#[derive(Debug, Serialize)]
struct Page {
    cases: Vec<Case>,
    /// What `after` is for the next page; none where this is the last.
    next: Option<i64>,
}

#[derive(Debug, Serialize)]
struct Case {
    reference: String,
    school_year: String,
    locality: Option<String>,
    seen_by: Vec<String>,
    school_urn: i32,
    school: Option<String>,
    state: String,
    level: Option<&'static str>,
    opened_at: String,
    changed_at: String,
    off_roll_since: Option<String>,
    alerts: Vec<Alert>,
}

#[derive(Debug, Serialize)]
struct Alert {
    rule: String,
    state: String,
    level: Option<&'static str>,
    change: String,
    since: String,
    sentence: String,
}

/// The API's description, which the router keeps to.
const OPENAPI: &str = include_str!("../openapi.json");

pub(crate) fn router(api: Api) -> Router {
    let unknown = || async { Problem::NotFound };
    Router::new()
        .route("/v1/cases", get(cases).fallback(|| async { Problem::Method }))
        .route("/v1/schools", get(schools).fallback(|| async { Problem::Method }))
        .route("/openapi.json", get(|| async { ([(header::CONTENT_TYPE, "application/json")], OPENAPI) }))
        .fallback(unknown)
        .with_state(api)
}

async fn cases(
    State(api): State<Api>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Page>, Problem> {
    let now = api.clock.wall_now();
    let reader = access::reader(&api.store, &headers, now).await?;
    let Query(asked) = asked.map_err(|error| {
        let told = error.body_text();
        let told = told.trim_start_matches("Failed to deserialize query string: ");
        Problem::Query(format!(
            "the query cannot be read: {told}; it may have locality, level, state, and after, a number"
        ))
    })?;
    let filter = filter(&asked, &reader.localities)?;
    let after = asked.after.unwrap_or(0);
    let mut rows = casework::list(&api.store, &filter, after, PAGE + 1).await?;
    let more = rows.len() > PAGE as usize;
    rows.truncate(PAGE as usize);
    let next = rows.last().filter(|_| more).map(|row| row.id);
    write_audit(&api.store, &reader.actor(), &asked, &rows, now).await?;
    let in_force = Arc::clone(&api.in_force.borrow());
    let mut cases = Vec::with_capacity(rows.len());
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let mut alerts: BTreeMap<i64, Vec<AlertRow>> = BTreeMap::new();
    for alert in casework::alerts(&api.store, &ids).await? {
        alerts.entry(alert.case_id).or_default().push(alert);
    }
    for row in rows {
        let alerts = alerts.remove(&row.id).unwrap_or_default();
        cases.push(case(&in_force.policy, row, alerts));
    }
    api.metrics.reads_total.inc();
    Ok(Json(Page { cases, next }))
}

/// Of schools alone: nothing is read of a child, and nothing written to the audit.
async fn schools(State(api): State<Api>, headers: HeaderMap) -> Result<Json<serde_json::Value>, Problem> {
    let reader = access::reader(&api.store, &headers, api.clock.wall_now()).await?;
    let in_force = Arc::clone(&api.in_force.borrow());
    let mut missing = schools::missing(&api.store, &in_force.policy).await?;
    missing.retain(|school| reader.localities.hold(school.locality.as_deref()));
    api.metrics.reads_total.inc();
    Ok(Json(serde_json::json!({ "schools": missing })))
}

fn filter(asked: &Asked, allowed: &Localities) -> Result<Filter, Problem> {
    let level = asked.level.as_deref().map(|text| {
        let level = Level::parse(text)
            .ok_or_else(|| Problem::Query(format!("{text:?} is no level: at-risk, persistent or severe")));
        level.map(|level| i16::from(level.number()))
    });
    let state = asked.state.as_deref().map(|text| match text {
        "open" | "closed" => Ok(text.to_owned()),
        _ => Err(Problem::Query(format!("{text:?} is no state: open or closed"))),
    });
    let localities = match (&asked.locality, allowed) {
        (None, Localities::All) => None,
        (Some(locality), Localities::All) => Some(vec![locality.clone()]),
        (None, Localities::These(allowed)) => Some(allowed.clone()),
        (Some(locality), Localities::These(allowed)) if allowed.contains(locality) => Some(vec![locality.clone()]),
        (Some(_), Localities::These(_)) => return Err(Problem::Forbidden),
    };
    Ok(Filter { localities, level: level.transpose()?, state: state.transpose()? })
}

/// Before anything is shown: what could not be written to the audit is not answered.
async fn write_audit(
    store: &Store,
    actor: &str,
    asked: &Asked,
    rows: &[CaseRow],
    now: Timestamp,
) -> Result<(), Problem> {
    let references: Vec<&str> = rows.iter().map(|row| row.reference.as_str()).collect();
    let detail = serde_json::json!({
        "locality": asked.locality, "level": asked.level, "state": asked.state, "after": asked.after, "cases": references,
    });
    let act = audit::Act {
        at: now.micros(),
        actor: actor.to_owned(),
        action: "cases.read".to_owned(),
        upn: None,
        detail: detail.to_string(),
    };
    audit::append_alone(store, &act).await.map_err(|error| {
        tracing::error!(%error, "the audit's row of a reading could not be written: nothing is shown");
        Problem::Unavailable
    })
}

fn level_text(number: i16) -> Option<&'static str> {
    u8::try_from(number).ok().and_then(Level::from_number).map(Level::text)
}

fn case(policy: &Policy, row: CaseRow, alerts: Vec<AlertRow>) -> Case {
    let urn = u32::try_from(row.school_urn).ok().and_then(|urn| Urn::new(urn).ok());
    let alert = |row: AlertRow| Alert {
        rule: row.rule,
        state: row.state,
        level: level_text(row.level),
        change: row.change,
        since: Session::from_number(row.since).day().to_string(),
        sentence: row.sentence,
    };
    Case {
        reference: row.reference,
        school_year: attendance::SchoolYear::beginning(row.school_year).to_string(),
        locality: row.locality,
        seen_by: row.seen_by,
        school_urn: row.school_urn,
        school: urn.and_then(|urn| policy.schools.get(&urn)).map(|school| school.name.clone()),
        state: row.state,
        level: level_text(row.level),
        opened_at: Timestamp::from_micros(row.opened_at).to_string(),
        changed_at: Timestamp::from_micros(row.changed_at).to_string(),
        off_roll_since: row.off_roll_since.map(|days| Day::from_days(days).to_string()),
        alerts: alerts.into_iter().map(alert).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(locality: Option<&str>, level: Option<&str>, state: Option<&str>) -> Asked {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Asked { locality: owned(locality), level: owned(level), state: owned(state), after: None }
    }

    #[test]
    fn a_token_opens_its_own_localities_only() {
        let north = Localities::These(vec!["North".into()]);
        let found = filter(&asked(None, None, None), &north).unwrap();
        assert_eq!(found.localities, Some(vec!["North".to_owned()]));
        assert!(matches!(filter(&asked(Some("East"), None, None), &north), Err(Problem::Forbidden)));
        assert_eq!(filter(&asked(None, None, None), &Localities::All).unwrap().localities, None);
        let east = filter(&asked(Some("East"), Some("severe"), Some("open")), &Localities::All).unwrap();
        assert_eq!((east.level, east.state.as_deref()), (Some(3), Some("open")));
    }

    #[test]
    fn unknown_levels_and_states_are_refused() {
        for asked in [asked(None, Some("grave"), None), asked(None, None, Some("ajar"))] {
            assert!(matches!(filter(&asked, &Localities::All), Err(Problem::Query(_))));
        }
    }
}
