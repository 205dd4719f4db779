//! Our own abort at named points.

use crate::Fault;
use crate::harness::checker::EVENTS;
use crate::world::{On, World};
use rand::Rng;
use std::time::Duration;

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "abort at each point of ingest",
        rounds: [1, 3],
        on: On::Plain,
        run: |world, rounds| Box::pin(ingest(world, rounds)),
    },
    Fault {
        name: "abort at each point of rules",
        rounds: [1, 3],
        on: On::Plain,
        run: |world, rounds| Box::pin(rules(world, rounds)),
    },
    Fault {
        name: "abort at each point of notifier",
        rounds: [1, 3],
        on: On::Plain,
        run: |world, rounds| Box::pin(notifier(world, rounds)),
    },
];

async fn ingest(world: &mut World, rounds: u32) {
    let points = ["after_poll", "after_produce", "before_commit", "after_commit"];
    for _ in 0..rounds {
        for point in points {
            abort(world, "ingest", &format!("ingest.batch.{point}")).await;
        }
    }
}

async fn rules(world: &mut World, rounds: u32) {
    let points = [
        "batch.after_poll",
        "batch.before_commit",
        "commit.after_compare_and_set",
        "commit.before_commit",
        "commit.after_commit",
        "relay.before_send",
        "relay.after_send",
        "checkpoint.before_chunk",
        "checkpoint.in_chunk",
        "checkpoint.after_chunk",
        "checkpoint.after_pass",
        "restore.after_load",
    ];
    for _ in 0..rounds {
        for point in points {
            abort(world, "rules", &format!("rules.{point}")).await;
        }
        // There is something to be folded silently only where a pass was late.
        let often = world.installation.write_seldom();
        world.restart("rules", None);
        world.send(4).await;
        world.installation.taken(&world.store, EVENTS).await;
        world.kill("rules");
        world.installation.undo(often);
        abort(world, "rules", "rules.restore.after_fold").await;
    }
}

async fn notifier(world: &mut World, rounds: u32) {
    let points = [
        "intake.after_poll",
        "intake.before_commit",
        "intake.after_commit",
        "deliver.before_send",
        "deliver.after_send",
    ];
    for _ in 0..rounds {
        for point in points {
            abort(world, "notifier", &format!("notifier.{point}")).await;
        }
    }
}

/// The service passes the point under load, for the first time or the second, and dies there; then it is started again.
async fn abort(world: &mut World, service: &'static str, point: &str) {
    let first_only = point.contains("restore") || point.contains("after_pass");
    let nth = if first_only { 1 } else { world.rng.random_range(1..=2) };
    world.restart(service, Some(&format!("{point}:{nth}")));
    for _ in 0..40 {
        let sending = world.begin(2);
        let ended = world.process(service).ended(Duration::from_millis(1_500)).await;
        if ended.is_some() {
            world.restart(service, None);
            world.arrived(sending).await;
            return;
        }
        world.arrived(sending).await;
        if world.process(service).ended(Duration::from_millis(1)).await.is_some() {
            world.restart(service, None);
            return;
        }
    }
    world.problems.push(format!("{service} never passed {point} for time {nth}"));
}
