//! Which changes come next: version n+1 to an alert at n exactly once; n and less are dropped, what leaves a gap is kept aside
//! until the gap is filled. Values only.

use crate::change::Checked;
use std::collections::BTreeMap;
use transport::WorkError;

/// Changes in the order in which they are applied, and what becomes of the others.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Order {
    /// Applied, in this order.
    pub(crate) next: Vec<Checked>,
    /// Kept aside: one before them is missing.
    pub(crate) aside: Vec<Checked>,
    /// Kept aside before, and among the next now: alert and version.
    pub(crate) filled: Vec<(String, i32)>,
    /// How many are known already.
    pub(crate) repeated: usize,
}

/// Puts changes in order, given the versions that alerts have and what is kept aside of them.
pub(crate) fn order(
    mut versions: BTreeMap<String, i32>,
    mut kept: BTreeMap<(String, i32), Vec<u8>>,
    changes: Vec<Checked>,
) -> Result<Order, WorkError> {
    let mut order = Order::default();
    let mut aside: BTreeMap<(String, i32), Checked> = BTreeMap::new();
    for change in changes {
        let version = versions.entry(change.alert_id.clone()).or_insert(0);
        if change.version <= *version {
            order.repeated += 1;
            continue;
        }
        let mut key = (change.alert_id.clone(), change.version);
        if change.version > *version + 1 {
            if kept.contains_key(&key) || aside.insert(key, change).is_some() {
                order.repeated += 1;
            }
            continue;
        }
        order.next.push(change);
        loop {
            *version = key.1;
            key.1 += 1;
            if let Some(change) = aside.remove(&key) {
                order.next.push(change);
            } else if let Some(body) = kept.remove(&key) {
                order.next.push(Checked::of_gap(&body)?);
                order.filled.push(key.clone());
            } else {
                break;
            }
        }
    }
    order.aside = aside.into_values().collect();
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::check;
    use prost::Message;
    use proto::v1;

    fn change(alert: u8, version: u32) -> Checked {
        let raw = v1::AlertChange {
            alert_id: vec![alert; 16],
            version,
            change: v1::Change::Raised.into(),
            level: 1,
            ..Default::default()
        };
        check(raw).unwrap()
    }

    fn told(changes: &[Checked]) -> Vec<(char, i32)> {
        changes.iter().map(|change| (change.alert_id.chars().nth(1).unwrap(), change.version)).collect()
    }

    #[test]
    fn the_next_version_is_applied_once_and_what_leaves_a_gap_waits() {
        let versions = BTreeMap::from([(change(1, 1).alert_id, 2)]);
        let changes = vec![change(1, 2), change(1, 3), change(1, 3), change(1, 5), change(2, 2), change(2, 2)];
        let order = order(versions, BTreeMap::new(), changes).unwrap();
        assert_eq!(told(&order.next), [('1', 3)]);
        assert_eq!(told(&order.aside), [('1', 5), ('2', 2)]);
        assert_eq!((order.repeated, order.filled.len()), (3, 0));
    }

    #[test]
    fn what_was_kept_aside_follows_at_once_when_the_gap_is_filled() {
        let kept = |change: &Checked| ((change.alert_id.clone(), change.version), change.raw.encode_to_vec());
        let kept = BTreeMap::from([kept(&change(1, 2)), kept(&change(1, 4)), kept(&change(1, 6))]);
        let changes = vec![change(1, 3), change(1, 4), change(1, 1), change(1, 7)];
        let order = order(BTreeMap::new(), kept, changes).unwrap();
        assert_eq!(told(&order.next), [('1', 1), ('1', 2), ('1', 3), ('1', 4)]);
        assert_eq!(order.filled.iter().map(|(_, version)| *version).collect::<Vec<_>>(), [2, 4]);
        assert_eq!(told(&order.aside), [('1', 7)], "5 is missing; 6 is kept already");
        assert_eq!(order.repeated, 1, "4 was kept already");
    }
}
