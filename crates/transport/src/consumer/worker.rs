//! What a service does with one partition. Takes over, applies batches, ticks, lets go; keeps the durable position.

use std::error::Error;
use std::future::Future;

use tokio::time::Instant;

use crate::message::Message;

/// Where to read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// No position is stored: from the oldest message.
    Beginning,
    /// The next offset to read.
    At(i64),
}

/// Where a partition ended when Kafka told so last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The offset that the next message gets.
    pub offset: i64,
    /// Until when this may be taken for true: after it, who told it is silent, or we were frozen.
    pub holds_until: Instant,
}

impl End {
    /// Whether nothing is known to wait for a reader whose next offset this is.
    pub fn is_reached(self, next_offset: i64) -> bool {
        self.offset <= next_offset && Instant::now() < self.holds_until
    }
}

/// Whether a tick has more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing before the next batch or tick.
    Idle,
    /// Call again at once (a batch that waits comes first).
    Again,
}

/// Why a worker lets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// The group gives the partition to somebody else, who waits for us: still ours to write.
    Orderly,
    /// The partition is somebody else's already: writing will be refused.
    Lost,
    /// The process stops: still ours to write.
    Closing,
}

/// The cause inside a [`WorkError`].
pub type Cause = Box<dyn Error + Send + Sync>;

/// Why a call of a worker failed.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The position row was moved by somebody else: this worker is dropped with all it remembers; a new one takes over
    /// after a growing pause, if the group still names the partition.
    #[error("somebody else has taken the partition over: {0}")]
    Fenced(Cause),
    /// Database or broker away: the same call comes again after a growing pause.
    #[error("not now: {0}")]
    Unavailable(Cause),
    /// Going on would do harm: the process ends, naming the partition.
    #[error("cannot go on: {0}")]
    Fatal(Cause),
}

impl WorkError {
    /// Whether the same call can succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// The work on one partition. Calls never overlap and are never cancelled, so they may hold a transaction; each attempt
/// has to end within `stall`.
pub trait Worker: Send + 'static {
    /// Takes the partition over and gives the durable position. Comes first, once (again only after `Unavailable`).
    fn claim(&mut self) -> impl Future<Output = Result<Start, WorkError>> + Send;

    /// Applies messages: ascending offsets of this partition, at least one. Durable when `Ok`. After `Unavailable` the
    /// same messages come again.
    fn batch(&mut self, messages: Vec<Message>) -> impl Future<Output = Result<(), WorkError>> + Send;

    /// What is due besides messages: called after every batch and at least every `tick`. `end`: the partition's, once it is known.
    fn tick(&mut self, end: Option<End>) -> impl Future<Output = Result<Next, WorkError>> + Send;

    /// Lets go; comes last, once. An error is logged and changes nothing.
    fn release(&mut self, why: Release) -> impl Future<Output = Result<(), WorkError>> + Send;
}
