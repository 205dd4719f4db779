//! The database: version, schema, clock, the installation's row, the policy in force.

use super::finding::Findings;
use ::installation::InForce;
use attendance::Session;
use service::clock::Clock;
use std::sync::Arc;
use store::installation::{self, Installation};
use store::{Store, policy_set};

const AREA: &str = "database";
/// The oldest PostgreSQL that the tests start.
const OLDEST: i64 = 150_000;
/// Clocks further apart than this, in microseconds, are told; registers may be 5 minutes ahead.
const APART: i64 = 5_000_000;
/// Clocks further apart than this refuse or misdate registers.
const TOO_FAR: i64 = 60_000_000;

/// Looks at the server, the schema and the installation's row.
pub(crate) async fn look(store: &Store, findings: &mut Findings) -> Option<Installation> {
    let about = findings.read(AREA, store.about().await)?;
    findings.well(AREA, format!("{} answers", about.version));
    if about.number.is_some_and(|number| number < OLDEST) {
        findings.warning(AREA, "this PostgreSQL is older than any that is tested", "upgrade to 15 or later");
    }
    let apart = (about.now - Clock::wall().wall_now().micros()).abs();
    if apart > TOO_FAR {
        let what = format!("the database's clock and this machine's are {} s apart", apart / 1_000_000);
        findings.problem("clock", what, "let both follow one time server: registers ahead of the clock are refused");
    } else if apart > APART {
        let what = format!("the database's clock and this machine's are {} s apart", apart / 1_000_000);
        findings.warning("clock", what, "let both follow one time server");
    }
    match store.check_schema().await {
        Ok(()) => findings.well(AREA, "the schema is this release's"),
        Err(error) => {
            findings.problem(AREA, error.to_string(), "run `earlybell migrate` of the newest release in use");
            return None;
        }
    }
    let row = findings.read(AREA, installation::get(store).await)?;
    let Some(row) = row else {
        findings.problem(AREA, "the database holds no installation", "run `earlybell migrate`");
        return None;
    };
    match row.clock {
        installation::Clock::Wall => findings.well("clock", "school time is the wall clock's"),
        installation::Clock::Registers => {
            let newest = row.clock_session.map_or("none yet".to_owned(), |at| Session::from_number(at).to_string());
            let what =
                format!("school time follows the registers (newest session: {newest}): demonstration, training, tests");
            findings.warning("clock", what, "an installation for real children is founded by `migrate --clock wall`");
        }
    }
    Some(row)
}

/// Whether a policy is in force that this release reads.
pub(crate) async fn policy(store: &Store, findings: &mut Findings) -> Option<Arc<InForce>> {
    let loaded = ::installation::load(store).await;
    let in_force =
        findings.take("policy", loaded.map_err(|error| (error, "put one in force by `earlybell apply DIR`")))?;
    let applied = findings.read("policy", policy_set::in_force(store).await).flatten();
    let by = applied.map_or_else(String::new, |set| format!(", applied by {}", set.applied_by));
    findings.well("policy", format!("version {} of {} is in force{by}", in_force.version, in_force.policy.authority));
    let schools =
        in_force.policy.schools.values().filter(|school| school.locality.is_none() && school.closed.is_none());
    let unclaimed = schools.count();
    if unclaimed > 0 {
        let what = format!("{unclaimed} open schools belong to no locality: their alerts go to the default route");
        findings.warning("policy", what, "add them to localities.csv and apply the folder");
    }
    Some(in_force)
}
