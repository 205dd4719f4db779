//! The section `kafka`: where Kafka is, how we show who we are, what a topic must promise. Gives the security part as
//! librdkafka's properties; makes no client.

use super::reader::Reader;
use super::secret::Secret;
use super::section::{Check, Section, choice, section};
use super::value::Setting;
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

section! {
    /// Where Kafka is, and what it must promise.
    Kafka in "kafka" {
        /// `host:port` of a few brokers, separated by commas.
        brokers: Brokers = "localhost:9092";
        /// `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`.
        security: Security = "plaintext";
        /// With sasl: `plain`, `scram_sha_256` or `scram_sha_512`.
        sasl_mechanism: Mechanism = "scram_sha_512";
        /// With sasl: who we are.
        sasl_username: Option<String> = "";
        /// With sasl: our password.
        sasl_password: Option<Secret> = "";
        /// With ssl: the certificates of the authorities to trust, PEM; not set: the system's.
        ca_file: Option<PathBuf> = "";
        /// Copies of each topic; 1 is for one broker on a developer's machine.
        replication: NonZeroU16 = "3";
        /// Copies that must have a message before it counts as written.
        min_insync: NonZeroU16 = "2";
        /// After this a message without acknowledgement counts as late. Shorter than a stop may take: also then each request is
        /// answered.
        delivery_timeout: Duration = "8s";
    }
}

choice! {
    /// How connections to the brokers are protected.
    Security {
        /// Not at all.
        Plaintext = "plaintext",
        /// Encrypted.
        Ssl = "ssl",
        /// With a password, not encrypted.
        SaslPlaintext = "sasl_plaintext",
        /// Encrypted, with a password.
        SaslSsl = "sasl_ssl",
    }
}

choice! {
    /// How the password is shown.
    Mechanism {
        /// As it is: with encryption only.
        Plain = "plain",
        /// Salted, SHA-256.
        ScramSha256 = "scram_sha_256",
        /// Salted, SHA-512.
        ScramSha512 = "scram_sha_512",
    }
}

/// A list of brokers, `host:port` each, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brokers(String);

impl fmt::Display for Brokers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Setting for Brokers {
    fn parse(text: &str) -> Result<Self, String> {
        let sound = |broker: &str| {
            let parts = broker.rsplit_once(':');
            parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<NonZeroU16>().is_ok())
        };
        let brokers: Vec<&str> = text.split(',').map(str::trim).collect();
        match brokers.iter().find(|broker| !sound(broker)) {
            Some(broker) => Err(format!("{broker:?} is no broker; write host:port, several separated by commas")),
            None => Ok(Self(brokers.join(","))),
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

impl Security {
    fn has_password(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }

    fn is_encrypted(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }
}

impl Mechanism {
    /// As librdkafka names it.
    fn property(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl Kafka {
    /// librdkafka's properties for security. They hold the password: not for printing.
    pub fn security_properties(&self) -> BTreeMap<String, String> {
        let mut properties = BTreeMap::new();
        let mut set = |name: &str, value: String| properties.insert(name.to_owned(), value);
        set("security.protocol", self.security.show());
        if self.security.has_password() {
            set("sasl.mechanism", self.sasl_mechanism.property().to_owned());
            set("sasl.username", self.sasl_username.clone().unwrap_or_default());
            set("sasl.password", self.sasl_password.as_ref().map(|p| p.expose().to_owned()).unwrap_or_default());
        }
        if self.security.is_encrypted() {
            // An OpenSSL that was built along looks for the system's certificates where no system has them: librdkafka is
            // told to look itself.
            set("ssl.ca.location", self.ca_file.as_ref().map_or_else(|| "probe".to_owned(), Setting::show));
        }
        properties
    }

    fn check_password(&self, reader: &mut Reader) {
        let given = [("sasl_username", self.sasl_username.is_some()), ("sasl_password", self.sasl_password.is_some())];
        for (key, given) in given {
            match (given, self.security.has_password()) {
                (false, true) => reader.refuse(Self::NAME, key, "is missing; with sasl, set it"),
                (true, false) => reader.refuse(Self::NAME, key, "needs sasl; set kafka.security, or leave it out"),
                _ => {}
            }
        }
    }
}

impl Check for Kafka {
    fn check(&self, reader: &mut Reader) {
        self.check_password(reader);
        if self.ca_file.is_some() && !self.security.is_encrypted() {
            reader.refuse(Self::NAME, "ca_file", "needs ssl; set kafka.security, or leave it out");
        }
        if self.security == Security::SaslPlaintext && self.sasl_mechanism == Mechanism::Plain {
            reader.refuse(Self::NAME, "sasl_mechanism", "plain would send the password readable; use scram_sha_512");
        }
        if self.min_insync > self.replication {
            reader.refuse(
                Self::NAME,
                "min_insync",
                "is more than kafka.replication; lower it, or nothing can be written",
            );
        }
    }
}
