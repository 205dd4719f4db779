//! `earlybell doctor` on real Kafka and PostgreSQL: a sound installation has no problem, and each thing that is broken is named
//! with its remedy, whatever else is broken.
#![expect(dead_code, reason = "the harness serves other tests too")]

mod harness;
#[path = "harness/http.rs"]
mod http;

use harness::Installation;
use harness::checker::EVENTS;
use std::fs;
use std::time::Duration;
use store::held::HeldRow;
use store::position;

/// What the doctor says, and whether it finds a problem.
fn doctor(installation: &Installation) -> (String, bool) {
    let output = installation.earlybell(&["doctor"]).output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), !output.status.success())
}

async fn well(installation: &Installation) {
    support::wait_until(Duration::from_secs(30), "the doctor to find no problem", async || {
        let (told, is_ill) = doctor(installation);
        if is_ill { Err(told) } else { Ok(()) }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sound_installation_has_no_problem_and_what_is_broken_is_named_with_its_remedy() {
    let installation = Installation::start(2).await;
    let folder = installation.folder.path();
    let (told, is_ill) = doctor(&installation);
    assert!(is_ill, "{told}");
    for part in [
        "PROBLEM  services  no ingest process reads its topic",
        "-> start `earlybell notifier`, or look at its log",
        "PROBLEM  messages  the policy names no receiver: cases are kept, but nobody is told",
        "warning  keys      no ingest key is valid",
        "warning  clock     school time follows the registers (newest session: none yet)",
        "warning  kafka     each message has one copy",
        "ok       policy    version 1 of Invented is in force, applied by test",
    ] {
        assert!(told.contains(part), "{part} in\n{told}");
    }

    let path = folder.join("authority.toml");
    let text = fs::read_to_string(&path).unwrap() + "\n[notify]\ndefault = [\"files\"]\n";
    fs::write(&path, text + "[[receiver]]\nname = \"files\"\nkind = \"folder\"\npath = \"messages\"\n").unwrap();
    installation.run(&["apply", folder.to_str().unwrap(), "--yes", "--by", "test"]);
    installation.key(&["--name", "hill", "--urn", "900001", "--expires", "2126-01-01"]);
    let port = support::free_port().unwrap();
    fs::write(folder.join("earlybell.toml"), format!("[notifier]\nlisten = \"127.0.0.1:{port}\"\n")).unwrap();
    let _services = ["rules", "notifier"].map(|name| installation.service(name, None));
    let _ingest = installation.ingest(None).await;
    well(&installation).await;

    // A pupil is held, and the topic was made anew under the positions.
    let store = installation.store().await;
    installation.taken(&store, EVENTS).await;
    let mut tx = store.begin().await.unwrap();
    let row = HeldRow { upn: 1, part: 0, reason: "test".to_owned(), since: 1, event_offset: 0 };
    store::held::put(&mut tx, &row).await.unwrap();
    let claimed = position::claim(&mut tx, "attendance.alerts.v1", 1, 1).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = store.begin().await.unwrap();
    assert!(position::advance(&mut tx, claimed.fence(), 1_000, 0).await.unwrap());
    tx.commit().await.unwrap();
    let (told, is_ill) = doctor(&installation);
    assert!(is_ill && told.contains("1 pupil is held") && told.contains("before our position 1000"), "{told}");

    installation.kafka.kill().unwrap();
    let (told, is_ill) = doctor(&installation);
    assert!(is_ill && told.contains("PROBLEM  kafka     kafka does not answer"), "{told}");
    assert!(told.contains("1 pupil is held"), "what needs no broker is told all the same: {told}");
    let json = installation.earlybell(&["doctor", "--json"]).output().unwrap().stdout;
    let findings: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let problem = findings.as_array().unwrap().iter().find(|finding| finding["area"] == "kafka").unwrap();
    assert_eq!(problem["gravity"], "problem");
    assert!(problem["remedy"].is_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_never_migrated_or_is_not_there_is_told_so() {
    let installation = Installation::start(1).await;
    let empty = tokio::task::spawn_blocking(support::postgres).await.unwrap().create_database().await.unwrap();
    for (database, part) in
        [(empty.as_str(), "run `earlybell migrate`"), ("postgres://x@127.0.0.1:1/x", "see database.url")]
    {
        let output = installation.earlybell(&["doctor"]).env("EARLYBELL__DATABASE__URL", database).output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(!output.status.success() && told.contains("PROBLEM  database") && told.contains(part), "{told}");
        assert!(told.contains("ok       kafka     1 broker answers"), "{told}");
    }
}
