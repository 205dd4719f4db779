//! Processes killed, frozen and moved about.

use crate::Fault;
use crate::harness::Process;
use crate::harness::checker::EVENTS;
use crate::world::{On, World};
use rand::Rng;
use std::time::Duration;
use store::position;

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "kill -9 of ingest",
        rounds: [3, 20],
        on: On::Plain,
        run: |world, rounds| Box::pin(killed(world, "ingest", rounds)),
    },
    Fault {
        name: "kill -9 of rules",
        rounds: [3, 20],
        on: On::Plain,
        run: |world, rounds| Box::pin(killed(world, "rules", rounds)),
    },
    Fault {
        name: "kill -9 of notifier",
        rounds: [3, 20],
        on: On::Plain,
        run: |world, rounds| Box::pin(killed(world, "notifier", rounds)),
    },
    Fault {
        name: "kill -9 of rules before it wrote, and right after the take-over",
        rounds: [3, 10],
        on: On::Plain,
        run: |world, rounds| Box::pin(killed_again(world, rounds)),
    },
    Fault {
        name: "SIGSTOP, SIGCONT of ingest",
        rounds: [3, 20],
        on: On::Plain,
        run: |world, rounds| Box::pin(frozen(world, "ingest", rounds)),
    },
    Fault {
        name: "SIGSTOP, SIGCONT of rules",
        rounds: [3, 20],
        on: On::Plain,
        run: |world, rounds| Box::pin(frozen(world, "rules", rounds)),
    },
    Fault {
        name: "SIGSTOP, SIGCONT of notifier",
        rounds: [3, 20],
        on: On::Plain,
        run: |world, rounds| Box::pin(frozen(world, "notifier", rounds)),
    },
    Fault {
        name: "a frozen owner wakes after its partitions have moved",
        rounds: [3, 10],
        on: On::Plain,
        run: |world, rounds| Box::pin(moved(world, rounds)),
    },
    Fault {
        name: "four rules processes, each restarted every 2 to 10 s",
        rounds: [3, 16],
        on: On::Plain,
        run: |world, rounds| Box::pin(storm(world, rounds)),
    },
];

async fn killed(world: &mut World, service: &'static str, rounds: u32) {
    for _ in 0..rounds {
        let sending = world.begin(12);
        world.pause(1_200).await;
        world.kill(service);
        world.pause(400).await;
        world.restart(service, None);
        world.arrived(sending).await;
        // The dead member's session has to end before this one gets partitions: from just before that to well after.
        world.pause(4_000).await;
    }
}

/// What the first owner had in memory alone, the next folds from the topic; once it has moved the checkpoint, only its rows tell.
async fn killed_again(world: &mut World, rounds: u32) {
    for _ in 0..rounds {
        let often = world.installation.write_seldom();
        world.restart("rules", None);
        world.send(9).await;
        world.installation.taken(&world.store, EVENTS).await;
        world.kill("rules");
        world.installation.undo(often);
        world.restart("rules", None);
        world.settled().await;
        world.kill("rules");
    }
}

async fn frozen(world: &mut World, service: &'static str, rounds: u32) {
    for _ in 0..rounds {
        let sending = world.begin(12);
        world.pause(500).await;
        world.process(service).freeze();
        // Up to beyond the session time-out of 3 s.
        world.pause(4_500).await;
        world.process(service).thaw();
        world.arrived(sending).await;
        world.pause(500).await;
    }
}

/// The owner stands still with a batch, or a chunk of records, in hand; another takes over and works on; then it wakes up.
async fn moved(world: &mut World, rounds: u32) {
    let points = ["rules.batch.before_commit", "rules.checkpoint.before_chunk", "rules.commit.after_compare_and_set"];
    for round in 0..rounds {
        let point = points[usize::try_from(round).unwrap() % points.len()];
        world.restart("rules", Some(&format!("{point}:1:freeze")));
        let sending = world.begin(8);
        world.process("rules").frozen().await;
        world.arrived(sending).await;
        let new = world.another("rules", None);
        let before = versions(world).await;
        world.send(6).await;
        let taken = async || {
            let now = versions(world).await;
            if now.iter().zip(&before).any(|(now, before)| now > before) { Ok(()) } else { Err("not yet".to_owned()) }
        };
        if support::wait_until(Duration::from_secs(40), "the other to take over", taken).await.is_err() {
            world.problems.push("nobody took the frozen owner's partitions over".to_owned());
        }
        world.pause(2_000).await;
        world.process("rules").thaw();
        world.send(4).await;
        world.pause(1_000).await;
        // One of the two goes, now this, now that.
        if world.rng.random_bool(0.5) {
            world.put("rules", new);
        }
    }
}

async fn versions(world: &World) -> Vec<i64> {
    let rows = position::list(&world.store, EVENTS).await.unwrap();
    rows.into_iter().map(|row| row.version).collect()
}

async fn storm(world: &mut World, restarts: u32) {
    let mut others: Vec<Process> = (0..3).map(|_| world.another("rules", None)).collect();
    for _ in 0..restarts {
        let sending = world.begin(10);
        let which = world.rng.random_range(0..=others.len());
        let in_order = world.rng.random_bool(0.5);
        let process = if which == others.len() { world.process("rules") } else { &mut others[which] };
        if in_order {
            process.terminate();
            process.ended(Duration::from_secs(11)).await;
        }
        if which == others.len() {
            world.restart("rules", None);
        } else {
            others[which] = world.another("rules", None);
        }
        world.arrived(sending).await;
        // Four processes: each comes to its turn every 2 to 10 s.
        let pause = world.rng.random_range(500..2_500);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    drop(others);
}
