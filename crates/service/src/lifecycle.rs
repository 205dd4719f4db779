//! From start to stop: takes a service's tasks and the process's signals, gives an [`Outcome`] with its exit code.
//!
//! The first SIGTERM or SIGINT, or the first task that fails, cancels the **soft** token: take no new work, finish what
//! is in hand. The second signal, or the end of the drain time, cancels the **hard** token: every task is dropped where
//! it waits, which is as safe as a crash. When all tasks have ended, those that serve to the end (the operators' port)
//! are told to end too.

use std::error::Error;
use std::future::Future;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What a stop may take: the promise to operators.
pub const DRAIN: Duration = Duration::from_secs(10);
/// What of it requests in flight have; a second is left for the rest.
pub const HTTP_DRAIN: Duration = DRAIN.saturating_sub(Duration::from_secs(1));

/// What tasks may take to be dropped, and the operators' port to close.
const CLOSING: Duration = Duration::from_secs(1);

/// Any error of a task.
type BoxError = Box<dyn Error + Send + Sync>;

/// A task that did not end well.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("task {task} failed: {problem}")]
pub struct Failure {
    /// The task's name.
    pub task: &'static str,
    /// Its error with all causes.
    pub problem: String,
}

/// How the tasks ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All by themselves.
    Drained,
    /// Some had to be dropped when the drain time was over.
    OutOfTime,
    /// Some had to be dropped at the second signal.
    SecondSignal,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How the tasks ended.
    pub ending: Ending,
    /// What failed, in order; the first is why the process stopped.
    pub failures: Vec<Failure>,
}

impl Outcome {
    /// 0: drained. 1: a task failed. 3: tasks had to be dropped. (2 is a wrong command line.)
    pub fn code(&self) -> u8 {
        match self.ending {
            _ if !self.failures.is_empty() => 1,
            Ending::Drained => 0,
            Ending::OutOfTime | Ending::SecondSignal => 3,
        }
    }

    /// The exit code of `main`.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }
}

/// The signals that ask a process to stop.
#[derive(Debug)]
pub struct Signals(Sender);

#[derive(Debug)]
enum Sender {
    Process { terminate: Signal, interrupt: Signal },
    Hand(mpsc::UnboundedReceiver<()>),
}

/// The process's signals cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("signals cannot be caught: {0}; run where the system allows it")]
pub struct SignalsError(#[from] std::io::Error);

impl Signals {
    /// SIGTERM and SIGINT of this process, from now on.
    ///
    /// # Errors
    /// The system does not allow to catch them.
    pub fn of_process() -> Result<Self, SignalsError> {
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self(Sender::Process { terminate, interrupt }))
    }

    /// Signals that somebody else sends: a test, or the demo's own end.
    pub fn by_hand() -> (mpsc::UnboundedSender<()>, Self) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (sender, Self(Sender::Hand(receiver)))
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        match &mut self.0 {
            Sender::Process { terminate, interrupt } => {
                tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            }
            Sender::Hand(receiver) => {
                if receiver.recv().await.is_none() {
                    std::future::pending::<()>().await;
                }
            }
        }
    }
}

/// The tasks of a process and its way to the end. Clones are the same lifecycle.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    soft: CancellationToken,
    hard: CancellationToken,
    drained: CancellationToken,
    work: TaskTracker,
    background: TaskTracker,
    failures: Arc<Mutex<Vec<Failure>>>,
    drain: Duration,
}

impl Lifecycle {
    /// A lifecycle whose drain takes at most `drain`: [`DRAIN`] in production.
    pub fn new(drain: Duration) -> Self {
        Self {
            soft: CancellationToken::new(),
            hard: CancellationToken::new(),
            drained: CancellationToken::new(),
            work: TaskTracker::new(),
            background: TaskTracker::new(),
            failures: Arc::default(),
            drain,
        }
    }

    /// Cancelled when the service should finish what it has in hand and end. Cancelling it stops the service.
    pub fn soft(&self) -> CancellationToken {
        self.soft.clone()
    }

    /// Cancelled when the service must end at once.
    pub fn hard(&self) -> CancellationToken {
        self.hard.clone()
    }

    /// For what spawns tasks of its own: a stop waits for them, and the hard token must end them.
    pub fn tracker(&self) -> TaskTracker {
        self.work.clone()
    }

    /// Runs a task. It ends itself when the soft token is cancelled; an error or a panic stops the service, an end
    /// without error does not.
    pub fn run<F, E>(&self, task: &'static str, future: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        self.watch(&self.work, task, async move { future.await.map_err(Into::into) });
    }

    /// Runs what serves until all tasks have ended. It ends itself when the token that it is given is cancelled.
    pub fn serve<S, F>(&self, task: &'static str, serve: S)
    where
        S: FnOnce(CancellationToken) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let future = serve(self.drained.clone());
        self.watch(&self.background, task, async move {
            future.await;
            Ok(())
        });
    }

    /// Waits for the end: a signal, a failure, or that all tasks have ended by themselves; then sees to it.
    ///
    /// After an ending other than [`Ending::Drained`] blocking threads may still run: leave the runtime by
    /// `shutdown_background`, so that the process ends.
    pub async fn finish(&self, mut signals: Signals) -> Outcome {
        self.work.close();
        let mut received = 0;
        tokio::select! {
            () = self.soft.cancelled() => {}
            () = self.work.wait() => {}
            () = signals.next() => received = 1,
        }
        tracing::info!(lifecycle.signals = received, "stopping: finishing what is in hand");
        self.soft.cancel();
        let ending = tokio::select! {
            biased;
            () = self.work.wait() => Ending::Drained,
            () = second(&mut signals, received) => Ending::SecondSignal,
            () = tokio::time::sleep(self.drain) => Ending::OutOfTime,
        };
        if ending != Ending::Drained {
            tracing::warn!(lifecycle.tasks = self.work.len(), "stopping at once: tasks are dropped where they wait");
            self.hard.cancel();
        }
        self.drained.cancel();
        self.background.close();
        let closed = async { tokio::join!(self.work.wait(), self.background.wait()) };
        if tokio::time::timeout(CLOSING, closed).await.is_err() {
            tracing::warn!("some tasks do not yield: left behind");
        }
        Outcome { ending, failures: self.failures.lock().unwrap_or_else(PoisonError::into_inner).clone() }
    }

    fn watch<F>(&self, tracker: &TaskTracker, task: &'static str, future: F)
    where
        F: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let hard = self.hard.clone();
        let running = tracker.spawn(async move {
            tokio::select! { ended = future => Some(ended), () = hard.cancelled() => None }
        });
        let lifecycle = self.clone();
        tracker.spawn(async move { lifecycle.ended(task, running).await });
    }

    async fn ended(&self, task: &'static str, running: JoinHandle<Option<Result<(), BoxError>>>) {
        let problem = match running.await {
            Ok(Some(Ok(()))) => return tracing::debug!(task.name = task, "task ended"),
            Ok(None) => return tracing::warn!(task.name = task, "task was dropped"),
            Ok(Some(Err(error))) => with_causes(error.as_ref()),
            Err(error) => error.to_string(),
        };
        let failure = Failure { task, problem };
        tracing::error!(task.name = task, "{failure}");
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
        self.soft.cancel();
    }
}

/// Until the second signal, `received` of which have come.
async fn second(signals: &mut Signals, received: usize) {
    for _ in received..2 {
        signals.next().await;
    }
}

fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        texts.push(error.to_string());
        cause = error.source();
    }
    // Errors that show their source themselves would say it twice.
    texts.dedup_by(|later, earlier| earlier.ends_with(later.as_str()));
    texts.join(": ")
}
