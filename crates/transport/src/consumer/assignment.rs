//! Who works on which partition, and which rebalance event waits for its answer. Takes events and what workers report,
//! gives orders for the loop. Keeps a slot a partition, and no Kafka type.
//!
//! Rules, each held by a property below:
//! - An event is answered at most once, and never after a newer one has come.
//! - A gained partition is answered with the position that its worker claimed; if that takes longer than the drain time,
//!   without one, and it is placed when the claim succeeds.
//! - What a worker reports counts only under the tenure it was employed for: reports of an earlier one die by number.
//! - A partition has at most one tenure at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::consumer::worker::{Release, Start};
use crate::topic::TopicPartition;

/// The pause before a refused worker's successor takes over, the first time and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// What the group did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The partitions are ours.
    Gained,
    /// Somebody else gets them and waits for us.
    Taken,
    /// Somebody else has them already.
    Lost,
}

/// A rebalance event; numbers ascend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) number: u64,
    pub(crate) change: Change,
    pub(crate) partitions: Vec<TopicPartition>,
}

/// One worker's time on one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tenure(u64);

/// What the loop has to do about a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Make one and let it claim.
    Employ(TopicPartition, Tenure),
    /// Tell it to let go.
    Dismiss(TopicPartition, Tenure, Release),
}

/// What the loop has to tell Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Read these; without a start: not yet.
    Assign(Vec<(TopicPartition, Option<Start>)>),
    /// No longer read these.
    Unassign(Vec<TopicPartition>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A worker is taking over.
    Claiming,
    /// A worker has taken over, reading has not begun.
    Ready(Start),
    /// Messages go to the worker.
    Working,
    /// The last worker was refused; the next begins at this time.
    Resting(Instant),
    /// The worker was told to let go.
    Leaving,
}

#[derive(Debug)]
struct Slot {
    tenure: Tenure,
    state: State,
    /// Kafka knows that we read it.
    placed: bool,
    /// Refusals since the last durable batch.
    refusals: u32,
}

impl Slot {
    fn is_starting(&self) -> bool {
        matches!(self.state, State::Claiming | State::Resting(_))
    }

    fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready(_))
    }
}

#[derive(Clone, Debug)]
struct Open {
    event: Event,
    deadline: Instant,
}

/// The assignment of one consumer.
#[derive(Debug)]
pub(crate) struct Assignment {
    drain: Duration,
    slots: BTreeMap<TopicPartition, Slot>,
    open: Option<Open>,
    newest: u64,
    tenures: u64,
}

impl Assignment {
    pub(crate) fn new(drain: Duration) -> Self {
        Self { drain, slots: BTreeMap::new(), open: None, newest: 0, tenures: 0 }
    }

    /// The group has spoken; what was open before is superseded.
    pub(crate) fn heard(&mut self, event: Event, now: Instant) -> Vec<Order> {
        if event.number <= self.newest {
            return Vec::new();
        }
        self.newest = event.number;
        let mut orders = Vec::new();
        for at in &event.partitions {
            match event.change {
                Change::Gained => {
                    // A slot that is still there belongs to an event that was never answered.
                    orders.extend(self.dismiss(at, Release::Lost));
                    self.slots.remove(at);
                    orders.push(self.employ(at, 0));
                }
                Change::Taken => orders.extend(self.dismiss(at, Release::Orderly)),
                Change::Lost => {
                    orders.extend(self.dismiss(at, Release::Lost));
                    self.slots.remove(at);
                }
            }
        }
        self.open = Some(Open { event, deadline: now + self.drain });
        orders
    }

    /// The process stops: all let go. Returns the answer that an open event still needs.
    pub(crate) fn close(&mut self) -> (Vec<Order>, Option<Answer>) {
        let answer = self.open.take().map(|open| match open.event.change {
            Change::Gained => Answer::Assign(Vec::new()),
            Change::Taken | Change::Lost => Answer::Unassign(open.event.partitions),
        });
        let all: Vec<TopicPartition> = self.slots.keys().cloned().collect();
        let orders = all.iter().filter_map(|at| self.dismiss(at, Release::Closing)).collect();
        (orders, answer)
    }

    /// Whether this tenure is the partition's present one.
    pub(crate) fn holds(&self, at: &TopicPartition, tenure: Tenure) -> bool {
        self.slots.get(at).is_some_and(|slot| slot.tenure == tenure)
    }

    /// The worker has taken over.
    pub(crate) fn claimed(&mut self, at: &TopicPartition, tenure: Tenure, start: Start) {
        if let Some(slot) = self.slot(at, tenure)
            && slot.state == State::Claiming
        {
            slot.state = State::Ready(start);
        }
    }

    /// A batch of this worker is durable.
    pub(crate) fn progressed(&mut self, at: &TopicPartition, tenure: Tenure) {
        if let Some(slot) = self.slot(at, tenure) {
            slot.refusals = 0;
        }
    }

    /// The worker was refused: a successor begins after a pause, unless the partition goes anyway.
    pub(crate) fn fenced(&mut self, at: &TopicPartition, tenure: Tenure, now: Instant) {
        let Some(slot) = self.slot(at, tenure) else { return };
        if slot.state == State::Leaving {
            self.slots.remove(at);
            return;
        }
        let pause = PAUSES.0.saturating_mul(1 << slot.refusals.min(10)).min(PAUSES.1);
        slot.refusals += 1;
        slot.state = State::Resting(now + pause);
    }

    /// The worker has let go.
    pub(crate) fn released(&mut self, at: &TopicPartition, tenure: Tenure) {
        if self.holds(at, tenure) {
            self.slots.remove(at);
        }
    }

