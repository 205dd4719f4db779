//! The task around one worker: takes messages and a dismissal from the loop, makes one call at a time, repeats what is
//! unavailable, gives reports. Keeps the messages that wait. Calls are never cancelled: a worker may be inside a
//! transaction.

use std::collections::VecDeque;
use std::fmt::Display;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::consumer::assignment::Tenure;
use crate::consumer::budget::Load;
use crate::consumer::worker::{self, Next, Release, Start, WorkError, Worker};
use crate::message::Message;
use crate::topic::TopicPartition;

/// The pause before an unavailable call is repeated, the first time and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// What a desk reports to the loop.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) at: TopicPartition,
    pub(crate) tenure: Tenure,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    Claimed(Start),
    Applied {
        next_offset: i64,
        load: Load,
    },
    Retrying(String),
    /// The end of the tenure: refused.
    Fenced(String),
    /// The end of the tenure: let go, with the error of `release` if it had one.
    Released(Option<String>),
    /// The end of the tenure and of the process.
    Failed(String),
    /// The call named takes too long; it goes on.
    Stalled(&'static str),
    /// The task ended without any of the above: the worker panicked.
    Gone,
}

/// What a desk keeps to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) batch: Load,
    pub(crate) tick: Duration,
    pub(crate) stall: Duration,
}

/// The loop's side of a desk.
#[derive(Debug)]
pub(crate) struct Hatch {
    pub(crate) tenure: Tenure,
    pub(crate) inbox: mpsc::UnboundedSender<Message>,
    pub(crate) dismissal: oneshot::Sender<Release>,
    pub(crate) end: watch::Sender<Option<worker::End>>,
}

/// Tells the loop who speaks; on its own end says `Gone` unless the tenure was ended in words.
struct Voice {
    at: TopicPartition,
    tenure: Tenure,
    reports: mpsc::UnboundedSender<Report>,
    ended: bool,
}

impl Voice {
    fn say(&mut self, what: What) {
        self.ended |= matches!(what, What::Fenced(_) | What::Released(_) | What::Failed(_));
        let report = Report { at: self.at.clone(), tenure: self.tenure, what };
        if self.reports.send(report).is_err() {
            tracing::debug!(at = %self.at, "the consumer is gone, nobody hears this worker");
        }
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        if !self.ended {
            self.say(What::Gone);
        }
    }
}

/// The worker's side.
pub(crate) struct Desk {
    voice: Voice,
    rules: Rules,
    inbox: mpsc::UnboundedReceiver<Message>,
    dismissal: oneshot::Receiver<Release>,
    end: watch::Receiver<Option<worker::End>>,
    waiting: VecDeque<Message>,
    pause: Duration,
}

/// Why the work ended.
enum End {
    Dismissed(Release),
    Fenced(String),
    Fatal(String),
}

impl End {
    /// The loop letting go of its side counts as a dismissal: nobody waits for us any more.
    fn told<E>(why: Result<Release, E>) -> Self {
        Self::Dismissed(why.unwrap_or(Release::Lost))
    }
}

impl Desk {
    /// A desk and the loop's side of it.
    pub(crate) fn new(
        at: TopicPartition,
        tenure: Tenure,
        rules: Rules,
        reports: mpsc::UnboundedSender<Report>,
    ) -> (Self, Hatch) {
        let (sender, inbox) = mpsc::unbounded_channel();
        let (dismissal, dismissed) = oneshot::channel();
        let (end, ends) = watch::channel(None);
        let voice = Voice { at, tenure, reports, ended: false };
        let waiting = VecDeque::new();
        let desk = Self { voice, rules, inbox, dismissal: dismissed, end: ends, waiting, pause: PAUSES.0 };
        (desk, Hatch { tenure, inbox: sender, dismissal, end })
    }

    /// Serves the partition until the tenure ends, which is its last report.
    pub(crate) async fn serve<W: Worker>(mut self, mut worker: W) {
        let end = match self.work(&mut worker).await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        let last = match end {
            End::Fenced(cause) => What::Fenced(cause),
            End::Fatal(cause) => What::Failed(cause),
            End::Dismissed(why) => match self.watch("release", worker.release(why)).await {
                Ok(()) => What::Released(None),
                Err(WorkError::Fatal(cause)) => What::Failed(cause.to_string()),
                Err(error) => What::Released(Some(error.to_string())),
            },
        };
        // The worker's memory goes before a successor can be made.
        drop(worker);
        self.voice.say(last);
    }

