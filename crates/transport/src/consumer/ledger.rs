//! Offsets of one partition under one worker: takes what is delivered and what has become durable, gives what to tell
//! Kafka and how far behind we are. Keeps four numbers, and no Kafka type.
//!
//! Invariant: told <= durable <= delivered (all as "next offset"), and none of them falls.

use crate::consumer::worker::Start;

/// What becomes of a delivered message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Delivery {
    /// To the worker.
    Take,
    /// Before the position: the worker has it already.
    Stale,
}

/// The ledger of one partition and one worker.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// Next offset that may come; `None` until the first message after `Start::Beginning`.
    delivered: Option<i64>,
    durable: Option<i64>,
    told: Option<i64>,
    high: Option<i64>,
}

impl Ledger {
    pub(crate) fn new(start: Start) -> Self {
        let position = match start {
            Start::Beginning => None,
            Start::At(offset) => Some(offset),
        };
        Self { delivered: position, durable: position, told: None, high: None }
    }

    pub(crate) fn deliver(&mut self, offset: i64) -> Delivery {
        if self.delivered.is_some_and(|next| offset < next) {
            return Delivery::Stale;
        }
        self.delivered = Some(offset + 1);
        Delivery::Take
    }

    /// A batch up to `next_offset` is durable.
    pub(crate) fn applied(&mut self, next_offset: i64) {
        debug_assert!(self.delivered.is_some_and(|delivered| next_offset <= delivered), "durable before delivered");
        debug_assert!(self.durable.is_none_or(|durable| next_offset > durable), "a durable offset fell");
        self.durable = Some(next_offset);
    }

    /// The offset to tell Kafka, if it has moved since it was told.
    pub(crate) fn untold(&mut self) -> Option<i64> {
        if self.durable == self.told {
            return None;
        }
        self.told = self.durable;
        self.durable
    }

    /// The high watermark as last seen.
    pub(crate) fn saw_high(&mut self, high: i64) {
        self.high = Some(high);
    }

    /// Messages that are not durable yet; `None` while either end is unknown.
    pub(crate) fn lag(&self) -> Option<u64> {
        Some(u64::try_from(self.high? - self.durable?).unwrap_or(0))
    }

    /// The offset from which reading goes on.
    pub(crate) fn position(&self) -> Option<i64> {
        self.delivered
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_before_the_position_is_stale() {
        let mut ledger = Ledger::new(Start::At(10));
        assert_eq!(ledger.deliver(9), Delivery::Stale);
        assert_eq!(ledger.deliver(10), Delivery::Take);
        assert_eq!(ledger.deliver(10), Delivery::Stale);
        assert_eq!(ledger.deliver(15), Delivery::Take, "gaps are allowed");
    }

    #[test]
    fn from_the_beginning_any_offset_comes_first() {
        let mut ledger = Ledger::new(Start::Beginning);
        assert_eq!(ledger.untold(), None);
        assert_eq!(ledger.deliver(7), Delivery::Take);
        assert_eq!(ledger.position(), Some(8));
    }

    #[test]
    fn an_offset_is_told_once() {
        let mut ledger = Ledger::new(Start::At(3));
        assert_eq!(ledger.untold(), Some(3));
        assert_eq!(ledger.untold(), None);
    }

    #[test]
    fn lag_counts_from_what_is_durable() {
        let mut ledger = Ledger::new(Start::At(3));
        assert_eq!(ledger.lag(), None);
        ledger.saw_high(10);
        assert_eq!(ledger.deliver(3), Delivery::Take);
        assert_eq!(ledger.lag(), Some(7));
        ledger.applied(4);
        assert_eq!(ledger.lag(), Some(6));
    }

    proptest! {
        #[test]
        fn told_durable_and_delivered_never_fall_nor_pass_each_other(
            start in proptest::option::of(0_i64..50),
            steps in proptest::collection::vec((0_i64..100, 0_usize..4, any::<bool>()), 0..100),
        ) {
            let mut ledger = Ledger::new(start.map_or(Start::Beginning, Start::At));
            let mut queue: Vec<i64> = Vec::new();
            let mut seen: Vec<i64> = Vec::new();
            for (offset, apply, tell) in steps {
                if ledger.deliver(offset) == Delivery::Take {
                    queue.push(offset);
                }
                let batch: Vec<i64> = queue.drain(..apply.min(queue.len())).collect();
                if let Some(last) = batch.last() {
                    ledger.applied(last + 1);
                }
                seen.extend(batch);
                if tell && let Some(told) = ledger.untold() {
                    prop_assert_eq!(Some(told), seen.last().map(|last| last + 1).or(start));
                }
                prop_assert!(ledger.told <= ledger.durable && ledger.durable <= ledger.delivered);
            }
            prop_assert!(seen.is_sorted_by(|a, b| a < b), "{:?}", seen);
            prop_assert!(seen.first() >= start.as_ref() || seen.is_empty());
        }
    }
}
