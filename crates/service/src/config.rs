//! Settings: how a process runs. Takes defaults, `earlybell.toml` and the environment, each layer over the one before;
//! gives [`Settings`], whole and checked, or every mistake at once with its place. What the authority decided is policy,
//! not settings, and lies in the policy folder.

mod admin;
mod consumer;
mod database;
mod ingest;
mod kafka;
mod log;
mod notifier;
mod reader;
mod rules;
mod secret;
mod section;
mod sources;
mod value;
mod wrong;

pub use admin::Admin;
pub use consumer::Consumer;
pub use database::Database;
pub use ingest::Ingest;
pub use kafka::{Brokers, Kafka, Mechanism, Security};
pub use log::{Filter, Format, Log};
pub use notifier::Notifier;
pub use rules::Rules;
pub use secret::Secret;
pub use sources::{FILE_VARIABLE, Sources};
pub use value::Size;
pub use wrong::{Place, SettingsError, Wrong};

use crate::lifecycle;
use reader::Reader;
use section::{Known, Section};

/// The sections that there are.
const SECTIONS: &[Known] = &[
    Known::of::<Kafka>(),
    Known::of::<Database>(),
    Known::of::<Consumer>(),
    Known::of::<Ingest>(),
    Known::of::<Rules>(),
    Known::of::<Notifier>(),
    Known::of::<Admin>(),
    Known::of::<Log>(),
];

/// All settings of a process, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where Kafka is, and what it must promise.
    pub kafka: Kafka,
    /// Where the database is.
    pub database: Database,
    /// How topics are read.
    pub consumer: Consumer,
    /// What ingest takes by HTTP.
    pub ingest: Ingest,
    /// How rules works through events.
    pub rules: Rules,
    /// How messages are delivered.
    pub notifier: Notifier,
    /// Where operators reach a service.
    pub admin: Admin,
    /// What is logged.
    pub log: Log,
    dump: String,
}

impl Settings {
    /// Reads and checks all layers.
    ///
    /// # Errors
    /// Everything that is wrong in any layer, each with its place and remedy.
    pub fn load(sources: &Sources) -> Result<Self, SettingsError> {
        let mut reader = Reader::open(sources, SECTIONS);
        let kafka = section::read::<Kafka>(&mut reader);
        let database = section::read::<Database>(&mut reader);
        let consumer = section::read::<Consumer>(&mut reader);
        let ingest = section::read::<Ingest>(&mut reader);
        let rules = section::read::<Rules>(&mut reader);
        let notifier = section::read::<Notifier>(&mut reader);
        let admin = section::read::<Admin>(&mut reader);
        let log = section::read::<Log>(&mut reader);
        if let (Some(kafka), Some(ingest)) = (&kafka, &ingest) {
            acknowledged_in_time(kafka, ingest, &mut reader);
        }
        if let (Some(database), Some(consumer)) = (&database, &consumer) {
            database_before_stall(database, consumer, &mut reader);
        }
        let whole = || {
            let dump = String::new();
            Some(Self {
                kafka: kafka?,
                database: database?,
                consumer: consumer?,
                ingest: ingest?,
                rules: rules?,
                notifier: notifier?,
                admin: admin?,
                log: log?,
                dump,
            })
        };
        match (whole(), reader.wrong().is_empty()) {
            (Some(mut settings), true) => {
                settings.dump = settings.shown(&reader);
                Ok(settings)
            }
            _ => Err(SettingsError::new(reader.into_wrong())),
        }
    }

    /// Every setting in force with the place that it comes from, as TOML; secrets are hidden.
    pub fn dump_redacted(&self) -> &str {
        &self.dump
    }

    /// An `earlybell.toml` of all settings, each with its meaning and, commented out, its default.
    pub fn example() -> String {
        SECTIONS.iter().map(Known::example).collect::<Vec<_>>().join("\n")
    }

    fn shown(&self, reader: &Reader) -> String {
        [
            section::shown(&self.kafka, reader),
            section::shown(&self.database, reader),
            section::shown(&self.consumer, reader),
            section::shown(&self.ingest, reader),
            section::shown(&self.rules, reader),
            section::shown(&self.notifier, reader),
            section::shown(&self.admin, reader),
            section::shown(&self.log, reader),
        ]
        .join("\n")
    }
}

/// A request answers 202 only after the acknowledgement: it must be able to outlive the wait for it.
fn acknowledged_in_time(kafka: &Kafka, ingest: &Ingest, reader: &mut Reader) {
    if ingest.request_timeout <= kafka.delivery_timeout {
        reader.refuse(Ingest::NAME, "request_timeout", "must be longer than kafka.delivery_timeout; raise it");
    }
    if kafka.delivery_timeout >= lifecycle::HTTP_DRAIN {
        let what = "must be shorter than the 9s that requests have at a stop; lower it";
        reader.refuse(Kafka::NAME, "delivery_timeout", what);
    }
}

/// Waiting for a connection is no stall: the consumer's patience must be the greater.
fn database_before_stall(database: &Database, consumer: &Consumer, reader: &mut Reader) {
    if database.acquire_timeout >= consumer.stall {
        reader.refuse(Database::NAME, "acquire_timeout", "must be shorter than consumer.stall; lower it");
    }
}