    async fn work<W: Worker>(&mut self, worker: &mut W) -> Result<std::convert::Infallible, End> {
        let start = loop {
            match self.watch("claim", worker.claim()).await {
                Ok(start) => break start,
                Err(error) => self.absorb(error).await?,
            }
        };
        self.settled();
        self.voice.say(What::Claimed(start));
        loop {
            self.leave_if_told()?;
            self.batch(worker).await?;
            self.leave_if_told()?;
            let next = self.tick(worker).await?;
            self.collect();
            if next == Next::Idle && self.waiting.is_empty() {
                self.rest().await?;
            }
        }
    }

    async fn batch<W: Worker>(&mut self, worker: &mut W) -> Result<(), End> {
        let (messages, load) = self.next_batch();
        let Some(last) = messages.last() else { return Ok(()) };
        let next_offset = last.offset + 1;
        loop {
            match self.watch("batch", worker.batch(messages.clone())).await {
                Ok(()) => break,
                Err(error) => self.absorb(error).await?,
            }
        }
        self.settled();
        self.voice.say(What::Applied { next_offset, load });
        Ok(())
    }

    async fn tick<W: Worker>(&mut self, worker: &mut W) -> Result<Next, End> {
        loop {
            let end = *self.end.borrow();
            match self.watch("tick", worker.tick(end)).await {
                Ok(next) => {
                    self.settled();
                    return Ok(next);
                }
                Err(error) => self.absorb(error).await?,
            }
        }
    }

    /// Waits for messages, the next tick or the dismissal.
    async fn rest(&mut self) -> Result<(), End> {
        let tick = Instant::now() + self.rules.tick;
        tokio::select! {
            // The dismissal first: a partition under load must let go too.
            biased;
            why = &mut self.dismissal => Err(End::told(why)),
            message = self.inbox.recv() => {
                self.waiting.extend(message);
                Ok(())
            }
            () = sleep_until(tick) => Ok(()),
        }
    }

    /// Runs one call to its end; says so once if that takes longer than `stall`.
    async fn watch<T>(&mut self, name: &'static str, call: impl Future<Output = T>) -> T {
        let mut call = pin!(call);
        if let Ok(done) = timeout(self.rules.stall, &mut call).await {
            return done;
        }
        self.voice.say(What::Stalled(name));
        call.await
    }

    /// `Unavailable`: waits a growing pause, unless dismissed meanwhile. The others end the tenure.
    async fn absorb(&mut self, error: WorkError) -> Result<(), End> {
        match error {
            WorkError::Fenced(cause) => Err(End::Fenced(cause.to_string())),
            WorkError::Fatal(cause) => Err(End::Fatal(cause.to_string())),
            WorkError::Unavailable(cause) => {
                self.retrying(&cause);
                let pause = self.pause;
                self.pause = (pause * 2).min(PAUSES.1);
                tokio::select! {
                    biased;
                    why = &mut self.dismissal => Err(End::told(why)),
                    () = sleep(pause) => Ok(()),
                }
            }
        }
    }

    fn retrying(&mut self, cause: &impl Display) {
        self.voice.say(What::Retrying(cause.to_string()));
    }

    fn settled(&mut self) {
        self.pause = PAUSES.0;
    }

    fn leave_if_told(&mut self) -> Result<(), End> {
        match self.dismissal.try_recv() {
            Err(oneshot::error::TryRecvError::Empty) => Ok(()),
            told => Err(End::told(told)),
        }
    }

    fn collect(&mut self) {
        while let Ok(message) = self.inbox.try_recv() {
            self.waiting.push_back(message);
        }
    }

    /// What is queued, cut by count and bytes; at least one message if there is any.
    fn next_batch(&mut self) -> (Vec<Message>, Load) {
        self.collect();
        let limit = self.rules.batch;
        let mut load = Load::default();
        let mut messages = Vec::with_capacity(self.waiting.len().min(limit.messages));
        while let Some(bytes) = self.waiting.front().map(Message::bytes) {
            let fits = load.messages < limit.messages && load.bytes + bytes <= limit.bytes;
            if !fits && !messages.is_empty() {
                break;
            }
            load.messages += 1;
            load.bytes += bytes;
            messages.extend(self.waiting.pop_front());
        }
        (messages, load)
    }
}
