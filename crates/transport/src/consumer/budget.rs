//! What is in hand: takes charges as messages come and refunds as they become durable, gives which partitions must pause
//! and which may read on. Keeps sums, and no Kafka type.
//!
//! A partition closes at its own limit, or at the limit of all if it has anything in hand; it opens again at half of
//! both. With nothing in hand it is never closed, so a neighbour that is stuck cannot starve it. The sum can pass its
//! limit by what one round of reading brings to each partition.

use std::collections::{BTreeMap, BTreeSet};

use crate::topic::TopicPartition;

/// An amount of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// How many.
    pub messages: usize,
    /// Their keys, payloads and headers.
    pub bytes: usize,
}

impl Load {
    /// One message of so many bytes.
    pub fn one(bytes: usize) -> Self {
        Self { messages: 1, bytes }
    }

    /// Whether both amounts are at least those of `other`.
    pub fn covers(self, other: Self) -> bool {
        self.messages >= other.messages && self.bytes >= other.bytes
    }

    /// Whether either amount has reached that of `limit`.
    pub fn reaches(self, limit: Self) -> bool {
        self.messages >= limit.messages || self.bytes >= limit.bytes
    }

    fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
    }

    fn subtract(&mut self, other: Self) {
        debug_assert!(self.covers(other), "refunds more than was charged: {self:?} - {other:?}");
        self.messages = self.messages.saturating_sub(other.messages);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }

    fn half(self) -> Self {
        Self { messages: self.messages / 2 + 1, bytes: self.bytes / 2 + 1 }
    }
}

/// What changes at the gates.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Gates {
    pub(crate) pause: Vec<TopicPartition>,
    pub(crate) resume: Vec<TopicPartition>,
}

/// The budget of one consumer.
#[derive(Debug)]
pub(crate) struct Budget {
    each: Load,
    all: Load,
    total: Load,
    charged: BTreeMap<TopicPartition, Load>,
    closed: BTreeSet<TopicPartition>,
}

impl Budget {
    pub(crate) fn new(each: Load, all: Load) -> Self {
        Self { each, all, total: Load::default(), charged: BTreeMap::new(), closed: BTreeSet::new() }
    }

    pub(crate) fn charge(&mut self, at: &TopicPartition, load: Load) {
        self.total.add(load);
        if let Some(charged) = self.charged.get_mut(at) {
            charged.add(load);
        } else {
            self.charged.insert(at.clone(), load);
        }
    }

    pub(crate) fn refund(&mut self, at: &TopicPartition, load: Load) {
        if let Some(charged) = self.charged.get_mut(at) {
            charged.subtract(load);
            self.total.subtract(load);
        }
    }

    /// Drops all that is charged to a partition, and its gate: whoever reads it next begins open.
    pub(crate) fn forget(&mut self, at: &TopicPartition) {
        if let Some(charged) = self.charged.remove(at) {
            self.total.subtract(charged);
        }
        self.closed.remove(at);
    }

    /// Moves the gates; each change is named once.
    pub(crate) fn gates(&mut self) -> Gates {
        let mut gates = Gates::default();
        let full = self.total.reaches(self.all);
        let tight = self.total.reaches(self.all.half());
        for (at, charged) in &self.charged {
            let idle = *charged == Load::default();
            if self.closed.contains(at) {
                if idle || !(tight || charged.reaches(self.each.half())) {
                    gates.resume.push(at.clone());
                }
            } else if !idle && (full || charged.reaches(self.each)) {
                gates.pause.push(at.clone());
            }
        }
        for at in &gates.resume {
            self.closed.remove(at);
        }
        self.closed.extend(gates.pause.iter().cloned());
        gates
    }