    /// Successors whose pause is over.
    pub(crate) fn rested(&mut self, now: Instant) -> Vec<Order> {
        let over = |state: State| matches!(state, State::Resting(until) if until <= now);
        let rested: Vec<(TopicPartition, u32)> =
            self.slots.iter().filter(|(_, s)| over(s.state)).map(|(at, s)| (at.clone(), s.refusals)).collect();
        rested.iter().map(|(at, refusals)| self.employ(at, *refusals)).collect()
    }

    /// The answer to the newest event, once it can be given. `lost`: librdkafka's `assignment_lost()`, asked just now.
    pub(crate) fn answer(&mut self, now: Instant, lost: Lost) -> Option<Answer> {
        let Some(Open { event: Event { change, partitions, .. }, deadline }) = self.open.clone() else {
            return self.answer_left_over(lost);
        };
        let late = deadline <= now;
        let answer = match change {
            // The partitions of a lost assignment are somebody else's: the event that says so is on its way.
            Change::Gained if lost == Lost::Yes && !late => return None,
            Change::Gained if !late && self.unplaced(Slot::is_starting).next().is_some() => return None,
            Change::Gained => self.assign(|_| true),
            Change::Taken if late || lost == Lost::Yes || !self.any(&partitions) => {
                for at in &partitions {
                    self.slots.remove(at);
                }
                Answer::Unassign(partitions)
            }
            Change::Taken => return None,
            Change::Lost => Answer::Unassign(partitions),
        };
        self.open = None;
        Some(answer)
    }

    /// Gains whose event was superseded, and which the newer event did not take back, are still ours.
    fn answer_left_over(&mut self, lost: Lost) -> Option<Answer> {
        let any = lost == Lost::No && self.unplaced(Slot::is_ready).next().is_some();
        any.then(|| self.assign(Slot::is_ready))
    }

    fn unplaced(&mut self, which: impl Fn(&Slot) -> bool) -> impl Iterator<Item = (&TopicPartition, &mut Slot)> {
        self.slots.iter_mut().filter(move |(_, slot)| !slot.placed && slot.state != State::Leaving && which(slot))
    }

    fn assign(&mut self, which: impl Fn(&Slot) -> bool) -> Answer {
        let place = |(at, slot): (&TopicPartition, &mut Slot)| {
            slot.placed = true;
            let State::Ready(start) = slot.state else { return (at.clone(), None) };
            slot.state = State::Working;
            (at.clone(), Some(start))
        };
        Answer::Assign(self.unplaced(which).map(place).collect())
    }

    /// Claimed partitions that Kafka reads already, elsewhere or not yet: each is to be moved to its start.
    pub(crate) fn to_place(&self) -> Vec<(TopicPartition, Tenure, Start)> {
        let ready = |(at, slot): (&TopicPartition, &Slot)| match slot.state {
            State::Ready(start) if slot.placed => Some((at.clone(), slot.tenure, start)),
            _ => None,
        };
        self.slots.iter().filter_map(ready).collect()
    }

    /// Reading stands at the start that was claimed.
    pub(crate) fn placed(&mut self, at: &TopicPartition, tenure: Tenure) {
        if let Some(slot) = self.slot(at, tenure)
            && matches!(slot.state, State::Ready(_))
        {
            slot.state = State::Working;
        }
    }

    /// Partitions that Kafka reads though nobody works on them: to be paused.
    pub(crate) fn unattended(&self) -> impl Iterator<Item = &TopicPartition> {
        self.slots.iter().filter(|(_, slot)| slot.placed && slot.state != State::Working).map(|(at, _)| at)
    }

    /// The next time at which something is due without a report.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let resting = self.slots.values().filter_map(|slot| match slot.state {
            State::Resting(until) => Some(until),
            _ => None,
        });
        resting.chain(self.open.as_ref().map(|open| open.deadline)).min()
    }

    /// Partitions somebody still works on.
    pub(crate) fn partitions(&self) -> BTreeSet<TopicPartition> {
        self.slots.keys().cloned().collect()
    }

    /// Whether Kafka waits for an answer, or for partitions to be read.
    pub(crate) fn owes_answer(&self) -> bool {
        self.open.is_some() || self.slots.values().any(|slot| !slot.placed && slot.is_ready())
    }

    fn any(&self, partitions: &[TopicPartition]) -> bool {
        partitions.iter().any(|at| self.slots.contains_key(at))
    }

    fn slot(&mut self, at: &TopicPartition, tenure: Tenure) -> Option<&mut Slot> {
        self.slots.get_mut(at).filter(|slot| slot.tenure == tenure)
    }

    fn employ(&mut self, at: &TopicPartition, refusals: u32) -> Order {
        self.tenures += 1;
        let tenure = Tenure(self.tenures);
        let placed = self.slots.get(at).is_some_and(|slot| slot.placed);
        self.slots.insert(at.clone(), Slot { tenure, state: State::Claiming, placed, refusals });
        Order::Employ(at.clone(), tenure)
    }

    fn dismiss(&mut self, at: &TopicPartition, why: Release) -> Option<Order> {
        let slot = self.slots.get_mut(at)?;
        if let State::Resting(_) = slot.state {
            // Nobody is there to let go.
            self.slots.remove(at);
            return None;
        }
        if slot.state == State::Leaving {
            return None;
        }
        slot.state = State::Leaving;
        Some(Order::Dismiss(at.clone(), slot.tenure, why))
    }
}

/// What librdkafka's `assignment_lost()` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The group has given our partitions away.
    Yes,
    /// Not that we know.
    No,
}

#[cfg(test)]
#[path = "assignment_tests.rs"]
mod tests;
