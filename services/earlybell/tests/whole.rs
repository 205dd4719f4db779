//! The whole way on real parts: a register goes in by HTTP, the team that can help gets its message; while ingest, rules and
//! notifier are killed at random moments, three times each.
#![expect(dead_code, reason = "the harness serves other tests too")]

mod harness;
#[path = "harness/http.rs"]
mod http;

use harness::checker::{ALERTS, EVENTS};
use harness::registers::{Sending, Size, expected, stream};
use harness::{Installation, Process};
use http::{Ingest, json};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sqlx::{Connection, PgConnection};
use std::fs;
use std::path::Path;
use std::time::Duration;

const REGISTERS: &str = "attendance.registers.v1";

/// Everything goes to a folder of files.
fn policy(folder: &Path) {
    let path = folder.join("authority.toml");
    let mut text = fs::read_to_string(&path).unwrap();
    text.push_str("\n[notify]\nstorm = 0\ndefault = [\"files\"]\nlink = \"https://e.example/{reference}\"\n");
    text.push_str("[[receiver]]\nname = \"files\"\nkind = \"folder\"\npath = \"messages\"\n");
    fs::write(path, text).unwrap();
}

/// Posts a register until it is accepted: what is not answered, or answered 503, is sent again as it was.
async fn post(ingest: &Ingest, key: &str, sending: &Sending) {
    let body = json(sending);
    let lines = [format!("authorization: Bearer {key}"), "content-type: application/json".to_owned()];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    support::wait_until(Duration::from_mins(1), "a register to be accepted", async || {
        match ingest.ask("POST /v1/registers", &lines, body.as_bytes()) {
            Ok(answer) if answer.status == 202 => Ok(()),
            Ok(answer) => Err(format!("{answer:?}")),
            Err(error) => Err(error.to_string()),
        }
    })
    .await
    .unwrap();
}

/// Changes of children that were told: the schools that a kill has made late are told too.
const TOLD: &str = "SELECT COUNT(*) FROM told JOIN delivery USING (message_id) JOIN alert USING (alert_id) \
                    WHERE delivery.state = 'delivered'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_register_to_the_message_nothing_is_lost_or_doubled_whatever_is_killed() {
    let installation = Installation::start(2).await;
    let folder = installation.folder.path().to_owned();
    policy(&folder);
    installation.run(&["apply", folder.to_str().unwrap(), "--yes", "--by", "test"]);
    let key = installation.key(&["--name", "county", "--all-schools"]);
    let port = support::free_port().unwrap();
    fs::write(folder.join("earlybell.toml"), format!("[notifier]\nlisten = \"127.0.0.1:{port}\"\ntick = \"100ms\"\n"))
        .unwrap();

    let sendings = stream(20, Size { pupils: 180, days: 25 });
    let mut rng = ChaCha8Rng::seed_from_u64(20);
    let mut ingest = installation.ingest(None).await;
    let mut others: [(&str, Process); 2] = ["rules", "notifier"].map(|name| (name, installation.service(name, None)));
    for (round, part) in sendings.chunks(sendings.len().div_ceil(9)).enumerate() {
        for sending in part {
            post(&ingest, &key, sending).await;
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..2_500))).await;
        match round % 3 {
            0 => {
                ingest.process.kill();
                ingest = installation.ingest_at(ingest.port, None).await;
            }
            service => {
                let (name, process) = &mut others[service - 1];
                process.kill();
                *process = installation.service(name, None);
            }
        }
    }
    let store = installation.store().await;
    installation.taken(&store, REGISTERS).await;
    installation.taken(&store, EVENTS).await;
    installation.settled(&store).await;
    installation.taken(&store, ALERTS).await;
    installation.check(&store, &expected(&installation.policy, &sendings)).await;

    let owed = async || store::delivery::owed(&store).await.map_err(|error| error.to_string());
    support::wait_until(Duration::from_mins(1), "all to be delivered", async || match owed().await? {
        owed if owed.is_empty() => Ok(()),
        owed => Err(format!("{owed:?}")),
    })
    .await
    .unwrap();
    let changes: usize = installation.sent().await.values().map(std::collections::BTreeMap::len).sum();
    let delivered = store::delivery::list(&store, "delivered", 0, 10_000).await.unwrap();
    let mut connection = PgConnection::connect(&installation.database).await.unwrap();
    let told: i64 = sqlx::query_scalar(TOLD).fetch_one(&mut connection).await.unwrap();
    assert_eq!(usize::try_from(told), Ok(changes), "each change is in one message");
    let files: Vec<String> = fs::read_dir(folder.join("messages"))
        .unwrap()
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    assert_eq!(files.len(), delivered.len(), "a file a message: a repetition bears the same id");
    assert!(files.iter().all(|text| !text.contains("A900001")), "no UPN leaves");
    assert!(files.iter().any(|text| text.contains("Missed ")), "the sentence is told");
    for (_, process) in &mut others {
        process.terminate();
        let status = process.ended(Duration::from_secs(11)).await;
        assert!(status.is_some_and(|status| status.success()), "a stop in order within 10 s: {status:?}");
    }
}
