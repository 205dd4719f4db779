//! The schema: migrations embedded in the program, and which version a database has.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Connection, SqlSafeStr};

use crate::dialect::{Pools, postgres, sqlite};
use crate::{StoreError, codes};

/// A migration in both dialects. Applied ones are never edited: their checksums are in the databases.
struct Step {
    number: i64,
    name: &'static str,
    postgres: &'static str,
    sqlite: &'static str,
}

const STEPS: [Step; 12] = [
    Step {
        number: 1,
        name: "foundation",
        postgres: include_str!("../migrations/postgres/0001_foundation.sql"),
        sqlite: include_str!("../migrations/sqlite/0001_foundation.sql"),
    },
    Step {
        number: 2,
        name: "ingest",
        postgres: include_str!("../migrations/postgres/0002_ingest.sql"),
        sqlite: include_str!("../migrations/sqlite/0002_ingest.sql"),
    },
    Step {
        number: 3,
        name: "notifier",
        postgres: include_str!("../migrations/postgres/0003_notifier.sql"),
        sqlite: include_str!("../migrations/sqlite/0003_notifier.sql"),
    },
    Step {
        number: 4,
        name: "feed",
        postgres: include_str!("../migrations/postgres/0004_feed.sql"),
        sqlite: include_str!("../migrations/sqlite/0004_feed.sql"),
    },
    Step {
        number: 5,
        name: "import",
        postgres: include_str!("../migrations/postgres/0005_import.sql"),
        sqlite: include_str!("../migrations/sqlite/0005_import.sql"),
    },
    Step {
        number: 6,
        name: "delivery_order",
        postgres: include_str!("../migrations/postgres/0006_delivery_order.sql"),
        sqlite: include_str!("../migrations/sqlite/0006_delivery_order.sql"),
    },
    Step {
        number: 7,
        name: "summary",
        postgres: include_str!("../migrations/postgres/0007_summary.sql"),
        sqlite: include_str!("../migrations/sqlite/0007_summary.sql"),
    },
    Step {
        number: 8,
        name: "told",
        postgres: include_str!("../migrations/postgres/0008_told.sql"),
        sqlite: include_str!("../migrations/sqlite/0008_told.sql"),
    },
    Step {
        number: 9,
        name: "off_roll",
        postgres: include_str!("../migrations/postgres/0009_off_roll.sql"),
        sqlite: include_str!("../migrations/sqlite/0009_off_roll.sql"),
    },
    Step {
        number: 10,
        name: "seen_by",
        postgres: include_str!("../migrations/postgres/0010_seen_by.sql"),
        sqlite: include_str!("../migrations/sqlite/0010_seen_by.sql"),
    },
    Step {
        number: 11,
        name: "school_watch",
        postgres: include_str!("../migrations/postgres/0011_school_watch.sql"),
        sqlite: include_str!("../migrations/sqlite/0011_school_watch.sql"),
    },
    Step {
        number: 12,
        name: "due",
        postgres: include_str!("../migrations/postgres/0012_due.sql"),
        sqlite: include_str!("../migrations/sqlite/0012_due.sql"),
    },
];

/// The version that this program needs: the number of its last migration.
const WANTED: i64 = {
    let [.., last] = STEPS;
    last.number
};

const VERSION: &str = "SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations WHERE success";

pub(crate) async fn migrate(pools: &Pools) -> Result<(), StoreError> {
    let have = version(pools).await?;
    if have > WANTED {
        return check(have);
    }
    let doing = "schema.migrate";
    let migrated = match pools {
        Pools::Postgres(pool) => {
            let mut connection =
                postgres::migration_connection(pool).await.map_err(|error| codes::statement(doing, &error))?;
            let migrated = migrator(|step| step.postgres).run(&mut connection).await;
            if let Err(error) = connection.close().await {
                tracing::debug!(%error, "the connection of the migration did not close in order");
            }
            migrated
        }
        Pools::Sqlite { writer, .. } => migrator(|step| step.sqlite).run(writer).await,
    };
    migrated.map_err(|error| codes::migration(&error, WANTED))
}

/// Lets a role read and write rows, and change no table. PostgreSQL only: SQLite has no roles.
pub(crate) async fn grant(pools: &Pools, role: &str) -> Result<(), StoreError> {
    let doing = "schema.grant";
    let Pools::Postgres(pool) = pools else {
        return Err(StoreError::Unexpected { doing, detail: "this database has no roles".to_owned() });
    };
    let role = format!("\"{}\"", role.replace('"', "\"\""));
    let text = format!(
        "GRANT USAGE ON SCHEMA public TO {role};
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};
         REVOKE INSERT, UPDATE, DELETE ON _sqlx_migrations FROM {role};
         REVOKE UPDATE, DELETE ON audit FROM {role}"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(pool).await.map_err(|error| codes::statement(doing, &error))?;
    Ok(())
}

fn migrator(text_of: fn(&Step) -> &'static str) -> Migrator {
    let migrations = STEPS.map(|step| {
        let text = text_of(&step).into_sql_str();
        Migration::new(step.number, step.name.into(), MigrationType::Simple, text, false)
    });
    Migrator::with_migrations(migrations.into())
}

pub(crate) async fn version(pools: &Pools) -> Result<i64, StoreError> {
    let read = match pools {
        Pools::Postgres(pool) => match sqlx::query_scalar(postgres::SCHEMA_EXISTS).fetch_one(pool).await {
            Ok(true) => sqlx::query_scalar(VERSION).fetch_one(pool).await,
            Ok(false) => Ok(0),
            Err(error) => Err(error),
        },
        Pools::Sqlite { readers, .. } => match sqlx::query_scalar(sqlite::SCHEMA_EXISTS).fetch_one(readers).await {
            Ok(true) => sqlx::query_scalar(VERSION).fetch_one(readers).await,
            Ok(false) => Ok(0),
            Err(error) => Err(error),
        },
    };
    read.map_err(|error| codes::statement("schema.version", &error))
}

pub(crate) fn check(have: i64) -> Result<(), StoreError> {
    match have.cmp(&WANTED) {
        std::cmp::Ordering::Less => {
            Err(StoreError::SchemaTooOld { have, want: WANTED, remedy: "run `earlybell migrate` of this release" })
        }
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(StoreError::SchemaTooNew { have, want: WANTED, remedy: codes::NEWER }),
    }
}
