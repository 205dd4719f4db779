//! `earlybell doctor`: looks at a live installation from outside, tells what is wrong and what to do. Changes nothing.

mod database;
mod finding;
mod kafka;
mod people;
mod pipeline;

use super::installation::{block_on, connection, options, settings};
use clap::Args;
use finding::Findings;
use service::config::Settings;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use store::Store;
use transport::Admin;

/// The longest wait for one answer of Kafka.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Prints the findings as one JSON list.
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(crate) fn run(&self, config: Option<PathBuf>) -> anyhow::Result<ExitCode> {
        let settings = settings(config)?;
        let findings = block_on(async { Ok(examine(&settings).await) })?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(findings.all())?);
        } else {
            print!("{findings}");
        }
        Ok(if findings.is_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Looks at everything; what cannot be reached hides only what needs it.
async fn examine(settings: &Settings) -> Findings {
    let mut findings = Findings::default();
    let admin = Admin::new(&connection(settings, "doctor"), PATIENCE);
    let admin = findings.take("kafka", admin.map_err(|error| (error, "see the section [kafka] of the settings")));
    let reached = match &admin {
        Some(admin) => kafka::brokers(admin, settings, &mut findings).await,
        None => None,
    };
    let store = Store::connect(settings.database.url.expose(), &options(settings, "doctor")).await;
    let store = store.map_err(|error| (error, "see database.url of the settings, and whether the server runs"));
    let Some(store) = findings.take("database", store) else { return findings };
    if let Some(installation) = database::look(&store, &mut findings).await {
        let policy = database::policy(&store, &mut findings).await;
        if let Some(admin) = admin.filter(|_| reached.is_some()) {
            kafka::topics(&admin, settings, &installation, policy.as_deref(), &mut findings).await;
            pipeline::positions(&admin, &store, policy.as_deref(), &mut findings).await;
            kafka::readers(&admin, &mut findings).await;
        }
        pipeline::work(&store, &installation, &mut findings).await;
        people::messages(&store, policy.as_deref(), &mut findings).await;
        people::keys(&store, &mut findings).await;
    }
    store.close().await;
    findings
}
