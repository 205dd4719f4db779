//! The database server: it starts, gives each test a database, syncs, and comes back from a crash with its data.

use sqlx::{Connection, Executor, PgConnection};
use support::Postgres;

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

async fn marks(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM mark").fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn each_test_has_a_database_of_its_own() {
    let (one, other) = tokio::join!(support::postgres().create_database(), support::postgres().create_database());
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_ne!(one, other);
    let mut one = connect(&one).await;
    one.execute("CREATE TABLE mark (code text)").await.unwrap();
    let mut other = connect(&other).await;
    assert!(other.execute("SELECT FROM mark").await.is_err(), "the table shows in the other database");
}

#[tokio::test]
async fn the_server_syncs_unless_it_is_told_otherwise() {
    let mut connection = connect(&support::postgres().url("postgres")).await;
    let fsync: String = sqlx::query_scalar("SHOW fsync").fetch_one(&mut connection).await.unwrap();
    assert_eq!(fsync, "on");

    let quick = Postgres::start_with(&[("fsync", "off")]).unwrap();
    let mut connection = connect(&quick.url("postgres")).await;
    let fsync: String = sqlx::query_scalar("SHOW fsync").fetch_one(&mut connection).await.unwrap();
    assert_eq!(fsync, "off");
}

#[tokio::test]
async fn a_crash_keeps_what_was_committed_and_nothing_else() {
    let postgres = Postgres::start().unwrap();
    let url = postgres.create_database().await.unwrap();
    let mut connection = connect(&url).await;
    connection.execute("CREATE TABLE mark (code text)").await.unwrap();
    connection.execute("INSERT INTO mark VALUES ('N'), ('/')").await.unwrap();
    let mut unfinished = connect(&url).await;
    unfinished.execute("BEGIN").await.unwrap();
    unfinished.execute("INSERT INTO mark VALUES ('O')").await.unwrap();

    postgres.stop_immediate().unwrap();
    assert!(PgConnection::connect(&url).await.is_err(), "a stopped server still answers");
    assert!(unfinished.execute("COMMIT").await.is_err(), "a connection outlived the server");

    postgres.start_again().unwrap();
    assert_eq!(marks(&mut connect(&url).await).await, 2);
}

#[test]
fn a_bad_setting_fails_with_the_log() {
    let error = Postgres::start_with(&[("shared_buffers", "some")]).unwrap_err().to_string();
    assert!(error.contains("shared_buffers"), "{error}");
}
