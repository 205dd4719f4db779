//! The image: what it is built from, how its health is asked for, and what a build without TLS to Kafka says.

use crate::{file, text};
use service::admin::{Admin, Told};
use service::clock::Clock;
use service::lifecycle::{DRAIN, Lifecycle};
use service::metrics::Registry;
use service::readiness::Readiness;
use std::process::{Command, Output};
use std::time::Duration;

#[test]
fn the_image_is_built_with_the_toolchain_of_the_workspace_and_from_files_that_it_is_sent() {
    let dockerfile = text("deploy/Dockerfile");
    let manifest = text("Cargo.toml");
    let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    assert!(dockerfile.contains(&format!("FROM rust:{version}-slim-bookworm AS build")), "rust {version}");
    assert!(dockerfile.contains("--locked") && dockerfile.contains("--features kafka-tls"));
    let sent = text(".dockerignore");
    let sent: Vec<&str> = sent.lines().filter_map(|line| line.strip_prefix('!')).collect();
    for path in ["Cargo.toml", "Cargo.lock", "deploy/policy", "deploy/probe.sh"] {
        assert!(sent.contains(&path), "{path} is not sent to the builder");
    }
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = ")).unwrap();
    for member in members.split('"').filter(|member| member.chars().any(char::is_alphabetic)) {
        assert!(sent.contains(&member.trim_end_matches("/*")), "{member} is not sent to the builder");
    }
    assert!(sent.iter().all(|path| file(path).exists()), "{sent:?}");
}

fn probe((port, page): (u16, &str)) -> Output {
    Command::new("bash").arg(file("deploy/probe.sh")).arg(port.to_string()).arg(page).output().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_probe_tells_a_service_that_answers_from_one_that_is_not_ready_or_not_there() {
    let port = Admin::bind("127.0.0.1:0".parse().unwrap(), Duration::from_secs(5)).await.unwrap();
    let address = port.address();
    let (readiness, lifecycle) = (Readiness::new(), Lifecycle::new(DRAIN));
    readiness.check("database");
    let told = Told { registry: Registry::new(), readiness, clock: Clock::wall(), draining: lifecycle.soft() };
    lifecycle.serve("admin", move |stop| port.serve(told, stop));
    let nobody = support::free_port().unwrap();
    let ask = move || [(address.port(), "/healthz"), (address.port(), "/readyz"), (nobody, "/healthz")].map(probe);
    let [healthy, unready, missing] = tokio::task::spawn_blocking(ask).await.unwrap();
    assert!(healthy.status.success(), "{healthy:?}");
    assert_eq!(String::from_utf8_lossy(&healthy.stdout), "ok\n");
    assert!(!unready.status.success());
    assert!(String::from_utf8_lossy(&unready.stdout).starts_with("{\"ready\":false"), "{unready:?}");
    assert!(!missing.status.success(), "{missing:?}");
}

#[cfg(not(feature = "kafka-tls"))]
#[test]
fn a_build_without_tls_refuses_settings_that_need_it_and_names_the_remedy() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_earlybell"));
    command.arg("ingest").env("EARLYBELL__KAFKA__SECURITY", "ssl").current_dir(std::env::temp_dir());
    let refused = command.output().unwrap();
    assert!(!refused.status.success());
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    let wanted = "earlybell: the setting kafka.security is ssl: this program was built without ssl; \
         take the image, or build it with `--features kafka-tls`\n";
    assert_eq!(told, wanted);
}
