//! `[[receiver]]` of `authority.toml`: where messages go, and how patiently each is tried.
//!
//! No secret stands in a policy: it names the file or the environment variable that holds it.

use crate::files::AUTHORITY;
use crate::problem::{Place, Problems};
use crate::table::Entry;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// Where the notifier finds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretFrom {
    /// In this file; blanks around it do not count.
    File(PathBuf),
    /// In this variable of the environment.
    Environment(String),
}

/// How a connection to a mail server is kept secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailSecurity {
    /// By STARTTLS, without which nothing is sent.
    StartTls,
    /// By TLS from the first byte.
    Tls,
    /// Not at all: for a server on the same machine.
    None,
}

/// Whether addresses of private networks may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Addresses of the internet only.
    Public,
    /// Any address.
    Private,
}

/// Which scheme a webhook's address must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// https only.
    Https,
    /// http too.
    Insecure,
}

/// What a receiver is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// E-mail over SMTP.
    Email {
        /// The mail server.
        host: String,
        /// Its port.
        port: u16,
        /// How the connection is kept secret.
        security: MailSecurity,
        /// The sender's address.
        from: String,
        /// The addresses that get it, at least one.
        to: Vec<String>,
        /// Name and password, where the server asks for them.
        login: Option<(String, SecretFrom)>,
        /// Certificates (PEM) of authorities that are trusted beside the public ones; read at each attempt.
        ca_file: Option<PathBuf>,
    },
    /// A webhook signed as Standard Webhooks say.
    Webhook {
        /// Its address.
        url: String,
        /// The key, `whsec_…`.
        secret: SecretFrom,
        /// Which scheme the address must have.
        transport: Transport,
        /// Which addresses may be called.
        reach: Reach,
        /// Certificates (PEM) of authorities that are trusted beside the public ones; read at each attempt.
        ca_file: Option<PathBuf>,
    },
    /// A folder, a file a message.
    Folder {
        /// The folder; made where it is missing.
        path: PathBuf,
    },
}

/// How patiently a receiver is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The longest that one attempt may take; the settings' where none is given.
    pub attempt_timeout: Option<Duration>,
    /// After so long a delivery that never succeeded is given up; the settings' where none is given.
    pub give_up_after: Option<Duration>,
    /// The pause after the first failure; it doubles with each further one.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// Attempts at once, 1 to 32.
    pub workers: u32,
}

/// A receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// Its name, which routes use.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// How patiently it is tried.
    pub patience: Patience,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawReceiver {
    name: String,
    kind: String,
    host: Option<String>,
    port: Option<u16>,
    security: Option<String>,
    from: Option<String>,
    #[serde(default)]
    to: Vec<String>,
    username: Option<String>,
    secret_file: Option<PathBuf>,
    secret_env: Option<String>,
    url: Option<String>,
    #[serde(default)]
    insecure_http: bool,
    #[serde(default)]
    private_addresses: bool,
    ca_file: Option<PathBuf>,
    path: Option<PathBuf>,
    attempt_timeout: Option<String>,
    give_up_after: Option<String>,
    first_pause: Option<String>,
    longest_pause: Option<String>,
    workers: Option<u32>,
}

pub(crate) fn read(entries: &[Entry<RawReceiver>]) -> Result<Vec<Receiver>, Problems> {
    let mut problems = Problems::default();
    for (number, Entry { name, .. }) in entries.iter().enumerate() {
        if let Some(name) = name.as_ref().filter(|_| entries.iter().take(number).any(|before| before.name == *name)) {
            problems.add(Place::new(AUTHORITY, format!("receiver {name:?}, name")), "the name stands there twice");
        }
    }
    let read = entries.iter().filter_map(|entry| entry.read.as_ref());
    let receivers = read.filter_map(|raw| problems.take(one(raw))).collect();
    problems.or(receivers)
}

fn at(raw: &RawReceiver, field: &str) -> Place {
    Place::new(AUTHORITY, format!("receiver {:?}, {field}", raw.name))
}

