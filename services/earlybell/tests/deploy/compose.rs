//! `docker-compose.yml`: settings, secrets, ports, what a service may do, versions.

use crate::{file, text, texts, yaml};
use serde_json::Value;
use service::config::{Settings, Sources};
use service::lifecycle::DRAIN;
use sqlx::{Connection, PgConnection};
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;
use store::audit::{self, Act};
use store::{Options, Store};

/// Where secrets lie in a container.
const SECRETS: &str = "/run/secrets/";
const SERVICES: [&str; 3] = ["ingest", "rules", "notifier"];

/// The compose file.
pub(crate) fn compose() -> Value {
    yaml("docker-compose.yml")
}

/// What runs our image, with its name.
fn ours(compose: &Value) -> Vec<(&str, &Value)> {
    let services = compose["services"].as_object().expect("services");
    let ours: Vec<_> = services.iter().filter(|(_, service)| service["image"] == "earlybell").collect();
    assert!(ours.len() >= 6, "migrate, apply, three services, commands");
    ours.into_iter().map(|(name, service)| (name.as_str(), service)).collect()
}

/// The settings that a service of the compose file is given, secrets read from `folder`.
fn settings(service: &Value, folder: &Path) -> Settings {
    let environment = service["environment"].as_object().expect("an environment");
    let given = environment.iter().map(|(name, value)| {
        let value = value.as_str().unwrap_or_else(|| panic!("{name} = {value}: quote it"));
        let value = value.strip_prefix(SECRETS).map_or(value.into(), |secret| folder.join(secret).into_os_string());
        (name.clone(), value)
    });
    let environment = given.collect::<std::collections::BTreeMap<String, OsString>>();
    Settings::load(&Sources { file: None, environment }).unwrap_or_else(|error| panic!("{error}"))
}

/// A folder with the secrets that `deploy/make-secrets.sh` makes.
fn secrets() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("make-secrets.sh");
    std::fs::copy(file("deploy/make-secrets.sh"), &script).unwrap();
    let made = std::process::Command::new("sh").arg(script).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    folder
}

fn seconds(text: &Value) -> Duration {
    let (number, unit) = text.as_str().and_then(|text| text.split_at_checked(text.len() - 1)).expect("a duration");
    assert_eq!(unit, "s", "{text}");
    Duration::from_secs(number.parse().unwrap())
}

#[test]
fn every_setting_is_one_and_every_secret_is_there() {
    let (compose, folder) = (compose(), secrets());
    for (name, service) in ours(&compose) {
        let settings = settings(service, &folder.path().join("secrets"));
        assert_eq!((settings.kafka.replication.get(), settings.kafka.min_insync.get()), (1, 1), "{name}: one broker");
        let listens = [settings.ingest.listen, settings.notifier.listen, settings.admin.ingest, settings.admin.rules];
        assert!(listens.iter().all(|address| address.ip().is_unspecified()), "{name} would be heard by itself alone");
        let given: Vec<String> = texts(&service["secrets"]).iter().map(|secret| format!("{SECRETS}{secret}")).collect();
        let asked = service["environment"].as_object().unwrap().values().filter_map(Value::as_str);
        let asked: Vec<&str> = asked.filter(|value| value.starts_with(SECRETS)).collect();
        assert_eq!(asked, given, "{name}");
    }
    for (name, secret) in compose["secrets"].as_object().unwrap() {
        let path = secret["file"].as_str().unwrap().strip_prefix("./deploy/").unwrap();
        assert!(folder.path().join(path).exists(), "deploy/make-secrets.sh makes no {name}");
    }
    let password = std::fs::read_to_string(folder.path().join("secrets/postgres_password")).unwrap();
    let url = std::fs::read_to_string(folder.path().join("secrets/database_url")).unwrap();
    assert!(password.len() >= 32 && url.contains(&format!(":{password}@postgres:5432/")), "{url}");
}

#[test]
fn secrets_are_made_once_and_kept() {
    let folder = secrets();
    let secret = |name: &str| std::fs::read_to_string(folder.path().join("secrets").join(name)).unwrap();
    let read = || [secret("postgres_password"), secret("services_password")];
    let before = read();
    let again = std::process::Command::new("sh").arg(folder.path().join("make-secrets.sh")).status().unwrap();
    assert!(again.success());
    assert_eq!(read(), before);
}

#[test]
fn migrate_alone_connects_as_the_owner_of_the_tables() {
    let (compose, folder) = (compose(), secrets());
    for (name, service) in ours(&compose) {
        let url = settings(service, &folder.path().join("secrets")).database.url.expose().to_owned();
        let role = url.split([':', '/', '@']).nth(3).unwrap().to_owned();
        assert_eq!(role, if name == "migrate" { "earlybell" } else { "earlybell_services" }, "{name}");
    }
    let command = texts(&compose["services"]["migrate"]["command"]);
    assert!(command.windows(2).any(|pair| pair == ["--grant-to", "earlybell_services"]), "{command:?}");
    let mounted = texts(&compose["services"]["postgres"]["volumes"]);
    let script = "./deploy/postgres/services-role.sh:/docker-entrypoint-initdb.d/services-role.sh:ro";
    assert!(mounted.contains(&script), "{mounted:?}");
}

