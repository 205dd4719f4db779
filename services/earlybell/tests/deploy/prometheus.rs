//! `deploy/prometheus`: whom it asks, and that every alert speaks of what there is and is explained to operators.

use crate::compose::compose;
use crate::{text, texts, yaml};
use serde_json::Value;
use service::config::{Settings, Sources};
use service::metrics::{self, Registry};
use std::collections::BTreeSet;

/// The names of all services' metrics, and what they show before anything has happened.
fn known() -> (BTreeSet<&'static str>, String) {
    let registry = Registry::new();
    ingest::Metrics::register(&registry).unwrap();
    rules::Metrics::register(&registry).unwrap();
    notifier::Metrics::register(&registry).unwrap().show("team");
    let names = [ingest::Metrics::NAMES, rules::Metrics::NAMES, notifier::Metrics::NAMES];
    (names.into_iter().flatten().copied().collect(), metrics::text(&registry).unwrap())
}

fn alerts() -> Vec<Value> {
    let file = yaml("deploy/prometheus/rules.yml");
    let groups = file["groups"].as_array().expect("groups");
    groups.iter().flat_map(|group| group["rules"].as_array().expect("rules").clone()).collect()
}

fn field<'a>(alert: &'a Value, path: &str) -> &'a str {
    alert.pointer(path).and_then(Value::as_str).unwrap_or_else(|| panic!("{alert} has no {path}"))
}

/// The words of an expression, its metrics, labels and values among them.
fn words(expression: &str) -> impl Iterator<Item = &str> {
    expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

#[test]
fn every_metric_and_every_value_that_an_alert_names_exists() {
    let (names, shown) = known();
    for alert in alerts() {
        let expression = field(&alert, "/expr");
        let metrics: Vec<&str> = words(expression).filter(|word| word.starts_with("earlybell_")).collect();
        let service = metrics.first().map_or("up", |name| name.strip_suffix("_bucket").unwrap_or(name));
        for name in metrics {
            let name = name.strip_suffix("_bucket").unwrap_or(name);
            assert!(names.contains(name), "{expression}: no service has {name}");
        }
        let matchers = expression.split(['{', '}']).skip(1).step_by(2).filter(|_| service != "up");
        for matcher in matchers {
            let line = shown.lines().find(|line| line.starts_with(service) && line.contains(matcher));
            assert!(line.is_some(), "{expression}: {service} never has {matcher}");
        }
        assert!(service == "up" || names.contains(service), "{expression} is about nothing of ours");
    }
}

#[test]
fn every_alert_has_a_severity_a_sentence_and_a_section_that_says_what_to_do() {
    let sections: BTreeSet<String> = text("docs/operations.md")
        .lines()
        .filter_map(|line| line.strip_prefix("### Earlybell"))
        .map(|rest| format!("Earlybell{rest}"))
        .collect();
    let alerts = alerts();
    let mut named = BTreeSet::new();
    for alert in &alerts {
        let severity = field(alert, "/labels/severity");
        assert!(["page", "ticket"].contains(&severity), "{alert}");
        assert!(!field(alert, "/annotations/summary").is_empty());
        assert!(named.insert(field(alert, "/alert").to_owned()), "{alert} has another's name");
    }
    assert_eq!(sections, named, "docs/operations.md against deploy/prometheus/rules.yml");
}

#[test]
fn prometheus_asks_every_service_at_its_operators_port() {
    let (compose, file) = (compose(), yaml("deploy/prometheus/prometheus.yml"));
    let jobs = file["scrape_configs"].as_array().unwrap();
    let admin = Settings::load(&Sources::default()).unwrap().admin;
    for (name, default) in [("ingest", admin.ingest), ("rules", admin.rules), ("notifier", admin.notifier)] {
        let job = jobs.iter().find(|job| job["job_name"] == name).unwrap_or_else(|| panic!("no job {name}"));
        let found = &job["dns_sd_configs"][0];
        assert_eq!((texts(&found["names"]), &found["type"]), (vec![name], &"A".into()));
        let variable = format!("EARLYBELL__ADMIN__{}", name.to_uppercase());
        let told = compose["services"][name]["environment"][&variable].as_str().unwrap();
        assert_eq!(told.rsplit(':').next().unwrap(), found["port"].to_string());
        assert_eq!(default.port().to_string(), found["port"].to_string());
    }
    let mounts = texts(&compose["services"]["prometheus"]["volumes"]).join("\n");
    for name in texts(&file["rule_files"]).into_iter().chain(["prometheus.yml"]) {
        assert!(mounts.contains(&format!("./deploy/prometheus/{name}:/etc/prometheus/{name}:ro")), "{name}");
    }
}
