//! Waiting by condition, and ports.

use std::collections::HashSet;
use std::time::Duration;

use support::{free_port, wait_until};

#[tokio::test]
async fn the_value_comes_as_soon_as_it_is_seen() {
    let mut looks = 0;
    let value = wait_until(Duration::from_secs(30), "the third look", async || {
        looks += 1;
        if looks == 3 { Ok(looks) } else { Err(format!("look {looks}")) }
    });
    assert_eq!(value.await.unwrap(), 3);
}

#[tokio::test]
async fn a_failure_tells_what_was_last_seen() {
    let look = async || Err::<(), _>("two alerts".to_owned());
    let error = wait_until(Duration::from_millis(50), "three alerts", look).await.unwrap_err().to_string();
    assert!(error.contains("for three alerts") && error.ends_with("last saw: two alerts"), "{error}");
}

#[tokio::test]
async fn a_look_that_hangs_does_not_outlive_the_deadline() {
    let look = async || std::future::pending::<Result<(), String>>().await;
    let error = wait_until(Duration::from_millis(50), "an answer", look).await.unwrap_err().to_string();
    assert!(error.ends_with("the first look did not end"), "{error}");
}

#[test]
fn ports_differ_and_can_be_bound() {
    let ports: Vec<u16> = (0..50).map(|_| free_port().unwrap()).collect();
    assert_eq!(ports.iter().collect::<HashSet<_>>().len(), ports.len());
    assert!(ports.iter().all(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()));
}
