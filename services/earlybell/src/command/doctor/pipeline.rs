//! How far the work is: positions against topics, the outbox, holds, dead letters.

use super::finding::{Findings, some};
use super::kafka;
use ::installation::InForce;
use service::clock::Clock;
use store::installation::Installation;
use store::position::{self, Position};
use store::{Store, casework, dead_letter, held, outbox};
use transport::{Admin, Topic, Watermarks};

const AREA: &str = "pipeline";
/// Messages behind, above which it is told.
const BEHIND: i64 = 10_000;
/// A day, in microseconds.
const DAY: i64 = 86_400_000_000;
/// Alert changes that wait longer than this, in microseconds, are told.
const LATE: i64 = 60_000_000;

/// Whether what the positions say is still in the topics.
pub(crate) async fn positions(admin: &Admin, store: &Store, policy: Option<&InForce>, findings: &mut Findings) {
    for topic in kafka::all(policy) {
        let Ok(ends) = admin.watermarks(topic.as_str()).await else { continue };
        let Some(rows) = findings.read(AREA, position::list(store, topic.as_str()).await) else { continue };
        let mut behind = 0;
        for end in &ends {
            let row = rows.iter().find(|row| u32::try_from(row.part) == Ok(end.partition));
            behind += end.high - row.map_or(0, |row| row.next_offset).clamp(0, end.high);
            if let Some(row) = row {
                compare(&topic, row, end, findings);
            }
        }
        if behind > BEHIND {
            let what = format!("{topic}: {behind} messages are not worked on yet");
            findings.warning(AREA, what, "wait, or start further processes; see lag_messages in the metrics");
        } else {
            findings.well(AREA, format!("{topic}: {behind} messages are not worked on yet"));
        }
    }
}

fn compare(topic: &Topic, row: &Position, end: &Watermarks, findings: &mut Findings) {
    let at = format!("{topic}-{}", end.partition);
    if row.next_offset > end.high {
        let what =
            format!("{at} ends at {}, before our position {}: the topic was made anew", end.high, row.next_offset);
        findings.problem(AREA, what, "restore the topic, or restore the database of the same moment");
    }
    // Rules reads again from its checkpoint on.
    let needed = if *topic == Topic::events() { row.checkpoint_offset } else { row.next_offset };
    if needed < end.low {
        let what = format!("{at}: messages {needed} to {} are gone by retention before they were worked on", end.low);
        findings.problem(AREA, what, "have the schools send these days again; see the topic's retention.ms");
    }
    let behind = row.checkpoint_offset < row.next_offset && *topic == Topic::events();
    let age = Clock::wall().wall_now().micros() - row.checkpoint_at;
    if behind && age > DAY {
        let what = format!("{at}: records were last written {} hours ago", age / 3_600_000_000);
        findings.problem(AREA, what, "look at the log of rules: its checkpoints fail");
    }
}

/// What waits, what is held, what could not be used.
pub(crate) async fn work(store: &Store, installation: &Installation, findings: &mut Findings) {
    let now = Clock::wall().wall_now().micros();
    let oldest = findings
        .read(AREA, outbox::backlog(store).await)
        .map(|waiting| waiting.iter().map(|waiting| now - waiting.oldest_put_at).max().unwrap_or(0));
    if let Some(age) = oldest.filter(|age| *age > LATE) {
        let what = format!("alert changes wait for Kafka for {} s", age / 1_000_000);
        findings.problem(AREA, what, "look at the log of rules, and whether the brokers take messages");
    }
    let (mut pupils, mut gaps) = (0, 0);
    for part in 0..installation.event_partitions {
        pupils += findings.read(AREA, held::list(store, part).await).map_or(0, |held| held.len());
        gaps += findings.read(AREA, casework::gaps(store, part).await).map_or(0, |(count, _)| count);
    }
    if pupils > 0 {
        let what = some(pupils, "pupil is held: not judged", "pupils are held: not judged");
        findings.problem(
            AREA,
            what,
            "see `earlybell dead-letters list --reason held`; `dead-letters replay` lifts holds",
        );
    }
    if gaps > 0 {
        let what = format!("{gaps} alert changes wait for one before them that has not come");
        findings.warning(
            AREA,
            what,
            "if it stays so for minutes, compare the topic of alerts with the table published",
        );
    }
    for count in findings.read(AREA, dead_letter::counts(store).await).unwrap_or_default() {
        if count.open > 0 && count.reason != "held" {
            let what = format!("{} dead letters for the reason {}", count.open, count.reason);
            findings.warning(AREA, what, format!("see `earlybell dead-letters list --reason {}`", count.reason));
        }
    }
}
