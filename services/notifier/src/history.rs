//! One summary a team at the end of an import of history: the open cases of its localities, in the transaction that takes the
//! import's end in. The same import's end again changes nothing: its messages bear the same ids.

use crate::apply::{Applying, store_error};
use crate::message::{OpenCases, Summary, Told};
use attendance::alert::Change;
use attendance::rule::{Level, Severity};
use routing::Facts;
use std::collections::BTreeMap;
use store::Tx;
use store::casework::{self, OpenCases as Row};
use store::delivery::{self, NewDelivery};
use transport::WorkError;
use uuid::Uuid;

/// What routes that match by rule are asked with.
const RULE: &str = "import";

impl Applying<'_> {
    /// Puts a delivery for each receiver that the routes name for any locality with open cases; gives how many are new.
    pub(crate) async fn sum_up(&self, tx: &mut Tx, import_id: &[u8]) -> Result<u64, WorkError> {
        let rows = casework::open_cases(tx).await.map_err(store_error)?;
        let import = Uuid::new_v5(&self.namespace, import_id);
        let mut new = Vec::new();
        for (receiver, localities) in self.receivers(&rows) {
            let told = Told::History(Summary { localities, said_at: self.now.to_string() });
            let about = format!("import/{import}/{receiver}");
            new.push(NewDelivery {
                message_id: Uuid::new_v5(&self.namespace, about.as_bytes()).to_string(),
                case_id: None,
                changes: Vec::new(),
                receiver,
                body: serde_json::to_string(&told).map_err(|error| WorkError::Fatal(error.into()))?,
                register_id: String::new(),
                received_at: 0,
                at: self.now.micros(),
                gather_until: None,
            });
        }
        delivery::put_many(tx, &new).await.map_err(store_error)
    }

    /// The open cases that each receiver hears of.
    fn receivers(&self, rows: &[Row]) -> BTreeMap<String, Vec<OpenCases>> {
        let mut receivers: BTreeMap<String, BTreeMap<Option<String>, OpenCases>> = BTreeMap::new();
        for Row { locality, level, count } in rows {
            let Some(level) = u8::try_from(*level).ok().and_then(Level::from_number) else { continue };
            let facts = Facts {
                locality: locality.as_deref(),
                level,
                rule: RULE,
                severity: Severity::Normal,
                change: Change::Raised,
            };
            let decision = self.in_force.policy.notify.routes.decide(&facts);
            for receiver in decision.receivers() {
                let places = receivers.entry((*receiver).to_owned()).or_default();
                let empty = || OpenCases { locality: locality.clone(), ..OpenCases::default() };
                let place = places.entry(locality.clone()).or_insert_with(empty);
                match level {
                    Level::AtRisk => place.at_risk += count,
                    Level::Persistent => place.persistent += count,
                    Level::Severe => place.severe += count,
                }
            }
        }
        receivers.into_iter().map(|(receiver, places)| (receiver, places.into_values().collect())).collect()
    }
}