fn one(raw: &RawReceiver) -> Result<Receiver, Problems> {
    let mut problems = Problems::default();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if raw.name.is_empty() || raw.name.len() > 60 || !raw.name.bytes().all(plain) {
        problems.add(at(raw, "name"), "a name is 1 to 60 small letters, digits and hyphens");
    }
    strangers(raw, &mut problems);
    let kind = match raw.kind.as_str() {
        "email" => problems.take(email(raw)),
        "webhook" => problems.take(webhook(raw)),
        "folder" => {
            let path = raw.path.clone().ok_or("a folder needs a path");
            problems.part(|| at(raw, "path"), path).map(|path| Kind::Folder { path })
        }
        other => {
            problems.add(at(raw, "kind"), format!("{other:?} is no kind of receiver: email, webhook or folder"));
            None
        }
    };
    let patience = problems.take(patience(raw));
    let name = raw.name.clone();
    problems.finish(kind.zip(patience).map(|(kind, patience)| Receiver { name, kind, patience }))
}

/// Fields that belong to another kind: a wrong kind is told, rather than half of the table ignored.
fn strangers(raw: &RawReceiver, problems: &mut Problems) {
    let fields = [
        ("host", raw.host.is_some(), &["email"][..]),
        ("port", raw.port.is_some(), &["email"]),
        ("security", raw.security.is_some(), &["email"]),
        ("from", raw.from.is_some(), &["email"]),
        ("to", !raw.to.is_empty(), &["email"]),
        ("username", raw.username.is_some(), &["email"]),
        ("secret_file", raw.secret_file.is_some(), &["email", "webhook"]),
        ("secret_env", raw.secret_env.is_some(), &["email", "webhook"]),
        ("url", raw.url.is_some(), &["webhook"]),
        ("insecure_http", raw.insecure_http, &["webhook"]),
        ("private_addresses", raw.private_addresses, &["webhook"]),
        ("ca_file", raw.ca_file.is_some(), &["email", "webhook"]),
        ("path", raw.path.is_some(), &["folder"]),
    ];
    for (field, given, kinds) in fields {
        if given && !kinds.contains(&raw.kind.as_str()) {
            problems.add(at(raw, field), format!("a receiver of kind {:?} has none; take it out", raw.kind));
        }
    }
}

fn email(raw: &RawReceiver) -> Result<Kind, Problems> {
    let mut problems = Problems::default();
    let host = problems.part(|| at(raw, "host"), raw.host.clone().ok_or("an e-mail receiver needs a mail server"));
    let security = match raw.security.as_deref() {
        None | Some("starttls") => Some(MailSecurity::StartTls),
        Some("tls") => Some(MailSecurity::Tls),
        Some("none") => Some(MailSecurity::None),
        Some(other) => {
            problems.add(at(raw, "security"), format!("{other:?} is none of starttls, tls, none"));
            None
        }
    };
    let from = raw.from.clone().filter(|from| is_address(from)).ok_or("an e-mail needs a sender's address");
    let from = problems.part(|| at(raw, "from"), from);
    if raw.to.is_empty() || !raw.to.iter().all(|to| is_address(to)) {
        problems.add(at(raw, "to"), "give one address or more, each as name@example.org");
    }
    let login = match (&raw.username, raw.secret_file.is_some() || raw.secret_env.is_some()) {
        (Some(username), true) => problems.take(secret(raw)).map(|secret| (username.clone(), secret)),
        (None, false) => None,
        _ => {
            problems.add(at(raw, "username"), "a username and a secret come together");
            None
        }
    };
    if security == Some(MailSecurity::None) {
        no_ca_file(raw, "security = \"none\" uses no certificate", &mut problems);
    }
    let (to, ca_file) = (raw.to.clone(), raw.ca_file.clone());
    let default = if security == Some(MailSecurity::Tls) { 465 } else { 587 };
    let port = raw.port.unwrap_or(default);
    match (host, security, from) {
        (Some(host), Some(security), Some(from)) => {
            problems.or(Kind::Email { host, port, security, from, to, login, ca_file })
        }
        _ => Err(problems),
    }
}

