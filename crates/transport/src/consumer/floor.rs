//! Everything the loop does: takes signals from librdkafka, reports from workers and messages, gives workers their
//! messages and Kafka its answers. Keeps the plain books (`assignment`, `ledger`, `budget`) and the ends of channels.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::consumer::assignment::{Answer, Assignment, Change, Lost, Order, Tenure};
use crate::consumer::budget::{Budget, Load};
use crate::consumer::complaints::Complaints;
use crate::consumer::config::ConsumerConfig;
use crate::consumer::context::{Context, High, Signal, unassign};
use crate::consumer::desk::{Desk, Hatch, Report, Rules, What};
use crate::consumer::error::ConsumerError;
use crate::consumer::ledger::{Delivery, Ledger};
use crate::consumer::observer::Observer;
use crate::consumer::worker::{End, Release, Start, Worker};
use crate::message::Message;
use crate::topic::{TopicPartition, native};

/// librdkafka's own thread answers a seek in microseconds, without the network.
const SEEK_TIMEOUT: Duration = Duration::from_millis(500);
/// What a partition's end was told to be holds for so many times the pause after which it is told again.
const TOLD_AGAIN: u32 = 5;
/// When a seek is tried again: Kafka has been told to read a partition but has not begun yet.
const SEEK_AGAIN: Duration = Duration::from_millis(50);

/// The state of a running consumer.
pub(crate) struct Floor<F, O> {
    consumer: Arc<StreamConsumer<Context>>,
    config: ConsumerConfig,
    factory: F,
    observer: O,
    assignment: Assignment,
    budget: Budget,
    ledgers: BTreeMap<TopicPartition, Ledger>,
    hatches: BTreeMap<TopicPartition, Hatch>,
    reports: mpsc::UnboundedSender<Report>,
    tasks: TaskTracker,
    next_commit: Instant,
    seek_again: Option<Instant>,
    complaints: Complaints,
}

