//! The ordered list of routes, and what it decides: the first route that matches, and further ones where it says
//! `continue`; what none takes goes to the default route.

use crate::matchers::{Facts, Matchers, Mismatch};

/// What comes after a route that matched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Then {
    /// Nothing: the following routes are not looked at.
    #[default]
    Stop,
    /// The following routes are looked at too.
    Continue,
}

/// One route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What it asks.
    pub matchers: Matchers,
    /// Who hears of what matches; nobody where it is empty, which mutes.
    pub receivers: Vec<String>,
    /// What comes after a match.
    pub then: Then,
}

/// All routes, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    /// Looked at from first to last.
    pub routes: Vec<Route>,
    /// Who hears of what no route takes.
    pub default: Vec<String>,
}

/// What a route made of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It took the change.
    Matched(Then),
    /// It did not, for this reason.
    Passed(Mismatch),
}

/// One route that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its place in the list, from 0.
    pub route: usize,
    /// What it made of the change.
    pub verdict: Verdict,
}

/// Who hears of a change, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<'a> {
    /// Routes took it.
    Routed {
        /// Who hears of it, each once, in the order of the routes.
        receivers: Vec<&'a str>,
        /// Every route that was looked at.
        steps: Vec<Step>,
    },
    /// No route took it: the default route.
    Default {
        /// Who hears of it; nobody where the policy names no default.
        receivers: Vec<&'a str>,
        /// Every route that was looked at.
        steps: Vec<Step>,
    },
}

impl<'a> Decision<'a> {
    /// Who hears of it.
    pub fn receivers(&self) -> &[&'a str] {
        match self {
            Self::Routed { receivers, .. } | Self::Default { receivers, .. } => receivers,
        }
    }

    /// Every route that was looked at, in order.
    pub fn steps(&self) -> &[Step] {
        match self {
            Self::Routed { steps, .. } | Self::Default { steps, .. } => steps,
        }
    }
}

impl Routes {
    /// Decides who hears of a change.
    pub fn decide(&self, facts: &Facts<'_>) -> Decision<'_> {
        let (mut receivers, mut steps) = (Vec::new(), Vec::new());
        let mut taken = false;
        for (number, route) in self.routes.iter().enumerate() {
            let verdict = match route.matchers.check(facts) {
                Ok(()) => Verdict::Matched(route.then),
                Err(mismatch) => Verdict::Passed(mismatch),
            };
            steps.push(Step { route: number, verdict });
            if let Verdict::Matched(then) = verdict {
                taken = true;
                add(&mut receivers, &route.receivers);
                if then == Then::Stop {
                    break;
                }
            }
        }
        if taken {
            return Decision::Routed { receivers, steps };
        }
        add(&mut receivers, &self.default);
        Decision::Default { receivers, steps }
    }
}

fn add<'a>(receivers: &mut Vec<&'a str>, more: &'a [String]) {
    for name in more {
        if !receivers.contains(&name.as_str()) {
            receivers.push(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use attendance::alert::Change;
    use attendance::rule::{Level, Severity};

    fn facts(locality: Option<&str>, level: Level) -> Facts<'_> {
        Facts { locality, level, rule: "year-rate", severity: Severity::Normal, change: Change::Raised }
    }

    fn route(localities: &[&str], levels: &[Level], receivers: &[&str], then: Then) -> Route {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let matchers = Matchers { localities: owned(localities), levels: levels.to_vec(), ..Matchers::default() };
        Route { matchers, receivers: owned(receivers), then }
    }

    fn routes() -> Routes {
        Routes {
            routes: vec![
                route(&[], &[Level::Severe], &["duty"], Then::Continue),
                route(&["North"], &[], &["north", "duty"], Then::Stop),
                route(&["North"], &[], &["never"], Then::Stop),
                route(&["East"], &[Level::AtRisk], &[], Then::Stop),
            ],
            default: vec!["county".into()],
        }
    }

    #[test]
    fn the_first_match_ends_the_search_unless_it_says_continue() {
        let routes = routes();
        let decision = routes.decide(&facts(Some("North"), Level::Severe));
        assert_eq!(decision.receivers(), ["duty", "north"], "each receiver once");
        let verdicts: Vec<_> = decision.steps().iter().map(|step| step.verdict).collect();
        assert_eq!(verdicts, [Verdict::Matched(Then::Continue), Verdict::Matched(Then::Stop)]);
        assert_eq!(routes.decide(&facts(Some("North"), Level::AtRisk)).receivers(), ["north", "duty"]);
    }

    #[test]
    fn what_no_route_takes_goes_to_the_default_route_with_every_reason() {
        let routes = routes();
        let decision = routes.decide(&facts(None, Level::AtRisk));
        assert!(matches!(decision, Decision::Default { .. }));
        assert_eq!(decision.receivers(), ["county"]);
        let reasons: Vec<_> = decision.steps().iter().map(|step| step.verdict).collect();
        let locality = Verdict::Passed(Mismatch::Locality);
        assert_eq!(reasons, [Verdict::Passed(Mismatch::Level), locality, locality, locality]);
    }

    #[test]
    fn a_route_without_receivers_mutes_what_it_takes() {
        let routes = routes();
        let decision = routes.decide(&facts(Some("East"), Level::AtRisk));
        assert!(matches!(decision, Decision::Routed { .. }) && decision.receivers().is_empty());
    }

    #[test]
    fn a_continue_that_nothing_follows_is_still_a_match() {
        let routes = routes();
        assert_eq!(routes.decide(&facts(Some("West"), Level::Severe)).receivers(), ["duty"]);
    }
}
