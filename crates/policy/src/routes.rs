//! `[notify]`, `[[team]]` and `[[route]]` of `authority.toml`: who hears of what. A team is a name for receivers.

use crate::files::AUTHORITY;
use crate::problem::{Place, Problems};
use crate::receivers::{self, RawReceiver, Receiver};
use crate::table::Entry;
use attendance::alert::Change;
use attendance::rule::{Level, Severity};
use routing::{Matchers, Route, Routes, Then};
use serde::Deserialize;

/// Whether what another rule set changes is news.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RuleChanges {
    /// It opens and closes cases without a message.
    #[default]
    Silent,
    /// It makes messages as marks do.
    News,
}

/// Everything about messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    /// School days: changes caused by older sessions are no news and make no message.
    pub newer_than: u32,
    /// Whether what another rule set changes is news.
    pub rule_changes: RuleChanges,
    /// Changes a receiver and hour that make messages of their own; what comes above is gathered into one. 0: no limit.
    pub storm: u32,
    /// Changes a receiver and day that make messages of their own; what comes above, unless it is severe or in high hurry, is gathered into
    /// one, ranked. 0: no limit.
    pub budget: u32,
    /// What a message links to, `{reference}` standing for the case's reference; none: no link.
    pub link: Option<String>,
    /// Where messages can go.
    pub receivers: Vec<Receiver>,
    /// Who hears of what.
    pub routes: Routes,
}

impl Notify {
    /// The receiver of a name.
    pub fn receiver(&self, name: &str) -> Option<&Receiver> {
        self.receivers.iter().find(|receiver| receiver.name == name)
    }
}

/// The parts of `authority.toml` that are about messages.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawNotify {
    newer_than: Option<u32>,
    rule_changes: Option<String>,
    storm: Option<u32>,
    budget: Option<u32>,
    link: Option<String>,
    #[serde(default)]
    default: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawTeam {
    /// Read apart; named here because a team must have it.
    #[serde(rename = "name")]
    _name: String,
    receivers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawRoute {
    #[serde(default)]
    localities: Vec<String>,
    #[serde(default)]
    levels: Vec<String>,
    #[serde(default)]
    rules: Vec<String>,
    #[serde(default)]
    severities: Vec<String>,
    #[serde(default)]
    changes: Vec<String>,
    to: Vec<String>,
    #[serde(default, rename = "continue")]
    goes_on: bool,
}

/// The raw tables together.
pub(crate) struct Raw<'a> {
    pub(crate) notify: &'a RawNotify,
    pub(crate) receivers: &'a [Entry<RawReceiver>],
    pub(crate) teams: &'a [Entry<RawTeam>],
    pub(crate) routes: &'a [Entry<RawRoute>],
    pub(crate) localities: &'a [String],
}

pub(crate) fn read(raw: &Raw<'_>) -> Result<Notify, Problems> {
    let mut problems = Problems::default();
    let receivers = problems.take(receivers::read(raw.receivers)).unwrap_or_default();
    let names = Names { raw };
    for (number, Entry { name, read, .. }) in raw.teams.iter().enumerate() {
        let Some(team) = name else { continue };
        let twice = raw.teams.iter().take(number).any(|before| before.name == *name);
        if twice || names.is_receiver(team) {
            problems.add(at(format!("team {team:?}")), "another team or receiver has this name");
        }
        for name in read.iter().flat_map(|team| &team.receivers).filter(|name| !names.may_be_receiver(name)) {
            problems.add(at(format!("team {team:?}")), format!("{name:?} is no [[receiver]]'s name"));
        }
    }
    let default = names.expand(&raw.notify.default, "notify, default", &mut problems);
    let mut routes = Vec::new();
    for Entry { number, read, .. } in raw.routes {
        let Some(route) = read else { continue };
        let path = format!("route {number}");
        let matchers = matchers(route, raw.localities, &path, &mut problems);
        let receivers = names.expand(&route.to, &path, &mut problems);
        let then = if route.goes_on { Then::Continue } else { Then::Stop };
        routes.push(Route { matchers, receivers, then });
    }
    let newer_than = raw.notify.newer_than.unwrap_or(10);
    if newer_than == 0 || newer_than > 200 {
        problems.add(at("notify, newer_than"), "must be 1 to 200 school days");
    }
    let rule_changes = match raw.notify.rule_changes.as_deref() {
        None | Some("silent") => RuleChanges::Silent,
        Some("news") => RuleChanges::News,
        Some(other) => {
            problems.add(at("notify, rule_changes"), format!("{other:?} must be \"silent\" or \"news\""));
            RuleChanges::Silent
        }
    };
    let storm = raw.notify.storm.unwrap_or(100);
    if storm > 100_000 {
        problems.add(at("notify, storm"), "must be 0 (no limit) to 100000 changes a receiver and hour");
    }
    let budget = raw.notify.budget.unwrap_or(0);
    if budget > 100_000 {
        problems.add(at("notify, budget"), "must be 0 (no limit) to 100000 changes a receiver and day");
    }
    let link = raw.notify.link.clone();
    if link.as_ref().is_some_and(|link| !link.starts_with("http") || !link.contains("{reference}")) {
        problems.add(at("notify, link"), "must be an address with {reference} in it");
    }
    problems.or(Notify { newer_than, rule_changes, storm, budget, link, receivers, routes: Routes { routes, default } })
}

