//! History comes in by files on real Kafka and PostgreSQL: whole, though the import is killed in its midst; without a message; and
//! what schools send afterwards is news.
#![expect(dead_code, reason = "the harness serves other tests too")]

mod harness;
#[path = "harness/http.rs"]
mod http;

use harness::checker::{ALERTS, EVENTS};
use harness::registers::{Sending, Size, expected, stream};
use harness::{Installation, Process};
use http::json;
use std::fmt::Write as _;
use std::fs;
use std::time::Duration;
use store::{casework, delivery};

const REGISTERS: &str = "attendance.registers.v1";

/// Everything goes to a folder of files.
fn with_receiver(installation: &Installation) {
    let folder = installation.folder.path();
    let path = folder.join("authority.toml");
    let text = fs::read_to_string(&path).unwrap() + "\n[notify]\ndefault = [\"files\"]\n";
    fs::write(&path, text + "[[receiver]]\nname = \"files\"\nkind = \"folder\"\npath = \"messages\"\n").unwrap();
    installation.run(&["apply", folder.to_str().unwrap(), "--yes", "--by", "test"]);
    let port = support::free_port().unwrap();
    fs::write(folder.join("earlybell.toml"), format!("[notifier]\nlisten = \"127.0.0.1:{port}\"\n")).unwrap();
}

