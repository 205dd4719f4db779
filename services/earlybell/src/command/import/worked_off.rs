//! The end of an import: once all that it has sent is judged and applied to cases, each team gets one summary.

use super::Desk;
use crate::pipeline::{Pipeline, Reached};
use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use prost::Message as _;
use proto::v1;
use service::clock::Clock;
use std::time::Duration;
use store::outbox;
use transport::{Outgoing, Topic};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Waits until the services have worked off what was sent, then tells the notifier that import `id` is done.
pub(super) async fn finish(desk: &Desk, pipeline: &Pipeline, id: &str) -> anyhow::Result<()> {
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(LOOK_EVERY);
    // Each stage up to where it stood when the one before it had come to its end: what schools send meanwhile does not count.
    reached(pipeline, &Topic::registers(), &bar).await?;
    reached(pipeline, &Topic::events(), &bar).await?;
    let judged = Clock::wall().wall_now().micros();
    while outbox::backlog(&pipeline.store).await?.iter().any(|waiting| waiting.oldest_put_at <= judged) {
        bar.set_message("waiting for alert changes to reach Kafka");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    reached(pipeline, &Topic::alerts(), &bar).await?;
    bar.finish_and_clear();
    let done = v1::ImportDone { import_id: id.as_bytes().to_vec() };
    let batch = v1::AlertBatch { import_done: Some(done), ..Default::default() };
    let message =
        Outgoing { partition: Some(0), ..Outgoing::keyed(Topic::alerts(), Vec::new(), batch.encode_to_vec()) };
    desk.producer.send_all(vec![message]).await.context("the summaries were not asked for; run the same command again")
}

async fn reached(pipeline: &Pipeline, topic: &Topic, bar: &ProgressBar) -> anyhow::Result<()> {
    let ends = pipeline.ends(topic).await?;
    loop {
        let behind = pipeline.behind(topic, &ends, Reached::Position).await?;
        if behind == 0 {
            return Ok(());
        }
        bar.set_message(format!(
            "{behind} messages of {topic} to be worked off by the services (Ctrl-C does no harm: run the same command again)"
        ));
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