fn at(path: impl Into<String>) -> Place {
    Place::new(AUTHORITY, path)
}

struct Names<'a> {
    raw: &'a Raw<'a>,
}

impl Names<'_> {
    fn is_receiver(&self, name: &str) -> bool {
        self.raw.receivers.iter().any(|receiver| receiver.name.as_deref() == Some(name))
    }

    /// A receiver whose own name cannot be read may be called anything; that it cannot has been told.
    fn may_be_receiver(&self, name: &str) -> bool {
        self.is_receiver(name) || self.raw.receivers.iter().any(|receiver| receiver.name.is_none())
    }

    /// Receivers' names; a team stands for its receivers.
    fn expand(&self, names: &[String], path: &str, problems: &mut Problems) -> Vec<String> {
        let mut receivers = Vec::new();
        for name in names {
            match self.raw.teams.iter().find(|team| team.name.as_ref() == Some(name)) {
                Some(team) => receivers.extend(team.read.iter().flat_map(|team| team.receivers.iter().cloned())),
                None if self.is_receiver(name) => receivers.push(name.clone()),
                None if self.may_be_receiver(name) || self.raw.teams.iter().any(|team| team.name.is_none()) => {}
                None => problems.add(at(path), format!("{name:?} is no [[team]]'s and no [[receiver]]'s name")),
            }
        }
        receivers
    }
}