/// An option that would do nothing is told: who gave it expects a certificate to be looked at.
fn no_ca_file(raw: &RawReceiver, because: &str, problems: &mut Problems) {
    if raw.ca_file.is_some() {
        problems.add(at(raw, "ca_file"), format!("{because}; take it out"));
    }
}

/// Coarse: the notifier's mail library has the last word; line breaks would be headers of somebody else's making.
fn is_address(text: &str) -> bool {
    let plain = !text.chars().any(|c| c.is_control() || c.is_whitespace());
    plain && text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
}

fn webhook(raw: &RawReceiver) -> Result<Kind, Problems> {
    let mut problems = Problems::default();
    let url = problems.part(|| at(raw, "url"), raw.url.clone().ok_or("a webhook needs an address"));
    let transport = if raw.insecure_http { Transport::Insecure } else { Transport::Https };
    if let Some(url) = &url {
        let fits = url.starts_with("https://") || (transport == Transport::Insecure && url.starts_with("http://"));
        if !fits {
            problems.add(at(raw, "url"), "must begin with https:// (http:// only with insecure_http = true)");
        } else if url.starts_with("http://") {
            no_ca_file(raw, "an http:// address uses no certificate", &mut problems);
        }
    }
    let secret = problems.take(secret(raw));
    let reach = if raw.private_addresses { Reach::Private } else { Reach::Public };
    let ca_file = raw.ca_file.clone();
    problems.finish(url.zip(secret).map(|(url, secret)| Kind::Webhook { url, secret, transport, reach, ca_file }))
}

fn secret(raw: &RawReceiver) -> Result<SecretFrom, Problems> {
    let mut problems = Problems::default();
    match (&raw.secret_file, &raw.secret_env) {
        (Some(file), None) => Ok(SecretFrom::File(file.clone())),
        (None, Some(name)) => Ok(SecretFrom::Environment(name.clone())),
        _ => {
            problems.add(at(raw, "secret_file"), "give either secret_file or secret_env");
            Err(problems)
        }
    }
}

fn patience(raw: &RawReceiver) -> Result<Patience, Problems> {
    let mut problems = Problems::default();
    let fields = [
        ("attempt_timeout", &raw.attempt_timeout),
        ("give_up_after", &raw.give_up_after),
        ("first_pause", &raw.first_pause),
        ("longest_pause", &raw.longest_pause),
    ];
    let [attempt_timeout, give_up_after, first_pause, longest_pause] =
        fields.map(|(field, text)| text.as_deref().and_then(|text| problems.part(|| at(raw, field), duration(text))));
    let workers = raw.workers.unwrap_or(4);
    if !(1..=32).contains(&workers) {
        problems.add(at(raw, "workers"), "must be 1 to 32");
    }
    let first_pause = first_pause.unwrap_or(Duration::from_secs(5));
    let longest_pause = longest_pause.unwrap_or(Duration::from_mins(15).max(first_pause));
    if longest_pause < first_pause {
        problems.add(at(raw, "longest_pause"), "must not be shorter than first_pause");
    }
    problems.or(Patience { attempt_timeout, give_up_after, first_pause, longest_pause, workers })
}

/// A whole number with its unit: `500ms`, `10s`, `5m`, `24h`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration; write it with its unit: 500ms, 10s, 5m, 24h");
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text.strip_prefix(digits).unwrap_or_default();
    let (_, millis) = units.into_iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let duration = number.checked_mul(millis).filter(|millis| (1..=90 * 24 * 3_600_000).contains(millis));
    duration.map(Duration::from_millis).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_and_an_end() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("24h"), Ok(Duration::from_hours(24)));
        for text in ["", "5", "s", "0s", "-1s", "99999999999h", "1d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_with_a_line_break_is_none() {
        assert!(is_address("a@b") && !is_address("a@b\nBcc: c@d") && !is_address("@b") && !is_address("a"));
    }
}
