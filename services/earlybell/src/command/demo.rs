//! `earlybell demo`: an invented county streams its registers through all services in one process, and what came of it is
//! checked against `backtest` of the same registers.

mod check;
mod ground;
mod pace;
mod screen;
mod services;
mod summary;

use super::backtest::judged;
use super::backtest::read::Input;
use super::backtest::write::Refused;
use crate::sender::{self, Sender};
use anyhow::{Context, anyhow, bail};
use check::Found;
use clap::Args;
use ground::Ground;
use pace::Pace;
use screen::Screen;
use service::config::Settings;
use service::lifecycle::{DRAIN, Lifecycle, Signals};
use service::telemetry;
use simulator::{County, Options, Stream, Truth};
use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::delivery;
use summary::{Sent, Summary};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// School days from September on; without it the autumn term.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=190))]
    days: Option<u16>,
    /// School days a second.
    #[arg(long, value_name = "N", default_value_t = 2.0, value_parser = sender::speed)]
    speed: f64,
    /// As fast as the pipeline takes it.
    #[arg(long, conflicts_with = "speed")]
    headless: bool,
    /// Prints the summary as one JSON object.
    #[arg(long)]
    json: bool,
    /// The same seed gives the same county, everywhere.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many schools, at least 3.
    #[arg(long, default_value_t = 40)]
    schools: usize,
    /// How many pupils, at least 20 a school.
    #[arg(long, default_value_t = 8_000)]
    pupils: usize,
    /// Where everything lies, the messages too; emptied at the start.
    #[arg(long, value_name = "DIR", default_value = "earlybell-demo")]
    folder: PathBuf,
    /// A real Kafka instead of the embedded one: host:port. Its topics must be new.
    #[arg(long, value_name = "BROKERS", requires = "database")]
    brokers: Option<String>,
    /// A real, empty PostgreSQL database: postgres://…
    #[arg(long, value_name = "URL", requires = "brokers")]
    database: Option<String>,
}

/// What ends a demonstration before its time.
#[derive(Clone)]
struct Stops {
    /// Sends no more; what was sent is processed.
    enough: CancellationToken,
    /// The services stop.
    now: CancellationToken,
}

impl Demo {
    pub(crate) fn run(&self, config: Option<PathBuf>) -> anyhow::Result<ExitCode> {
        if let Some(config) = config {
            bail!("a demonstration has settings of its own, and reads no {}; leave --config out", config.display());
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let outcome = runtime.block_on(self.play());
        runtime.shutdown_timeout(Duration::from_secs(1));
        outcome
    }

    async fn play(&self) -> anyhow::Result<ExitCode> {
        let signals = Signals::of_process()?;
        let options = Options { schools: self.schools, pupils: self.pupils, ..Options::default() };
        let county = Arc::new(County::new(self.seed, options)?);
        let ground = Arc::new(Ground::prepare(self, &county).await?);
        log_to_file(&ground)?;
        let lifecycle = Lifecycle::new(DRAIN);
        let addresses = services::start(&ground, &lifecycle).await?;
        let (days, messages, log) = (self.days(&county), ground.messages(), ground.log());
        let screen = Screen::new(days);
        screen.say(&format!(
            "{} schools, {} pupils; messages land in {}",
            self.schools,
            self.pupils,
            messages.display()
        ));
        screen.say(&format!("metrics at http://{}/metrics, the log in {}", addresses.admin, log.display()));
        let sender = Sender::new(&format!("http://{}", addresses.ingest), &ground.key)?;
        let stops = Stops { enough: CancellationToken::new(), now: lifecycle.soft() };
        let (heard, shown) = (stops.clone(), screen.clone());
        lifecycle.serve("signals", move |end| heed(signals, heard, shown, end));
        let result: Arc<Mutex<Option<anyhow::Result<Summary>>>> = Arc::default();
        let (kept, ended) = (Arc::clone(&result), lifecycle.soft());
        let player = Player { county, ground, sender, screen: screen.clone(), stops, days, pause: self.pause() };
        lifecycle.run("demo", async move {
            let outcome = player.play().await;
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
            ended.cancel();
            Ok::<_, std::convert::Infallible>(())
        });
        let (_hand, by_hand) = Signals::by_hand();
        let outcome = lifecycle.finish(by_hand).await;
        screen.close();
        for failure in &outcome.failures {
            eprintln!("earlybell: {failure}");
        }
        let summary = result.lock().unwrap_or_else(PoisonError::into_inner).take();
        let summary = summary.ok_or_else(|| anyhow!("ended before it was over; see {}", log.display()))??;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&summary)?);
        } else {
            println!("{summary}");
            if summary.deliveries.is_empty() {
                println!("There was no message.");
            } else {
                println!("The messages are in {}", messages.display());
            }
        }
        let is_well = summary.verified && outcome.failures.is_empty();
        Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// How many school days are played.
    fn days(&self, county: &County) -> usize {
        let calendar = county.calendar();
        let autumn_ends = calendar.half_terms().get(1).map(|(_, last)| *last);
        let autumn = calendar.days().iter().filter(|day| autumn_ends.is_none_or(|last| **day <= last)).count();
        self.days.map_or(autumn, usize::from)
    }

    /// The time of a school day; none where it goes as fast as it can.
    fn pause(&self) -> Duration {
        if self.headless { Duration::ZERO } else { Duration::from_secs_f64(1.0 / self.speed) }
    }
}

