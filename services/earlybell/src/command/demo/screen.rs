//! What a person sees while a demonstration runs, on standard error: a bar over the term, rates, alerts as they are raised,
//! deliveries by team. Where it is no terminal: a line now and then.

use crate::sender::Counts;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use notifier::Message;
use std::io::{self, IsTerminal};
use std::time::Duration;
use store::{Store, delivery};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Between two looks at what was raised.
const LOOK_EVERY: Duration = Duration::from_millis(700);
/// Alerts shown a look: more, nobody can read.
const SHOWN: usize = 4;
/// Alerts read a look.
const READ: u32 = 1_000;
/// Days between two lines where there is no terminal.
const DAYS_A_LINE: usize = 10;

/// The screen. Clones are the same screen.
#[derive(Clone)]
pub(crate) struct Screen {
    bars: MultiProgress,
    term: ProgressBar,
    teams: ProgressBar,
    is_terminal: bool,
    begun: Instant,
}

impl Screen {
    /// A bar over so many school days.
    pub(crate) fn new(days: usize) -> Self {
        let is_terminal = io::stderr().is_terminal();
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(8));
        let term = bars.add(ProgressBar::new(u64::try_from(days).unwrap_or(u64::MAX)));
        let style = ProgressStyle::with_template("{bar:30.cyan} day {pos}/{len}  {msg}");
        term.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let teams = bars.add(ProgressBar::no_length());
        let style = ProgressStyle::with_template("{msg}");
        teams.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        Self { bars, term, teams, is_terminal, begun: Instant::now() }
    }

    /// A line above the bars.
    pub(crate) fn say(&self, line: &str) {
        if self.is_terminal {
            self.bars.println(line).ok();
        } else {
            eprintln!("{line}");
        }
    }

    /// A school day was sent.
    pub(crate) fn day(&self, number: usize, date: &str, counts: &Counts) {
        self.term.set_position(u64::try_from(number).unwrap_or(u64::MAX));
        let (registers, marks) = (counts.registers(), counts.marks());
        let line = format!(
            "{date}  {registers} registers ({}/s)  {marks} marks ({}/s)",
            self.rate(registers),
            self.rate(marks)
        );
        if !self.is_terminal && number.is_multiple_of(DAYS_A_LINE) {
            eprintln!("day {number}: {line}");
        }
        self.term.set_message(line);
    }

    fn rate(&self, count: u64) -> u64 {
        count * 1_000 / u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }

    /// Takes the bars away.
    pub(crate) fn close(&self) {
        self.term.finish_and_clear();
        self.teams.finish_and_clear();
    }

    /// Shows alerts and deliveries until it is stopped.
    pub(crate) async fn watch(self, store: Store, stop: CancellationToken) {
        let mut last = 0;
        while !stop.is_cancelled() {
            // The database may be busy: the next look shows it.
            if let Ok(rows) = delivery::put_since(&store, last, READ).await {
                last = rows.last().map_or(last, |(id, _)| *id);
                let messages = rows.iter().filter_map(|(_, body)| serde_json::from_str(body).ok());
                self.alerts(&messages.collect::<Vec<_>>());
            }
            if let Ok(tally) = delivery::tally(&store).await {
                let delivered = tally.iter().filter(|tally| tally.state == "delivered");
                let teams: Vec<String> = delivered.map(|tally| format!("{} {}", tally.receiver, tally.count)).collect();
                self.teams.set_message(format!("delivered: {}", teams.join(", ")));
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    fn alerts(&self, messages: &[Message]) {
        if !self.is_terminal {
            return;
        }
        for message in messages.iter().take(SHOWN) {
            let locality = message.locality.as_deref().unwrap_or("no locality");
            // Of several changes of a case the gravest.
            if let Some(said) = message.changes.first() {
                self.say(&format!("{locality:19}  {:9}  {:29}  {}", said.change, said.level, said.sentence));
            }
        }
        if messages.len() > SHOWN {
            self.say(&format!("{:19}  and {} more", "", messages.len() - SHOWN));
        }
    }
}
