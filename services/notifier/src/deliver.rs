//! One attempt at one delivery: sends, then writes down what became of it. When the next attempt is due is decided here,
//! by pure functions of the attempt's number, a draw and what the receiver asked for.

use crate::message::Told;
use crate::metrics::{Metrics, OutcomeLabel};
use crate::receiver::{self, Outgoing, SendError};
use attendance::Timestamp;
use policy::receivers::{Patience, Receiver};
use service::clock::Clock;
use service::egress::Egress;
use std::time::Duration;
use store::delivery::{self, Leased};
use store::{CommitError, Store, StoreError};

/// After a database that did not answer, before writing an outcome down again.
const PAUSE: Duration = Duration::from_millis(250);
/// The longest that an error is kept.
const LONGEST_ERROR: usize = 500;

/// What attempts are made with.
#[derive(Clone)]
pub(crate) struct Deliverer {
    pub(crate) store: Store,
    pub(crate) egress: Egress,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    /// The settings' limits, where a receiver has none of its own.
    pub(crate) settings: service::config::Notifier,
}

/// What becomes of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Delivered,
    /// Again at this moment.
    Again(String, i64),
    GiveUp(String),
}

impl Deliverer {
    pub(crate) fn attempt_timeout(&self, patience: &Patience) -> Duration {
        patience.attempt_timeout.unwrap_or(self.settings.attempt_timeout)
    }

    /// Makes one attempt; `draw` is 0 to 1.
    pub(crate) async fn attempt(self, receiver: Receiver, leased: Leased, draw: f64) {
        service::fault::point("notifier.deliver.before_send");
        let sent = self.send(&receiver, &leased).await;
        service::fault::point("notifier.deliver.after_send");
        let now = self.clock.wall_now();
        let give_up_after = receiver.patience.give_up_after.unwrap_or(self.settings.give_up_after);
        let verdict = judge(sent, &leased, pause(&receiver.patience, leased.attempt, draw), give_up_after, now);
        match &verdict {
            Verdict::Delivered => {
                tracing::info!(
                    register.id = leased.register_id,
                    receiver.name = receiver.name,
                    message.id = leased.message_id,
                    "a message was delivered"
                );
            }
            Verdict::Again(error, _) => {
                tracing::warn!(
                    register.id = leased.register_id,
                    receiver.name = receiver.name,
                    message.id = leased.message_id,
                    attempt = leased.attempt,
                    error,
                    "a message did not arrive; it is tried again"
                );
            }
            Verdict::GiveUp(error) => {
                tracing::error!(
                    register.id = leased.register_id,
                    receiver.name = receiver.name,
                    message.id = leased.message_id,
                    error,
                    "a message is given up; `earlybell deliveries replay` tries it anew"
                );
            }
        }
        let lease = self.lease(&receiver.patience);
        if tokio::time::timeout(lease, self.write_down(&leased, &verdict, now)).await.is_err() {
            tracing::warn!(
                message.id = leased.message_id,
                "what became of a message was not written down: it goes again"
            );
            return;
        }
        let outcome = match verdict {
            Verdict::Delivered => OutcomeLabel::Delivered,
            Verdict::Again(..) => OutcomeLabel::Failed,
            Verdict::GiveUp(_) => OutcomeLabel::GivenUp,
        };
        self.metrics.deliveries(&receiver.name, outcome).inc();
        if matches!(outcome, OutcomeLabel::Delivered) && leased.received_at > 0 {
            self.metrics.received_to_delivered_seconds.observe(seconds(now.micros() - leased.received_at));
        }
    }

    /// How long an attempt owns its delivery: longer than it can take.
    pub(crate) fn lease(&self, patience: &Patience) -> Duration {
        self.attempt_timeout(patience) * 2 + Duration::from_secs(2)
    }

    async fn send(&self, receiver: &Receiver, leased: &Leased) -> Result<(), SendError> {
        let message: Told = serde_json::from_str(&leased.body).map_err(SendError::later)?;
        let timeout = self.attempt_timeout(&receiver.patience);
        let outgoing = Outgoing { id: &leased.message_id, message: &message, at: self.clock.wall_now(), timeout };
        receiver::send(&self.egress, receiver, outgoing).await
    }

