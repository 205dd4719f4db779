//! What reaches people: receivers, deliveries, keys, tokens.

use super::finding::Findings;
use ::installation::InForce;
use service::clock::Clock;
use store::{Store, api_key, delivery, token};

/// Keys that end within so many microseconds are told: 30 days.
const SOON: i64 = 30 * 86_400_000_000;
/// Messages owed for longer than this, in microseconds, are told.
const LATE: i64 = 1_800_000_000;

/// Whether messages go somewhere, and arrive.
pub(crate) async fn messages(store: &Store, policy: Option<&InForce>, findings: &mut Findings) {
    if let Some(in_force) = policy {
        let notify = &in_force.policy.notify;
        if notify.receivers.is_empty() {
            let what = "the policy names no receiver: cases are kept, but nobody is told";
            findings.problem("messages", what, "add [[receiver]] and [[route]] to authority.toml and apply the folder");
        } else if notify.routes.default.is_empty() {
            let what = "there is no default route: alerts that no locality claims reach nobody";
            findings.warning("messages", what, "set default under [notify] in authority.toml and apply the folder");
        }
    }
    let now = Clock::wall().wall_now().micros();
    for owed in findings.read("messages", delivery::owed(store).await).unwrap_or_default() {
        if now - owed.oldest > LATE {
            let what = format!(
                "{} is owed {} messages, the oldest for {} minutes",
                owed.receiver,
                owed.count,
                (now - owed.oldest) / 60_000_000
            );
            findings.warning(
                "messages",
                what,
                format!("see `earlybell deliveries list`, and whether {} answers", owed.receiver),
            );
        }
    }
    let given_up = |tally: &delivery::Tally| tally.state == "given_up";
    let tally = findings.read("messages", delivery::tally(store).await).unwrap_or_default();
    for tally in tally.into_iter().filter(given_up) {
        let what = format!("{} messages to {} were given up", tally.count, tally.receiver);
        findings.problem(
            "messages",
            what,
            format!("mend the receiver, then `earlybell deliveries replay --receiver {}`", tally.receiver),
        );
    }
}

/// Whether schools can send and teams can read, and for how long.
pub(crate) async fn keys(store: &Store, findings: &mut Findings) {
    let now = Clock::wall().wall_now().micros();
    let is_valid = |revoked: Option<i64>, expires: Option<i64>| revoked.is_none() && expires.is_none_or(|at| at > now);
    let keys = findings.read("keys", api_key::list(store).await).unwrap_or_default();
    let keys = keys.into_iter().filter(|key| is_valid(key.revoked_at, key.key.expires_at));
    let keys: Vec<(String, Option<i64>)> = keys.map(|key| (key.key.name, key.key.expires_at)).collect();
    let tokens = findings.read("keys", token::list(store).await).unwrap_or_default();
    let tokens = tokens.into_iter().filter(|row| row.is_valid(now));
    let tokens: Vec<(String, Option<i64>)> = tokens.map(|row| (row.name, row.expires_at)).collect();
    if keys.is_empty() {
        findings.warning("keys", "no ingest key is valid: no school can send over HTTP", "`earlybell key create`");
    } else {
        findings.well("keys", format!("{} ingest keys and {} readers' tokens are valid", keys.len(), tokens.len()));
    }
    for (kind, name, ends) in all(&keys, "ingest key").chain(all(&tokens, "token")) {
        // Of two valid keys of a name the later counts: a rotation is under way.
        let later = keys.iter().chain(&tokens).any(|(other, at)| other == name && at.is_none_or(|at| at > ends));
        if ends - now < SOON && !later {
            let days = (ends - now) / 86_400_000_000;
            let remedy = if kind == "token" { "`earlybell token create`" } else { "`earlybell key rotate`" };
            findings.warning("keys", format!("the {kind} {name} ends in {days} days"), remedy);
        }
    }
}

/// Those that end.
fn all<'a>(
    rows: &'a [(String, Option<i64>)],
    kind: &'static str,
) -> impl Iterator<Item = (&'static str, &'a str, i64)> {
    rows.iter().filter_map(move |(name, ends)| Some((kind, name.as_str(), (*ends)?)))
}
