//! One suite for both databases: each test is written once, takes an empty migrated database and runs on a real PostgreSQL and on
//! SQLite. What only PostgreSQL has, and how it fails, is in `postgres_only`.

/// Makes of each named function, which takes a [`backend::Backend`], a test on either database.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::backend::Backend::postgres().await).await;
            })*
        }
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::backend::Backend::sqlite().await).await;
            })*
        }
    };
}

mod audit;
mod backend;
mod cancellation;
mod casework;
mod dead_letter;
mod foundation;
mod fresh;
mod ingest;
mod outbox;
mod position;
mod postgres_only;
mod proxy;
mod pupils;
mod record;
mod schools;
mod transaction;
