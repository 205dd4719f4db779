//! One partition of `events`, from taking it over to letting it go: what the consumer calls, and what is remembered
//! between calls. The protocol is that of the design, "What holds it together", 2; each step is in a file of its own.
//!
//! Takes slices, gives alert changes. One transaction is in flight at a time; each begins with the compare-and-set on the
//! position row. A commit of unknown outcome is settled by reading that row before anything else is done.

use crate::commit::Pending;
use crate::effects::Passing;
use crate::memory::Memory;
use crate::metrics::Metrics;
use installation::InForce;

use attendance::{Day, SchoolYear, Session, Timestamp, Upn};
use rustc_hash::FxHashSet;
use service::clock::Clock;
use std::collections::VecDeque;
use std::sync::Arc;
use store::outbox::OutboxRow;
use store::position::Position;
use store::{Store, StoreError};
use tokio::sync::watch;
use transport::consumer::{End, Next, Release, Start, WorkError, Worker};
use transport::{Message, Producer};
use uuid::Uuid;

/// What all partitions of a process share.
pub(crate) struct Shared {
    /// The database.
    pub(crate) store: Store,
    /// Writes alerts.
    pub(crate) producer: Producer,
    /// The rule set in force, kept fresh.
    pub(crate) in_force: watch::Receiver<Arc<InForce>>,
    /// The installation's clock.
    pub(crate) clock: Clock,
    /// How the process runs.
    pub(crate) settings: service::config::Rules,
    /// What it counts.
    pub(crate) metrics: Metrics,
    /// Under which alert ids are made.
    pub(crate) namespace: Uuid,
    /// The full names of the topics read and written.
    pub(crate) events: Arc<str>,
    /// See `events`.
    pub(crate) alerts: Arc<str>,
}

/// A pass writes all records that were to be written when it began, in chunks.
#[derive(Debug)]
pub(crate) struct Pass {
    /// Where the position stood when it began: what the checkpoint moves to.
    pub(crate) begun: i64,
    pub(crate) todo: Vec<Upn>,
}

/// One partition.
pub(crate) struct Partition {
    pub(crate) shared: Arc<Shared>,
    pub(crate) part: i32,
    /// The position row as we last wrote or read it; none before the take-over.
    pub(crate) position: Option<Position>,
    pub(crate) memory: Memory,
    /// Rows to be relayed, in order, and the number up to which they were.
    pub(crate) waiting: VecDeque<OutboxRow>,
    pub(crate) relayed: Option<i64>,
    pub(crate) pending: Option<Pending>,
    pub(crate) pass: Option<Pass>,
    pub(crate) last_pass: Timestamp,
    /// Whether a large batch came since the last tick: a backlog writes less often.
    pub(crate) busy: Busy,
    /// The next offset to fold; below the position's while the take-over folds silently.
    pub(crate) folded: i64,
    /// Whether memory holds more than the position says.
    pub(crate) memorised: Memorised,
    /// Pupils whose stored row did not decode, until they are held.
    pub(crate) undecoded: FxHashSet<Upn>,
    pub(crate) judged_version: i64,
    /// The school year before which alerts were looked at and ended; none since the take-over.
    pub(crate) years_ended_before: Option<SchoolYear>,
    /// The day on which it was looked for what the day alone changes; none since the take-over.
    pub(crate) looked_on: Option<Day>,
    /// When pupils were held, within the last hour: microseconds.
    pub(crate) held_lately: Vec<i64>,
    /// Where the partition ends, as Kafka told it last; none since the take-over.
    pub(crate) end: Option<End>,
}

/// Messages that come at once only where many wait.
const BACKLOG: usize = 100;

/// How far memory goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memorised {
    /// No further than the position, but for records that were stored ahead.
    UpToPosition,
    /// A batch is folded whose commit is not known to be done.
    BeyondPosition,
}

/// Whether a backlog is worked off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Busy {
    No,
    Yes,
}

impl Partition {
    /// A partition that is to be taken over.
    pub(crate) fn new(shared: Arc<Shared>, part: u32) -> Self {
        let last_pass = shared.clock.wall_now();
        Self {
            shared,
            part: i32::try_from(part).unwrap_or(i32::MAX),
            position: None,
            memory: Memory::default(),
            waiting: VecDeque::new(),
            relayed: None,
            pending: None,
            pass: None,
            last_pass,
            busy: Busy::No,
            folded: 0,
            memorised: Memorised::UpToPosition,
            undecoded: FxHashSet::default(),
            judged_version: 0,
            years_ended_before: None,
            looked_on: None,
            held_lately: Vec::new(),
            end: None,
        }
    }

    /// Whether time tells something new of a child once all before `next_offset` is folded: not while what it waits for may be on its way,
    /// written before Kafka told the partition's end.
    pub(crate) fn passing(&self, next_offset: i64) -> Passing {
        let is_reached = self.end.is_some_and(|end| end.is_reached(next_offset));
        if is_reached { Passing::Told } else { Passing::Later }
    }

    /// The rule set in force.
    pub(crate) fn in_force(&self) -> Arc<InForce> {
        Arc::clone(&self.shared.in_force.borrow())
    }

    /// The newest session known: by the installation's clock, or folded here.
    pub(crate) fn as_of(&self) -> Session {
        self.memory.as_of(Session::at(self.shared.clock.now()))
    }

    /// The present school year. The first mark of September makes it, even where the clock was read a moment before.
    pub(crate) fn present_year(&self) -> SchoolYear {
        self.as_of().school_year()
    }

    /// The position, which a partition has from its take-over on.
    pub(crate) fn position(&self) -> Result<&Position, WorkError> {
        self.position.as_ref().ok_or_else(|| WorkError::Fatal("used before it was taken over".into()))
    }

    /// Whether the take-over has folded all that was folded before it.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.position.as_ref().is_some_and(|position| self.folded >= position.next_offset)
    }
}

impl Worker for Partition {
    async fn claim(&mut self) -> Result<Start, WorkError> {
        self.take_over().await
    }

    async fn batch(&mut self, messages: Vec<Message>) -> Result<(), WorkError> {
        if messages.len() >= BACKLOG {
            self.busy = Busy::Yes;
        }
        self.settle().await?;
        self.take(&messages).await
    }

    async fn tick(&mut self, end: Option<End>) -> Result<Next, WorkError> {
        self.end = end;
        self.settle().await?;
        if let Some(position) = &self.position {
            let waiting = self.waiting.front().map(|row| row.put_at);
            let now = self.shared.clock.wall_now();
            let behind = position.checkpoint_offset < position.next_offset;
            self.shared.metrics.ages(self.part, behind.then_some(position.checkpoint_at), waiting, now);
        }
        self.relay().await?;
        let busy = std::mem::replace(&mut self.busy, Busy::No);
        if !self.is_caught_up() {
            return Ok(Next::Idle);
        }
        if self.judge_due().await? == Next::Again {
            return Ok(Next::Again);
        }
        self.checkpoint(busy).await
    }

    async fn release(&mut self, why: Release) -> Result<(), WorkError> {
        if why == Release::Lost || self.position.is_none() {
            return Ok(());
        }
        self.settle().await?;
        self.relay().await?;
        self.last_checkpoint().await
    }
}

/// A database error as the consumer understands it.
pub(crate) fn work_error(error: StoreError) -> WorkError {
    if error.is_retryable() { WorkError::Unavailable(error.into()) } else { WorkError::Fatal(error.into()) }
}
