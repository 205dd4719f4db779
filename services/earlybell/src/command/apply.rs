//! `earlybell apply DIR`: puts a policy in force, after verifying all of it and telling what changes. Going back to an old
//! policy is applying it again: it becomes a new version, so that two rule sets never share one.

use super::installation::{Actor, block_on, clock, connection, founded, settings, store as open};
use crate::command::check;
use ::installation::{InForce, InForceError};
use anyhow::{Context, bail};
use attendance::Session;
use attendance::alert::Change;
use clap::Args;
use policy::routes::RuleChanges;
use policy::{Files, Policy};
use rules::snapshot::Snapshot;
use service::clock::Clock;
use service::config::Settings;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use store::{Store, audit, policy_set};

#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// The policy folder.
    dir: PathBuf,
    /// Does not ask.
    #[arg(long)]
    yes: bool,
    /// Does nothing where a policy is in force already: for start scripts.
    #[arg(long)]
    if_none: bool,
    #[command(flatten)]
    actor: Actor,
}

impl Apply {
    pub(crate) fn run(&self, config: Option<PathBuf>) -> anyhow::Result<ExitCode> {
        let policy = check::load(&self.dir)?;
        let files = Files::load(&self.dir)?;
        let settings = settings(config)?;
        block_on(async {
            let store = open(&settings, "apply").await?;
            if self.if_none
                && let Some(version) = policy_set::version(&store).await?
            {
                println!("version {version} is in force; nothing was changed");
                store.close().await;
                return Ok(ExitCode::SUCCESS);
            }
            let before = in_force(&store).await?;
            for line in changes(before.as_ref().map(|before| &before.policy), &policy) {
                println!("{line}");
            }
            if let Some(before) = &before
                && judges_otherwise(&before.policy, &policy)
            {
                println!("{}", alerts(&settings, &store, policy).await);
            }
            if !self.yes && !asked()? {
                bail!("nothing was changed");
            }
            let version = self.put(&store, &files).await?;
            println!("version {version} is in force; services follow within seconds");
            store.close().await;
            Ok(ExitCode::SUCCESS)
        })
    }

    async fn put(&self, store: &Store, files: &Files) -> anyhow::Result<i64> {
        let now = Clock::wall().wall_now().micros();
        let mut tx = store.begin().await?;
        let version = policy_set::put_in_force(&mut tx, &serde_json::to_string(files)?, &self.actor.by, now).await?;
        let act = audit::Act {
            at: now,
            actor: self.actor.by.clone(),
            action: "policy.apply".to_owned(),
            upn: None,
            detail: format!("version {version}"),
        };
        audit::append(&mut tx, &act).await?;
        tx.commit().await.context("whether the policy is in force is not known; look with `earlybell apply` again")?;
        Ok(version)
    }
}

/// The policy in force; one that this release cannot read is as if there were none: it is about to be replaced.
async fn in_force(store: &Store) -> anyhow::Result<Option<Arc<InForce>>> {
    match ::installation::load(store).await {
        Ok(in_force) => Ok(Some(in_force)),
        Err(InForceError::Nothing) => Ok(None),
        Err(error @ InForceError::Unreadable { .. }) => {
            eprintln!("warning: {error}");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether a pupil may be judged otherwise.
fn judges_otherwise(before: &Policy, after: &Policy) -> bool {
    let phases = |policy: &Policy| policy.schools.values().map(|school| school.phase.clone()).collect::<Vec<_>>();
    before.rules != after.rules
        || before.calendars != after.calendars
        || before.model != after.model
        || phases(before) != phases(after)
}

/// What changes, a line each.
fn changes(before: Option<&Policy>, after: &Policy) -> Vec<String> {
    let Some(before) = before else {
        let (rules, schools) = (after.rules.rules().len(), after.schools.len());
        return vec![format!("the first policy: {rules} rules, {schools} schools")];
    };
    let mut lines = Vec::new();
    for rule in after.rules.rules() {
        match before.rules.rule(&rule.id) {
            None => lines.push(format!("rule {}: new", rule.id)),
            Some(old) if old != rule => lines.push(format!("rule {}: changed; every pupil is judged anew", rule.id)),
            Some(_) => {}
        }
    }
    for gone in before.rules.rules().iter().filter(|rule| after.rules.rule(&rule.id).is_none()) {
        lines.push(format!("rule {}: gone; its open alerts are withdrawn", gone.id));
    }
    let schools = |policy: &Policy| policy.schools.keys().copied().collect::<BTreeSet<_>>();
    let (old, new) = (schools(before), schools(after));
    lines.push(format!("schools: {} new, {} gone", new.difference(&old).count(), old.difference(&new).count()));
    let moved = old.intersection(&new).filter(|urn| before.locality(**urn) != after.locality(**urn)).count();
    lines.push(format!("schools with another locality: {moved}"));
    if before.calendars != after.calendars {
        lines.push("calendars: changed; every pupil is judged anew".to_owned());
    }
    match (&before.watch, &after.watch) {
        (None, Some(_)) => {
            lines.push("silent_school: new; schools whose registers are missing are told from now on".to_owned());
        }
        (Some(_), None) => {
            lines.push("silent_school: gone; nobody hears of schools whose registers are missing".to_owned());
        }
        (before, after) if before != after => lines.push("silent_school: changed".to_owned()),
        _ => {}
    }
    if before.model != after.model {
        let source = &after.model.parts().source;
        lines.push(format!("the forecast's numbers: changed; every pupil is judged anew ({source})"));
    }
    if judges_otherwise(before, after) {
        lines.push(match after.notify.rule_changes {
            RuleChanges::Silent => "what this changes makes no message (notify.rule_changes)".to_owned(),
            RuleChanges::News => "what this changes is told as news (notify.rule_changes)".to_owned(),
        });
    }
    lines
}

/// How many alerts would change, in words. A count that cannot be made now is no reason to refuse the policy.
async fn alerts(settings: &Settings, store: &Store, policy: Policy) -> String {
    match would_change(settings, store, policy).await {
        Ok(changes) if changes.is_empty() => "alerts: none changes".to_owned(),
        Ok(changes) => {
            let told: Vec<String> =
                changes.iter().map(|(change, count)| format!("{count} {}", change.text())).collect();
            format!("alerts: {}", told.join(", "))
        }
        Err(error) => format!("alerts: what would change could not be counted ({error:#})"),
    }
}

async fn would_change(settings: &Settings, store: &Store, policy: Policy) -> anyhow::Result<BTreeMap<Change, u64>> {
    let installation = founded(store).await?;
    let clock = clock(&installation);
    let (year, as_of) = (clock.present_year(), Session::at(clock.now()));
    let connection = connection(settings, "apply");
    let wanted = InForce { version: 0, policy };
    let mut changes = BTreeMap::new();
    for part in 0..u32::try_from(installation.event_partitions)? {
        let mut snapshot = Snapshot::read(store, &connection, part, &[year.previous(), year], None).await?;
        for (change, count) in snapshot.would_change(store, part, (year, as_of), &wanted).await? {
            *changes.entry(change).or_default() += count;
        }
    }
    Ok(changes)
}

fn asked() -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        bail!("there is nobody to ask: --yes puts the policy in force without asking");
    }
    print!("put it in force? [y/N] ");
    io::stdout().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