fn matchers(route: &RawRoute, localities: &[String], path: &str, problems: &mut Problems) -> Matchers {
    // Where no locality could be read, that has been told.
    for name in route.localities.iter().filter(|name| !localities.is_empty() && !localities.contains(name)) {
        problems.add(at(path), format!("{name:?} is none of the localities: {}", localities.join(", ")));
    }
    let level = |text: &String| Level::parse(text).ok_or_else(|| format!("{text:?} is no level"));
    let change = |text: &String| {
        Change::parse(text)
            .ok_or_else(|| format!("{text:?} is no change: raised, escalated, reduced, cleared or withdrawn"))
    };
    let levels = route.levels.iter().filter_map(|text| problems.part(|| at(path), level(text))).collect();
    let severity =
        |text: &String| Severity::parse(text).ok_or_else(|| format!("{text:?} is no severity: low, normal or high"));
    let severities = route.severities.iter().filter_map(|text| problems.part(|| at(path), severity(text))).collect();
    let changes = route.changes.iter().filter_map(|text| problems.part(|| at(path), change(text))).collect();
    Matchers { localities: route.localities.clone(), levels, rules: route.rules.clone(), severities, changes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority;
    use crate::receivers::{Kind, SecretFrom, Transport};

    const HEAD: &str = "name = 'A'\ncode = 900\nlocalities = ['North', 'East']\n\
        calendar = { term = [{ name = 'autumn', first = '2025-09-01', last = '2025-12-19' }] }\n";
    const GOOD: &str = "
        [notify]
        default = ['file']
        link = 'https://earlybell.example/cases/{reference}'
        [[receiver]]
        name = 'mail'
        kind = 'email'
        host = 'mail.example'
        from = 'a@example.org'
        to = ['b@example.org']
        ca_file = '/etc/ca.pem'
        [[receiver]]
        name = 'hook'
        kind = 'webhook'
        url = 'https://hook.example/x'
        secret_env = 'HOOK'
        give_up_after = '2h'
        [[receiver]]
        name = 'file'
        kind = 'folder'
        path = 'messages'
        [[team]]
        name = 'north'
        receivers = ['mail', 'hook']
        [[route]]
        localities = ['North']
        levels = ['severe']
        changes = ['raised', 'cleared']
        to = ['north']
        continue = true
    ";

    fn read(text: &str) -> Result<Notify, Problems> {
        authority::read(&format!("{HEAD}{text}")).authority.map(|authority| authority.notify)
    }

    #[test]
    fn a_team_stands_for_its_receivers() {
        let notify = read(GOOD).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!((notify.newer_than, notify.storm, notify.budget), (10, 100, 0));
        let route = &notify.routes.routes[0];
        assert_eq!((route.receivers.join(" "), route.then), ("mail hook".to_owned(), Then::Continue));
        assert_eq!(route.matchers.levels, [Level::Severe]);
        assert_eq!(notify.routes.default, ["file"]);
        let hook = notify.receiver("hook").unwrap();
        let secret = SecretFrom::Environment("HOOK".into());
        assert!(
            matches!(&hook.kind, Kind::Webhook { secret: found, transport: Transport::Https, .. } if *found == secret)
        );
        assert_eq!(hook.patience.give_up_after, Some(std::time::Duration::from_hours(2)));
        let mail = notify.receiver("mail").unwrap();
        assert!(matches!(&mail.kind, Kind::Email { ca_file: Some(path), .. } if path.ends_with("ca.pem")));
    }

    #[test]
    fn a_policy_without_messages_is_a_policy() {
        let notify = read("").unwrap_or_else(|problems| panic!("{problems}"));
        assert!(notify.receivers.is_empty() && notify.routes == Routes::default());
    }

    #[test]
    fn a_receiver_team_or_route_that_cannot_be_read_hides_no_other_and_accuses_none() {
        let wrong = GOOD
            .replace("host = 'mail.example'", "host = 5")
            .replace("'2h'", "'2'")
            .replace("receivers = ['mail', 'hook']", "receivers = 'mail'\nlead = 'x'")
            .replace("to = ['north']", "too = ['north']")
            .replace("link = ", "links = ");
        let more = "\n[[route]]\nto = ['north', 'south', 'mail']\nlevels = ['grave']\n[[supplier]]\nname = 'a'\n";
        let problems = read(&format!("{wrong}{more}")).unwrap_err();
        let mut told: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
        told.sort();
        let parts = [
            "notify, line 8, links: unknown field `links`",
            "receiver \"hook\", give_up_after: \"2\" is no duration",
            "receiver \"mail\", line 12, host: invalid type: integer `5`, expected a string",
            "route 1, line 34, too: unknown field `too`",
            "route 2: \"grave\" is no level",
            "route 2: \"south\" is no [[team]]'s and no [[receiver]]'s name",
            "supplier \"a\", line 40: missing field `schools`",
            "team \"north\", line 28, receivers: invalid type: string \"mail\", expected a sequence",
            "team \"north\", line 29, lead: unknown field `lead`",
        ];
        for (problem, part) in told.iter().zip(parts) {
            assert!(problem.starts_with(&format!("authority.toml, {part}")), "{part} in\n{problems}");
        }
        assert_eq!(told.len(), parts.len(), "{problems}");
        let told = read(&GOOD.replace("name = 'mail'", "name = 5")).unwrap_err();
        assert_eq!(told.0.len(), 1, "which name it should be nobody knows: {told}");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let wrong = GOOD
            .replace("https://hook.example", "http://hook.example")
            .replace("'b@example.org'", "")
            .replace("localities = ['North']", "localities = ['South']")
            .replace("'severe'", "'grave'")
            .replace("'cleared'", "'erased'")
            .replace("to = ['north']", "to = ['south']")
            .replace("secret_env = 'HOOK'", "secret_env = 'HOOK'\nfrom = 'x'")
            .replace("'2h'", "'2'")
            .replace("path = 'messages'", "path = 'messages'\nca_file = 'ca.pem'")
            .replace("['mail', 'hook']", "['mail', 'hock']");
        let told = read(&wrong).unwrap_err().to_string();
        for part in [
            "receiver \"hook\", url: must begin with https://",
            "receiver \"hook\", from: a receiver of kind \"webhook\" has none",
            "receiver \"hook\", give_up_after: \"2\" is no duration",
            "receiver \"mail\", to: give one address",
            "receiver \"file\", ca_file: a receiver of kind \"folder\" has none",
            "team \"north\": \"hock\" is no [[receiver]]'s name",
            "route 1: \"South\" is none of the localities",
            "\"grave\" is no level",
            "\"erased\" is no change",
            "\"south\" is no [[team]]'s",
        ] {
            assert!(told.contains(part), "{part} in\n{told}");
        }
    }

    #[test]
    fn a_certificate_authority_without_tls_is_told() {
        let plain = GOOD
            .replace("ca_file = '/etc/ca.pem'", "ca_file = '/etc/ca.pem'\nsecurity = 'none'")
            .replace("https://hook.example/x'", "http://hook.example/x'\ninsecure_http = true\nca_file = 'ca.pem'");
        let told = read(&plain).unwrap_err().to_string();
        assert!(told.contains("receiver \"mail\", ca_file: security = \"none\" uses no certificate"), "{told}");
        assert!(told.contains("receiver \"hook\", ca_file: an http:// address uses no certificate"), "{told}");
    }
}
