//! Kafka and PostgreSQL ended, cut off, answering late or never.

use crate::Fault;
use crate::world::{On, World};
use sqlx::{Connection, PgConnection};
use std::time::Duration;

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "the broker killed and restarted",
        rounds: [3, 10],
        on: On::Plain,
        run: |world, rounds| Box::pin(broker(world, rounds)),
    },
    Fault {
        name: "of three brokers the leader killed and restarted",
        rounds: [3, 10],
        on: On::ThreeBrokers,
        run: |world, rounds| Box::pin(leader(world, rounds)),
    },
    Fault {
        name: "PostgreSQL stopped at once and restarted",
        rounds: [3, 10],
        on: On::OwnDatabase,
        run: |world, rounds| Box::pin(database(world, rounds)),
    },
    Fault {
        name: "PostgreSQL's connections cut",
        rounds: [3, 10],
        on: On::Plain,
        run: |world, rounds| Box::pin(cut(world, rounds)),
    },
    Fault {
        name: "commits answered by silence",
        rounds: [3, 10],
        on: On::Proxied,
        run: |world, rounds| Box::pin(silence(world, rounds)),
    },
    Fault {
        name: "another rule set, and back while commits are refused",
        rounds: [3, 10],
        on: On::Plain,
        run: |world, rounds| Box::pin(rule_sets(world, rounds)),
    },
    Fault {
        name: "serialisation failures (40001)",
        rounds: [3, 10],
        on: On::Plain,
        run: |world, rounds| Box::pin(refusals(world, rounds, "40001")),
    },
    Fault {
        name: "PostgreSQL's disk full (53100)",
        rounds: [3, 10],
        on: On::Plain,
        run: |world, rounds| Box::pin(refusals(world, rounds, "53100")),
    },
];

async fn broker(world: &mut World, rounds: u32) {
    for _ in 0..rounds {
        let sending = world.begin(12);
        world.pause(800).await;
        world.installation.kafka.kill().unwrap();
        world.pause(1_500).await;
        tokio::task::block_in_place(|| world.installation.kafka.restart().unwrap());
        world.arrived(sending).await;
        world.pause(1_500).await;
    }
}

async fn leader(world: &mut World, rounds: u32) {
    for _ in 0..rounds {
        let sending = world.begin(12);
        world.pause(800).await;
        let killed = tokio::task::block_in_place(|| {
            let members = || std::iter::once(&world.installation.kafka).chain(&world.installation.others);
            let leads = |member: &&support::Kafka| member.leads(crate::harness::checker::EVENTS, 0).unwrap_or(false);
            let member = members().find(leads)?;
            member.kill().unwrap();
            Some(member)
        });
        let Some(killed) = killed else {
            world.problems.push("no broker led the partition".to_owned());
            return;
        };
        tokio::time::sleep(Duration::from_secs(2)).await;
        tokio::task::block_in_place(|| killed.restart().unwrap());
        world.arrived(sending).await;
        world.pause(1_000).await;
    }
}

async fn database(world: &mut World, rounds: u32) {
    for _ in 0..rounds {
        let sending = world.begin(12);
        world.pause(800).await;
        let own = world.installation.postgres.as_ref().unwrap();
        own.stop_immediate().unwrap();
        tokio::time::sleep(Duration::from_millis(700)).await;
        tokio::task::block_in_place(|| own.start_again().unwrap());
        world.arrived(sending).await;
        world.pause(1_000).await;
    }
}

async fn cut(world: &mut World, rounds: u32) {
    // The server is shared: other databases' connections are let alone. The checker's own have another name.
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE application_name LIKE 'earlybell %' AND datname = current_database()";
    let mut connection = PgConnection::connect(&world.installation.database).await.unwrap();
    let mut cuts: i64 = 0;
    for _ in 0..rounds {
        let sending = world.begin(15);
        for _ in 0..8 {
            world.pause(250).await;
            cuts += sqlx::query_scalar::<_, i64>(cut).fetch_one(&mut connection).await.unwrap();
        }
        world.arrived(sending).await;
    }
    if cuts < i64::from(rounds) * 5 {
        world.problems.push(format!("only {cuts} connections were cut"));
    }
}

/// The server commits, and the service never hears of it.
async fn silence(world: &mut World, rounds: u32) {
    for _ in 0..rounds {
        let before = world.proxy.as_ref().unwrap().silenced();
        // Until some were: a service that is just taking partitions over commits nothing.
        for _ in 0..10 {
            let sending = world.begin(4);
            world.pause(300).await;
            world.proxy.as_ref().unwrap().silence_next(3);
            world.arrived(sending).await;
            world.pause(500).await;
            if world.proxy.as_ref().unwrap().silenced() >= before + 3 {
                break;
            }
        }
        if world.proxy.as_ref().unwrap().silenced() == before {
            world.problems.push("no commit was silenced".to_owned());
        }
    }
}

/// A share of the transactions that move a position are refused with a code, while it is on.
struct Refusing {
    connection: PgConnection,
}

impl Refusing {
    async fn with(world: &World, code: &str, share: f64) -> Self {
        let mut connection = PgConnection::connect(&world.installation.database).await.unwrap();
        let function = format!(
            "CREATE SEQUENCE refused;
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF random() < {share} THEN
                PERFORM nextval('refused');
                RAISE EXCEPTION 'a fault that a test asked for' USING ERRCODE = '{code}';
            END IF;
            RETURN NEW;
         END $$"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(function)).execute(&mut connection).await.unwrap();
        Self { connection }
    }

    async fn on(&mut self) {
        let trigger = "CREATE TRIGGER refuse BEFORE UPDATE ON position FOR EACH ROW EXECUTE FUNCTION refuse()";
        sqlx::raw_sql(trigger).execute(&mut self.connection).await.unwrap();
    }

    async fn off(&mut self) {
        sqlx::raw_sql("DROP TRIGGER refuse ON position").execute(&mut self.connection).await.unwrap();
    }

    /// Whether so many were refused in all.
    async fn refused(mut self, least: u32, world: &mut World) {
        let refused = sqlx::query_scalar("SELECT last_value FROM refused").fetch_one(&mut self.connection);
        let refused: i64 = refused.await.unwrap();
        if refused < i64::from(least) {
            world.problems.push(format!("only {refused} transactions were refused"));
        }
    }
}

async fn refusals(world: &mut World, rounds: u32, code: &str) {
    let mut refusing = Refusing::with(world, code, 0.5).await;
    for _ in 0..rounds {
        refusing.on().await;
        let sending = world.begin(12);
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        refusing.off().await;
        world.arrived(sending).await;
    }
    refusing.refused(rounds * 3, world).await;
}

/// Everybody is judged anew, and back again while most commits fail: what judging remembers must not run ahead of them.
async fn rule_sets(world: &mut World, rounds: u32) {
    let path = world.installation.folder.path().join("rules.toml");
    let own = std::fs::read_to_string(&path).unwrap();
    let other = own.replace("persistent = \"10%\"", "persistent = \"6%\"");
    assert_ne!(own, other);
    let mut refusing = Refusing::with(world, "40001", 0.9).await;
    for _ in 0..rounds {
        world.send(6).await;
        world.settled().await;
        // From here on no mark names anybody: who is not judged now never is.
        for (rules, refused) in [(&other, false), (&own, true)] {
            if refused {
                refusing.on().await;
            }
            std::fs::write(&path, rules).unwrap();
            let folder = world.installation.folder.path().to_str().unwrap();
            world.installation.run(&["apply", folder, "--yes", "--by", "test"]);
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        refusing.off().await;
    }
    refusing.refused(rounds * 3, world).await;
}
