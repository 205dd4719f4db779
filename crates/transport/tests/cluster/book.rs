//! A database in memory with the one thing that matters: a position row a partition with a version, moved by
//! compare-and-set. Takes messages through `Clerk`s, gives what was applied. Keeps who claimed, and the faults to come.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;
use transport::{End, Message, Next, Observer, Release, Start, TopicPartition, WorkError, Worker};

use crate::ground::PATIENCE;

#[derive(Default)]
pub(crate) struct Row {
    pub(crate) version: u64,
    pub(crate) next_offset: Option<i64>,
    pub(crate) applied: Vec<Message>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) rows: BTreeMap<TopicPartition, Row>,
    /// Calls that will find the database away.
    pub(crate) outages: u32,
    /// Batches after which somebody else moves the row's version, once each.
    pub(crate) thefts: Vec<usize>,
    pub(crate) claims: Vec<(&'static str, TopicPartition)>,
    pub(crate) fenced: Vec<(&'static str, TopicPartition)>,
    pub(crate) releases: Vec<(&'static str, Release)>,
    /// The partitions of which a member shows the lag.
    pub(crate) shown: BTreeSet<(&'static str, TopicPartition)>,
    /// Where a partition was told to end, at its last tick.
    pub(crate) ends: BTreeMap<TopicPartition, Option<End>>,
    pub(crate) largest_batch: usize,
    pub(crate) batches: usize,
}

#[derive(Clone)]
pub(crate) struct Book {
    state: Arc<Mutex<State>>,
    /// Members whose calls wait: batches by their name, claims by `claim <name>`.
    held: Arc<watch::Sender<Vec<String>>>,
}

impl Book {
    pub(crate) fn new() -> Self {
        Self { state: Arc::default(), held: Arc::new(watch::channel(Vec::new()).0) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic inside")
    }

    /// Lets the calls of this name wait from now on.
    pub(crate) fn hold(&self, name: &str) {
        self.held.send_modify(|held| held.push(name.to_owned()));
    }

    /// Lets all calls go on.
    pub(crate) fn let_go(&self) {
        self.held.send_modify(Vec::clear);
    }

    async fn pass(&self, name: &str) {
        let mut held = self.held.subscribe();
        held.wait_for(|held| !held.iter().any(|h| h == name)).await.expect("the book lives");
    }

    /// All payloads applied, sorted.
    pub(crate) fn numbers(&self) -> Vec<u32> {
        let parse = |message: &Message| std::str::from_utf8(&message.payload).expect("text").parse().expect("number");
        let mut all: Vec<u32> = self.state().rows.values().flat_map(|row| row.applied.iter().map(parse)).collect();
        all.sort_unstable();
        all
    }

    /// Waits until the numbers are exactly these, each once.
    pub(crate) async fn holds(&self, numbers: std::ops::Range<u32>) {
        let wanted: Vec<u32> = numbers.collect();
        self.until("all numbers, each once", |state| {
            let count: usize = state.rows.values().map(|row| row.applied.len()).sum();
            count >= wanted.len()
        })
        .await;
        assert_eq!(self.numbers(), wanted);
        for (at, row) in &self.state().rows {
            assert!(row.applied.is_sorted_by(|a, b| a.offset < b.offset), "{at} is out of order");
        }
    }

    /// Waits until the condition holds.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&State) -> bool) {
        let look = async || {
            let state = self.state();
            let applied: usize = state.rows.values().map(|row| row.applied.len()).sum();
            let seen = || format!("{applied} applied, claims {:?}, fenced {:?}", state.claims, state.fenced);
            if condition(&state) { Ok(()) } else { Err(seen()) }
        };
        support::wait_until(PATIENCE, what, look).await.expect("in time");
    }
}

impl State {
    /// The partitions of which all is applied that they are known to hold.
    pub(crate) fn current(&self) -> usize {
        let next_offset = |at: &TopicPartition| self.rows.get(at).and_then(|row| row.next_offset).unwrap_or(0);
        let is_current =
            |(at, end): &(&TopicPartition, &Option<End>)| end.is_some_and(|end| end.is_reached(next_offset(at)));
        self.ends.iter().filter(is_current).count()
    }
}

/// Notes in the book what a member shows.
pub(crate) struct Onlooker {
    pub(crate) book: Book,
    pub(crate) name: &'static str,
}

impl Observer for Onlooker {
    fn vacated(&self, at: &TopicPartition) {
        self.book.state().shown.remove(&(self.name, at.clone()));
    }

    fn lag(&self, at: &TopicPartition, _messages: u64) {
        self.book.state().shown.insert((self.name, at.clone()));
    }
}

/// A worker that applies to the book.
pub(crate) struct Clerk {
    book: Book,
    at: TopicPartition,
    name: &'static str,
    version: u64,
}

impl Clerk {
    pub(crate) fn new(book: &Book, at: &TopicPartition, name: &'static str) -> Self {
        Self { book: book.clone(), at: at.clone(), name, version: 0 }
    }

    fn apply(&mut self, messages: Vec<Message>) -> Result<(), WorkError> {
        let mut state = self.book.state();
        if state.outages > 0 {
            state.outages -= 1;
            return Err(WorkError::Unavailable("the book is closed".into()));
        }
        state.batches += 1;
        let batches = state.batches;
        let theft = state.thefts.iter().position(|after| *after <= batches);
        if let Some(theft) = theft {
            state.thefts.remove(theft);
        }
        let row = state.rows.entry(self.at.clone()).or_default();
        row.version += u64::from(theft.is_some());
        if row.version != self.version {
            state.fenced.push((self.name, self.at.clone()));
            return Err(WorkError::Fenced("the row has another version".into()));
        }
        row.version += 1;
        self.version = row.version;
        assert!(messages.first().map(|m| m.offset) >= row.next_offset, "{} came before its position", self.at);
        assert!(messages.iter().all(|message| message.place() == self.at), "a message of another partition");
        let count = messages.len();
        row.next_offset = messages.last().map(|message| message.offset + 1);
        row.applied.extend(messages);
        state.largest_batch = state.largest_batch.max(count);
        Ok(())
    }
}

impl Worker for Clerk {
    async fn claim(&mut self) -> Result<Start, WorkError> {
        self.book.pass(&format!("claim {}", self.name)).await;
        let mut state = self.book.state();
        if state.outages > 0 {
            state.outages -= 1;
            return Err(WorkError::Unavailable("the book is closed".into()));
        }
        state.claims.push((self.name, self.at.clone()));
        let row = state.rows.entry(self.at.clone()).or_default();
        row.version += 1;
        self.version = row.version;
        Ok(row.next_offset.map_or(Start::Beginning, Start::At))
    }

    async fn batch(&mut self, messages: Vec<Message>) -> Result<(), WorkError> {
        self.book.pass(self.name).await;
        self.apply(messages)
    }

    async fn tick(&mut self, end: Option<End>) -> Result<Next, WorkError> {
        self.book.state().ends.insert(self.at.clone(), end);
        Ok(Next::Idle)
    }

    async fn release(&mut self, why: Release) -> Result<(), WorkError> {
        self.book.state().releases.push((self.name, why));
        Ok(())
    }
}