fn csv(sendings: &[Sending]) -> String {
    let mut text = "school_urn,date,session,upn,code,revised_at\n".to_owned();
    for sending in sendings {
        let (day, half) = (sending.session.day(), sending.session.half().text());
        for (upn, revision) in &sending.marks {
            let (upn, code, at) = (upn.text(), revision.code, revision.revised_at);
            writeln!(text, "{},{day},{half},{upn},{code},{at}", sending.school).unwrap();
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_is_killed_goes_on_where_it_stopped_and_tells_nobody() {
    let installation = Installation::start(2).await;
    with_receiver(&installation);
    let folder = installation.folder.path();
    let sendings = stream(30, Size { pupils: 600, days: 60 });
    let (history, live) = sendings.split_at(sendings.len() - 12);
    fs::write(folder.join("history.csv"), csv(history)).unwrap();
    let roster = "upn,school_urn,given_name,family_name\nA900001000001,900002,Ann,Lee\nnobody,900002,,\n";
    fs::write(folder.join("pupils.csv"), roster).unwrap();
    let _services = ["rules", "notifier"].map(|name| installation.service(name, None));
    let ingest = installation.ingest(None).await;
    let store = installation.store().await;

    let import = ["import", "--registers", "history.csv", "--pupils", "pupils.csv", "--rejected", "rejected.csv"];
    // Killed once some of it is acknowledged and remembered.
    let mut process = Process::spawn(&mut installation.earlybell(&import));
    let ended = process.ended(Duration::from_millis(700)).await;
    process.kill();
    assert!(ended.is_none_or(|status| status.success()));
    let told = installation.run(&import);
    assert!(told.contains("history.csv:") && told.contains("every team gets one summary"), "{told}");
    let again = installation.run(&import);
    assert!(again.contains("history.csv: imported before") && again.contains("pupils.csv: imported before"), "{again}");
    let roster_alone = "upn,school_urn\nA900001000002,900002\n";
    fs::write(folder.join("later.csv"), roster_alone).unwrap();
    let told = installation.run(&["import", "--pupils", "later.csv"]);
    assert!(told.contains("later.csv: 1 entries") && !told.contains("summary"), "{told}");
    installation.taken(&store, REGISTERS).await;
    installation.taken(&store, EVENTS).await;
    installation.settled(&store).await;
    installation.taken(&store, ALERTS).await;
    installation.check(&store, &expected(&installation.policy, history)).await;
    let open = casework::heads(&store).await.unwrap().iter().filter(|head| head.state == "open").count();
    assert!(open > 50, "{open} cases are open");
    one_summary(&installation, &store, open).await;
    let upn = attendance::Upn::parse("A900001000001").unwrap();
    let names = store::person::of_pupil(&store, i64::try_from(upn.number()).unwrap()).await.unwrap();
    assert_eq!((names[0].1.as_str(), names[0].2.as_str()), ("Ann", "Lee"), "names are in their table");

    // From now on it is news.
    let key = installation.key(&["--name", "county", "--all-schools"]);
    for sending in live {
        assert_eq!(ingest.send("/v1/registers", &key, "application/json", json(sending)).status, 202);
    }
    installation.taken(&store, REGISTERS).await;
    installation.taken(&store, EVENTS).await;
    installation.settled(&store).await;
    installation.taken(&store, ALERTS).await;
    installation.check(&store, &expected(&installation.policy, &sendings)).await;
    let count = delivery::tally(&store).await.unwrap().iter().map(|tally| tally.count).sum::<i64>();
    assert!(count > 1, "what schools send is told");
}

/// The team was told once, of all open cases together, though the import's end was told twice.
async fn one_summary(installation: &Installation, store: &store::Store, open_alerts: usize) {
    let delivered = async || {
        let tally = delivery::tally(store).await.map_err(|error| error.to_string())?;
        let all: Vec<_> = tally.iter().map(|tally| (tally.state.as_str(), tally.count)).collect();
        if all == [("delivered", 1)] { Ok(()) } else { Err(format!("{tally:?}")) }
    };
    support::wait_until(Duration::from_secs(30), "one summary to be delivered", delivered).await.unwrap();
    let folder = fs::read_dir(installation.folder.path().join("messages")).unwrap();
    let texts: Vec<String> = folder.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    let [text] = &texts[..] else { panic!("{texts:?}") };
    let mut counted = 0;
    for locality in ["North", "East"] {
        let line = text.lines().find(|line| line.starts_with(locality)).unwrap_or_else(|| panic!("{text}"));
        counted += line.split([' ', ':']).find_map(|word| word.parse::<usize>().ok()).unwrap();
    }
    assert!(text.contains(&format!("History was imported: {counted} cases are open")), "{text}");
    assert!(counted > 20 && counted <= open_alerts, "a case a child: {counted} of {open_alerts} alerts");
    assert!(!text.contains("A900001"), "no UPN: {text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_years_come_by_import_only_and_another_part_of_a_file_is_another_import() {
    let installation = Installation::start(1).await;
    with_receiver(&installation);
    let folder = installation.folder.path();
    let _services = ["rules", "notifier"].map(|name| installation.service(name, None));
    let ingest = installation.ingest(None).await;
    let row = |date: &str| format!("900001,{date},AM,R900001000001,/,{date}T09:00:00Z\n");
    let file = ["2023-09-04", "2024-09-04", "2025-09-04"].map(row).concat();
    fs::write(folder.join("years.csv"), format!("school_urn,date,session,upn,code,revised_at\n{file}")).unwrap();
    let key = installation.key(&["--name", "hill", "--urn", "900001"]);
    let today = r#"{"school_urn": 900001, "date": "2025-09-05", "session": "AM", "revised_at": "2025-09-05T09:00:00Z",
        "marks": [{"upn": "R900001000001", "code": "/"}]}"#;
    assert_eq!(ingest.send("/v1/registers", &key, "application/json", today).status, 202);
    let store = installation.store().await;
    installation.taken(&store, REGISTERS).await;
    let old = today.replace("2025-09-05", "2023-09-05");
    let refused = ingest.send("/v1/registers", &key, "application/json", old);
    assert!(refused.status == 422 && refused.body.contains("older years are taken by import only"), "{refused:?}");
    let told = installation.run(&["import", "--registers", "years.csv", "--school-year", "2023/24"]);
    assert_eq!(
        installation.run(&["import", "--registers", "years.csv", "--school-year", "2023/24"]).lines().next(),
        Some("years.csv: imported before, 1 marks")
    );
    assert!(told.contains("years.csv: 1 marks") && told.contains("2 rows of other school years"), "{told}");
    installation.taken(&store, REGISTERS).await;
    installation.taken(&store, EVENTS).await;
    installation.settled(&store).await;
    let upn = i64::try_from(attendance::Upn::parse("R900001000001").unwrap().number()).unwrap();
    for (year, is_there) in [(2023, true), (2024, false), (2025, true)] {
        assert_eq!(store::record::load(&store, upn, year).await.unwrap().is_some(), is_there, "{year}");
    }
    let told = installation.run(&["import", "--registers", "years.csv"]);
    assert!(told.contains("years.csv: 3 marks"), "{told}");
}
