//! Who is told what of the changes that were applied: one message for each receiver and case, whatever the number of rules that
//! have something to say of the child. Above a receiver's limit of changes in an hour, or its budget of a day, messages are gathered
//! (see `storm`).

use crate::apply::{Applying, Case, CaseKey, Tally, store_error};
use crate::change::Checked;
use crate::message::{Message, Said, level_words};
use crate::metrics::IntakeLabel;
use crate::moved::{Owner, Side};
use crate::news::{self, News};
use crate::storm::Span;
use attendance::Session;
use attendance::alert::Change;
use attendance::forecast::whole;
use attendance::rule::{Level, RuleId, Severity};
use policy::routes::RuleChanges;
use routing::Facts;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use store::Tx;
use store::delivery::{self, NewDelivery};
use transport::WorkError;
use uuid::Uuid;

/// What one receiver hears of one case.
struct Group<'a> {
    case: &'a Case,
    receiver: &'a str,
    side: Side,
    changes: Vec<&'a Checked>,
}

impl Applying<'_> {
    /// The deliveries that these changes make.
    pub(crate) async fn tell(
        &self,
        tx: &mut Tx,
        changes: &[Checked],
        cases: &BTreeMap<CaseKey, Case>,
        tally: &mut Tally,
    ) -> Result<Vec<NewDelivery>, WorkError> {
        let mut groups = self.group(changes, cases, tally);
        let notify = &self.in_force.policy.notify;
        let limits = [(notify.storm, Span::hour(self.now)), (notify.budget, Span::day(self.now))];
        // Of each receiver what it was told in the hour, and in the day.
        let mut told: BTreeMap<&str, [i64; 2]> = BTreeMap::new();
        for group in &groups {
            if told.contains_key(group.receiver) {
                continue;
            }
            let mut counts = [0, 0];
            for (count, (limit, span)) in counts.iter_mut().zip(limits) {
                if limit > 0 {
                    *count = delivery::changes_since(tx, group.receiver, span.from).await.map_err(store_error)?;
                }
            }
            told.insert(group.receiver, counts);
        }
        if limits.iter().any(|(limit, _)| *limit > 0) {
            // Who comes first is told on its own.
            groups.sort_by_cached_key(|group| Reverse(self.rank(group)));
        }
        let mut deliveries = Vec::with_capacity(groups.len());
        for group in groups {
            let counts = told.entry(group.receiver).or_default();
            let mut gather_until = None;
            // The day's budget comes last: what is above it waits longer.
            for (number, (count, (limit, span))) in counts.iter_mut().zip(limits).enumerate() {
                *count += i64::try_from(group.changes.len()).unwrap_or(i64::MAX);
                let may_wait = number == 0 || !self.is_urgent(&group);
                if limit > 0 && *count > i64::from(limit) && may_wait {
                    gather_until = Some(span.until);
                }
            }
            deliveries.push(self.delivery(&group, gather_until)?);
        }
        Ok(deliveries)
    }

    /// How soon a message is to be read: as digests rank their cases.
    fn rank(&self, group: &Group<'_>) -> Option<(u8, Option<u32>)> {
        let said = group.changes.iter().map(|change| self.said(change));
        said.map(|said| (said.weight(), said.expected_missed)).max()
    }

    /// Whether a message is not to wait for the day's end: it tells of severe absence, or of a rule in high hurry.
    fn is_urgent(&self, group: &Group<'_>) -> bool {
        let is_urgent = |change: &&Checked| {
            let is_worse = matches!(change.change, Change::Raised | Change::Escalated);
            is_worse && (change.level == Level::Severe || self.severity(change) == Severity::High)
        };
        group.changes.iter().any(is_urgent)
    }

    /// The changes that are news, by case and receiver, in the order in which the cases come.
    fn group<'a>(
        &'a self,
        changes: &'a [Checked],
        cases: &'a BTreeMap<CaseKey, Case>,
        tally: &mut Tally,
    ) -> Vec<Group<'a>> {
        let mut groups: Vec<Group<'a>> = Vec::new();
        let mut places: BTreeMap<(CaseKey, &'a str), usize> = BTreeMap::new();
        for change in changes {
            let key = (change.upn, change.school_year);
            let Some(case) = cases.get(&key) else { continue };
            // A move within a team's own locality is no news to it.
            let stays = change.change == Change::Moved && !case.moved.is_news();
            if stays || self.news(change) == News::Old {
                tally.changes.push(IntakeLabel::Silent);
                continue;
            }
            let decide = |locality| {
                let (level, rule, severity) = (change.level, change.raw.rule.as_str(), self.severity(change));
                let facts = Facts { locality, level, rule, severity, change: change.change };
                self.in_force.policy.notify.routes.decide(&facts)
            };
            let now = decide(case.locality.as_deref());
            // Who had the case hears that it is gone.
            let before = case.moved.from.as_ref().map(|Owner(from)| decide(from.as_deref()));
            let before = before.iter().flat_map(|decision| decision.receivers().iter().copied());
            let gone =
                before.filter(|receiver| !now.receivers().contains(receiver)).map(|receiver| (receiver, Side::Old));
            let told: Vec<_> = now.receivers().iter().map(|receiver| (*receiver, Side::New)).chain(gone).collect();
            if told.is_empty() {
                tally.changes.push(IntakeLabel::Unrouted);
            }
            for (receiver, side) in told {
                let place = *places.entry((key, receiver)).or_insert(groups.len());
                match groups.get_mut(place) {
                    Some(group) => group.changes.push(change),
                    None => groups.push(Group { case, receiver, side, changes: vec![change] }),
                }
            }
        }
        groups
    }

    /// How much hurry a change is in: the most of the rules that have reached a level. Of what lessens or ends an alert the most of all
    /// its rules: who heard of it hears of its end.
    fn severity(&self, change: &Checked) -> Severity {
        let (raw, rules) = (&change.raw, &self.in_force.policy.rules);
        let named = raw.evidence.iter().flat_map(|evidence| &evidence.rules);
        let speak = named.filter_map(|name| rules.rule(&RuleId::parse(name).ok()?)).map(|rule| rule.severity);
        let alert = RuleId::parse(&raw.rule).ok().and_then(|id| rules.alert(&id));
        let all = alert.iter().flat_map(|alert| &alert.rules).filter_map(|place| rules.rules().get(*place));
        match change.change {
            Change::Raised | Change::Escalated => speak.max(),
            _ => speak.chain(all.map(|rule| rule.severity)).max(),
        }
        .unwrap_or_default()
    }

    fn news(&self, change: &Checked) -> News {
        let raw = &change.raw;
        if raw.history || change.change == Change::YearEnded {
            return News::Old;
        }
        let policy = &self.in_force.policy;
        if raw.by_rule_set && policy.notify.rule_changes == RuleChanges::Silent {
            return News::Old;
        }
        let caused_by = (raw.caused_by != 0).then(|| Session::from_number(raw.caused_by));
        let Some(school) = change.school() else { return News::New };
        let calendar = policy.calendars.of(school);
        news::judge(calendar, policy.notify.newer_than, Session::from_number(raw.as_of), caused_by)
    }

    fn delivery(&self, group: &Group<'_>, gather_until: Option<i64>) -> Result<NewDelivery, WorkError> {
        let message = self.message(group);
        // With the reference, which is random: after an erasure the same alert and version are another message. A change is told
        // a receiver once, so that the first of them tells this message from all others.
        let first = group.changes.first().map(|change| (change.alert_id.as_str(), change.version)).unwrap_or_default();
        let about = format!("{}/{}/{}/{}", group.case.reference, first.0, first.1, group.receiver);
        let caused = group.changes.iter().find(|change| change.raw.received_at > 0).or(group.changes.first());
        Ok(NewDelivery {
            message_id: Uuid::new_v5(&self.namespace, about.as_bytes()).to_string(),
            case_id: Some(group.case.id),
            changes: group.changes.iter().map(|change| (change.alert_id.clone(), change.version)).collect(),
            receiver: group.receiver.to_owned(),
            body: serde_json::to_string(&message).map_err(|error| WorkError::Fatal(error.into()))?,
            register_id: caused.map(|change| change.register_id()).unwrap_or_default(),
            received_at: caused.map_or(0, |change| change.raw.received_at),
            at: self.now.micros(),
            gather_until,
        })
    }

    fn message(&self, group: &Group<'_>) -> Message {
        let policy = &self.in_force.policy;
        let reference = &group.case.reference;
        let newest = group.changes.last();
        let school = newest.and_then(|change| change.school()).and_then(|urn| policy.schools.get(&urn));
        Message {
            reference: reference.clone(),
            school: school.map_or_else(|| "school not known".to_owned(), |school| school.name.clone()),
            locality: group.case.locality.clone(),
            moved: group.case.moved.sentence(group.case.locality.as_deref(), group.side),
            changes: Said::in_order(group.changes.iter().map(|change| self.said(change))),
            link: policy.notify.link.as_ref().map(|link| link.replace("{reference}", reference)),
            said_at: self.now.to_string(),
        }
    }

    fn said(&self, change: &Checked) -> Said {
        let raw = &change.raw;
        // The rule that speaks for the alert; of a release before there were several only the alert's own.
        let speaks = raw.evidence.as_ref().and_then(|evidence| evidence.rules.first()).unwrap_or(&raw.rule);
        let title = RuleId::parse(speaks).ok().and_then(|id| self.in_force.policy.rules.rule(&id));
        Said {
            alert: change.alert_id.clone(),
            version: raw.version,
            change: change.change.text().to_owned(),
            level: level_words(change.level).to_owned(),
            rule: title.map_or_else(|| raw.rule.clone(), |rule| rule.title.clone()),
            sentence: raw.sentence.clone(),
            expected_missed: raw.evidence.as_ref().and_then(|evidence| Some(whole(evidence.foreseen?.missed?.value))),
        }
    }
}