    /// Writes it down, again and again while the database is away: the caller sets the limit.
    async fn write_down(&self, leased: &Leased, verdict: &Verdict, now: Timestamp) {
        loop {
            match self.write_once(leased, verdict, now.micros()).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, "what became of a message cannot be written down yet"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Doing it twice changes nothing: it holds for this attempt's number only.
    async fn write_once(&self, leased: &Leased, verdict: &Verdict, now: i64) -> Result<(), StoreError> {
        let mut tx = self.store.begin().await?;
        match verdict {
            Verdict::Delivered => delivery::delivered(&mut tx, leased, now).await?,
            Verdict::Again(error, next_at) => delivery::failed(&mut tx, leased, error, now, *next_at).await?,
            Verdict::GiveUp(error) => delivery::give_up(&mut tx, leased, error, now).await?,
        };
        tx.commit().await.map_err(CommitError::into_cause)
    }
}

fn judge(
    sent: Result<(), SendError>,
    leased: &Leased,
    pause: Duration,
    give_up_after: Duration,
    now: Timestamp,
) -> Verdict {
    let (text, after) = match sent {
        Ok(()) => return Verdict::Delivered,
        Err(SendError::Never(text)) => return Verdict::GiveUp(shortened(&text)),
        Err(SendError::Later { text, after }) => (shortened(&text), after.unwrap_or_default()),
    };
    let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    // Who asks for a day's pause is asked at least once an hour.
    let pause = pause.max(after.min(Duration::from_hours(1)));
    let next_at = now.micros().saturating_add(micros(pause));
    if next_at > leased.tried_since.saturating_add(micros(give_up_after)) {
        return Verdict::GiveUp(text);
    }
    Verdict::Again(text, next_at)
}

/// A pause that doubles with each failure up to the longest; the half of it is drawn, so that many that failed together do
/// not come back together.
fn pause(patience: &Patience, attempt: i32, draw: f64) -> Duration {
    let failures = u32::try_from(attempt.saturating_sub(1)).unwrap_or(0);
    let bound = patience.first_pause.saturating_mul(2_u32.saturating_pow(failures)).min(patience.longest_pause);
    bound / 2 + (bound / 2).mul_f64(draw.clamp(0.0, 1.0))
}

/// What a mail server or a library says can be long, and a NUL is no text to PostgreSQL.
fn shortened(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !c.is_control()).take(LONGEST_ERROR).collect();
    if plain.is_empty() { "no reason given".to_owned() } else { plain }
}

#[expect(clippy::cast_precision_loss, reason = "a span in microseconds is far below 2^52")]
fn seconds(micros: i64) -> f64 {
    micros.max(0) as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        attempt_timeout: None,
        give_up_after: None,
        first_pause: Duration::from_secs(4),
        longest_pause: Duration::from_mins(1),
        workers: 1,
    };

    fn leased() -> Leased {
        let (message_id, body) = (String::new(), String::new());
        Leased { id: 1, message_id, body, register_id: String::new(), received_at: 0, tried_since: 0, attempt: 1 }
    }

    fn later(after: Option<u64>) -> Result<(), SendError> {
        Err(SendError::Later { text: "500".into(), after: after.map(Duration::from_secs) })
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_half_of_each_is_drawn() {
        let pauses = [1, 2, 3, 5, 40].map(|attempt| pause(&PATIENCE, attempt, 1.0).as_secs());
        assert_eq!(pauses, [4, 8, 16, 60, 60]);
        assert_eq!(pause(&PATIENCE, 2, 0.0), Duration::from_secs(4));
    }

    #[test]
    fn a_receiver_is_not_asked_before_it_allows_it() {
        let judge = |after| {
            judge(later(after), &leased(), Duration::from_secs(4), Duration::from_hours(24), Timestamp::from_micros(0))
        };
        assert_eq!(judge(None), Verdict::Again("500".into(), 4_000_000));
        assert_eq!(judge(Some(30)), Verdict::Again("500".into(), 30_000_000));
        assert_eq!(judge(Some(86_400)), Verdict::Again("500".into(), 3_600_000_000));
    }

    #[test]
    fn after_its_time_a_delivery_is_given_up_and_what_is_gone_at_once() {
        let (pause, hour) = (Duration::from_secs(4), Duration::from_hours(1));
        let late = Timestamp::from_micros(3_599_000_000);
        assert_eq!(judge(later(None), &leased(), pause, hour, late), Verdict::GiveUp("500".into()));
        let gone = Err(SendError::Never("410".into()));
        assert_eq!(judge(gone, &leased(), pause, hour, Timestamp::from_micros(0)), Verdict::GiveUp("410".into()));
    }
}