    /// The partitions that must be paused now: an assignment opens them behind our back.
    pub(crate) fn closed(&self) -> impl Iterator<Item = &TopicPartition> {
        self.closed.iter()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(partition: u32) -> TopicPartition {
        TopicPartition::new("t", partition)
    }

    fn budget() -> Budget {
        Budget::new(Load { messages: 10, bytes: 1_000 }, Load { messages: 25, bytes: 2_500 })
    }

    #[test]
    fn a_partition_pauses_at_its_limit_and_reads_on_at_half() {
        let mut budget = budget();
        budget.charge(&at(0), Load { messages: 10, bytes: 10 });
        assert_eq!(budget.gates().pause, [at(0)]);
        budget.refund(&at(0), Load { messages: 4, bytes: 4 });
        assert_eq!(budget.gates(), Gates::default());
        budget.refund(&at(0), Load { messages: 1, bytes: 1 });
        assert_eq!(budget.gates().resume, [at(0)]);
    }

    #[test]
    fn bytes_close_a_gate_as_messages_do() {
        let mut budget = budget();
        budget.charge(&at(0), Load::one(1_000));
        assert_eq!(budget.gates().pause, [at(0)]);
    }

    #[test]
    fn the_sum_closes_all_that_have_work_and_none_that_has_not() {
        let mut budget = budget();
        for partition in 0..5 {
            budget.charge(&at(partition), Load { messages: 5, bytes: 5 });
        }
        budget.charge(&at(5), Load::one(1));
        budget.refund(&at(5), Load::one(1));
        assert_eq!(budget.gates().pause, (0..5).map(at).collect::<Vec<_>>());
    }

    #[test]
    fn a_forgotten_partition_begins_open() {
        let mut budget = budget();
        budget.charge(&at(0), Load { messages: 10, bytes: 10 });
        budget.gates();
        budget.forget(&at(0));
        assert_eq!(budget.closed().count(), 0);
        assert_eq!(budget.total, Load::default());
    }

    #[derive(Clone, Debug)]
    enum Step {
        Charge(u32, usize),
        Refund(u32),
        Forget(u32),
        Gates,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0_u32..4, 1_usize..400).prop_map(|(p, b)| Step::Charge(p, b)),
            3 => (0_u32..4).prop_map(Step::Refund),
            1 => (0_u32..4).prop_map(Step::Forget),
            3 => Just(Step::Gates),
        ]
    }

    proptest! {
        #[test]
        fn sums_agree_gates_alternate_and_an_empty_house_is_open(steps in proptest::collection::vec(step(), 0..200)) {
            let mut budget = budget();
            let mut held: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
            let mut paused: BTreeSet<TopicPartition> = BTreeSet::new();
            for step in steps {
                match step {
                    Step::Charge(p, bytes) => {
                        budget.charge(&at(p), Load::one(bytes));
                        held.entry(p).or_default().push(bytes);
                    }
                    Step::Refund(p) => {
                        if let Some(bytes) = held.get_mut(&p).and_then(Vec::pop) {
                            budget.refund(&at(p), Load::one(bytes));
                        }
                    }
                    Step::Forget(p) => {
                        budget.forget(&at(p));
                        held.remove(&p);
                        paused.remove(&at(p));
                    }
                    Step::Gates => {
                        let gates = budget.gates();
                        for at in gates.resume {
                            prop_assert!(paused.remove(&at), "resumed what was not paused: {at}");
                        }
                        for at in gates.pause {
                            prop_assert!(paused.insert(at.clone()), "paused twice: {at}");
                        }
                        for at in &paused {
                            prop_assert!(held.get(&at.partition).is_some_and(|h| !h.is_empty()), "{at} starves");
                        }
                    }
                }
                let messages: usize = held.values().map(Vec::len).sum();
                let bytes: usize = held.values().flatten().sum();
                prop_assert_eq!(budget.total, Load { messages, bytes });
                prop_assert_eq!(&budget.closed, &paused);
            }
            for p in 0..4 {
                budget.forget(&at(p));
            }
            prop_assert_eq!(budget.total, Load::default());
        }
    }
}
