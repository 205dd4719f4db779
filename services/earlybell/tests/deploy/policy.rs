//! The sample policy, assembled as the compose file mounts it, and putting it in force.

use crate::compose::compose;
use crate::{file, texts};
use policy::receivers::Kind;
use policy::{Files, Policy};
use std::process::{Command, Output};
use store::{Options, Store, installation};
use tempfile::TempDir;

/// The folder that `apply` sees.
fn assembled() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for mount in texts(&compose()["services"]["apply"]["volumes"]) {
        let [from, to, mode] = mount.split(':').collect::<Vec<_>>().try_into().expect("from, to, mode");
        assert_eq!(mode, "ro", "{mount}");
        let name = to.strip_prefix("/policy/").expect("the folder that apply is given");
        std::fs::copy(file(from), folder.path().join(name)).unwrap_or_else(|error| panic!("{from}: {error}"));
    }
    folder
}

fn earlybell(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_earlybell"));
    command.args(arguments).envs(environment.iter().copied()).current_dir(std::env::temp_dir()).output().unwrap()
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_sample_policy_is_sound_and_without_a_warning() {
    let folder = assembled();
    let checked = earlybell(&["check", folder.path().to_str().unwrap()], &[]);
    assert!(checked.status.success(), "{}", said(&checked.stderr));
    assert_eq!(said(&checked.stderr), "");
    assert_eq!(said(&checked.stdout), "Sample Authority: sound: 18 rules, 12 schools, 5 localities\n");
}

#[test]
fn the_schools_of_the_sample_are_invented_and_every_locality_has_a_receiver_within_reach() {
    let folder = assembled();
    let (policy, _) = Policy::read(&Files::load(folder.path()).unwrap()).unwrap_or_else(|error| panic!("{error}"));
    assert!(policy.schools.keys().all(|urn| (900_001..=900_999).contains(&urn.number())));
    for receiver in &policy.notify.receivers {
        let Kind::Email { host, .. } = &receiver.kind else { panic!("{} is no e-mail", receiver.name) };
        assert!(compose()["services"][host].is_object(), "{host} is no service of docker-compose.yml");
    }
    let routes = &policy.notify.routes.routes;
    for locality in &policy.localities {
        assert!(routes.iter().any(|route| route.matchers.localities.contains(locality)), "{locality} has no route");
        assert!(policy.schools.values().any(|school| school.locality.as_ref() == Some(locality)), "{locality}");
    }
}

#[tokio::test]
async fn a_start_puts_a_policy_in_force_only_where_there_is_none() {
    let (folder, data) = (assembled(), tempfile::tempdir().unwrap());
    let database = format!("sqlite://{}?mode=rwc", data.path().join("earlybell.sqlite").display());
    let store = Store::connect(&database, &Options::named("test".to_owned())).await.unwrap();
    store.migrate().await.unwrap();
    let mut tx = store.begin().await.unwrap();
    let namespace = "00000000-0000-0000-0000-000000000001";
    installation::found(&mut tx, 2, installation::Clock::Wall, namespace).await.unwrap();
    tx.commit().await.unwrap();
    let apply = |flags: &[&str]| {
        let arguments = [&["apply", folder.path().to_str().unwrap(), "--yes"], flags].concat();
        let applied = earlybell(&arguments, &[("EARLYBELL__DATABASE__URL", &database)]);
        assert!(applied.status.success(), "{}", said(&applied.stderr));
        said(&applied.stdout)
    };
    assert!(apply(&["--if-none"]).contains("version 1 is in force; services follow"));
    assert_eq!(apply(&["--if-none"]), "version 1 is in force; nothing was changed\n");
    assert!(apply(&[]).contains("version 2 is in force; services follow"));
}