/// The first signal ends the sending, the second everything.
async fn heed(mut signals: Signals, stops: Stops, screen: Screen, end: CancellationToken) {
    loop {
        tokio::select! { () = signals.next() => {}, () = end.cancelled() => return }
        if stops.enough.is_cancelled() {
            stops.now.cancel();
        } else {
            screen.say("no more is sent; what was sent is processed to its end (again: at once)");
            stops.enough.cancel();
        }
    }
}

/// The terminal is for people: what the services log goes to a file.
fn log_to_file(ground: &Ground) -> anyhow::Result<()> {
    let file = File::create(ground.log()).with_context(|| format!("cannot write {}", ground.log().display()))?;
    let settings: &Settings = &ground.settings;
    telemetry::init_to(&settings.log, Arc::new(file))?;
    Ok(())
}

/// Sends the term and looks at what came of it.
struct Player {
    county: Arc<County>,
    ground: Arc<Ground>,
    sender: Sender,
    screen: Screen,
    stops: Stops,
    days: usize,
    pause: Duration,
}

impl Player {
    async fn play(&self) -> anyhow::Result<Summary> {
        let stop_watching = self.stops.now.child_token();
        let watching = self.screen.clone().watch(self.ground.store.clone(), stop_watching.clone());
        let playing = async {
            let played = self.term().await;
            stop_watching.cancel();
            played
        };
        let ((), played) = tokio::join!(watching, playing);
        played
    }

    async fn term(&self) -> anyhow::Result<Summary> {
        self.sender.ask().await?;
        let begun = Instant::now();
        let mut pace = Pace::new(&self.ground)?;
        let truth = Truth::new(&self.county);
        let (mut input, mut days) = (Input::default(), 0);
        for day in Stream::new(&self.county, &truth).take(self.days) {
            if self.stops.enough.is_cancelled() || self.stops.now.is_cancelled() {
                break;
            }
            tokio::time::sleep_until(begun + self.pause * u32::try_from(days)?).await;
            pace.room(self.sender.counts.marks(), &self.stops.now).await?;
            let day = self.sender.day(day).await?;
            days += 1;
            self.screen.day(days, &day.date.strftime("%-d %b %Y").to_string(), &self.sender.counts);
            input.day(&day)?;
        }
        pace.drained(&self.stops.now).await?;
        let seconds = begun.elapsed().as_secs_f64();
        let found = match input.last_year() {
            Some(year) => {
                let policy = &self.ground.policy;
                let bench = judged::Bench { standard: policy.standard(), policy: Some(policy) };
                let expected = judged::judge(&mut input, year, bench, Refused::default())?;
                check::check(&self.ground, &expected).await?
            }
            // Ended before the first day.
            None => Found::default(),
        };
        let counts = &self.sender.counts;
        let sent = Sent {
            schools: self.county.schools().len(),
            days,
            registers: counts.registers(),
            marks: counts.marks(),
            rejected: counts.rejected(),
            seconds,
        };
        Ok(Summary::of(&sent, found, delivery::tally(&self.ground.store).await?))
    }
}
