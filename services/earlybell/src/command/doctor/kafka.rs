//! Brokers, topics, and who reads them.

use super::finding::{Findings, some};
use ::installation::InForce;
use service::config::{Security, Settings};
use store::installation::Installation;
use transport::{Admin, Topic, TopicSpec};

const AREA: &str = "kafka";

/// Whether the brokers answer, and whether there are enough of them.
pub(crate) async fn brokers(admin: &Admin, settings: &Settings, findings: &mut Findings) -> Option<()> {
    let kafka = &settings.kafka;
    let count =
        admin.brokers().await.map_err(|error| (error, "see kafka.brokers of the settings, and the brokers' log"));
    let count = findings.take(AREA, count)?;
    findings.well(AREA, format!("{} at {}", some(count, "broker answers", "brokers answer"), kafka.brokers));
    let replication = usize::from(kafka.replication.get());
    if count < replication {
        let what = format!(
            "{} there, but kafka.replication asks for {replication} copies of each topic",
            some(count, "broker is", "brokers are")
        );
        findings.problem(AREA, what, "start the missing brokers, or lower kafka.replication and kafka.min_insync");
    }
    if replication < 2 {
        let what = "each message has one copy: a lost disk loses registers that were answered 202";
        findings.warning(
            AREA,
            what,
            "for production set kafka.replication = 3 and kafka.min_insync = 2 before `migrate`",
        );
    }
    let is_local = ["localhost:", "127.0.0.1:"].iter().any(|host| kafka.brokers.to_string().starts_with(host));
    if matches!(kafka.security, Security::Plaintext | Security::SaslPlaintext) && !is_local {
        let what = format!("connections to {} are not encrypted; registers are children's data", kafka.brokers);
        findings.warning(AREA, what, "set kafka.security = \"sasl_ssl\" (a build with the feature kafka-tls)");
    }
    Some(())
}

/// Whether each topic is as `migrate` makes it.
pub(crate) async fn topics(
    admin: &Admin,
    settings: &Settings,
    installation: &Installation,
    policy: Option<&InForce>,
    findings: &mut Findings,
) {
    let partitions = u32::try_from(installation.event_partitions).unwrap_or(0);
    for topic in all(policy) {
        let mut spec = TopicSpec::new(topic.as_str(), partitions, u32::from(settings.kafka.replication.get()));
        spec.min_in_sync = u32::from(settings.kafka.min_insync.get());
        match admin.differences(&spec).await {
            Ok(differences) if differences.is_empty() => {
                findings.well(AREA, format!("topic {topic} is as it should be"));
            }
            Ok(differences) => {
                for difference in differences {
                    findings.problem(AREA, format!("topic {topic}: {difference}"), "Kafka's own tools change topics");
                }
            }
            Err(error) => {
                findings.problem(AREA, error.to_string(), "run `earlybell migrate`; ingest makes suppliers' topics");
            }
        }
    }
}

/// The topics that the installation reads.
pub(crate) fn all(policy: Option<&InForce>) -> Vec<Topic> {
    let suppliers = policy.iter().flat_map(|in_force| in_force.policy.suppliers.keys());
    let suppliers = suppliers.filter_map(|name| Topic::supplier(name).ok());
    [Topic::registers(), Topic::events(), Topic::alerts()].into_iter().chain(suppliers).collect()
}

/// Whether each service runs somewhere.
pub(crate) async fn readers(admin: &Admin, findings: &mut Findings) {
    for (service, group) in [("ingest", ingest::GROUP), ("rules", rules::GROUP), ("notifier", notifier::GROUP)] {
        let members = admin.members(group).await.map_err(|error| (error, "ask again"));
        match findings.take(AREA, members) {
            Some(0) => {
                let what = format!("no {service} process reads its topic");
                findings.problem("services", what, format!("start `earlybell {service}`, or look at its log"));
            }
            Some(count) => findings.well(
                "services",
                format!("{service}: {}", some(count, "process reads its topics", "processes read their topics")),
            ),
            None => {}
        }
    }
}