/// What PostgreSQL's image does when it founds the database, then `migrate`, then a service.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_role_that_the_script_makes_has_rows_and_no_tables() {
    let postgres = tokio::task::spawn_blocking(support::postgres).await.unwrap();
    let url = postgres.create_database().await.unwrap();
    let (server, database) = url.rsplit_once('/').unwrap();
    let (host, port) = server.rsplit_once('@').unwrap().1.split_once(':').unwrap();
    let folder = secrets();
    let made = std::process::Command::new(file("deploy/postgres/services-role.sh"))
        .envs([("PGHOST", host), ("PGPORT", port), ("POSTGRES_USER", "postgres"), ("POSTGRES_DB", database)])
        .env("SERVICES_PASSWORD_FILE", folder.path().join("secrets/services_password"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let owner = Store::connect(&url, &Options::named("owner")).await.unwrap();
    owner.migrate().await.unwrap();
    owner.grant("earlybell_services").await.unwrap();
    let url = url.replace("//postgres@", "//earlybell_services@");
    let services = Store::open(&url, &Options::named("services")).await.unwrap();
    let mut tx = services.begin().await.unwrap();
    let act = Act { at: 1, actor: "a".into(), action: "b".into(), upn: None, detail: String::new() };
    audit::append(&mut tx, &act).await.unwrap();
    tx.commit().await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let refused = sqlx::query("DROP TABLE audit").execute(&mut connection).await.unwrap_err().to_string();
    assert!(refused.contains("must be owner"), "{refused}");
}

#[test]
fn ports_are_open_to_this_machine_alone_and_lead_to_a_listener() {
    let (compose, folder) = (compose(), secrets());
    let all = compose["services"].as_object().unwrap();
    let published = all.values().flat_map(|service| texts(&service["ports"]));
    let published: Vec<&str> = published.collect();
    assert!(published.iter().all(|port| port.starts_with("127.0.0.1:")), "{published:?}");
    let settings = settings(&all["ingest"], &folder.path().join("secrets"));
    for (name, listen) in [("ingest", settings.ingest.listen), ("notifier", settings.notifier.listen)] {
        let port = texts(&all[name]["ports"])[0].rsplit(':').next().unwrap().to_owned();
        assert_eq!(port, listen.port().to_string(), "{name}");
    }
}

#[test]
fn a_service_has_longer_to_stop_than_it_drains_and_is_asked_for_its_health_at_its_own_port() {
    let (compose, folder) = (compose(), secrets());
    for name in SERVICES {
        let service = &compose["services"][name];
        assert!(seconds(&service["stop_grace_period"]) > DRAIN, "{name}");
        assert_eq!(texts(&service["command"]), [name]);
        let admin = settings(service, &folder.path().join("secrets")).admin;
        let port = [("ingest", admin.ingest), ("rules", admin.rules), ("notifier", admin.notifier)];
        let port = port.iter().find(|(of, _)| *of == name).map(|(_, address)| address.port().to_string()).unwrap();
        assert_eq!(texts(&service["healthcheck"]["test"]), ["CMD", "probe", &port]);
    }
}

#[test]
fn our_containers_may_do_nothing_that_they_need_not() {
    for (name, service) in ours(&compose()) {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}");
        assert_eq!(texts(&service["security_opt"]), ["no-new-privileges:true"], "{name}");
    }
}

#[test]
fn no_password_stands_in_the_file() {
    let text = text("docker-compose.yml").to_lowercase();
    let told = text.lines().filter(|line| line.contains("password") && !line.trim_start().starts_with('#'));
    for line in told {
        assert!(line.contains("postgres_password") || line.contains("services_password"), "{line}");
    }
    assert!(!text.contains("postgres://"), "an address of the database belongs into a secret");
}

#[test]
fn kafka_is_the_version_that_tests_start_and_postgres_is_new_enough() {
    let compose = compose();
    let pom = text("scripts/kafka/pom.xml");
    let after = pom.split("<artifactId>kafka_2.13</artifactId>").nth(1).expect("the broker's jar");
    let version = after.split(['<', '>']).nth(2).expect("its version");
    assert_eq!(compose["services"]["kafka"]["image"], format!("apache/kafka:{version}"));
    let image = compose["services"]["postgres"]["image"].as_str().unwrap();
    let major: u32 = image.split([':', '-', '.']).nth(1).unwrap().parse().unwrap();
    // What scripts/install-postgres.sh asks for; the tests run on the system's own.
    assert!(text("scripts/install-postgres.sh").contains("PostgreSQL 15 or later") && major >= 15, "{image}");
}
