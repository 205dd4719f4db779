//! What comes twice, late, in another order; what does not decode; a rule that panics; a receiver that is dead.

use crate::Fault;
use crate::world::{On, World};
use rand::Rng;
use rand::seq::SliceRandom;
use std::time::Duration;
use store::record::{self, RecordRow};

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "twice, late, corrected, re-ordered; one a thousand times",
        rounds: [1, 1],
        on: On::Plain,
        run: |world, _| Box::pin(again(world)),
    },
    Fault {
        name: "a stored record does not decode",
        rounds: [3, 3],
        on: On::Plain,
        run: |world, rounds| Box::pin(undecodable(world, rounds)),
    },
    Fault {
        name: "a rule panics for one pupil",
        rounds: [3, 3],
        on: On::Plain,
        run: |world, rounds| Box::pin(panics(world, rounds)),
    },
    Fault {
        name: "the receiver is dead for a simulated day",
        rounds: [3, 3],
        on: On::Plain,
        run: |world, rounds| Box::pin(dead_receiver(world, rounds)),
    },
];

async fn again(world: &mut World) {
    world.send(400).await;
    let mut again = world.sent.clone();
    again.shuffle(&mut world.rng);
    let one = again[0].clone();
    again.truncate(300);
    let sending = world.begin_with(again, Duration::ZERO);
    world.arrived(sending).await;
    let sending = world.begin_with(vec![one; 1_000], Duration::ZERO);
    world.arrived(sending).await;
}

async fn undecodable(world: &mut World, rounds: u32) {
    for _ in 0..rounds {
        world.settled().await;
        world.kill("rules");
        let part = world.rng.random_range(0..world.installation.partitions);
        let part = i32::try_from(part).unwrap();
        let rows = record::load_partition(&world.store, part, &[2025]).next().await.unwrap().unwrap();
        let sound = rows[world.rng.random_range(0..rows.len())].clone();
        put(world, RecordRow { body: b"broken".to_vec(), ..sound.clone() }).await;
        world.restart("rules", None);
        world.send(12).await;
        world.settled().await;
        one_is_held(world).await;
        put(world, sound).await;
        replay(world).await;
    }
}

async fn put(world: &World, row: RecordRow) {
    let mut tx = world.store.begin().await.unwrap();
    record::upsert_many(&mut tx, &[row]).await.unwrap();
    tx.commit().await.unwrap();
}

async fn panics(world: &mut World, rounds: u32) {
    for _ in 0..rounds {
        let nth = world.rng.random_range(1..30);
        world.restart("rules", Some(&format!("rules.judge.panic:{nth}:fail")));
        world.send(12).await;
        world.settled().await;
        one_is_held(world).await;
        replay(world).await;
    }
}

async fn one_is_held(world: &mut World) {
    let count = world.held().await.unwrap().len();
    if count != 1 {
        world.problems.push(format!("{count} pupils are held instead of one"));
    }
}

/// What was held back is folded, and nobody is held any more.
async fn replay(world: &mut World) {
    world.installation.run(&["dead-letters", "replay", "--reason", "held"]);
    world.settled().await;
    let held = world.held().await.unwrap();
    if !held.is_empty() {
        world.problems.push(format!("still held after the replay: {held:?}"));
    }
}

async fn dead_receiver(world: &mut World, rounds: u32) {
    for _ in 0..rounds {
        world.hook.fail();
        // Six registers are a day.
        world.send(8).await;
        world.pause(3_000).await;
        world.hook.recover();
        world.send(8).await;
    }
}