impl<F, W, O> Floor<F, O>
where
    F: FnMut(&TopicPartition) -> W,
    W: Worker,
    O: Observer,
{
    pub(crate) fn new(
        consumer: Arc<StreamConsumer<Context>>,
        config: ConsumerConfig,
        factory: F,
        observer: O,
        reports: mpsc::UnboundedSender<Report>,
    ) -> Self {
        Self {
            assignment: Assignment::new(config.drain()),
            budget: Budget::new(config.partition_budget, config.total_budget),
            ledgers: BTreeMap::new(),
            hatches: BTreeMap::new(),
            tasks: TaskTracker::new(),
            next_commit: Instant::now() + config.commit_every,
            seek_again: None,
            complaints: Complaints::default(),
            consumer,
            config,
            factory,
            observer,
            reports,
        }
    }

    /// What a callback reported.
    pub(crate) fn signal(&mut self, signal: Signal) {
        match signal {
            Signal::Rebalance(event) => {
                for at in &event.partitions {
                    match event.change {
                        Change::Gained => self.observer.assigned(at),
                        Change::Taken => self.observer.revoked(at, Release::Orderly),
                        Change::Lost => self.observer.revoked(at, Release::Lost),
                    }
                }
                tracing::info!(number = event.number, change = ?event.change, partitions = event.partitions.len(), "rebalance");
                let orders = self.assignment.heard(event, Instant::now());
                self.obey(orders);
            }
            Signal::High(highs, told_at) => {
                let holds_until = told_at + self.config.ends_every() * TOLD_AGAIN;
                for High { at, offset, answers } in highs {
                    if let Some(hatch) = self.hatches.get(&at).filter(|_| answers) {
                        hatch.end.send_replace(Some(End { offset, holds_until }));
                    }
                    let Some(ledger) = self.ledgers.get_mut(&at) else { continue };
                    ledger.saw_high(offset);
                    if let Some(lag) = ledger.lag() {
                        self.observer.lag(&at, lag);
                    }
                }
            }
            Signal::Error(reason) => {
                self.complaints.hear(&reason, Instant::now());
                self.observer.broker_error(&reason);
            }
        }
    }

    /// What a worker's desk reported. Errors end the consumer.
    pub(crate) fn report(&mut self, report: Report) -> Result<(), ConsumerError> {
        let Report { at, tenure, what } = report;
        if !self.assignment.holds(&at, tenure) {
            tracing::debug!(%at, ?what, "report of an earlier tenure");
            return Ok(());
        }
        match what {
            What::Claimed(start) => self.assignment.claimed(&at, tenure, start),
            What::Applied { next_offset, load } => self.applied(&at, tenure, next_offset, load),
            What::Retrying(cause) => {
                tracing::warn!(%at, cause, "unavailable, trying again");
                self.observer.retrying(&at, &cause);
            }
            What::Fenced(cause) => {
                tracing::warn!(%at, cause, "refused, somebody else took over");
                self.observer.fenced(&at, &cause);
                self.assignment.fenced(&at, tenure, Instant::now());
                self.vacate(&at);
                self.pause(self.assignment.unattended().filter(|idle| **idle == at));
            }
            What::Released(error) => {
                if let Some(cause) = error {
                    tracing::warn!(%at, cause, "letting go failed; the next owner starts from what is durable");
                }
                self.commit([at.clone()]);
                self.assignment.released(&at, tenure);
                self.vacate(&at);
            }
            What::Failed(cause) => {
                self.assignment.released(&at, tenure);
                return Err(ConsumerError::Fatal { at, cause });
            }
            What::Stalled(call) => return Err(ConsumerError::Stalled { at, call, limit: self.config.stall }),
            What::Gone => {
                self.assignment.released(&at, tenure);
                return Err(ConsumerError::WorkerGone(at));
            }
        }
        Ok(())
    }

    /// A message that was read. Without a ledger nobody works on its partition: it will be read again.
    pub(crate) fn deliver(&mut self, message: Message) {
        let at = message.place();
        let (Some(ledger), Some(hatch)) = (self.ledgers.get_mut(&at), self.hatches.get(&at)) else { return };
        if ledger.deliver(message.offset) == Delivery::Stale {
            return;
        }
        let load = Load::one(message.bytes());
        // A desk that has just ended says so in a report, which takes the charge back.
        if hatch.inbox.send(message).is_ok() {
            self.budget.charge(&at, load);
        }
    }

    /// Does what is due now. Errors end the consumer.
    pub(crate) fn settle(&mut self) -> Result<(), ConsumerError> {
        let now = Instant::now();
        let orders = self.assignment.rested(now);
        self.obey(orders);
        if self.assignment.owes_answer() {
            let lost = if self.consumer.assignment_lost() { Lost::Yes } else { Lost::No };
            if let Some(answer) = self.assignment.answer(now, lost) {
                self.tell(answer)?;
            }
        }
        self.place(now)?;
        let gates = self.budget.gates();
        self.pause(&gates.pause);
        self.resume(&gates.resume);
        if self.next_commit <= now {
            self.next_commit = now + self.config.commit_every;
            let all: Vec<TopicPartition> = self.ledgers.keys().cloned().collect();
            self.commit(all);
        }
        Ok(())
    }

    /// When `settle` has something to do without a report or a signal.
    pub(crate) fn next_due(&self) -> Instant {
        let others = self.assignment.next_due().into_iter().chain(self.seek_again);
        others.fold(self.next_commit, Instant::min)
    }

    /// Tells all workers to let go, and the group what it still waits for.
    pub(crate) fn close(&mut self) {
        let working = self.assignment.partitions();
        for at in &working {
            self.observer.revoked(at, Release::Closing);
        }
        let (orders, answer) = self.assignment.close();
        self.obey(orders);
        if let Some(answer) = answer
            && let Err(error) = self.tell(answer)
        {
            tracing::warn!(%error, "answering the group before closing");
        }
        self.pause(&working);
    }

    /// The partitions on which somebody still works.
    pub(crate) fn at_work(&self) -> Option<TopicPartition> {
        self.assignment.partitions().into_iter().next()
    }

    /// The partitions that are read, each with the offset from which, if it is known.
    pub(crate) fn positions(&self) -> Vec<(TopicPartition, Option<i64>)> {
        self.ledgers.iter().map(|(at, ledger)| (at.clone(), ledger.position())).collect()
    }

    /// Parts with the consumer, for closing.
    pub(crate) fn into_consumer(self) -> Arc<StreamConsumer<Context>> {
        self.consumer
    }

    fn applied(&mut self, at: &TopicPartition, tenure: Tenure, next_offset: i64, load: Load) {
        self.assignment.progressed(at, tenure);
        self.budget.refund(at, load);
        if let Some(ledger) = self.ledgers.get_mut(at) {
            ledger.applied(next_offset);
        }
        self.observer.batch(at, load);
    }

    fn obey(&mut self, orders: Vec<Order>) {
        for order in orders {
            match order {
                Order::Employ(at, tenure) => self.employ(at, tenure),
                Order::Dismiss(at, tenure, why) => self.dismiss(&at, tenure, why),
            }
        }
    }

    fn employ(&mut self, at: TopicPartition, tenure: Tenure) {
        let worker = (self.factory)(&at);
        let rules = Rules { batch: self.config.batch, tick: self.config.tick, stall: self.config.stall };
        let (desk, hatch) = Desk::new(at.clone(), tenure, rules, self.reports.clone());
        // Whatever an earlier tenure left in hand is not this one's.
        self.vacate(&at);
        self.hatches.insert(at, hatch);
        self.tasks.spawn(desk.serve(worker));
    }

    fn dismiss(&mut self, at: &TopicPartition, tenure: Tenure, why: Release) {
        let Some(hatch) = self.hatches.remove(at) else { return };
        debug_assert_eq!(hatch.tenure, tenure, "two tenures on {at}");
        if hatch.dismissal.send(why).is_err() {
            tracing::debug!(%at, "dismissed a worker whose tenure has just ended");
        }
    }

    /// Drops what the loop holds for a worker that is gone.
    fn vacate(&mut self, at: &TopicPartition) {
        self.hatches.remove(at);
        self.ledgers.remove(at);
        self.budget.forget(at);
        self.observer.vacated(at);
    }

    fn tell(&mut self, answer: Answer) -> Result<(), ConsumerError> {
        match answer {
            Answer::Assign(starts) => self.tell_assign(&starts),
            Answer::Unassign(gone) => {
                for at in &gone {
                    self.vacate(at);
                }
                unassign(&*self.consumer, &gone).map_err(|error| client_error("give up partitions", &error))
            }
        }
    }

    fn tell_assign(&mut self, starts: &[(TopicPartition, Option<Start>)]) -> Result<(), ConsumerError> {
        let mut list = TopicPartitionList::new();
        for (at, start) in starts {
            // Without a start nothing is to be read yet: it is paused below, and moved when the claim succeeds.
            let offset = start.map_or(Offset::End, offset);
            let added = list.add_partition_offset(&at.topic, native(at.partition), offset);
            added.map_err(|error| client_error("name a position", &error))?;
        }
        let assigned = self.consumer.incremental_assign(&list);
        assigned.map_err(|error| client_error("take over partitions", &error))?;
        for (at, start) in starts {
            if let Some(start) = start {
                self.begin(at, *start);
            }
        }
        // Whether a pause outlives an assignment depends on librdkafka's version and protocol: both are said again.
        self.resume(starts.iter().filter(|(_, start)| start.is_some()).map(|(at, _)| at));
        let paused: Vec<TopicPartition> = self.assignment.unattended().chain(self.budget.closed()).cloned().collect();
        self.pause(&paused);
        Ok(())
    }

    /// Moves partitions that Kafka reads already to the start that a worker has claimed since.
    fn place(&mut self, now: Instant) -> Result<(), ConsumerError> {
        self.seek_again = None;
        for (at, tenure, start) in self.assignment.to_place() {
            let mut list = TopicPartitionList::new();
            let added = list.add_partition_offset(&at.topic, native(at.partition), offset(start));
            added.map_err(|error| client_error("name a position", &error))?;
            // A seek raises librdkafka's version barrier: nothing fetched before it is given to us after it.
            let moved = self.consumer.seek_partitions(list, SEEK_TIMEOUT);
            let moved = moved.and_then(|list| list.elements().iter().try_for_each(TopicPartitionListElem::error));
            if let Err(error) = moved {
                tracing::debug!(%at, %error, "not seekable yet");
                self.seek_again = Some(now + SEEK_AGAIN);
                continue;
            }
            self.assignment.placed(&at, tenure);
            self.begin(&at, start);
            self.resume([&at]);
        }
        Ok(())
    }

    fn begin(&mut self, at: &TopicPartition, start: Start) {
        tracing::info!(%at, ?start, "reading");
        self.ledgers.insert(at.clone(), Ledger::new(start));
        self.observer.claimed(at, start);
    }

    fn pause<'a>(&self, partitions: impl IntoIterator<Item = &'a TopicPartition>) {
        gate(partitions, |list| self.consumer.pause(list));
    }

    fn resume<'a>(&self, partitions: impl IntoIterator<Item = &'a TopicPartition>) {
        gate(partitions, |list| self.consumer.resume(list));
    }

    /// Tells Kafka the durable offsets that it does not know yet. The answer never comes back to us, and nothing but lag
    /// monitoring depends on it.
    fn commit(&mut self, partitions: impl IntoIterator<Item = TopicPartition>) {
        let mut list = TopicPartitionList::new();
        for at in partitions {
            let Some(told) = self.ledgers.get_mut(&at).and_then(Ledger::untold) else { continue };
            if let Err(error) = list.add_partition_offset(&at.topic, native(at.partition), Offset::Offset(told)) {
                tracing::warn!(%at, %error, "naming an offset to commit");
            }
        }
        if list.count() > 0
            && let Err(error) = self.consumer.commit(&list, CommitMode::Async)
        {
            tracing::debug!(%error, "committing offsets for lag monitoring");
        }
    }
}

pub(crate) fn client_error(doing: &'static str, error: &KafkaError) -> ConsumerError {
    ConsumerError::Client { doing, reason: error.to_string() }
}

fn offset(start: Start) -> Offset {
    match start {
        Start::Beginning => Offset::Beginning,
        Start::At(next) => Offset::Offset(next),
    }
}

fn native_list<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for at in partitions {
        list.add_partition(&at.topic, native(at.partition));
    }
    list
}

fn gate<'a>(
    partitions: impl IntoIterator<Item = &'a TopicPartition>,
    change: impl Fn(&TopicPartitionList) -> Result<(), KafkaError>,
) {
    let list = native_list(partitions);
    // A partition that librdkafka does not know is not read, so there is nothing to open or close.
    if list.count() > 0
        && let Err(error) = change(&list)
    {
        tracing::warn!(%error, "pausing or resuming partitions");
    }
}
