//! Runs a command beside a real Kafka and a real PostgreSQL, which it starts before and stops after: `with-servers COMMAND ARGS…`.
//! In the arguments `{brokers}` stands for Kafka's address, `{database}` for that of an empty database. Ends as the command does.

use std::process::{Command, ExitCode};
use support::{Kafka, KafkaOptions, Postgres};
use tokio::task::JoinSet;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("with-servers: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let program = arguments.next().ok_or("usage: with-servers COMMAND ARGS…, with {brokers} and {database} in them")?;
    // Ctrl-C goes to the command too, which ends in order; the servers must outlive it.
    let mut passing_over = JoinSet::new();
    passing_over.spawn(async { while tokio::signal::ctrl_c().await.is_ok() {} });
    eprintln!("starting Kafka and PostgreSQL");
    let kafka = tokio::task::spawn_blocking(|| Kafka::start(&KafkaOptions::default()));
    let postgres = tokio::task::spawn_blocking(Postgres::start);
    let (kafka, postgres) = (kafka.await??, postgres.await??);
    let database = postgres.create_database().await?;
    let filled = |text: String| text.replace("{brokers}", kafka.brokers()).replace("{database}", &database);
    let mut command = Command::new(&program);
    command.args(arguments.map(filled));
    let status = tokio::task::spawn_blocking(move || command.status()).await??;
    tokio::task::spawn_blocking(move || drop((kafka, postgres))).await?;
    Ok(ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)))
}
